//! Starts `wssoak` for a test, finds what it leaves, reads what it reports.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wssoak::topology::group;

/// Whole runs at a time, as far as there are test threads. Each is of some hundred clients and mostly waits; more of them
/// would measure each other.
const RUNS: usize = 4;
static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Leave to run, for so many at a time.
pub(crate) struct Turn(usize);

/// Waits for leave to run.
pub(crate) fn turn() -> Turn {
    turns(1)
}

/// Waits for leave to run without others, for whoever runs many at once and measures none.
pub(crate) fn every_turn() -> Turn {
    turns(RUNS)
}

/// Waits for leave to run as heavily as so many.
pub(crate) fn turns(wanted: usize) -> Turn {
    let (running, free) = &RUNNING;
    let guard = running.lock().unwrap_or_else(PoisonError::into_inner);
    let mut guard = free
        .wait_while(guard, |running| *running + wanted > RUNS)
        .unwrap_or_else(PoisonError::into_inner);
    *guard += wanted;
    Turn(wanted)
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (running, free) = &RUNNING;
        *running.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        free.notify_all();
    }
}

/// Does all jobs, so many at a time. For runs that are only ended, which is no matter of speed.
pub(crate) fn side_by_side<T: Sync>(jobs: &[T], at_a_time: usize, work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(job);
                }
            });
        }
    });
}

/// Says it whether or not the test passes: what was tried is part of the result.
pub(crate) fn announce(text: &str) {
    // Not `eprintln!`, which is kept from the terminal while a test passes.
    let text = format!("\n{text}\n");
    std::io::stderr().write_all(text.as_bytes()).unwrap();
}

/// A folder for one run: results in `out`, everything temporary in `tmp`, the nginx cache shared.
pub(crate) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("wssoak-test")
            .tempdir()
            .unwrap();
        std::fs::create_dir(root.path().join("tmp")).unwrap();
        Self { root }
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// Its journals are in a folder below.
    pub(crate) fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// `wssoak` with these arguments, its scratch folders under `tmp`, its journals under `state`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wssoak"));
        command
            .args(args)
            .env("TMPDIR", self.tmp())
            .env("XDG_STATE_HOME", self.state())
            .env("NO_COLOR", "1")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `wssoak run SCENARIO --out …` with these further arguments.
    pub(crate) fn run_command(&self, scenario: &str, args: &[&str]) -> Command {
        let mut command = self.command(&["run", scenario]);
        command.arg("--out").arg(self.out()).args(args);
        command
    }

    /// Processes that belong to this place, by anything that shows it: their command line, their environment, or a
    /// process group whose leader once did. Zombies are not left over, they wait to be reaped by others.
    pub(crate) fn processes(&self, groups: &[u32]) -> Vec<String> {
        let mark = self.root.path().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
                continue;
            };
            if pid == std::process::id() {
                continue;
            }
            let read = |name: &str| {
                let bytes = std::fs::read(entry.path().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', " ")
            };
            let stat = read("stat");
            let is_zombie = stat
                .rsplit_once(')')
                .is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'));
            let command = read("cmdline");
            if !is_zombie && (command.contains(&mark) || read("environ").contains(&mark)) {
                found.push(format!("{pid} {command}"));
            }
        }
        for group in groups {
            found.extend(
                group::members(*group)
                    .iter()
                    .map(|stat| format!("{} of group {group}", stat.pid)),
            );
        }
        found
    }

    /// The process of this place whose command line has these words.
    pub(crate) fn process(&self, words: &str) -> Option<u32> {
        let all = self.processes(&[]);
        let found = all.iter().find(|line| line.contains(words))?;
        found.split(' ').next()?.parse().ok()
    }

    /// Process groups of wardens of this place.
    pub(crate) fn groups(&self) -> Vec<u32> {
        let mark = self.tmp().to_string_lossy().into_owned();
        let ours = self
            .processes(&[])
            .into_iter()
            .filter(|line| line.contains(" warden ") && line.contains(&mark));
        ours.filter_map(|line| line.split(' ').next()?.parse().ok())
            .collect()
    }
}

/// Sends a signal to a process that was seen to be ours.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Is there nothing in a folder, if it is there at all?
pub(crate) fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// Waits until `done` is true; panics with `what` after `patience`.
pub(crate) fn wait_for(what: &str, patience: Duration, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < deadline, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a finished `wssoak` left.
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Waits for a child and takes its output. Only for children whose output fits a pipe.
pub(crate) fn finish(mut child: Child, patience: Duration) -> Finished {
    wait_for("the end of wssoak", patience, || {
        child.try_wait().unwrap().is_some()
    });
    let status = child.wait().unwrap();
    let mut finished = Finished {
        code: status
            .code()
            .unwrap_or_else(|| -status.signal().unwrap_or(0)),
        stdout: String::new(),
        stderr: String::new(),
    };
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut finished.stdout)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut finished.stderr)
        .unwrap();
    finished
}

/// Runs to the end.
pub(crate) fn complete(command: &mut Command) -> Finished {
    finish(command.spawn().unwrap(), Duration::from_secs(90))
}

pub(crate) fn result(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join("result.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Number of whole lines of a file that may not be there yet.
pub(crate) fn lines(path: &Path) -> usize {
    std::fs::read(path).map_or(0, |bytes| {
        bytes.iter().filter(|byte| **byte == b'\n').count()
    })
}
