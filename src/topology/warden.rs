//! The warden: a child that outlives the harness to clean up after it, however it ends.
//!
//! It leads the process group that nodes and nginx are started into, so "process group" means "this run", and a
//! Ctrl-C at the terminal reaches the harness only. Its stdin is a pipe that the harness never writes to: end of file
//! means that the harness has exited, by SIGKILL even. Then the warden kills the rest of its group, replays the journal
//! if the harness has left one, removes the scratch folder and exits. A normal end takes the same way: the harness closes the pipe and waits.
//!
//! While the warden lives, its group id cannot be given to others, so it can only hit this run's processes.

use std::fs::DirBuilder;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::error::TopologyError;
use super::process::{Exits, Process};
use super::{group, journal};

/// Every scratch folder's name starts so; the warden removes no other.
const SCRATCH_PREFIX: &str = "wssoak-";
/// Processes that survive SIGKILL this long are stuck in the kernel.
const SWEEP: Duration = Duration::from_secs(10);
const READY: &str = "ready";

/// The body of `wssoak warden --scratch DIR`: creates DIR, waits for the end of stdin, sweeps, undoes what `journal`
/// says, removes DIR.
///
/// # Errors
/// DIR is not a `wssoak-…` path or exists already, it cannot be removed, or a process survived the sweep.
pub fn run(scratch: &Path, journal: Option<&Path>) -> io::Result<()> {
    let named_ours = scratch
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(SCRATCH_PREFIX));
    if !named_ours {
        let message = format!("warden: {} is no scratch folder", scratch.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    // The job outlives polite signals. Catching them is enough, nobody looks at them; the runtime only has to exist.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let caught = runtime.block_on(async {
        [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ]
        .into_iter()
        .map(signal)
        .collect::<io::Result<Vec<_>>>()
    })?;
    // Failing on an existing folder keeps us from ever removing what is not ours.
    DirBuilder::new().mode(0o700).create(scratch)?;
    // A harness that has died by now does not read it; then the pipe below is at its end, and the sweep is due all the
    // same.
    let _ = writeln!(io::stdout(), "{READY}");
    wait_for_end(&mut io::stdin());

    let (killed, left) = group::kill_members(std::process::id(), std::process::id(), SWEEP);
    let undone = journal.map(|path| runtime.block_on(journal::replay(path)));
    let removed = remove(scratch);
    // Nobody may be left to read it.
    let _ = writeln!(io::stdout(), "{killed}");
    drop(caught);
    removed?;
    if let Some(Err(error)) = undone {
        return Err(io::Error::other(crate::error::chain(&error)));
    }
    if left > 0 {
        return Err(io::Error::other(format!(
            "warden: {left} processes survived SIGKILL"
        )));
    }
    Ok(())
}

fn wait_for_end(pipe: &mut impl Read) {
    let mut byte = [0; 64];
    loop {
        match pipe.read(&mut byte) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn remove(scratch: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The harness's end of the warden. Dropping it makes the warden sweep.
#[derive(Debug)]
pub(crate) struct Warden {
    pub(crate) process: Process,
    pub(crate) scratch: PathBuf,
    pipe: Option<tokio::process::ChildStdin>,
    words: Option<BufReader<ChildStdout>>,
}

impl Warden {
    /// Starts the warden; its process id is the run's process group.
    pub(crate) async fn start(
        exe: &Path,
        exits: &Exits,
        journal: Option<&Path>,
    ) -> Result<Self, TopologyError> {
        let name = format!("{SCRATCH_PREFIX}{:016x}", rand::random::<u64>());
        let scratch = std::env::temp_dir().join(name);
        let mut command = Command::new(exe);
        command
            .arg("warden")
            .arg("--scratch")
            .arg(&scratch)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        if let Some(journal) = journal {
            command.arg("--journal").arg(journal);
        }
        let (process, mut child) = Process::spawn("warden", command, None, exits)?;
        let mut words = child.stdout.take().map(BufReader::new);
        let mut line = String::new();
        if let Some(words) = &mut words {
            // An error reads as no line, and so as not ready.
            let _ = words.read_line(&mut line).await;
        }
        if line.trim() != READY {
            return Err(TopologyError::Start {
                name: "warden".into(),
                how: "it did not say that it is ready".into(),
                log: String::new(),
            });
        }
        process.expect_life();
        Ok(Self {
            process,
            scratch,
            pipe: child.stdin.take(),
            words,
        })
    }

    pub(crate) fn group(&self) -> u32 {
        self.process.pid
    }

    /// Closes the pipe and waits for the sweep; returns how many processes it had to kill. A warden that is gone or
    /// does not end is replaced by ourselves.
    pub(crate) async fn finish(&mut self) -> usize {
        self.process.expect_end();
        drop(self.pipe.take());
        if self.process.ended_within(SWEEP * 2).await.is_some() {
            let mut line = String::new();
            if let Some(words) = &mut self.words {
                let _ = words.read_line(&mut line).await;
            }
            if let Ok(killed) = line.trim().parse() {
                return killed;
            }
        }
        self.process.signal(rustix::process::Signal::KILL);
        // Without its leader the id could in theory be reused once the group is empty, but then there is nobody to hit
        // within the moment that this takes.
        let (killed, _) = group::kill_members(self.group(), 0, SWEEP);
        // What cannot be removed from a temporary folder is no reason to fail a run that is over.
        let _ = remove(&self.scratch);
        killed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_ours_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::create_dir(&precious).unwrap();
        assert!(run(&precious, None).is_err());
        assert!(precious.is_dir());
    }
}
