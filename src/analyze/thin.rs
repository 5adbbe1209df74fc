//! Thins the part of a record that was put aside: sums it up for good, keeps long stretches of it for people, removes it.
//!
//! Runs in a process of its own beside the run, so that neither its memory nor its work is the harness's. It may be killed
//! at any moment: files are renamed into place, the checkpoint before anything is removed, and who reads the folder skips
//! what the checkpoint stands for.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::fold::Fold;
use super::replay::{checkpoint, recorded_faults};
use super::source::{Part, Source, files};
use super::times;
use crate::plan::Plan;
use crate::record::access;
use crate::record::folder::{self, Folder, FolderError};
use crate::record::history::{Stretch, span_of};
use crate::record::hlog;
use crate::record::interval::Series;
use crate::record::lines::Lines;
use crate::record::times::Times;

/// Thins what was put aside in `folder`; `access_log` is nginx's.
///
/// # Errors
/// When a file is not what it should be, or the disk takes no more. The record is whole then, if not thinner.
pub fn thin(folder: &Folder, plan: &Plan, access_log: &Path) -> Result<(), FolderError> {
    let (faults, _) = recorded_faults(folder, plan)?;
    let saved = checkpoint(folder)?;
    let from = saved.as_ref().map_or(0, |saved| saved.seconds);
    let mut lines = saved
        .as_ref()
        .map_or_else(Default::default, |saved| saved.access);
    // Nobody knows yet where the run ends; the windows are set right when it has.
    let mut fold = Fold::resume(plan, &faults, u64::MAX, saved);

    let mut seconds = from;
    let mut source = Source::open(folder, Part::Aside, from)?;
    let mut events = Vec::new();
    while let Some(second) = source.read(&mut events)? {
        fold.add(&second, &events);
        seconds = second.second + 1;
    }
    let span = span_of(seconds);
    thin_intervals(folder, from, span)?;
    thin_times(folder, from, span, &mut fold)?;

    let oldest = access::aside(access_log, 2);
    let counted = access::count(&oldest);
    if let Some(counted) = counted {
        lines += counted;
    }
    folder.write_json(folder::CHECKPOINT, &fold.checkpoint(seconds, lines))?;
    for (_, old) in folder::OLD {
        folder.remove(old)?;
    }
    if counted.is_some() {
        std::fs::remove_file(&oldest).map_err(|source| FolderError::Write {
            path: oldest,
            source,
        })?;
    }
    Ok(())
}

/// Written beside the file it replaces.
const NEW: &str = ".new";

fn replace(folder: &Folder, name: &str, mut lines: Lines) -> Result<(), FolderError> {
    lines.flush()?;
    let path = folder.file(name);
    std::fs::rename(folder.file(&format!("{name}{NEW}")), &path)
        .map_err(|source| FolderError::Write { path, source })
}

/// An empty file to replace `name`.
fn fresh(folder: &Folder, name: &str) -> Result<Lines, FolderError> {
    let new = format!("{name}{NEW}");
    // One may be left of a process that was killed.
    folder.remove(&new)?;
    folder.append(&new)
}

fn thin_intervals(folder: &Folder, from: u32, span: u32) -> Result<(), FolderError> {
    let mut out = fresh(folder, folder::HISTORY)?;
    let mut open: Option<Stretch> = None;
    let mut add = |next: Stretch| -> Result<(), FolderError> {
        if let Some(stretch) = &mut open {
            if let Err(next) = stretch.join(next, span) {
                out.push(&stretch)?;
                *stretch = *next;
            }
        } else {
            open = Some(next);
        }
        Ok(())
    };
    if folder.has(folder::HISTORY) {
        let mut history = folder.lines::<Stretch>(folder::HISTORY)?;
        while let Some(stretch) = history.read()? {
            // One that was written without its checkpoint is written again.
            if stretch.second < from {
                add(stretch)?;
            }
        }
    }
    let mut source = Source::open(folder, Part::Aside, from)?;
    let mut events = Vec::new();
    while let Some(second) = source.read(&mut events)? {
        add(Stretch::from(&second))?;
    }
    if let Some(stretch) = &open {
        out.push(stretch)?;
    }
    replace(folder, folder::HISTORY, out)
}

/// The stretch of times that is being added up.
#[derive(Default)]
struct OpenTimes {
    from: u32,
    until: u32,
    times: [Times; Series::ALL.len()],
}

impl OpenTimes {
    fn write(&mut self, out: &mut Lines) -> Result<(), FolderError> {
        let mut lines = Vec::new();
        for series in Series::ALL {
            let times = std::mem::take(&mut self.times[series as usize]);
            if let Some(histogram) = times.get() {
                hlog::push(
                    &mut lines,
                    series,
                    self.from,
                    self.until - self.from,
                    histogram,
                );
            }
        }
        out.push_raw(&lines)
    }
}

fn thin_times(
    folder: &Folder,
    from: u32,
    span: u32,
    fold: &mut Fold<'_>,
) -> Result<(), FolderError> {
    let aside = files(folder, folder::LATENCY, Part::Aside);
    let mut sources = aside.clone();
    if folder.has(folder::HISTORY_LATENCY) {
        sources.insert(0, folder::HISTORY_LATENCY);
    }
    let mut out = fresh(folder, folder::HISTORY_LATENCY)?;
    if let Some(first) = sources.first() {
        out.push_raw(&head(&folder.file(first))?)?;
    }
    let mut open = OpenTimes::default();
    for file in sources {
        let is_history = file == folder::HISTORY_LATENCY;
        times::read(folder, &[file], |entry| {
            let is_known = entry.second < from;
            if is_known != is_history {
                return Ok(());
            }
            if !is_history {
                fold.add_times(entry.second, entry.series, &entry.times);
            }
            if open.until > 0 && open.from / span != entry.second / span {
                open.write(&mut out)?;
                open.until = 0;
            }
            if open.until == 0 {
                open.from = entry.second;
            }
            open.until = entry.second + entry.seconds;
            open.times[entry.series as usize].merge_histogram(&entry.times);
            Ok(())
        })?;
    }
    open.write(&mut out)?;
    replace(folder, folder::HISTORY_LATENCY, out)
}

/// Comments and legend of an HDR log.
fn head(path: &Path) -> Result<Vec<u8>, FolderError> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut reader = BufReader::new(File::open(path)?);
        let (mut head, mut line) = (Vec::new(), Vec::new());
        while reader.read_until(b'\n', &mut line)? > 0 && line.starts_with(b"#") {
            head.append(&mut line);
        }
        if line.starts_with(b"\"") {
            head.append(&mut line);
        }
        Ok(head)
    };
    read().map_err(|source| FolderError::Read {
        path: path.to_owned(),
        source,
    })
}
