//! Writes down once a second what the containers use, and reads it back for the report.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::record::containers::{CONTAINERS, Peak, Peaks, Sample};
use crate::record::folder::{Folder, FolderError};
use crate::record::lines::Lines;
use crate::topology::Topology;
use crate::units::micros;

const EVERY: Duration = Duration::from_secs(1);

/// Watches until it is dropped.
#[derive(Debug)]
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to watch a topology of containers; there is nothing to watch in another.
pub(super) fn watch(
    topology: &Rc<Topology>,
    folder: &Folder,
    started: Instant,
) -> Result<Option<Watch>, FolderError> {
    if !topology.has_containers() {
        return Ok(None);
    }
    let lines = folder.append(CONTAINERS)?;
    let topology = Rc::clone(topology);
    let task = tokio::task::spawn_local(sample(topology, lines, started));
    Ok(Some(Watch(task)))
}

async fn sample(topology: Rc<Topology>, mut lines: Lines, started: Instant) {
    let mut ticks = interval_at(started, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let services = topology.usage().await;
        let at_us = micros(started.elapsed());
        let line = Sample { at_us, services };
        if let Err(error) = lines.push(&line).and_then(|()| lines.flush()) {
            // The record of the run proper stands on the same disk, and says so louder.
            tracing::warn!("{error}");
            return;
        }
    }
}

/// The most that each service used; nothing when there is no record of it.
pub fn peaks(folder: &Folder) -> BTreeMap<String, Peak> {
    let mut peaks = Peaks::default();
    if let Ok(mut lines) = folder.lines::<Sample>(CONTAINERS) {
        // A line that cannot be read ends it: these figures decide nothing.
        while let Ok(Some(sample)) = lines.read() {
            peaks.add(sample);
        }
    }
    peaks.into_peaks()
}
