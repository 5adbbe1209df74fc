//! The write-ahead journal of a run: how to undo what it is about to do, on disk before it does it.
//!
//! One file per run in the user's state folder, a line of JSON each. The warden begins it before it does anything else, the
//! harness goes on with it, and at the end the warden replays it, however the run has ended; should the warden be gone
//! too, `wssoak clean` and the next run do.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use super::compose::engine::Engine;
use super::compose::sweep::remove_project;
use super::error::TopologyError;
use super::group::{self, ProcStat};
use super::warden;

/// An engine may go on for a moment with what a dead client has asked for.
const SETTLE: Duration = Duration::from_millis(1_500);
/// Processes that survive SIGKILL this long are stuck in the kernel.
const SWEEP: Duration = Duration::from_secs(10);

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
enum Line {
    /// The first line: whose run this is. A process is named by its id and its start, since ids come back.
    Run { pid: u32, start: u64 },
    /// Kill those of the process group that have the folder's name on them, and remove the folder.
    Scratch { folder: PathBuf, group: u32 },
    /// Remove the compose project, resuming what is paused first.
    Project { name: String, socket: PathBuf },
    /// Resume this container. Part of the above as well; said where it happens, for whoever reads this by eye.
    Paused { container: String },
    /// This project is gone, or was left on purpose.
    Settled { name: String },
}

/// The journal of this run.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Where the journal of a run will be, in a folder that is there and can be written to.
    pub(crate) fn path_of(run: &str) -> Result<PathBuf, TopologyError> {
        let folder = folder();
        fs::create_dir_all(&folder)
            .and_then(|()| Ok(access(&folder, Access::WRITE_OK)?))
            .map_err(|e| TopologyError::io(format!("using the folder {}", folder.display()), e))?;
        Ok(folder.join(format!("{run}.jsonl")))
    }

    /// Begins the journal of `harness`'s run; done by its warden, which leads `group`, before it makes `scratch`.
    pub(super) fn begin(
        path: &Path,
        harness: u32,
        scratch: &Path,
        group: u32,
    ) -> Result<Self, TopologyError> {
        let begin = || -> io::Result<Self> {
            let mut options = OpenOptions::new();
            let file = options.append(true).create_new(true).mode(0o600);
            let journal = Self {
                path: path.to_owned(),
                file: file.open(path)?,
            };
            let start = start_of(harness).unwrap_or_default();
            let folder = scratch.to_owned();
            journal.write(&Line::Run {
                pid: harness,
                start,
            })?;
            journal.write(&Line::Scratch { folder, group })?;
            // The file's name is on disk only when its folder is.
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
            Ok(journal)
        };
        begin().map_err(|e| opening(path, e))
    }

    /// Goes on with the journal that the warden has begun.
    pub(crate) fn open(path: &Path) -> Result<Self, TopologyError> {
        let file = OpenOptions::new().append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(|e| opening(path, e))?,
        })
    }

    /// The project is about to be brought up.
    pub(crate) fn project(&self, name: &str, socket: &Path) -> Result<(), TopologyError> {
        self.note(&Line::Project {
            name: name.to_owned(),
            socket: socket.to_owned(),
        })
    }

    /// A container is about to be paused.
    pub(crate) fn pause(&self, container: &str) -> Result<(), TopologyError> {
        self.note(&Line::Paused {
            container: container.to_owned(),
        })
    }

    fn note(&self, line: &Line) -> Result<(), TopologyError> {
        let doing = || format!("writing the journal {}", self.path.display());
        self.write(line).map_err(|e| TopologyError::io(doing(), e))
    }

    fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        (&self.file).write_all(&text)?;
        self.file.sync_all()
    }

    /// The project is gone, or is to be left as it is.
    pub(crate) fn settle(&self, name: &str) {
        // A project that is gone is taken down once more to no effect.
        let _ = self.write(&Line::Settled { name: name.into() });
    }
}

fn opening(path: &Path, error: io::Error) -> TopologyError {
    TopologyError::io(format!("opening the journal {}", path.display()), error)
}

/// Undoes what a journal says, then removes it. What is undone already takes no harm.
pub(crate) async fn replay(path: &Path) -> Result<usize, TopologyError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        // The run ended in order, or somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => {
            let doing = format!("reading the journal {}", path.display());
            return Err(TopologyError::io(doing, error));
        }
    };
    let mut undone = 0;
    for line in lines(&text) {
        match line {
            Line::Scratch { folder, group } => undone += remove_scratch(&folder, group)?,
            Line::Project { name, socket } => {
                let settled = Line::Settled { name: name.clone() };
                if lines(&text).all(|line| line != settled) {
                    let engine = Engine::at(&socket).await?;
                    undone += remove_project(&engine, &name, 0, SETTLE).await?;
                }
            }
            Line::Run { .. } | Line::Paused { .. } | Line::Settled { .. } => {}
        }
    }
    let _ = fs::remove_file(path);
    Ok(undone)
}

