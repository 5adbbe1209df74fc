//! The plan: a scenario resolved to offsets, before anything is started.
//!
//! Pure. Everything random or timed in a run can be worked out from here: who connects when, how long a client waits
//! before it tries again, and what happens at which offset.

use std::time::Duration;

use crate::scenario::Scenario;

pub mod backoff;
pub mod faults;
pub mod load;
pub mod pick;
pub mod seed;
pub mod show;
pub mod timeline;

pub use backoff::Backoff;
pub use faults::{OccurrenceId, PlannedFault};
pub use load::{LoadProfile, Span};
pub use timeline::{Point, Timeline, What};

/// A scenario with what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What the user wants.
    pub scenario: Scenario,
    /// How many clients are wanted when.
    pub load: LoadProfile,
    /// The phases with both ends, in the order of [`Scenario::phases`]; they cover the run without gaps.
    pub phases: Vec<PhaseSpan>,
    /// Every time that a fault happens, in order of time.
    pub faults: Vec<PlannedFault>,
    /// What happens when.
    pub timeline: Timeline,
}

/// A phase from its beginning (included) to its end (not included).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseSpan {
    /// Its name.
    pub name: String,
    /// Offset of its beginning.
    pub from: Duration,
    /// Offset of its end: the beginning of the next one, or the end of the run.
    pub to: Duration,
}

impl Plan {
    /// Resolves a scenario.
    pub fn new(scenario: Scenario) -> Self {
        let ends = scenario.phases.iter().skip(1).map(|phase| phase.from);
        let ends = ends.chain(std::iter::once(scenario.duration));
        let phases = scenario
            .phases
            .iter()
            .zip(ends)
            .map(|(phase, to)| PhaseSpan {
                name: phase.name.clone(),
                from: phase.from,
                to,
            })
            .collect();
        let faults = faults::resolve(&scenario);
        Self {
            load: LoadProfile::new(&scenario, &faults),
            timeline: Timeline::new(&scenario, &faults),
            faults,
            phases,
            scenario,
        }
    }
    /// When the next fault begins that does not overlap `fault`: up to there, what happens is put down to `fault`.
    pub fn next_after(&self, fault: &PlannedFault) -> Option<Duration> {
        let later = self.faults.iter().map(|other| other.at);
        later
            .filter(|at| *at >= fault.until && *at > fault.at)
            .min()
    }
}
