//! Line files: one value a line, written through a buffer and read one at a time, so that they may be larger than memory.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::folder::{Folder, FolderError};

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
    pub(super) fn new(path: PathBuf, file: File) -> Self {
        Self {
            path,
            reader: BufReader::with_capacity(1 << 16, file),
            line: Vec::new(),
            number: 0,
            cut_off: false,
            kind: PhantomData,
        }
    }

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
    pub(super) fn new(path: PathBuf, file: File) -> Self {
        Self {
            path,
            written: 0,
            writer: BufWriter::with_capacity(1 << 16, file),
        }
    }

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
