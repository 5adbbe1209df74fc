//! `wssoak tether --parent PID -- COMMAND…`: becomes the command, tied to the life of the harness.
//!
//! nginx cannot ask for a parent-death signal itself, and asking between fork and exec takes unsafe code. So the
//! harness starts this, which asks and then execs; the signal setting survives the exec.
//!
//! The signal is SIGTERM: a master that dies of SIGKILL leaves its workers serving, one that gets SIGTERM takes them
//! along.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// Ties this process to `parent` and executes `command`. Returns only on failure.
///
/// # Errors
/// The command is empty, the parent is gone already, or the command cannot be executed.
pub fn run(parent: u32, command: &[OsString]) -> io::Result<std::convert::Infallible> {
    tie(parent, Signal::TERM)?;
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| io::Error::other("tether: no command given"))?;
    let error = Command::new(program).args(arguments).exec();
    Err(io::Error::new(
        error.kind(),
        format!("executing {}: {error}", program.to_string_lossy()),
    ))
}

/// Asks the kernel for `signal` when `parent` dies; nodes call it on themselves.
///
/// # Errors
/// The parent has died already (the signal would never come), or the system call failed.
pub fn tie(parent: u32, signal: Signal) -> io::Result<()> {
    set_parent_process_death_signal(Some(signal))?;
    // If the parent died before the call above, no signal will come; but then we have another parent by now.
    let current = getppid().map(|pid| pid.as_raw_nonzero().get());
    if current.and_then(|pid| u32::try_from(pid).ok()) != Some(parent) {
        return Err(io::Error::other(format!(
            "the parent process {parent} is gone"
        )));
    }
    Ok(())
}
