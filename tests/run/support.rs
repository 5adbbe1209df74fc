//! Starts `wssoak` for a test, finds what it leaves, reads what it reports.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use wssoak::topology::group;

/// Whole runs at a time. Each is of some hundred clients and mostly waits; more of them would measure each other.
const RUNS: usize = 2;
static RUNNING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// Leave to run.
pub(crate) struct Turn;

/// Waits for leave to run.
pub(crate) fn turn() -> Turn {
    let (running, free) = &RUNNING;
    let guard = running.lock().unwrap_or_else(PoisonError::into_inner);
    let mut guard = free
        .wait_while(guard, |running| *running >= RUNS)
        .unwrap_or_else(PoisonError::into_inner);
    *guard += 1;
    Turn
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (running, free) = &RUNNING;
        *running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        free.notify_one();
    }
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

    /// `wssoak` with these arguments, its scratch folders under `tmp`.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wssoak"));
        command
            .args(args)
            .env("TMPDIR", self.tmp())
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
