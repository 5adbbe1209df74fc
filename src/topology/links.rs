//! The relays of a run: where they stand, and how all of one link are told at once.

use std::net::SocketAddr;
use std::path::PathBuf;

use futures::future::{join_all, try_join_all};

use super::error::TopologyError;
use super::limits;
use super::process::Exits;
use super::relay::{Relay, RelaySpec, relay_parts};
use crate::relay::order::{Answer, Order, Stats};
use crate::scenario::{self, FaultKind, NodeId, Scenario};

/// Which links lead through a relay: only those that a fault of the scenario needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Relays {
    /// Clients to nginx.
    pub edge: bool,
    /// nginx to each node.
    pub upstream: bool,
    /// Seed of their jitter.
    pub seed: u64,
}

impl Relays {
    /// What the faults of a scenario need.
    pub fn of(scenario: &Scenario) -> Self {
        let has = |link: scenario::Link| {
            let mut kinds = scenario.faults.iter().map(|fault| &fault.kind);
            kinds.any(|kind| matches!(kind, FaultKind::Link(fault) if fault.link == link))
        };
        Self {
            edge: has(scenario::Link::Edge),
            upstream: has(scenario::Link::Upstream),
            seed: scenario.seed,
        }
    }
}

/// A link with a relay in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link<'a> {
    /// Clients to nginx.
    Edge,
    /// nginx to these nodes.
    Upstream(&'a [NodeId]),
}

/// The relays of one run.
#[derive(Debug)]
pub struct Links {
    spec: RelaySpec,
    edge: Option<Relay>,
    /// One for each process of each node, in order, or none.
    upstream: Vec<(NodeId, Relay)>,
}

impl Links {
    /// For `clients` clients and `parts` processes of each of `nodes` nodes. Starts nothing.
    pub(super) fn new(
        relays: Relays,
        (exe, group, logs): (PathBuf, u32, PathBuf),
        clients: u32,
        nodes: u16,
        parts: u32,
    ) -> Self {
        let limit = limits::open_files_limit();
        let edge = || Relay::new("edge-relay".into(), relay_parts(clients, limit));
        let upstream = |node: NodeId, part| {
            let name = match part {
                0 => format!("{node}-relay"),
                part => format!("{node}.{part}-relay"),
            };
            let count = relay_parts(clients.div_ceil(parts.max(1)), limit);
            (node, Relay::new(name, count))
        };
        let nodes = (0..nodes).map(NodeId).filter(|_| relays.upstream);
        Self {
            edge: relays.edge.then(edge),
            upstream: nodes
                .flat_map(|node| (0..parts).map(move |part| upstream(node, part)))
                .collect(),
            spec: RelaySpec {
                exe,
                group,
                logs,
                seed: relays.seed,
            },
        }
    }

    /// Puts relays in front of the nodes' processes, if there are to be any.
    pub(super) async fn start_upstream(
        &self,
        nodes: Vec<SocketAddr>,
        exits: &Exits,
    ) -> Result<(), TopologyError> {
        let relays = self.upstream.iter().zip(nodes);
        try_join_all(relays.map(|((_, relay), node)| relay.start(&self.spec, node, exits))).await?;
        Ok(())
    }

    /// The same where nginx has been told already that they are.
    pub(super) async fn start_upstream_at(
        &self,
        listens: Vec<SocketAddr>,
        nodes: Vec<SocketAddr>,
        exits: &Exits,
    ) -> Result<(), TopologyError> {
        let relays = self.upstream.iter().zip(listens.into_iter().zip(nodes));
        let starts = relays
            .map(|((_, relay), (listen, node))| relay.start_at(&self.spec, listen, node, exits));
        try_join_all(starts).await?;
        Ok(())
    }

    /// Has a connection reached one of the relays in front of the nodes?
    pub(super) async fn is_upstream_reached(&self) -> bool {
        let asked = join_all(self.upstream.iter().map(|(_, relay)| relay.stats())).await;
        asked.into_iter().flatten().any(|stats| stats.accepted > 0)
    }

    /// What nginx connects to instead of the nodes.
    pub(super) fn upstream(&self) -> Option<Vec<SocketAddr>> {
        let addresses = self.upstream.iter().map(|(_, relay)| relay.address());
        (!self.upstream.is_empty()).then(|| addresses.collect())
    }

    /// Puts a relay in front of nginx, if there is to be one.
    pub(super) async fn start_edge(
        &self,
        nginx: SocketAddr,
        exits: &Exits,
    ) -> Result<(), TopologyError> {
        match &self.edge {
            Some(edge) => edge.start(&self.spec, nginx, exits).await,
            None => Ok(()),
        }
    }

    /// Where clients connect instead of nginx.
    pub(super) fn endpoint(&self) -> Option<SocketAddr> {
        self.edge.as_ref().map(Relay::address)
    }

    /// Gives an order to the relays of a link; returns the sum of their answers once every open tunnel follows it.
    ///
    /// # Errors
    /// There is no relay on that link, or one did not follow; then the others have all the same.
    pub async fn order(&self, link: Link<'_>, order: Order) -> Result<Answer, TopologyError> {
        let relays: Vec<&Relay> = match link {
            Link::Edge => self.edge.iter().collect(),
            Link::Upstream(nodes) => {
                let of_link = self.upstream.iter().filter(|(id, _)| nodes.contains(id));
                of_link.map(|(_, relay)| relay).collect()
            }
        };
        if relays.is_empty() {
            return Err(TopologyError::State {
                name: "the link".into(),
                state: "without a relay",
            });
        }
        let asked = relays.iter().map(|relay| relay.order(order));
        let mut sum = Answer::default();
        for answer in join_all(asked).await {
            let answer = answer?;
            sum.applied += answer.applied;
            sum.stats = sum.stats + answer.stats;
        }
        Ok(sum)
    }

    /// The counters of each relay that answers, by name.
    pub async fn stats(&self) -> Vec<(String, Stats)> {
        let asked = self.all().map(|relay| async {
            let stats = relay.stats().await?;
            Some((relay.name.clone(), stats))
        });
        join_all(asked).await.into_iter().flatten().collect()
    }

    /// Their end is no surprise from here on.
    pub(super) fn expect_end(&self) {
        self.all().for_each(Relay::expect_end);
    }

    /// Ends them; returns the names of those that had to be forced.
    pub(super) async fn stop(&self) -> Vec<String> {
        let stops = self
            .all()
            .map(|relay| async { relay.stop().await.then(|| relay.name.clone()) });
        join_all(stops).await.into_iter().flatten().collect()
    }

    fn all(&self) -> impl Iterator<Item = &Relay> {
        let upstream = self.upstream.iter().map(|(_, relay)| relay);
        self.edge.iter().chain(upstream)
    }
}
