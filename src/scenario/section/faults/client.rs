//! What clients do: `idle-gap`.

use super::kinds::{Case, Kind, Lasts};
use crate::scenario::kind;
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Reader, shortened};
use crate::scenario::section::no_effect;
use crate::scenario::{ClientFault, FaultKind};

pub(super) const KINDS: &[Kind] = &[Kind {
    word: "idle-gap",
    lasts: Lasts::Needed,
    keys: &["keep_heartbeat"],
    read: idle_gap,
}];

fn idle_gap(table: &mut Reader<'_>, case: &Case<'_>) -> FaultKind {
    let keep = table.get("keep_heartbeat", kind::switch).or(false);
    let (traffic, heartbeat) = (case.world.traffic, case.world.heartbeat);
    let pings = heartbeat.value.from_clients || heartbeat.value.from_nodes;
    if keep.value && !pings {
        no_effect(
            table.log(),
            &keep,
            heartbeat,
            "nobody pings",
            "set `heartbeat.from`, or remove it",
        );
    } else if traffic.is_sound
        && heartbeat.is_sound
        && !(traffic.value.from_clients || traffic.value.from_nodes)
        && (keep.value || !pings)
    {
        table.log().add(
            Problem::new(format!(
                "fault `{}` has nothing to silence",
                shortened(case.name)
            ))
            .mark(case.kind, "silences traffic and heartbeat")
            .mark(
                traffic.place.as_ref(),
                "nobody sends anything in the whole run",
            )
            .help("set `traffic.source`, or remove the fault")
            .derived(),
        );
    }
    FaultKind::Client(ClientFault::IdleGap {
        keep_heartbeat: keep.value,
    })
}
