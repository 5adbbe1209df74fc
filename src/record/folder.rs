//! The result folder: what is in it, and how lines and documents get there and back.
//!
//! Line files are appended to and flushed once a second, so a crash loses at most the last second; documents are
//! written to a temporary name and renamed. A folder without `end.json` is that of a run that did not finish.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

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
            Ok(file) => Ok(LineReader {
                path,
                reader: BufReader::with_capacity(1 << 16, file),
                line: Vec::new(),
                number: 0,
                cut_off: false,
                kind: PhantomData,
            }),
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
            Ok(file) => Ok(Lines {
                path,
                written: 0,
                writer: BufWriter::with_capacity(1 << 16, file),
            }),
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

/// Reads a line file, one value at a time: the file may be larger than memory.
#[derive(Debug)]
pub struct LineReader<T> {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    number: usize,
    cut_off: bool,
    kind: PhantomData<T>,
}

impl<T: DeserializeOwned> LineReader<T> {
    /// The next value; `None` at the end. A last line without its end is what a crash leaves: it is dropped, and
    /// [`Self::was_cut_off`] says so.
    ///
    /// # Errors
    /// When the file cannot be read, or a whole line is not a `T`.
    pub fn read(&mut self) -> Result<Option<T>, FolderError> {
        self.line.clear();
        self.number += 1;
        let read = self.reader.read_until(b'\n', &mut self.line);
        let length = read.map_err(|source| FolderError::Read {
            path: self.path.clone(),
            source,
        })?;
        if length == 0 {
            return Ok(None);
        }
        if self.line.last() != Some(&b'\n') {
            self.cut_off = true;
            return Ok(None);
        }
        serde_json::from_slice(&self.line)
            .map(Some)
            .map_err(|error| FolderError::Content {
                path: self.path.clone(),
                line: self.number,
                problem: error.to_string(),
            })
    }

    /// Did the file end in the middle of a line?
    pub fn was_cut_off(&self) -> bool {
        self.cut_off
    }
}

/// A file that lines are appended to.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    written: u64,
    writer: BufWriter<File>,
}

impl Lines {
    /// Appends one value as a line of JSON; it reaches the disk with the next [`Self::flush`].
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn push(&mut self, value: &impl Serialize) -> Result<(), FolderError> {
        let mut counted = Counted(self);
        serde_json::to_writer(&mut counted, value)
            .map_err(io::Error::from)
            .and_then(|()| counted.write_all(b"\n"))
            .map_err(|source| FolderError::Write {
                path: self.path.clone(),
                source,
            })
    }

    /// Appends bytes as they are.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn push_raw(&mut self, bytes: &[u8]) -> Result<(), FolderError> {
        Counted(self)
            .write_all(bytes)
            .map_err(|source| FolderError::Write {
                path: self.path.clone(),
                source,
            })
    }

    /// Bytes appended since it was opened or begun anew.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Gives the file another name in the same folder and begins anew under its own.
    ///
    /// # Errors
    /// When the disk does not take what is left of the old one, or the new one cannot be made.
    pub fn begin_anew(
        &mut self,
        folder: &Folder,
        name: &str,
        old: &str,
    ) -> Result<(), FolderError> {
        self.flush()?;
        fs::rename(&self.path, folder.file(old)).map_err(|source| FolderError::Write {
            path: self.path.clone(),
            source,
        })?;
        *self = folder.append(name)?;
        Ok(())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn flush(&mut self) -> Result<(), FolderError> {
        self.writer.flush().map_err(|source| FolderError::Write {
            path: self.path.clone(),
            source,
        })
    }
}

struct Counted<'a>(&'a mut Lines);

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.writer.write(bytes)?;
        self.0.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.writer.flush()
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
