//! The second-by-second record of a result folder as one stream, whether or not part of it was put aside.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;

use crate::record::collector::Second;
use crate::record::folder::{self, Folder, FolderError};
use crate::record::interval::INTERVAL_US;
use crate::record::lines::LineReader;
use crate::record::outage::OutageEvent;

/// Which of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All there are.
    Whole,
    /// Only those that were put aside.
    Aside,
}

/// Names of the files of `name` that are there, in order of time.
pub(super) fn files(folder: &Folder, name: &'static str, part: Part) -> Vec<&'static str> {
    let aside = folder::OLD.iter().find(|(current, _)| *current == name);
    let mut files: Vec<&str> = aside.map(|(_, old)| *old).into_iter().collect();
    files.retain(|old| folder.has(old));
    if part == Part::Whole {
        files.push(name);
    }
    files
}

/// Several line files, one after the other.
struct Chain<T> {
    readers: VecDeque<LineReader<T>>,
    cut_off: bool,
}

impl<T: DeserializeOwned> Chain<T> {
    fn open(folder: &Folder, name: &'static str, part: Part) -> Result<Self, FolderError> {
        let readers = files(folder, name, part)
            .into_iter()
            .map(|file| folder.lines(file));
        Ok(Self {
            readers: readers.collect::<Result<_, _>>()?,
            cut_off: false,
        })
    }

    fn read(&mut self) -> Result<Option<T>, FolderError> {
        while let Some(reader) = self.readers.front_mut() {
            if let Some(value) = reader.read()? {
                return Ok(Some(value));
            }
            self.cut_off |= reader.was_cut_off();
            self.readers.pop_front();
        }
        Ok(None)
    }
}

/// Seconds with their outages.
pub(super) struct Source {
    seconds: Chain<Second>,
    outages: Chain<OutageEvent>,
    event: Option<OutageEvent>,
    from: u32,
}

impl Source {
    /// The record from second `from` on.
    pub(super) fn open(folder: &Folder, part: Part, from: u32) -> Result<Self, FolderError> {
        Ok(Self {
            seconds: Chain::open(folder, folder::INTERVALS, part)?,
            outages: Chain::open(folder, folder::OUTAGES, part)?,
            event: None,
            from,
        })
    }

    /// The next second; its outages are put into `events`.
    pub(super) fn read(
        &mut self,
        events: &mut Vec<OutageEvent>,
    ) -> Result<Option<Second>, FolderError> {
        while let Some(second) = self.seconds.read()? {
            let ends_us = (u64::from(second.second) + 1) * INTERVAL_US;
            events.clear();
            while let Some(event) = self.event_before(ends_us)? {
                events.push(event);
            }
            if second.second >= self.from {
                return Ok(Some(second));
            }
        }
        Ok(None)
    }

    fn event_before(&mut self, until_us: u64) -> Result<Option<OutageEvent>, FolderError> {
        if self.event.is_none() {
            self.event = self.outages.read()?;
        }
        Ok(self.event.take_if(|event| event.at_us < until_us))
    }

    /// Did a file end in the middle of a line?
    pub(super) fn was_cut_off(&self) -> bool {
        self.seconds.cut_off || self.outages.cut_off
    }
}
