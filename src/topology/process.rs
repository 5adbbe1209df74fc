//! One child process: started into the run's process group, watched until it ends, signalled while it runs.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::error::TopologyError;
use super::group;

/// Lines of a log that go into an error.
const TAIL_LINES: usize = 5;
const TAIL_BYTES: u64 = 4_096;

/// A process that ended though nobody asked it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// `n1`, `nginx` or `warden`.
    pub name: String,
    /// Exit code or signal, in words.
    pub status: String,
    /// Last lines of its log.
    pub log: String,
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ended on its own ({})", self.name, self.status)?;
        if !self.log.is_empty() {
            write!(f, "; its log ends with:\n{}", self.log)?;
        }
        Ok(())
    }
}

/// Where unexpected exits are reported. Bounded; when it is full the report is dropped, since the first one decides.
pub(crate) type Exits = mpsc::Sender<Exit>;

/// What can be taken from a fresh child.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
}

/// A started process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) log: Option<PathBuf>,
    ended: watch::Receiver<Option<ExitStatus>>,
    wanted: Arc<AtomicBool>,
}

impl Process {
    /// Starts a command and a task that reaps it. Its end is no surprise until [`Process::expect_life`]. `log` is where its last words are looked for.
    pub(crate) fn spawn(
        name: &str,
        mut command: Command,
        log: Option<PathBuf>,
        exits: &Exits,
    ) -> Result<(Self, Pipes), TopologyError> {
        let program = PathBuf::from(command.as_std().get_program());
        let mut child: Child = command.spawn().map_err(|source| TopologyError::Spawn {
            name: name.into(),
            program,
            source,
        })?;
        let pid = child.id().unwrap_or_default();
        let pipes = Pipes {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
        };
        let (sender, ended) = watch::channel(None);
        let wanted = Arc::new(AtomicBool::new(false));
        let report = (
            name.to_owned(),
            log.clone(),
            exits.clone(),
            Arc::clone(&wanted),
        );
        // Ends with the child. Nobody joins it: the watch channel says all that it has to say.
        tokio::spawn(async move {
            let (name, log, exits, wanted) = report;
            let Ok(status) = child.wait().await else {
                return;
            };
            tracing::debug!(name, pid, %status, "ended");
            sender.send_replace(Some(status));
            if wanted.load(Ordering::Relaxed) {
                let log = log.map(|path| tail(&path)).unwrap_or_default();
                let _ = exits.try_send(Exit {
                    name,
                    status: status.to_string(),
                    log,
                });
            }
        });
        tracing::debug!(name, pid, "started");
        let process = Self {
            name: name.to_owned(),
            pid,
            log,
            ended,
            wanted,
        };
        Ok((process, pipes))
    }

    /// It is ready and has to run from here on: an end is reported. Whoever calls this sees to ends before it.
    pub(crate) fn expect_life(&self) {
        self.wanted.store(true, Ordering::Relaxed);
    }

    /// Its end is no surprise from here on.
    pub(crate) fn expect_end(&self) {
        self.wanted.store(false, Ordering::Relaxed);
    }

    /// The exit status once it has ended.
    pub(crate) fn status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Sends a signal unless it has ended.
    ///
    /// The id cannot have been given to another process: the reaping task marks the end in the same step, and both run
    /// on one thread.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.status().is_none() {
            group::signal(self.pid, signal);
        }
    }

    /// Resolves when it has ended and been reaped.
    pub(crate) fn ended(&self) -> impl Future<Output = Option<ExitStatus>> + use<> {
        let mut ended = self.ended.clone();
        async move { *ended.wait_for(Option::is_some).await.ok()? }
    }

    /// As [`Process::ended`], `None` after the deadline.
    pub(crate) async fn ended_within(&self, deadline: Duration) -> Option<ExitStatus> {
        timeout(deadline, self.ended()).await.ok().flatten()
    }

    /// Sends `signal`, and SIGKILL if it has not ended after `grace`. Returns whether that was needed.
    pub(crate) async fn stop(&self, signal: Signal, grace: Duration) -> bool {
        self.expect_end();
        self.signal(signal);
        if self.ended_within(grace).await.is_some() {
            return false;
        }
        self.signal(Signal::KILL);
        self.ended().await;
        true
    }

    /// SIGSTOP; returns when the kernel shows it stopped.
    pub(crate) async fn pause(&self) -> Result<(), TopologyError> {
        self.signal(Signal::STOP);
        self.until("paused", || group::is_stopped(self.pid)).await
    }

    /// SIGCONT; returns when the kernel shows it running.
    pub(crate) async fn resume(&self) -> Result<(), TopologyError> {
        self.signal(Signal::CONT);
        self.until("resumed", || !group::is_stopped(self.pid)).await
    }

    async fn until(
        &self,
        what: &'static str,
        is_so: impl Fn() -> bool,
    ) -> Result<(), TopologyError> {
        group::seen(is_so)
            .await
            .then_some(())
            .ok_or_else(|| TopologyError::Late {
                name: self.name.clone(),
                what,
                within: group::SEEN,
                log: self.last_words(),
            })
    }

    /// Last lines of its log.
    pub(crate) fn last_words(&self) -> String {
        self.log.as_deref().map(tail).unwrap_or_default()
    }
}

/// Opens a log for appending and gives it to a command as stdout and stderr.
pub(crate) fn log_to(command: &mut Command, path: &Path) -> Result<(), TopologyError> {
    let open = || -> std::io::Result<(File, File)> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok((file.try_clone()?, file))
    };
    let (out, err) =
        open().map_err(|e| TopologyError::io(format!("opening {}", path.display()), e))?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::from(out))
        .stderr(Stdio::from(err));
    Ok(())
}

/// The last lines of a text file; empty when there is none.
pub(crate) fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
