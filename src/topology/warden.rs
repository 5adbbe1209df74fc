//! The warden: a child that outlives the harness to clean up after it, however it ends.
//!
//! It leads the process group that nodes and nginx are started into, so "process group" means "this run", and a
//! Ctrl-C at the terminal reaches the harness only. Its stdin is a pipe that the harness never writes to: end of file
//! means that the harness has exited, by SIGKILL even. Then the warden kills the rest of its group, replays the journal,
//! removes the scratch folder and exits. A normal end takes the same way: the harness closes the pipe and waits.
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
use super::group;
use super::journal::{self, Journal};
use super::process::{Exits, Process};

/// Every run's name starts so, and with it its scratch folder's and its project's; no other is ever removed.
pub(super) const PREFIX: &str = "wssoak-";
/// Of the number that follows, which no two runs share.
const DIGITS: usize = 16;
/// Processes that survive SIGKILL this long are stuck in the kernel.
const SWEEP: Duration = Duration::from_secs(10);
const READY: &str = "ready";

/// The body of `wssoak warden --scratch DIR --parent PID`: begins `journal`, creates DIR, waits for the end of stdin, sweeps,
/// undoes what the journal says, removes DIR.
///
/// # Errors
/// DIR is not a `wssoak-…` path or exists already, it cannot be removed, or a process survived the sweep.
pub fn run(scratch: &Path, parent: u32, journal: Option<&Path>) -> io::Result<()> {
    if mark_of(scratch).is_none() {
        return Err(no_scratch(scratch));
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
    if let Some(path) = journal {
        let begun = Journal::begin(path, parent, scratch, std::process::id());
        begun.map_err(|error| io::Error::other(crate::error::chain(&error)))?;
    }
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

/// The name of a scratch folder, which is on everything of its run; `None`: this is none.
pub(super) fn mark_of(scratch: &Path) -> Option<String> {
    let name = scratch.file_name()?.to_string_lossy();
    let digits = name.strip_prefix(PREFIX)?;
    (digits.len() == DIGITS).then(|| name.into_owned())
}

fn no_scratch(path: &Path) -> io::Error {
    let message = format!("warden: {} is no scratch folder", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Removes a scratch folder and nothing else; says whether it was there.
pub(super) fn remove(scratch: &Path) -> io::Result<bool> {
    if mark_of(scratch).is_none() {
        return Err(no_scratch(scratch));
    }
    match std::fs::remove_dir_all(scratch) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The harness's end of the warden. Dropping it makes the warden sweep.
#[derive(Debug)]
pub(crate) struct Warden {
    pub(crate) process: Process,
    pub(crate) scratch: PathBuf,
    journal: Option<PathBuf>,
    pipe: Option<tokio::process::ChildStdin>,
    words: Option<BufReader<ChildStdout>>,
}

impl Warden {
    /// A name for a run, which nothing else has.
    pub(crate) fn new_run() -> String {
        format!("{PREFIX}{:0DIGITS$x}", rand::random::<u64>())
    }

    /// Starts the warden of a run, which begins its journal; its process id is the run's process group.
    pub(crate) async fn start(
        exe: &Path,
        exits: &Exits,
        run: &str,
        journal: Option<PathBuf>,
    ) -> Result<Self, TopologyError> {
        let scratch = std::env::temp_dir().join(run);
        let mut command = Command::new(exe);
        command
            .arg("warden")
            .arg("--scratch")
            .arg(&scratch)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        if let Some(journal) = &journal {
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
            journal,
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
        // What cannot be removed is no reason to fail a run that is over; the journal stays then.
        let _ = match &self.journal {
            Some(path) => journal::replay(path).await.is_ok(),
            None => remove(&self.scratch).is_ok(),
        };
        killed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_ours_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["precious", "wssoak-", "wssoak-precious"] {
            let precious = folder.path().join(name);
            std::fs::create_dir(&precious).unwrap();
            assert!(run(&precious, std::process::id(), None).is_err());
            assert!(remove(&precious).is_err());
            assert!(precious.is_dir());
        }
        assert!(mark_of(&folder.path().join(Warden::new_run())).is_some());
    }
}
