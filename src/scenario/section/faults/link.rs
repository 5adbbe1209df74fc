//! What is done to a link by the relay in it.

use std::time::Duration;

use super::kinds::{Case, Kind, Lasts};
use super::{Draft, World};
use crate::relay::order::Way;
use crate::scenario::kind::{self, Complaint};
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Log, Reader, shortened};
use crate::scenario::tree::Item;
use crate::scenario::{FaultKind, Link, LinkFault, NodeId, Target, Trouble};
use crate::units;

const MOMENT: Lasts = Lasts::Moment(
    "it is done once, to every tunnel that is open",
    "remove it; what becomes of new connections is another kind: blackhole, refuse-link",
);

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "blackhole",
        lasts: Lasts::Needed,
        keys: &["link", "node", "target", "direction"],
        read: |table, _| link(table, |table| Trouble::Blackhole(way(table))),
    },
    Kind {
        word: "reset-link",
        lasts: MOMENT,
        keys: &["link", "node", "target", "direction"],
        read: |table, _| link(table, |table| Trouble::Reset(way(table))),
    },
    Kind {
        word: "half-close",
        lasts: MOMENT,
        keys: &["link", "node", "target", "direction"],
        read: |table, _| link(table, |table| Trouble::HalfClose(way(table))),
    },
    Kind {
        word: "latency",
        lasts: Lasts::Needed,
        keys: &["link", "node", "target", "direction", "delay", "jitter"],
        read: latency,
    },
    Kind {
        word: "bandwidth",
        lasts: Lasts::Needed,
        keys: &["link", "node", "target", "direction", "rate"],
        read: bandwidth,
    },
    Kind {
        word: "slice",
        lasts: Lasts::Needed,
        keys: &["link", "node", "target", "direction", "size", "gap"],
        read: slice,
    },
    Kind {
        word: "refuse-link",
        lasts: Lasts::Needed,
        keys: &["link", "node", "target"],
        read: |table, _| link(table, |_| Trouble::Refuse),
    },
];

fn link(table: &mut Reader<'_>, trouble: impl FnOnce(&mut Reader<'_>) -> Trouble) -> FaultKind {
    let words = &[("edge", Link::Edge), ("upstream", Link::Upstream)];
    let link = table.get("link", kind::one_of(words)).or(Link::Edge).value;
    let trouble = trouble(table);
    FaultKind::Link(LinkFault { link, trouble })
}

fn way(table: &mut Reader<'_>) -> Way {
    let words = &[
        ("both", Way::Both),
        ("to-server", Way::ToServer),
        ("to-client", Way::ToClient),
    ];
    table
        .get("direction", kind::one_of(words))
        .or(Way::Both)
        .value
}

fn latency(table: &mut Reader<'_>, _: &Case<'_>) -> FaultKind {
    let most = units::MAX_DURATION;
    let delay = kind::duration_in(Duration::from_micros(1), most);
    let delay = table.need("delay", delay, "delay = \"100ms\"", Duration::from_secs(1));
    let longest = if delay.is_sound { delay.value } else { most };
    let jitter = table.get("jitter", |item| {
        let jitter = kind::duration_in(Duration::ZERO, most)(item)?;
        match jitter <= longest {
            true => Ok(jitter),
            false => Err(Complaint::new(
                "must not be longer than the delay",
                "a byte cannot leave before it came",
            )),
        }
    });
    link(table, |table| Trouble::Latency {
        way: way(table),
        delay: delay.value,
        jitter: jitter.value.unwrap_or_default(),
    })
}

fn bandwidth(table: &mut Reader<'_>, _: &Case<'_>) -> FaultKind {
    let parse = |item: &Item| {
        let text = kind::text(item)?;
        let size = text.strip_suffix("/s").map(units::parse_size);
        size.and_then(Result::ok)
            .filter(|size| *size > 0)
            .ok_or_else(|| {
                let label = format!("`{}` is none", shortened(&text));
                Complaint::new("must be bytes per second", label).help("write \"16KiB/s\"")
            })
    };
    let rate = table.need("rate", parse, "rate = \"16KiB/s\"", 1);
    link(table, |table| Trouble::Bandwidth {
        way: way(table),
        rate: rate.value.into(),
    })
}

fn slice(table: &mut Reader<'_>, _: &Case<'_>) -> FaultKind {
    let size = table.need(
        "size",
        kind::size_in(1, 1 << 20, "a write has at least a byte"),
        "size = \"10B\"",
        1,
    );
    let gap = kind::duration_in(Duration::ZERO, units::MAX_DURATION);
    let gap = table.get("gap", gap).or(Duration::from_millis(1));
    link(table, |table| Trouble::Slice {
        way: way(table),
        size: size.value,
        gap: gap.value,
    })
}

/// The target of a fault that may do without: the edge is one link, and without a target all upstream links are meant.
pub(super) fn settle(draft: &mut Draft, world: &World<'_>, log: &Log) {
    let FaultKind::Link(LinkFault { link, .. }) = &draft.fault.kind else {
        return;
    };
    match (link, &draft.fault.target) {
        (Link::Upstream, Target::Whole) => {
            let nodes = (0..world.nodes.value.max(1)).map(NodeId);
            draft.fault.target = Target::Named(nodes.collect());
        }
        (Link::Edge, Target::Named(_) | Target::Drawn(_)) => log.add(
            Problem::new(format!(
                "fault `{}` is on the edge and names a node",
                shortened(&draft.fault.name)
            ))
            .mark(draft.at.place.as_ref(), "this fault")
            .help("write link = \"upstream\", or remove the node"),
        ),
        _ => {}
    }
}

/// Is anything said about a target? A link fault may do without.
pub(super) fn has_target(table: &mut Reader<'_>) -> bool {
    ["node", "target"]
        .into_iter()
        .any(|key| table.misplaced(key).is_some())
}
