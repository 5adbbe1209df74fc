//! What became of a fault: planned and actual times, and whether it took effect.
//!
//! Pure types; [`injector`] makes faults happen, one file per family knows how. A fault that no observation confirmed
//! has not taken effect, and a run with such a fault is inconclusive.

use serde::{Deserialize, Serialize};

use crate::plan::{OccurrenceId, PlannedFault};
use crate::units::micros;

mod client;
pub mod injector;
mod link;
mod node;
mod proxy;
mod turns;

/// One fault of a run, one time that it happened. Written to disk at each change; the last record of a fault counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Which.
    pub id: OccurrenceId,
    /// Its name in the scenario; with `#2` and so on from the second time.
    pub name: String,
    /// Its kind in the scenario.
    pub kind: String,
    /// To whom it is done, by name.
    #[serde(default)]
    pub targets: Vec<String>,
    /// When it was to begin, in µs since the start of the run.
    pub planned_begin_us: u64,
    /// When it was to end.
    pub planned_end_us: u64,
    /// When it was made; `None`: never, the run stopped before. What it did to clients counts from here.
    pub began_us: Option<u64>,
    /// When it was seen to have taken effect; `None`: it was not.
    pub confirmed_us: Option<u64>,
    /// When healing it was begun, for the last time if it is rolling.
    #[serde(default)]
    pub healing_us: Option<u64>,
    /// When it was seen to be over; `None`: not yet, or never.
    pub ended_us: Option<u64>,
    /// What was seen, or what went wrong.
    pub observed: String,
    /// Something went wrong while making or healing it.
    pub failed: bool,
}

impl FaultRecord {
    /// A fault that has not happened yet.
    pub fn planned(id: OccurrenceId, fault: &PlannedFault) -> Self {
        Self {
            id,
            name: fault.name.clone(),
            kind: fault.kind.name().into(),
            targets: fault.targets(),
            planned_begin_us: micros(fault.at),
            planned_end_us: micros(fault.until),
            began_us: None,
            confirmed_us: None,
            healing_us: None,
            ended_us: None,
            observed: String::new(),
            failed: false,
        }
    }

    /// Did it take effect and heal?
    pub fn was_effective(&self) -> bool {
        self.confirmed_us.is_some() && self.ended_us.is_some() && !self.failed
    }

    /// Was it on at any time in this window?
    pub fn was_on(&self, from_us: u64, to_us: u64) -> bool {
        self.began_us.is_some_and(|began_us| began_us < to_us)
            && self.ended_us.is_none_or(|ended_us| ended_us > from_us)
    }

    /// Adds what was seen.
    fn saw(&mut self, what: &str) {
        if !self.observed.is_empty() && !what.is_empty() {
            self.observed.push_str("; ");
        }
        self.observed.push_str(what);
    }
}
