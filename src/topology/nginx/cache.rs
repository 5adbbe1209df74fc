//! Puts the embedded nginx where it can be executed: once per content, in the user's cache.
//!
//! The file's name carries the hash of its content, so versions live side by side, and nobody ever writes to a file
//! that is being executed (ETXTBSY): a new one is written beside it, closed, and renamed into place. Two processes that
//! do so at once end with the same bytes.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// The folder for unpacked binaries: `$XDG_CACHE_HOME/wssoak`, else `~/.cache/wssoak`, else one in the temporary
/// folder that carries the user's id.
pub(super) fn folder() -> PathBuf {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("wssoak"))
        .unwrap_or_else(fallback)
}

/// Where to unpack when the cache cannot be used, such as a read-only or `noexec` home.
pub(super) fn fallback() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("wssoak-cache-{user}"))
}

/// The path of an executable file with this content in `folder`, which is created if needed.
///
/// # Errors
/// The folder or the file cannot be written, or the folder belongs to another user.
pub(super) fn unpack(content: &[u8], folder: &Path) -> io::Result<PathBuf> {
    let hash = Sha256::digest(content);
    let name: String = hash
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = folder.join(format!("nginx-{name}"));
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    // In a shared temporary folder another user could have made the folder first and swap what we execute.
    if fs::metadata(folder)?.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{} belongs to another user", folder.display()),
        ));
    }
    if is_intact(&path, content) {
        return Ok(path);
    }
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(0o700))?;
    file.as_file().sync_all()?;
    // Closed before the rename: a file that is open for writing cannot be executed.
    file.into_temp_path().persist(&path)?;
    Ok(path)
}

fn is_intact(path: &Path, content: &[u8]) -> bool {
    let executable = fs::metadata(path).is_ok_and(|meta| {
        meta.is_file()
            && meta.len() == content.len() as u64
            && meta.permissions().mode() & 0o100 != 0
    });
    // The content itself is at hand, so comparing it says more than comparing hashes, and is faster.
    executable && fs::read(path).is_ok_and(|bytes| bytes == content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_unpacking_reuses_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let first = unpack(b"#!/bin/sh\n", folder.path()).unwrap();
        let inode = fs::metadata(&first).unwrap().ino();
        let second = unpack(b"#!/bin/sh\n", folder.path()).unwrap();
        assert_eq!(first, second);
        assert_eq!(fs::metadata(&second).unwrap().ino(), inode);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for damage in [&b"#!/bin/xx\n"[..], b"", b"longer than it was\n"] {
            let path = unpack(b"#!/bin/sh\n", folder.path()).unwrap();
            fs::write(&path, damage).unwrap();
            unpack(b"#!/bin/sh\n", folder.path()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"#!/bin/sh\n");
        }
    }

    #[test]
    fn a_file_that_lost_its_execute_bit_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = unpack(b"x", folder.path()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        unpack(b"x", folder.path()).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn racing_unpackers_agree() {
        let folder = tempfile::tempdir().unwrap();
        let content = vec![7u8; 1 << 20];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let path = unpack(&content, folder.path()).unwrap();
                    assert_eq!(fs::read(path).unwrap(), content);
                });
            }
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
