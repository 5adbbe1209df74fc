//! Reads the HDR log of a result folder, line by line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::record::folder::{Folder, FolderError};
use crate::record::interval::Series;

/// Hands each entry of these files to `each`.
///
/// # Errors
/// When a log is not there, or a whole line is none of an HDR log; those of `each`.
pub(super) fn read(
    folder: &Folder,
    files: &[&str],
    mut each: impl FnMut(Entry) -> Result<(), FolderError>,
) -> Result<(), FolderError> {
    files
        .iter()
        .try_for_each(|file| read_file(folder, file, &mut each))
}

fn read_file(
    folder: &Folder,
    file: &str,
    mut each: impl FnMut(Entry) -> Result<(), FolderError>,
) -> Result<(), FolderError> {
    let path = folder.file(file);
    let failed = |source| FolderError::Read {
        path: path.clone(),
        source,
    };
    let mut reader = BufReader::with_capacity(1 << 16, File::open(&path).map_err(failed)?);
    let mut deserializer = Deserializer::new();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        reader.read_until(b'\n', &mut line).map_err(failed)?;
        // What a crash leaves of the last line is no entry.
        if line.last() != Some(&b'\n') {
            break;
        }
        let parsed = parse(&line, &mut deserializer);
        let content = |problem| FolderError::Content {
            path: path.clone(),
            line: number,
            problem,
        };
        if let Some(entry) = parsed.map_err(content)? {
            each(entry)?;
        }
    }
    Ok(())
}

/// What one line holds.
pub(super) struct Entry {
    pub(super) series: Series,
    /// Its first second, and how many there are.
    pub(super) second: u32,
    pub(super) seconds: u32,
    pub(super) times: Histogram<u64>,
}

/// One line; `None` for comments and for series that this version does not know.
fn parse(line: &[u8], deserializer: &mut Deserializer) -> Result<Option<Entry>, String> {
    let Some(entry) = IntervalLogIterator::new(line).next() else {
        return Ok(None);
    };
    let LogEntry::Interval(interval) = entry.map_err(|error| format!("{error:?}"))? else {
        return Ok(None);
    };
    let tag = interval.tag();
    let is_tagged = |series: &Series| {
        tag.as_ref()
            .is_some_and(|tag| tag.as_str() == series.name())
    };
    let Some(series) = Series::ALL.into_iter().find(is_tagged) else {
        return Ok(None);
    };
    let bytes = STANDARD
        .decode(interval.encoded_histogram())
        .map_err(|error| error.to_string())?;
    let times = deserializer
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| format!("{error:?}"))?;
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    Ok(Some(Entry {
        series,
        second: seconds(interval.start_timestamp()),
        seconds: seconds(interval.duration()),
        times,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_line_panics(bytes: Vec<u8>, text in "(Tag=rtt,)?[0-9.]{0,6},[0-9.]{0,6},[0-9.]{0,6},[A-Za-z0-9+/=]{0,40}\n") {
            let mut deserializer = Deserializer::new();
            let _ = parse(&bytes, &mut deserializer);
            let _ = parse(text.as_bytes(), &mut deserializer);
        }
    }
}
