//! When nginx may give a node up unseen: the node has taken an upgrade, nginx asks another, and the client gets one 101.
//!
//! Pure. The books grant as many upgrades more at the nodes as sessions were opened then.

use crate::fault::FaultRecord;
use crate::plan::PlannedFault;
use crate::record::interval::INTERVAL_US;
use crate::scenario::{FaultKind, Hold, NodeFault};

/// From when to when, in µs since the start of the run; `None`: a fault that lets nginx see what it does.
pub(super) fn window(fault: &PlannedFault, record: &FaultRecord) -> Option<(u64, u64)> {
    let from_us = match &fault.kind {
        kind if kind.hold() == Hold::Upstream => record.began_us,
        // A frozen node takes nothing. It takes what waits when it goes on, and nginx may lose patience in that moment. Of
        // a rolling one only the last such moment is in the record.
        FaultKind::Node(NodeFault::Pause) if fault.pause.is_some() => record.began_us,
        FaultKind::Node(NodeFault::Pause) => record.healing_us,
        _ => None,
    }?;
    // What waited is through at once then.
    let until_us = record.ended_us.unwrap_or(u64::MAX);
    Some((from_us, until_us.saturating_add(INTERVAL_US)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::plan::{OccurrenceId, Plan};

    #[test]
    fn a_link_is_blind_for_as_long_as_it_fails_and_a_frozen_node_when_it_goes_on() {
        for (fault, want) in [
            (
                "kind='blackhole'\nlink='upstream'",
                Some((10_000_000, 16_000_000)),
            ),
            ("kind='blackhole'", None),
            (
                "kind='pause-node'\ntarget='n1'",
                Some((14_900_000, 16_000_000)),
            ),
            (
                "kind='pause-node'\ntarget='all'\npause='1s'",
                Some((10_000_000, 16_000_000)),
            ),
            ("kind='kill-node'\ntarget='n1'", None),
        ] {
            let text = format!(
                "duration='60s'\n[clients]\ncount=10\n[[faults]]\nat='10s'\nfor='4900ms'\n{fault}\n"
            );
            let plan = Plan::new(crate::scenario::load(Path::new("x.toml"), &text, &[]).unwrap());
            let record = FaultRecord {
                began_us: Some(10_000_000),
                healing_us: Some(14_900_000),
                ended_us: Some(15_000_000),
                ..FaultRecord::planned(OccurrenceId(0), &plan.faults[0])
            };
            assert_eq!(window(&plan.faults[0], &record), want, "{fault}");
        }
    }
}
