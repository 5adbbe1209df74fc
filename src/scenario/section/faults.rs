//! `[[faults]]`.

use std::time::Duration;

use super::no_effect;
use crate::scenario::kind::{self, Complaint};
use crate::scenario::overrides::element_names;
use crate::scenario::problem::{Place, Problem};
use crate::scenario::reader::{Field, Reader, shortened};
use crate::scenario::tree::Item;
use crate::scenario::{Fault, FaultKind, Heartbeat, NodeId, Traffic};
use crate::units::show_duration;

/// Most faults of a run: far beyond any timeline that a reader could follow.
const MOST_FAULTS: usize = 1000;

/// The rest of the scenario, as far as a fault depends on it.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) struct World<'a> {
    pub(in crate::scenario) duration: &'a Field<Duration>,
    pub(in crate::scenario) nodes: &'a Field<u16>,
    pub(in crate::scenario) traffic: &'a Field<Traffic>,
    pub(in crate::scenario) heartbeat: &'a Field<Heartbeat>,
}

/// What was read.
#[derive(Debug)]
pub(in crate::scenario) struct Read {
    /// In order of `at`.
    pub(in crate::scenario) value: Vec<Fault>,
    /// Whether all of their names and times can be relied on.
    pub(in crate::scenario) is_sound: bool,
}

/// One fault with the places that its checks point at.
#[derive(Debug)]
struct Draft {
    fault: Fault,
    at: Field<Duration>,
    lasts: Field<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    IdleGap,
    KillNode,
    RestartProxy,
    ReloadProxy,
}

const KINDS: &[(&str, Kind)] = &[
    ("idle-gap", Kind::IdleGap),
    ("kill-node", Kind::KillNode),
    ("restart-proxy", Kind::RestartProxy),
    ("reload-proxy", Kind::ReloadProxy),
];

pub(in crate::scenario) fn read(top: &mut Reader<'_>, world: &World<'_>) -> Read {
    let mut items = top.list("faults", "write each fault below a line `[[faults]]`");
    if let Some(extra) = items.get(MOST_FAULTS) {
        let problem = Problem::new(format!("there are more than {MOST_FAULTS} faults"));
        top.log()
            .add(problem.mark(Some(&extra.place), "the first one too many"));
        items = &items[..MOST_FAULTS];
    }
    let names = element_names(items);
    let mut drafts: Vec<Draft> = Vec::new();
    let mut is_sound = true;
    for (i, (item, name)) in items.iter().zip(&names).enumerate() {
        let Some(mut table) = top.element("faults", &shortened(name), item) else {
            is_sound = false;
            continue;
        };
        if let Some(first) = names[..i].iter().position(|other| other == name) {
            is_sound = false;
            top.log().add(
                Problem::new(format!("two faults are named `{}`", shortened(name)))
                    .mark(Some(&item.place), "the second one")
                    .mark(Some(&items[first].place), "the first one")
                    .help("give one of them another `name`"),
            );
        }
        match draft(&mut table, name, world) {
            Some(draft) => drafts.push(draft),
            None => is_sound = false,
        }
    }
    drafts.sort_by_key(|draft| draft.fault.at);
    is_sound &= drafts
        .iter()
        .all(|draft| draft.at.is_sound && draft.lasts.is_sound);
    for draft in &drafts {
        check_window(top, draft, world.duration);
    }
    for (index, second) in drafts.iter().enumerate().skip(1) {
        // Not the one just before: a long fault may overlap several that follow it.
        let before = drafts[..index]
            .iter()
            .max_by_key(|draft| draft.fault.until());
        let Some(first) = before else { continue };
        let is_within = !world.duration.is_sound || first.fault.until() <= world.duration.value;
        // A fault that outlasts the run has been reported; what it overlaps changes with it.
        if is_within {
            check_overlap(top, first, second);
        }
    }
    Read {
        value: drafts.into_iter().map(|draft| draft.fault).collect(),
        is_sound,
    }
}

