//! What clients do.

use super::kinds::{Case, Kind, Lasts};
use crate::scenario::kind::{self, Complaint};
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Reader, shortened};
use crate::scenario::section::clients::MOST_CLIENTS;
use crate::scenario::section::no_effect;
use crate::scenario::tree::Item;
use crate::scenario::{ClientFault, Cut, FaultKind};
use crate::units;

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "idle-gap",
        lasts: Lasts::Needed,
        keys: &["keep_heartbeat"],
        read: idle_gap,
    },
    Kind {
        word: "mass-disconnect",
        lasts: Lasts::Moment(
            "it is done once, to every session that is open",
            "remove it; clients reconnect as `reconnect` says",
        ),
        keys: &["share", "how"],
        read: |table, _| {
            let words = &[("rst", Cut::Rst), ("fin", Cut::Fin)];
            let how = table.get("how", kind::one_of(words)).or(Cut::Rst).value;
            let share = share(table);
            FaultKind::Client(ClientFault::MassDisconnect { share, how })
        },
    },
    Kind {
        word: "vanish",
        lasts: Lasts::Needed,
        keys: &["share"],
        read: |table, _| {
            let share = share(table);
            FaultKind::Client(ClientFault::Vanish { share })
        },
    },
    Kind {
        word: "slow-reader",
        lasts: Lasts::Needed,
        keys: &["share"],
        read: |table, _| {
            let share = share(table);
            FaultKind::Client(ClientFault::SlowReader { share })
        },
    },
    Kind {
        word: "surge",
        lasts: Lasts::Needed,
        keys: &["clients"],
        read: |table, _| {
            let count = kind::count_in(1, MOST_CLIENTS);
            let clients = table.need("clients", count, "clients = 1000", 1).value;
            FaultKind::Client(ClientFault::Surge { clients })
        },
    },
];

/// The share of the fleet that a fault is done to.
fn share(table: &mut Reader<'_>) -> f64 {
    let parse = |item: &Item| {
        const MUST: &str = "must be a share of the fleet, more than 0% and at most 100%";
        let text = kind::text(item)?;
        units::parse_share(&text)
            .ok()
            .filter(|share| (f64::MIN_POSITIVE..=1.0).contains(share))
            .ok_or_else(|| {
                let label = format!("`{}` is not", shortened(&text));
                Complaint::new(MUST, label).help("write \"30%\"")
            })
    };
    table.need("share", parse, "share = \"30%\"", 1.0).value
}

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
