//! From the record of a run to its measures. Pure but for [`mod@replay`], which reads the result folder.
//!
//! `run` and `report` take the same path: the record is read back from the folder, second by second, so that what is
//! judged is what is on disk. Memory is O(faults + phases), not O(duration).

mod blind;
pub mod books;
pub mod checkpoint;
mod fold;
pub mod replay;
pub mod scope;
mod silence;
mod source;
pub mod storm;
pub mod thin;
pub mod times;
pub mod value;
pub mod watch;

pub use replay::replay;
pub use scope::ScopeSummary;
pub use storm::Storm;
pub use value::Value;

use crate::fault::FaultRecord;
use crate::record::collector::RunEnd;
use crate::record::generator::Health;
use crate::scenario::{Measure, Scope};
use books::Entry;

/// All measures of a run.
#[derive(Debug)]
pub struct Summary {
    /// Where measuring stopped, in µs since the start of the run.
    pub measured_us: u64,
    /// The whole run.
    pub run: ScopeSummary,
    /// Each phase, in the scenario's order.
    pub phases: Vec<ScopeSummary>,
    /// Each time that a fault happened, in the plan's order.
    pub storms: Vec<Storm>,
    /// What became of each of them.
    pub faults: Vec<FaultRecord>,
    /// The books.
    pub books: Vec<Entry>,
    /// How the run ended; `None`: it did not.
    pub end: Option<RunEnd>,
    /// The last line of a file was cut off.
    pub cut_off: bool,
}

impl Summary {
    /// The value of a measure over a part of the run; `None` without data.
    pub fn value(&self, measure: Measure, scope: &Scope) -> Option<Value> {
        match scope {
            Scope::Run if measure.needs_fault() => {
                // Without a fault named, the worst of all of them; one without data leaves the whole without.
                let values: Option<Vec<Value>> = self
                    .storms
                    .iter()
                    .map(|storm| storm.value(measure))
                    .collect();
                values?.into_iter().reduce(Value::worse)
            }
            Scope::Run => self.run.value(measure),
            Scope::Phase(index) => self.phases.get(*index)?.value(measure),
            Scope::After(_) => self
                .values(measure, scope)?
                .into_iter()
                .reduce(Value::worse),
        }
    }

    /// The values that an objective is about: one, but for a fault that happened several times; `None` when one of them
    /// is without data.
    pub fn values(&self, measure: Measure, scope: &Scope) -> Option<Vec<Value>> {
        match scope {
            Scope::After(fault) => self
                .storms
                .iter()
                .filter(|storm| storm.fault == *fault)
                .map(|storm| storm.value(measure))
                .collect(),
            _ => self.value(measure, scope).map(|value| vec![value]),
        }
    }

    /// The generator's health, if the run got to say.
    pub fn health(&self) -> Option<&Health> {
        self.end.as_ref().map(|end| &end.health)
    }
}