fn draft(table: &mut Reader<'_>, name: &str, world: &World<'_>) -> Option<Draft> {
    let named = table.get("name", kind::name);
    let kind = table.need(
        "kind",
        kind::one_of(KINDS),
        "kind = \"idle-gap\"",
        Kind::IdleGap,
    );
    let at = table.need("at", kind::offset, "at = \"10s\"", Duration::ZERO);
    // Without a kind nobody can say which of these belong here, so they only count as known.
    if !kind.is_sound {
        for key in ["for", "node", "keep_heartbeat"] {
            table.misplaced(key);
        }
        return None;
    }
    let lasts = lasts(table, kind.value);
    let value = match kind.value {
        Kind::IdleGap => {
            refuse(table, "node", "kill-node", kind.value);
            FaultKind::IdleGap {
                keep_heartbeat: idle_gap(table, name, kind.place.as_ref(), world),
            }
        }
        Kind::KillNode => {
            refuse(table, "keep_heartbeat", "idle-gap", kind.value);
            FaultKind::KillNode {
                node: node(table, world.nodes),
            }
        }
        Kind::RestartProxy | Kind::ReloadProxy => {
            refuse(table, "node", "kill-node", kind.value);
            refuse(table, "keep_heartbeat", "idle-gap", kind.value);
            if kind.value == Kind::RestartProxy {
                FaultKind::RestartProxy
            } else {
                FaultKind::ReloadProxy
            }
        }
    };
    named.is_sound.then_some(Draft {
        fault: Fault {
            name: name.to_owned(),
            kind: value,
            at: at.value,
            lasts: lasts.value,
        },
        at,
        lasts,
    })
}

fn lasts(table: &mut Reader<'_>, kind: Kind) -> Field<Duration> {
    let window = kind::duration_in(Duration::from_millis(1), crate::units::MAX_DURATION);
    match kind {
        Kind::IdleGap | Kind::KillNode => {
            table.need("for", window, "for = \"10s\"", Duration::from_secs(1))
        }
        Kind::RestartProxy => table.get("for", window).or(Duration::from_secs(1)),
        Kind::ReloadProxy => {
            if let Some(place) = table.misplaced("for") {
                table.log().add(
                    Problem::new("`for` makes no sense for reload-proxy")
                        .mark(Some(&place), "a reload is a moment, not a window")
                        .help("remove it; `topology.nginx.worker_shutdown_timeout` bounds how long old workers live"),
                );
            }
            Field {
                value: Duration::ZERO,
                place: None,
                is_sound: true,
                key: String::new(),
            }
        }
    }
}

fn refuse(table: &mut Reader<'_>, key: &'static str, owner: &str, kind: Kind) {
    let Some(place) = table.misplaced(key) else {
        return;
    };
    let name = KINDS
        .iter()
        .find(|(_, other)| *other == kind)
        .map_or("", |(name, _)| name);
    table.log().add(
        Problem::new(format!("`{key}` makes no sense for {name}"))
            .mark(Some(&place), format!("only {owner} has it"))
            .help(format!("remove it, or write kind = \"{owner}\"")),
    );
}

/// `kind` is where the fault is called an idle gap.
fn idle_gap(table: &mut Reader<'_>, name: &str, kind: Option<&Place>, world: &World<'_>) -> bool {
    let keep = table.get("keep_heartbeat", kind::switch).or(false);
    let (traffic, heartbeat) = (world.traffic, world.heartbeat);
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
                shortened(name)
            ))
            .mark(kind, "silences traffic and heartbeat")
            .mark(
                traffic.place.as_ref(),
                "nobody sends anything in the whole run",
            )
            .help("set `traffic.source`, or remove the fault")
            .derived(),
        );
    }
    keep.value
}

