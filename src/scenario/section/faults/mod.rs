//! `[[faults]]`: one file per family of kinds, and one each for what they share.

use std::time::Duration;

use crate::scenario::kind;
use crate::scenario::overrides::element_names;
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Field, Reader, shortened};
use crate::scenario::{Fault, FaultKind, Heartbeat, Nginx, Target, Traffic};
use kinds::{Case, Kind};

mod client;
mod kinds;
mod link;
mod node;
mod overlap;
mod proxy;
mod target;
mod times;

/// Most faults of a run: far beyond any timeline that a reader could follow.
const MOST_FAULTS: usize = 1000;

/// The rest of the scenario, as far as a fault depends on it.
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) struct World<'a> {
    pub(in crate::scenario) duration: &'a Field<Duration>,
    pub(in crate::scenario) nodes: &'a Field<u16>,
    pub(in crate::scenario) nginx: &'a Nginx,
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
    spread: Field<Duration>,
}

impl Draft {
    /// Is it known when it may be on?
    fn has_times(&self) -> bool {
        self.at.is_sound && self.lasts.is_sound && self.spread.is_sound
    }
}

impl FaultKind {
    /// The word of every kind, as [`FaultKind::name`] says it.
    pub fn words() -> impl Iterator<Item = &'static str> {
        kinds::words().iter().map(|(word, _)| *word)
    }
}

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
    is_sound &= drafts.iter().all(Draft::has_times);
    for draft in &drafts {
        times::check_window(draft, world.duration, top.log());
    }
    if times::check_count(&drafts, top.log()) {
        overlap::check(&drafts, world.duration, world.nodes.value, top.log());
    }
    Read {
        value: drafts.into_iter().map(|draft| draft.fault).collect(),
        is_sound,
    }
}

fn draft(table: &mut Reader<'_>, name: &str, world: &World<'_>) -> Option<Draft> {
    let named = table.get("name", kind::name);
    let first: &'static Kind = kinds::words().first()?.1;
    let kind = table.need(
        "kind",
        kind::one_of(kinds::words()),
        "kind = \"idle-gap\"",
        first,
    );
    let at = table.need("at", kind::offset, "at = \"10s\"", Duration::ZERO);
    // Without a kind nobody can say which of these belong here, so they only count as known.
    if !kind.is_sound {
        for key in kinds::keys().chain(["for", "spread", "every", "until"]) {
            table.misplaced(key);
        }
        return None;
    }
    let lasts = times::lasts(table, kind.value);
    let keys = kind.value.keys;
    let has_target =
        keys.contains(&"target") && (!keys.contains(&"link") || link::has_target(table));
    let (target, pause) = match has_target {
        true => target::read(table, world),
        false => (Target::Whole, None),
    };
    let case = Case {
        name,
        kind: kind.place.as_ref(),
        world,
    };
    let value = (kind.value.read)(table, &case);
    kinds::refuse_others(table, kind.value);
    let spread = times::spread(table);
    let repeat = times::repeat(table);
    let mut draft = Draft {
        fault: Fault {
            name: name.to_owned(),
            kind: value,
            at: at.value,
            spread: spread.value,
            lasts: lasts.value,
            target,
            pause,
            every: Duration::ZERO,
            times: 1,
        },
        at,
        lasts,
        spread,
    };
    link::settle(&mut draft, world, table.log());
    times::resolve(&mut draft, &repeat, world.duration, table.log());
    named.is_sound.then_some(draft)
}
