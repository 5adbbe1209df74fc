//! Reads a result folder back, second by second, into a [`Summary`].

use super::Summary;
use super::fold::Fold;
use super::times;
use crate::fault::FaultRecord;
use crate::plan::{OccurrenceId, Plan};
use crate::record::collector::{RunEnd, Second};
use crate::record::folder::{self, Folder, FolderError};
use crate::record::interval::INTERVAL_US;
use crate::record::outage::OutageEvent;
use crate::units::micros;

/// Reads the record of a run of `plan` back and measures it; `end` is how the run ended, if it did.
///
/// # Errors
/// When a file is missing or not what it should be.
pub fn replay(folder: &Folder, plan: &Plan, end: Option<RunEnd>) -> Result<Summary, FolderError> {
    let mut faults = planned(plan);
    let mut records = folder.lines::<FaultRecord>(folder::FAULTS)?;
    while let Some(record) = records.read()? {
        if let Some(slot) = faults.get_mut(usize::from(record.id.0)) {
            *slot = record;
        }
    }
    let measured_us = match &end {
        Some(end) => end.measured_us,
        None => recorded_us(folder)?.min(micros(plan.scenario.duration)),
    };
    let mut fold = Fold::new(plan, &faults, measured_us);
    let mut seconds = folder.lines::<Second>(folder::INTERVALS)?;
    let mut outages = folder.lines::<OutageEvent>(folder::OUTAGES)?;
    let mut event = outages.read()?;
    let mut events = Vec::new();
    while let Some(second) = seconds.read()? {
        let ends_us = (u64::from(second.second) + 1) * INTERVAL_US;
        events.clear();
        while let Some(now) = event.filter(|event| event.at_us < ends_us) {
            events.push(now);
            event = outages.read()?;
        }
        fold.add(&second, &events);
    }
    times::read(folder, |second, series, times| {
        fold.add_times(second, series, times)
    })?;
    let cut_off = records.was_cut_off() || seconds.was_cut_off() || outages.was_cut_off();
    Ok(fold.finish(faults, end, cut_off))
}

/// Up to where there is a record, for a run that did not say where it ended.
fn recorded_us(folder: &Folder) -> Result<u64, FolderError> {
    let mut seconds = folder.lines::<Second>(folder::INTERVALS)?;
    let mut recorded_us = 0;
    while let Some(second) = seconds.read()? {
        recorded_us = (u64::from(second.second) + 1) * INTERVAL_US;
    }
    Ok(recorded_us)
}

/// The faults of a plan, none of which has happened.
fn planned(plan: &Plan) -> Vec<FaultRecord> {
    (0u16..)
        .zip(&plan.faults)
        .map(|(id, fault)| FaultRecord::planned(OccurrenceId(id), fault))
        .collect()
}