/// Kills what is left of a run's processes, then removes its scratch folder.
fn remove_scratch(folder: &Path, group: u32) -> Result<usize, TopologyError> {
    // A name of 64 random bits is on nobody else.
    let Some(mark) = warden::mark_of(folder) else {
        return Ok(0);
    };
    let (killed, left) = group::kill_marked(group, &mark, SWEEP);
    if left > 0 {
        let doing = format!("killing {left} processes of {mark}");
        return Err(TopologyError::io(doing, io::ErrorKind::TimedOut.into()));
    }
    let removed = warden::remove(folder);
    let doing = || format!("removing {}", folder.display());
    let removed = removed.map_err(|e| TopologyError::io(doing(), e))?;
    Ok(killed + usize::from(removed))
}

/// Replays the journals of all runs of this user whose harness is gone. Returns how many runs had left something, with
/// what could not be undone.
pub async fn clean() -> (usize, Vec<TopologyError>) {
    let (mut runs, mut failed) = (0, Vec::new());
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path
            .extension()
            .is_none_or(|extension| extension != "jsonl")
            || is_alive(&path)
        {
            continue;
        }
        tracing::info!("replaying {}", path.display());
        match replay(&path).await {
            Ok(undone) => runs += usize::from(undone > 0),
            Err(error) => failed.push(error),
        }
    }
    (runs, failed)
}

/// Does the harness that wrote this journal still run?
fn is_alive(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    match lines(&text).next() {
        Some(Line::Run { pid, start }) => start_of(pid) == Some(start),
        // Not a whole line yet: it is being written, or never did anything.
        _ => true,
    }
}

/// Whole lines that can be read; the last one of a crash may be cut off, and then nothing was done.
fn lines(text: &str) -> impl Iterator<Item = Line> + '_ {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
}

fn folder() -> PathBuf {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("wssoak")
}

/// When a process started, in clock ticks since boot; `None` when there is none.
fn start_of(pid: u32) -> Option<u64> {
    ProcStat::of(pid)?;
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Field 22; the second one, the name, may hold spaces and ends at the last parenthesis.
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &[Line]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let journal = Journal {
            path: file.path().to_owned(),
            file: OpenOptions::new().append(true).open(file.path()).unwrap(),
        };
        lines.iter().for_each(|line| journal.write(line).unwrap());
        file
    }

    #[test]
    fn a_harness_is_known_by_its_id_and_its_start() {
        let pid = std::process::id();
        let start = start_of(pid).unwrap();
        assert!(is_alive(written(&[Line::Run { pid, start }]).path()));
        let another = Line::Run {
            pid,
            start: start + 1,
        };
        assert!(!is_alive(written(&[another]).path()));
    }

    #[test]
    fn a_line_that_was_cut_off_is_left_out() {
        let project = Line::Project {
            name: "wssoak-1".into(),
            socket: "/run/docker.sock".into(),
        };
        let file = written(&[Line::Run { pid: 1, start: 2 }, project.clone()]);
        let text = fs::read_to_string(file.path()).unwrap();
        assert_eq!(lines(&text).nth(1), Some(project));
        assert_eq!(lines(&text[..text.len() - 3]).count(), 1);
    }

    #[tokio::test]
    async fn what_is_settled_stays_and_the_scratch_folder_goes() {
        let place = tempfile::tempdir().unwrap();
        let scratch = place.path().join(warden::Warden::new_run());
        fs::create_dir(&scratch).unwrap();
        let name = "wssoak-1".to_owned();
        let lines = [
            Line::Scratch {
                folder: scratch.clone(),
                group: u32::MAX,
            },
            Line::Project {
                name: name.clone(),
                socket: place.path().join("no-engine.sock"),
            },
        ];
        let file = written(&lines);
        assert!(replay(file.path()).await.is_err(), "nobody to ask");
        assert!(!scratch.exists() && file.path().exists());
        Journal::open(file.path()).unwrap().settle(&name);
        assert_eq!(replay(file.path()).await.unwrap(), 0);
        assert!(!file.path().exists());
    }
}
