//! What is done to nodes.

use std::time::Duration;

use super::kinds::{Case, Kind, Lasts};
use crate::scenario::kind::{self, Complaint};
use crate::scenario::reader::Reader;
use crate::scenario::tree::Item;
use crate::scenario::{FaultKind, Goodbye, NodeFault};
use crate::units;

/// Longest that a 101 is held back, and that a node may take to end.
const LONGEST: Duration = Duration::from_secs(600);

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "kill-node",
        lasts: Lasts::Needed,
        keys: &["node", "target", "pause"],
        read: |_, _| FaultKind::Node(NodeFault::Kill),
    },
    Kind {
        word: "stop-node",
        lasts: Lasts::Needed,
        keys: &["node", "target", "pause", "code", "grace"],
        read: |table, _| FaultKind::Node(NodeFault::Stop(goodbye(table))),
    },
    Kind {
        word: "pause-node",
        lasts: Lasts::Needed,
        keys: &["node", "target", "pause"],
        read: |_, _| FaultKind::Node(NodeFault::Pause),
    },
    Kind {
        word: "restart-node",
        lasts: Lasts::Moment(
            "a restart takes as long as it takes",
            "remove it, or write kind = \"stop-node\"",
        ),
        keys: &["node", "target", "pause", "code", "grace"],
        read: |table, _| FaultKind::Node(NodeFault::Restart(goodbye(table))),
    },
    Kind {
        word: "refuse-upgrades",
        lasts: Lasts::Needed,
        keys: &["node", "target", "pause", "retry_after"],
        read: refuse,
    },
    Kind {
        word: "slow-handshake",
        lasts: Lasts::Needed,
        keys: &["node", "target", "pause", "delay"],
        read: slow,
    },
    Kind {
        word: "stop-reading",
        lasts: Lasts::Needed,
        keys: &["node", "target", "pause"],
        read: |_, _| FaultKind::Node(NodeFault::StopReading),
    },
    Kind {
        word: "no-pong",
        lasts: Lasts::Needed,
        keys: &["node", "target", "pause"],
        read: |_, _| FaultKind::Node(NodeFault::NoPong),
    },
];

fn goodbye(table: &mut Reader<'_>) -> Goodbye {
    let grace = kind::duration_in(Duration::ZERO, LONGEST);
    Goodbye {
        code: table.get("code", code).or(1001).value,
        grace: table.get("grace", grace).or(Duration::from_secs(5)).value,
    }
}

/// Codes with which servers say goodbye.
fn code(item: &Item) -> Result<u16, Complaint> {
    let count = kind::count_in(1000, 4999)(item)?;
    match u16::try_from(count) {
        Ok(code @ (1001 | 1012)) => Ok(code),
        _ => Err(
            Complaint::new("must be 1001 or 1012", format!("{count} is neither"))
                .help("1001: going away; 1012: service restart"),
        ),
    }
}

fn refuse(table: &mut Reader<'_>, _: &Case<'_>) -> FaultKind {
    let longest = Duration::from_secs(86_400);
    let retry = table.get("retry_after", |item| {
        let time = kind::duration_in(Duration::from_secs(1), longest)(item)?;
        match time.subsec_nanos() {
            0 => Ok(u32::try_from(time.as_secs()).unwrap_or(u32::MAX)),
            _ => Err(Complaint::new(
                "must be whole seconds: HTTP takes no finer time",
                format!("{} is not", units::exact_duration(time)),
            )),
        }
    });
    FaultKind::Node(NodeFault::RefuseUpgrades {
        retry_after_s: retry.value,
    })
}

fn slow(table: &mut Reader<'_>, _: &Case<'_>) -> FaultKind {
    let delay = kind::duration_in(Duration::from_millis(1), LONGEST);
    let second = Duration::from_secs(1);
    FaultKind::Node(NodeFault::SlowHandshake {
        delay: table.need("delay", delay, "delay = \"3s\"", second).value,
    })
}
