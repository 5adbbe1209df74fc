//! The faults of a run: each time that one happens, with the nodes that it is done to.
//!
//! Pure. What is drawn comes from the seed, among the nodes that no other fault has meanwhile.

use std::time::Duration;

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
    fn new(id: FaultId, fault: &Fault, time: usize, (at, until): (Duration, Duration)) -> Self {
        let nodes = match &fault.target {
            Target::Named(nodes) => nodes.clone(),
            Target::Whole | Target::Drawn(_) => Vec::new(),
        };
        Self {
            fault: id,
            name: match time {
                0 => fault.name.clone(),
                _ => format!("{}#{}", fault.name, time + 1),
            },
            kind: fault.kind.clone(),
            at,
            until,
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
    let mut all: Vec<(usize, PlannedFault)> = Vec::new();
    for (id, fault) in (0u16..).map(FaultId).zip(&scenario.faults) {
        for (time, window) in fault.windows().enumerate() {
            all.push((time, PlannedFault::new(id, fault, time, window)));
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
        let stream = u32::from(planned.fault.0) << 16 | *time as u32;
        let mut rng = rng(scenario.seed, stream, Purpose::Fault);
        let mut drawn: Vec<NodeId> = free.sample(&mut rng, width.into()).copied().collect();
        drawn.sort_unstable();
        all[index].1.nodes = drawn;
    }
    all.into_iter().map(|(_, planned)| planned).collect()
}

#[cfg(test)]
mod tests;
