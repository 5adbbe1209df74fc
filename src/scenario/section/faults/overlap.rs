//! Faults may overlap, unless they fight over the same thing.
//!
//! Two fight when one of them would find what the other did: both stop the proxy, both have the same node. Drawn nodes
//! are drawn from those that are free, so a drawn target fights only when there are too few; and a fault with a spread
//! may be on from its earliest beginning to its latest end. Whether a scenario is right must not depend on its seed.

use std::time::Duration;

use super::Draft;
use crate::scenario::fault::overlap;
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Field, Log};
use crate::scenario::{Fault, Hold, Target};
use crate::units::show_duration;

/// `drafts` are in order of their beginning; each that fights an earlier one is reported once.
pub(super) fn check(drafts: &[Draft], duration: &Field<Duration>, nodes: u16, log: &Log) {
    // A fault that outlasts the run has been reported; what it fights with changes with it.
    let sound: Vec<&Draft> = drafts
        .iter()
        .filter(|draft| draft.has_times())
        .filter(|draft| !duration.is_sound || draft.fault.until() <= duration.value)
        .collect();
    for (index, second) in sound.iter().enumerate() {
        let mut before = sound[..index].iter();
        let fights = before.find(|first| {
            meet(&first.fault, &second.fault) && fight(&first.fault, &second.fault, nodes)
        });
        match fights {
            Some(first) => log.add(conflict(first, second)),
            None => check_crowd(&sound, index, nodes, log),
        }
    }
}

/// May they be on at the same time, at any of their times?
fn meet(one: &Fault, other: &Fault) -> bool {
    one.windows()
        .any(|window| other.windows().any(|second| overlap(window, second)))
}

fn fight(one: &Fault, other: &Fault, nodes: u16) -> bool {
    match (one.kind.hold(), other.kind.hold()) {
        (Hold::Nodes, Hold::Nodes) => match (&one.target, &other.target) {
            (Target::Named(these), Target::Named(those)) => {
                these.iter().any(|node| those.contains(node))
            }
            (this, that) => this.width() + that.width() > nodes,
        },
        (this, that) => this == that,
    }
}

/// Can the nodes of a drawn target always be drawn, whatever else is on meanwhile?
fn check_crowd(drafts: &[&Draft], index: usize, nodes: u16, log: &Log) {
    let draft = drafts[index];
    let Target::Drawn(width) = draft.fault.target else {
        return;
    };
    let taken: u32 = drafts
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index)
        .filter(|(_, other)| {
            other.fault.kind.hold() == Hold::Nodes && meet(&other.fault, &draft.fault)
        })
        .map(|(_, other)| u32::from(other.fault.target.width()))
        .sum();
    if taken > 0 && taken + u32::from(width) > u32::from(nodes) {
        log.add(
            Problem::new(format!(
                "there are too few nodes for fault `{}`",
                draft.fault.name
            ))
            .mark(
                draft.at.place.as_ref(),
                format!("wants {width} of {nodes} nodes"),
            )
            .help(format!(
                "other faults have {taken} of them meanwhile; move one of them, or name its nodes"
            ))
            .derived(),
        );
    }
}

fn conflict(first: &Draft, second: &Draft) -> Problem {
    let (one, two) = (&first.fault, &second.fault);
    let over = match one.kind.hold() {
        Hold::Fleet => "the fleet",
        Hold::Nodes => "the same node",
        Hold::Proxy => "the proxy",
        Hold::Edge => "the edge link",
        Hold::Upstream => "the upstream links",
    };
    let is_moment = one.room().is_zero();
    let may = if one.spread.is_zero() { "is" } else { "may be" };
    let problem = Problem::new(format!(
        "faults `{}` and `{}` fight over {over}",
        one.name, two.name
    ))
    .mark(
        second.at.place.as_ref(),
        format!("`{}` begins at {}{}", two.name, times(two), late(two)),
    )
    .mark(
        first.at.place.as_ref(),
        match is_moment {
            true => format!("`{}` happens at {}", one.name, times(one)),
            false => format!(
                "`{}` {may} on from {} to {}",
                one.name,
                times(one),
                show_duration(one.at + one.room())
            ),
        },
    );
    let help = match (one.times, is_moment) {
        (1, true) => format!(
            "move `{}` to a time after {}",
            two.name,
            show_duration(one.until())
        ),
        (1, false) => format!(
            "move `{}` to {} or later",
            two.name,
            show_duration(one.until())
        ),
        _ => format!("move `{}`, or end the repetition with `until`", two.name),
    };
    problem.help(help).derived()
}

fn late(fault: &Fault) -> String {
    match fault.spread.is_zero() {
        true => String::new(),
        false => format!(", or up to {} later", show_duration(fault.spread)),
    }
}

fn times(fault: &Fault) -> String {
    let at = show_duration(fault.at);
    match fault.times {
        1 => at,
        _ => format!("{at} and every {}", show_duration(fault.every)),
    }
}
