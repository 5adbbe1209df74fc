//! What happens when: phases and faults as one ordered list.
//!
//! Pure. The controller walks it; `plan` prints it.

use std::time::Duration;

use super::{OccurrenceId, PlannedFault};
use crate::scenario::Scenario;

/// The points of a run in order of time, from the first phase to the drain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline(Vec<Point>);

/// Something planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Offset from the start of the run.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// Kinds of point. At the same time, they come in this order: what ends does so before anything begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A fault is planned to end. A fault that is a mere moment has no such point.
    FaultEnd(OccurrenceId),
    /// A phase begins: index into [`Scenario::phases`].
    PhaseBegin(usize),
    /// A fault begins.
    FaultBegin(OccurrenceId),
    /// The run is over and clients close.
    Drain,
}

impl Timeline {
    /// Invariant of the scenario: `faults` end within the run.
    pub fn new(scenario: &Scenario, faults: &[PlannedFault]) -> Self {
        let mut points = Vec::new();
        for (index, phase) in scenario.phases.iter().enumerate() {
            points.push(Point {
                at: phase.from,
                what: What::PhaseBegin(index),
            });
        }
        for (id, fault) in (0u16..).map(OccurrenceId).zip(faults) {
            points.push(Point {
                at: fault.at,
                what: What::FaultBegin(id),
            });
            if !fault.is_moment() {
                points.push(Point {
                    at: fault.until,
                    what: What::FaultEnd(id),
                });
            }
        }
        points.push(Point {
            at: scenario.duration,
            what: What::Drain,
        });
        points.sort_by_key(|point| (point.at, point.what));
        Self(points)
    }

    /// The points, in order.
    pub fn points(&self) -> &[Point] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::Path;

    fn timeline(faults: &str) -> Timeline {
        let text = format!("duration = '40s'\n[clients]\ncount = 10\n{faults}");
        crate::plan::Plan::new(crate::scenario::load(Path::new("x.toml"), &text, &[]).unwrap())
            .timeline
    }

    #[test]
    fn what_ends_does_so_before_anything_begins() {
        let timeline = timeline(
            "[[faults]]\nkind = 'restart-proxy'\nat = '10s'\nfor = '5s'\n[[faults]]\nkind = 'reload-proxy'\nat = '15s'\n",
        );
        let points: Vec<(u64, What)> = timeline
            .points()
            .iter()
            .map(|point| (point.at.as_secs(), point.what))
            .collect();
        let fault = OccurrenceId;
        assert_eq!(
            points,
            [
                (0, What::PhaseBegin(0)),
                (5, What::PhaseBegin(1)),
                (10, What::PhaseBegin(2)),
                (10, What::FaultBegin(fault(0))),
                (15, What::FaultEnd(fault(0))),
                (15, What::PhaseBegin(3)),
                (15, What::FaultBegin(fault(1))),
                (40, What::Drain),
            ]
        );
    }

    proptest! {
        #[test]
        fn every_fault_ends_before_the_next_begins(gaps in prop::collection::vec((0u64..5, 1u64..4), 0..8)) {
            let (mut at, mut faults) = (1, String::new());
            for (gap, lasts) in &gaps {
                at += gap;
                faults.push_str(&format!("[[faults]]\nkind = 'restart-proxy'\nat = '{}ms'\nfor = '{lasts}ms'\n", at));
                at += lasts;
            }
            let mut on = None;
            for pair in timeline(&faults).points().windows(2) {
                prop_assert!(pair[0].at <= pair[1].at);
                match pair[1].what {
                    What::FaultBegin(id) => prop_assert_eq!(on.replace(id), None),
                    What::FaultEnd(id) => prop_assert_eq!(on.take(), Some(id)),
                    _ => {}
                }
            }
            prop_assert_eq!(on, None);
        }
    }
}
