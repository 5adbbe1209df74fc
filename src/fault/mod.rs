//! What became of a fault: planned and actual times, and whether it took effect.
//!
//! Pure types; [`injector`] makes faults happen. A fault that no observation confirmed has not taken effect, and a run
//! with such a fault is inconclusive.

use serde::{Deserialize, Serialize};

use crate::scenario::{Fault, FaultId};
use crate::units::micros;

pub mod injector;

/// One fault of a run. Written to disk at each change; the last record of a fault counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Which.
    pub id: FaultId,
    /// Its name in the scenario.
    pub name: String,
    /// Its kind in the scenario.
    pub kind: String,
    /// When it was to begin, in µs since the start of the run.
    pub planned_begin_us: u64,
    /// When it was to end.
    pub planned_end_us: u64,
    /// When it was made; `None`: never, the run stopped before. What it did to clients counts from here.
    pub began_us: Option<u64>,
    /// When it was seen to have taken effect; `None`: it was not.
    pub confirmed_us: Option<u64>,
    /// When it was seen to be over; `None`: not yet, or never.
    pub ended_us: Option<u64>,
    /// What was seen, or what went wrong.
    pub observed: String,
    /// Something went wrong while making or healing it.
    pub failed: bool,
}

impl FaultRecord {
    /// Did it take effect and heal?
    pub fn was_effective(&self) -> bool {
        self.confirmed_us.is_some() && self.ended_us.is_some() && !self.failed
    }
}

impl FaultRecord {
    /// A fault that has not happened yet.
    pub fn planned(id: FaultId, fault: &Fault) -> Self {
        Self {
            id,
            name: fault.name.clone(),
            kind: fault.kind.name().into(),
            planned_begin_us: micros(fault.at),
            planned_end_us: micros(fault.until()),
            began_us: None,
            confirmed_us: None,
            ended_us: None,
            observed: String::new(),
            failed: false,
        }
    }
}