fn node(table: &mut Reader<'_>, nodes: &Field<u16>) -> NodeId {
    let count = nodes.value.max(1);
    let parse = |item: &Item| {
        let text = kind::text(item)?;
        let number = text
            .strip_prefix('n')
            .filter(|digits| !digits.starts_with(['0', '+']));
        let Some(number) = number.and_then(|digits| digits.parse::<u16>().ok()) else {
            return Err(Complaint::new(
                "must name a node",
                format!("`{}` is no node", shortened(&text)),
            )
            .help("nodes are named \"n1\", \"n2\" and so on"));
        };
        if nodes.is_sound && number > count {
            let help = match count {
                1 => "the only node is \"n1\"; `topology.nodes` sets how many there are".to_owned(),
                count => format!(
                    "the nodes are \"n1\" to \"n{count}\"; `topology.nodes` sets how many there are"
                ),
            };
            return Err(Complaint::new(
                "must name a node of the topology",
                "there is no such node",
            )
            .help(help));
        }
        Ok(NodeId(number - 1))
    };
    table.need("node", parse, "node = \"n1\"", NodeId(0)).value
}

fn check_window(top: &Reader<'_>, draft: &Draft, duration: &Field<Duration>) {
    let (fault, at, lasts) = (&draft.fault, &draft.at, &draft.lasts);
    if !duration.is_sound || !at.is_sound {
        return;
    }
    let run = show_duration(duration.value);
    if at.value >= duration.value {
        top.log().add(
            Problem::new(format!("fault `{}` begins after the run ends", fault.name))
                .mark(
                    at.place.as_ref(),
                    format!("begins at {}", show_duration(at.value)),
                )
                .mark(duration.place.as_ref(), format!("the run lasts {run}"))
                .help(format!(
                    "lengthen `duration`, or move the fault before {run}"
                ))
                .derived(),
        );
    } else if lasts.is_sound && fault.until() > duration.value {
        let main: &Option<Place> = if lasts.is_given() {
            &lasts.place
        } else {
            &at.place
        };
        let latest = duration.value.checked_sub(lasts.value);
        let help = match latest {
            Some(latest) => format!(
                "lengthen `duration`, move the fault to {} or earlier, or shorten it",
                show_duration(latest)
            ),
            None => format!("shorten the fault: it is longer than the whole run of {run}"),
        };
        top.log().add(
            Problem::new(format!("fault `{}` ends after the run", fault.name))
                .mark(
                    main.as_ref(),
                    format!("ends at {}", show_duration(fault.until())),
                )
                .mark(duration.place.as_ref(), format!("the run lasts {run}"))
                .help(help)
                .derived(),
        );
    }
}

/// One fault at a time: with two, nobody could say which of them cut a client.
fn check_overlap(top: &Reader<'_>, first: &Draft, second: &Draft) {
    let sound = first.at.is_sound && first.lasts.is_sound && second.at.is_sound;
    let (one, two) = (&first.fault, &second.fault);
    if !sound || (two.at >= one.until() && two.at != one.at) {
        return;
    }
    let end = if one.lasts.is_zero() {
        "happens"
    } else {
        "is on"
    };
    top.log().add(
        Problem::new(format!("faults `{}` and `{}` overlap", one.name, two.name))
            .mark(
                second.at.place.as_ref(),
                format!("`{}` begins at {}", two.name, show_duration(two.at)),
            )
            .mark(
                first.at.place.as_ref(),
                match one.lasts.is_zero() {
                    true => format!("`{}` {end} at {}", one.name, show_duration(one.at)),
                    false => format!(
                        "`{}` {end} from {} to {}",
                        one.name,
                        show_duration(one.at),
                        show_duration(one.until())
                    ),
                },
            )
            .help(format!(
                "move `{}` to {}",
                two.name,
                match one.lasts.is_zero() {
                    true => format!("a time after {}", show_duration(one.until())),
                    false => format!("{} or later", show_duration(one.until())),
                }
            ))
            .derived(),
    );
}
