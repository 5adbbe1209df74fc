//! The faults of a run: each time that one happens, with the nodes that it is done to.
//!
//! Pure. What is drawn comes from the seed: when a fault begins, within its spread, and then to which of the nodes that
//! no other fault has meanwhile it is done.

use std::time::Duration;

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde::{Deserialize, Serialize};

use super::seed::{Purpose, rng};
use crate::scenario::fault::overlap;
use crate::scenario::{Fault, FaultId, FaultKind, Hold, NodeId, Scenario, Target};

/// Index into [`super::Plan::faults`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OccurrenceId(pub u16);

/// One time that a fault happens.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedFault {
    /// Which fault.
    pub fault: FaultId,
    /// Its name; `#2` and so on for every further time.
    pub name: String,
    /// What happens.
    pub kind: FaultKind,
    /// When it is due: with a spread, the earliest that it could begin.
    pub due: Duration,
    /// When it begins.
    pub at: Duration,
    /// When it ends; as `at` for a moment.
    pub until: Duration,
    /// How long it lasts, on each node of a rolling one.
    pub lasts: Duration,
    /// The nodes that it is done to, in order; none when it is not done to nodes.
    pub nodes: Vec<NodeId>,
    /// Rolling: one node after the other, with this much time between them.
    pub pause: Option<Duration>,
}

impl PlannedFault {
    fn new(id: FaultId, fault: &Fault, time: u16, (due, at): (Duration, Duration)) -> Self {
        let nodes = match &fault.target {
            Target::Named(nodes) => nodes.clone(),
            Target::Whole | Target::Drawn(_) => Vec::new(),
        };
        Self {
            fault: id,
            name: match time {
                0 => fault.name.clone(),
                _ => format!("{}#{}", fault.name, u32::from(time) + 1),
            },
            kind: fault.kind.clone(),
            due,
            at,
            until: at + fault.length(),
            lasts: fault.lasts,
            nodes,
            pause: fault.pause,
        }
    }

    /// Is it a mere moment?
    pub fn is_moment(&self) -> bool {
        self.until == self.at
    }

    /// The nodes in the groups that it is done to one after the other; one group unless it is rolling.
    pub fn waves(&self) -> Vec<&[NodeId]> {
        match self.pause {
            Some(_) => self.nodes.chunks(1).collect(),
            None => vec![&self.nodes],
        }
    }

    /// To whom, by name.
    pub fn targets(&self) -> Vec<String> {
        match self.kind.hold() {
            Hold::Nodes | Hold::Upstream => self.nodes.iter().map(NodeId::to_string).collect(),
            Hold::Edge => vec!["the edge".into()],
            Hold::Proxy => vec!["nginx".into()],
            Hold::Fleet => vec!["the fleet".into()],
        }
    }

    fn has(&self, node: NodeId) -> bool {
        self.kind.hold() == Hold::Nodes && self.nodes.contains(&node)
    }
}

/// Every time that every fault happens, in order of time.
pub fn resolve(scenario: &Scenario) -> Vec<PlannedFault> {
    let mut all: Vec<(u16, PlannedFault)> = Vec::new();
    for (id, fault) in (0u16..).map(FaultId).zip(&scenario.faults) {
        for (time, (due, _)) in (0u16..).zip(fault.windows()) {
            let at = due + late_by(scenario.seed, id, time, fault.spread);
            all.push((time, PlannedFault::new(id, fault, time, (due, at))));
        }
    }
    all.sort_by_key(|(_, planned)| planned.at);
    // Named nodes are known already, so what is drawn leaves them alone.
    for index in 0..all.len() {
        let (time, planned) = &all[index];
        let fault = &scenario.faults[usize::from(planned.fault.0)];
        let Target::Drawn(width) = fault.target else {
            continue;
        };
        let window = (planned.at, planned.until);
        let mut meanwhile = all.iter().map(|(_, other)| other).collect::<Vec<_>>();
        meanwhile.retain(|other| overlap((other.at, other.until), window));
        let free: Vec<NodeId> = (0..scenario.topology.nodes)
            .map(NodeId)
            .filter(|node| !meanwhile.iter().any(|other| other.has(*node)))
            .collect();
        let mut rng = rng(scenario.seed, stream(planned.fault, *time), Purpose::Fault);
        let mut drawn: Vec<NodeId> = free.sample(&mut rng, width.into()).copied().collect();
        drawn.sort_unstable();
        all[index].1.nodes = drawn;
    }
    all.into_iter().map(|(_, planned)| planned).collect()
}

/// How much later than due a fault begins: less than its spread, in whole milliseconds, so that plans and reports show it
/// as it is.
fn late_by(seed: u64, fault: FaultId, time: u16, spread: Duration) -> Duration {
    let most_ms = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
    if most_ms == 0 {
        return Duration::ZERO;
    }
    let mut rng = rng(seed, stream(fault, time), Purpose::FaultTime);
    Duration::from_millis(rng.random_range(0..most_ms))
}

/// The stream of one time of a fault: what is drawn for it depends on no other.
fn stream(fault: FaultId, time: u16) -> u32 {
    u32::from(fault.0) << 16 | u32::from(time)
}

#[cfg(test)]
mod tests;
