//! The result folder: what is in it, and how lines and documents get there and back.
//!
//! Line files are appended to and flushed once a second, so a crash loses at most the last second; documents are
//! written to a temporary name and renamed. A folder without `end.json` is that of a run that did not finish.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lines::{LineReader, Lines};

/// The scenario as given.
pub const SCENARIO: &str = "scenario.toml";
/// How the run was started: [`crate::record::collector::RunInfo`].
pub const RUN: &str = "run.json";
/// One [`crate::record::collector::Second`] a line.
pub const INTERVALS: &str = "intervals.jsonl";
/// One [`crate::record::outage::OutageEvent`] a line, in order of time.
pub const OUTAGES: &str = "outages.jsonl";
/// One [`crate::fault::FaultRecord`] a line, again at each change; the last one of a fault counts.
pub const FAULTS: &str = "faults.jsonl";
/// HDR histogram log, one tagged line per series and second, values in µs.
pub const LATENCY: &str = "latency.hlog";
/// How the run ended: [`crate::record::collector::RunEnd`]; written last.
pub const END: &str = "end.json";
/// The report: `crate::report::schema::Report`.
pub const RESULT: &str = "result.json";
/// What [`INTERVALS`], [`OUTAGES`] and [`LATENCY`] held before they were begun anew, until it is thinned.
pub const OLD: [(&str, &str); 3] = [
    (INTERVALS, "intervals.old.jsonl"),
    (OUTAGES, "outages.old.jsonl"),
    (LATENCY, "latency.old.hlog"),
];
/// What the thinned part of the record adds up to: `crate::analyze::thin::Checkpoint`.
pub const CHECKPOINT: &str = "checkpoint.json";
/// The thinned part of [`INTERVALS`]: one [`super::history::Stretch`] a line.
pub const HISTORY: &str = "history.jsonl";
/// The thinned part of [`LATENCY`].
pub const HISTORY_LATENCY: &str = "history.hlog";
/// Folder of nginx's configuration and logs and of the nodes' logs.
pub const LOGS: &str = "logs";

/// Something about the result folder failed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file could not be written: most often the disk is full or read-only.
    #[error("cannot write {path}: {source}; free space or choose another folder with --out")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}; is this a result folder of wssoak?")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}, line {line}: {problem}")]
    Content {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// The folder is there and not empty.
    #[error("{path} is not empty; name a new folder with --out, or leave --out away")]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
}

/// A result folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new folder: `wanted` itself, or `results/NAME-STAMP` made unique by a number.
    ///
    /// # Errors
    /// When it cannot be made, or `wanted` holds something already.
    pub fn create(wanted: Option<&Path>, name: &str, stamp: &str) -> Result<Self, FolderError> {
        if let Some(path) = wanted {
            let write = |source| FolderError::Write {
                path: path.to_owned(),
                source,
            };
            fs::create_dir_all(path).map_err(write)?;
            if fs::read_dir(path).map_err(write)?.next().is_some() {
                return Err(FolderError::NotEmpty {
                    path: path.to_owned(),
                });
            }
            return Ok(Self {
                path: path.to_owned(),
            });
        }
        let parent = Path::new("results");
        fs::create_dir_all(parent).map_err(|source| FolderError::Write {
            path: parent.to_owned(),
            source,
        })?;
        // Two runs of the same second must not share a folder, so making it is what claims it.
        for number in 1u32.. {
            let suffix = if number == 1 {
                String::new()
            } else {
                format!("-{number}")
            };
            let path = parent.join(format!("{name}-{stamp}{suffix}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(FolderError::Write { path, source }),
            }
        }
        unreachable!("a free number is found before u32 runs out")
    }

    /// An existing folder.
    pub fn open(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a whole file: temporary name, then rename.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), FolderError> {
        let path = self.file(name);
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
            file.write_all(content)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| FolderError::Write {
            path: path.clone(),
            source,
        })
    }

    /// Writes a document as indented JSON.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), FolderError> {
        let mut text = serde_json::to_vec_pretty(value).map_err(|error| FolderError::Write {
            path: self.file(name),
            source: error.into(),
        })?;
        text.push(b'\n');
        self.write(name, &text)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// When it is not there or no text.
    pub fn read(&self, name: &str) -> Result<String, FolderError> {
        let path = self.file(name);
        fs::read_to_string(&path).map_err(|source| FolderError::Read { path, source })
    }

    /// Reads a document; `None` when it is not there.
    ///
    /// # Errors
    /// When it is there and not readable as `T`.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, FolderError> {
        let path = self.file(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FolderError::Read { path, source }),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|error| FolderError::Content {
                path,
                line: error.line(),
                problem: error.to_string(),
            })
    }

    /// Opens a line file to read, one `T` a line.
    ///
    /// # Errors
    /// When it is not there.
    pub fn lines<T: DeserializeOwned>(&self, name: &str) -> Result<LineReader<T>, FolderError> {
        let path = self.file(name);
        match File::open(&path) {
            Ok(file) => Ok(LineReader::new(path, file)),
            Err(source) => Err(FolderError::Read { path, source }),
        }
    }

    /// Opens a line file to append to.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn append(&self, name: &str) -> Result<Lines, FolderError> {
        let path = self.file(name);
        match OpenOptions::new().create(true).append(true).open(&path) {
            Ok(file) => Ok(Lines::new(path, file)),
            Err(source) => Err(FolderError::Write { path, source }),
        }
    }

    /// Is there a file of this name?
    pub fn has(&self, name: &str) -> bool {
        self.file(name).exists()
    }

    /// Removes a file; one that is not there is gone already.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), FolderError> {
        match fs::remove_file(self.file(name)) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FolderError::Write {
                path: self.file(name),
                source,
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_off_by_a_crash_is_dropped_and_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(Some(&dir.path().join("r")), "x", "y").unwrap();
        let mut lines = folder.append("numbers").unwrap();
        lines.push(&1).unwrap();
        lines.push(&2).unwrap();
        lines.push_raw(b"3").unwrap();
        lines.flush().unwrap();
        let mut reader = folder.lines::<u32>("numbers").unwrap();
        let mut seen = Vec::new();
        while let Some(number) = reader.read().unwrap() {
            seen.push(number);
        }
        assert!(reader.was_cut_off());
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    fn a_broken_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path());
        folder.write("numbers", b"1\nx\n3\n").unwrap();
        let mut reader = folder.lines::<u32>("numbers").unwrap();
        assert_eq!(reader.read().unwrap(), Some(1));
        let error = reader.read().unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Folder::open(dir.path()).write("precious", b"x").unwrap();
        assert!(matches!(
            Folder::create(Some(dir.path()), "x", "y"),
            Err(FolderError::NotEmpty { .. })
        ));
    }
}
