//! What is done to nodes, and how it is undone.

use std::time::Duration;

use futures::future::join_all;

use super::injector::they_are;
use crate::scenario::{Goodbye, NodeFault, NodeId};
use crate::topology::{Bundled, TopologyError};
use crate::units::show_duration;
use crate::wire::{Behaviour, Refuse};

pub(super) async fn begin(
    fault: &NodeFault,
    nodes: &[NodeId],
    topology: &Bundled,
) -> Result<String, TopologyError> {
    let they = they_are(nodes);
    Ok(match fault {
        NodeFault::Kill => {
            each(nodes, |node| topology.kill_node(node)).await?;
            format!("{they} reaped")
        }
        NodeFault::Stop(goodbye) => stop(goodbye, nodes, topology).await?,
        NodeFault::Pause => {
            each(nodes, |node| topology.pause_node(node)).await?;
            format!("{they} stopped, says the kernel")
        }
        NodeFault::Restart(goodbye) => {
            let stopped = stop(goodbye, nodes, topology).await?;
            each(nodes, |node| topology.start_node(node)).await?;
            format!("{stopped}; {they} healthy again")
        }
        NodeFault::RefuseUpgrades { .. }
        | NodeFault::SlowHandshake { .. }
        | NodeFault::StopReading
        | NodeFault::NoPong => {
            let behaviour = behaviour(fault);
            each(nodes, |node| topology.set_behaviour_of(node, behaviour)).await?;
            format!("{they} {}", doing(fault))
        }
    })
}

pub(super) async fn heal(
    fault: &NodeFault,
    nodes: &[NodeId],
    topology: &Bundled,
) -> Result<String, TopologyError> {
    let they = they_are(nodes);
    Ok(match fault {
        NodeFault::Kill | NodeFault::Stop(_) => {
            each(nodes, |node| topology.start_node(node)).await?;
            format!("{they} healthy again")
        }
        NodeFault::Pause => {
            each(nodes, |node| topology.resume_node(node)).await?;
            format!("{they} going on")
        }
        NodeFault::Restart(_) => String::new(),
        NodeFault::RefuseUpgrades { .. }
        | NodeFault::SlowHandshake { .. }
        | NodeFault::StopReading
        | NodeFault::NoPong => {
            let usual = Behaviour::default();
            each(nodes, |node| topology.set_behaviour_of(node, usual)).await?;
            format!("{they} as before")
        }
    })
}

async fn stop(
    goodbye: &Goodbye,
    nodes: &[NodeId],
    topology: &Bundled,
) -> Result<String, TopologyError> {
    let Goodbye { code, grace } = *goodbye;
    let forced = each(nodes, |node| topology.stop_node(node, grace, code)).await?;
    let killed = forced.iter().filter(|forced| **forced).count();
    let how = match killed {
        0 => "in order".to_owned(),
        _ => format!("{killed} of them by force after {}", show_duration(grace)),
    };
    Ok(format!("{} gone, {how}", they_are(nodes)))
}

/// What a node is told, for the faults that a node makes itself.
fn behaviour(fault: &NodeFault) -> Behaviour {
    let usual = Behaviour::default();
    match *fault {
        NodeFault::RefuseUpgrades { retry_after_s } => Behaviour {
            refuse: Some(Refuse { retry_after_s }),
            ..usual
        },
        NodeFault::SlowHandshake { delay } => Behaviour {
            handshake_delay_ms: millis(delay),
            ..usual
        },
        NodeFault::StopReading => Behaviour {
            stop_reading: true,
            ..usual
        },
        NodeFault::NoPong => Behaviour {
            no_pong: true,
            ..usual
        },
        _ => usual,
    }
}

fn doing(fault: &NodeFault) -> String {
    match fault {
        NodeFault::RefuseUpgrades { .. } => "refusing upgrades".into(),
        NodeFault::SlowHandshake { delay } => {
            format!("holding every 101 back for {}", show_duration(*delay))
        }
        NodeFault::StopReading => "not reading".into(),
        _ => "not answering pings".into(),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Does it to all nodes at once; one that fails does not keep it from the others.
async fn each<T, F: Future<Output = Result<T, TopologyError>>>(
    nodes: &[NodeId],
    act: impl Fn(NodeId) -> F,
) -> Result<Vec<T>, TopologyError> {
    let acts = nodes.iter().map(|node| act(*node));
    join_all(acts).await.into_iter().collect()
}
