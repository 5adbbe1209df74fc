//! Reads a result folder back, second by second, into a [`Summary`].

use super::Summary;
use super::checkpoint::Checkpoint;
use super::fold::Fold;
use super::source::{self, Part, Source};
use super::times;
use crate::fault::FaultRecord;
use crate::plan::{OccurrenceId, Plan};
use crate::record::collector::RunEnd;
use crate::record::folder::{self, Folder, FolderError};
use crate::record::interval::INTERVAL_US;
use crate::units::micros;

/// Reads the record of a run of `plan` back and measures it; `end` is how the run ended, if it did.
///
/// # Errors
/// When a file is missing or not what it should be.
pub fn replay(folder: &Folder, plan: &Plan, end: Option<RunEnd>) -> Result<Summary, FolderError> {
    let (faults, faults_cut_off) = recorded_faults(folder, plan)?;
    let checkpoint = checkpoint(folder)?;
    let from = checkpoint
        .as_ref()
        .map_or(0, |checkpoint| checkpoint.seconds);
    let measured_us = match &end {
        Some(end) => end.measured_us,
        None => recorded_us(folder, from)?.min(micros(plan.scenario.duration)),
    };
    let mut fold = Fold::resume(plan, &faults, measured_us, checkpoint);
    let mut source = Source::open(folder, Part::Whole, from)?;
    let mut events = Vec::new();
    while let Some(second) = source.read(&mut events)? {
        fold.add(&second, &events);
    }
    times::read(
        folder,
        &source::files(folder, folder::LATENCY, Part::Whole),
        |entry| {
            if entry.second >= from {
                fold.add_times(entry.second, entry.series, &entry.times);
            }
            Ok(())
        },
    )?;
    Ok(fold.finish(faults, end, faults_cut_off || source.was_cut_off()))
}

/// What the thinned part of the record adds up to, if any was thinned.
///
/// # Errors
/// When it is there and not readable.
pub fn checkpoint(folder: &Folder) -> Result<Option<Checkpoint>, FolderError> {
    folder.read_json(folder::CHECKPOINT)
}

/// The faults as last recorded, and whether the last line was cut off.
pub(super) fn recorded_faults(
    folder: &Folder,
    plan: &Plan,
) -> Result<(Vec<FaultRecord>, bool), FolderError> {
    let mut faults = planned(plan);
    let mut records = folder.lines::<FaultRecord>(folder::FAULTS)?;
    while let Some(record) = records.read()? {
        if let Some(slot) = faults.get_mut(usize::from(record.id.0)) {
            *slot = record;
        }
    }
    Ok((faults, records.was_cut_off()))
}

/// Up to where there is a record, for a run that did not say where it ended.
fn recorded_us(folder: &Folder, from: u32) -> Result<u64, FolderError> {
    let mut source = Source::open(folder, Part::Whole, from)?;
    let mut recorded_us = u64::from(from) * INTERVAL_US;
    let mut events = Vec::new();
    while let Some(second) = source.read(&mut events)? {
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
