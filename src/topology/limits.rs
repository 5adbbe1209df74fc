//! The file descriptor limit of this process and, by inheritance, of everything it starts.

use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit on open files to the hard limit and returns it; "unlimited" is `u64::MAX`.
///
/// # Errors
/// The system call's error; the limit is then as it was.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// The hard limit on open files of this process; "unlimited" is `u64::MAX`.
pub fn open_files_limit() -> u64 {
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_limit() {
        assert_eq!(raise_open_files().unwrap(), open_files_limit());
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
