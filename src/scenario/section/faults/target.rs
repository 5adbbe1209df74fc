//! To which nodes: `node`, `target` and `pause`.

use std::time::Duration;

use super::World;
use crate::scenario::kind::{self, Complaint};
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Field, Reader, shortened};
use crate::scenario::tree::{Item, Value};
use crate::scenario::{NodeId, Target};
use crate::units;

/// What a node fault without a usable target stands on, so that reading goes on.
const STAND_IN: Target = Target::Drawn(1);

/// The target and, when the fault is rolling, the pause.
pub(super) fn read(table: &mut Reader<'_>, world: &World<'_>) -> (Target, Option<Duration>) {
    let nodes = world.nodes;
    let parse_node = |item: &Item| node(&kind::text(item)?, nodes);
    let parse_target = |item: &Item| target(item, nodes);
    let one = table.get("node", parse_node);
    let target = if one.is_given() {
        let both = table.get("target", parse_target);
        if both.is_given() {
            table.log().add(
                Problem::new("a fault has either `node` or `target`")
                    .mark(both.place.as_ref(), "says it again")
                    .mark(one.place.as_ref(), "says to which node")
                    .help("remove one of them"),
            );
        }
        one.map(|node| node.map_or(STAND_IN, |node| Target::Named(vec![node])))
    } else {
        table.need("target", parse_target, "target = \"n1\"", STAND_IN)
    };
    let any = kind::duration_in(Duration::ZERO, units::MAX_DURATION);
    let pause = table.get("pause", any);
    if pause.value.is_some() && target.is_sound && target.value.width() < 2 {
        table.log().add(
            Problem::new(format!("`{}` has no effect", pause.key))
                .mark(pause.place.as_ref(), "time between two nodes")
                .mark(target.place.as_ref(), "this is one node")
                .help("remove it, or name several nodes")
                .derived(),
        );
    }
    (target.value, pause.value)
}

fn node(text: &str, nodes: &Field<u16>) -> Result<NodeId, Complaint> {
    let number = text
        .strip_prefix('n')
        .filter(|digits| !digits.starts_with(['0', '+']));
    let Some(number) = number.and_then(|digits| digits.parse::<u16>().ok()) else {
        return Err(Complaint::new(
            "must name a node",
            format!("`{}` is no node", shortened(text)),
        )
        .help("nodes are named \"n1\", \"n2\" and so on"));
    };
    let count = nodes.value.max(1);
    if nodes.is_sound && number > count {
        let help = match count {
            1 => "the only node is \"n1\"; `topology.nodes` sets how many there are".to_owned(),
            count => format!(
                "the nodes are \"n1\" to \"n{count}\"; `topology.nodes` sets how many there are"
            ),
        };
        return Err(
            Complaint::new("must name a node of the topology", "there is no such node").help(help),
        );
    }
    Ok(NodeId(number - 1))
}

fn target(item: &Item, nodes: &Field<u16>) -> Result<Target, Complaint> {
    const FORMS: &str = "write \"one\", \"all\", a number, \"30%\", \"n2\" or [\"n1\", \"n3\"]";
    let all = nodes.value.max(1);
    match &item.value {
        Value::String(text) => match text.as_str() {
            "one" => Ok(Target::Drawn(1)),
            "all" => Ok(Target::Named((0..all).map(NodeId).collect())),
            text if text.ends_with('%') => share(text, all),
            text => node(text, nodes)
                .map(|node| Target::Named(vec![node]))
                .map_err(|complaint| match text.starts_with('n') {
                    true => complaint,
                    false => complaint.help(FORMS),
                }),
        },
        Value::Integer(_) => {
            let most = if nodes.is_sound { all } else { u16::MAX };
            let count = kind::count_in(1, most.into())(item)?;
            Ok(Target::Drawn(u16::try_from(count).unwrap_or(all)))
        }
        Value::Array(items) => {
            let mut named = Vec::new();
            for item in items {
                let one = node(&kind::text(item)?, nodes)?;
                if named.contains(&one) {
                    let label = format!("{one} is in it twice");
                    return Err(Complaint::new("must name each node once", label));
                }
                named.push(one);
            }
            match named.is_empty() {
                true => Err(Complaint::new("must name a node", "this is empty").help(FORMS)),
                false => Ok(Target::Named(named)),
            }
        }
        other => Err(Complaint::new(
            "must say to which nodes",
            format!("this is {}", other.what()),
        )
        .help(FORMS)),
    }
}

/// A share of the nodes: at least one.
fn share(text: &str, all: u16) -> Result<Target, Complaint> {
    const MUST: &str = "must be more than 0% and at most 100%";
    let share = units::parse_share(text)
        .ok()
        .filter(|share| (f64::MIN_POSITIVE..=1.0).contains(share))
        .ok_or_else(|| Complaint::new(MUST, format!("`{}` is not", shortened(text))))?;
    let count = (share * f64::from(all)).round().max(1.0) as u16;
    Ok(Target::Drawn(count))
}
