//! What the clients of a plan do, resolved for the shards. Pure.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::transport::Target;
use crate::plan::Plan;
use crate::plan::load::LoadProfile;
use crate::preflight::source_addresses;
use crate::scenario::Reconnect;
use crate::units::micros;

/// What all clients of a fleet do, resolved from the plan.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seed of the run.
    pub seed: u64,
    /// Where to.
    pub target: Target,
    /// Source addresses, used in turn by client number; empty: the system's choice.
    pub sources: Vec<Ipv4Addr>,
    /// Time for one attempt.
    pub handshake_timeout: Duration,
    /// What to do after a failed attempt or a lost session.
    pub reconnect: Reconnect,
    /// Time between two messages of a client, in µs.
    pub message_interval_us: Option<u64>,
    /// Bytes of a message.
    pub message_size: usize,
    /// Carry unechoed messages to the next session.
    pub resend: bool,
    /// Time between two pings of a client, in µs.
    pub ping_interval_us: Option<u64>,
    /// Time for a pong, in µs.
    pub pong_timeout_us: u64,
    /// Who is wanted when.
    pub load: LoadProfile,
    /// Number of nodes.
    pub nodes: u16,
}

impl Settings {
    /// The source address of a client.
    pub fn source(&self, client: u32) -> Option<Ipv4Addr> {
        let count = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        client
            .checked_rem(count)
            .and_then(|index| self.sources.get(index as usize).copied())
    }
}

/// What the fleet needs of a plan whose clients connect to `target`.
pub fn settings(plan: &Plan, target: SocketAddr) -> Settings {
    let scenario = &plan.scenario;
    Settings {
        seed: scenario.seed,
        target: Target {
            addr: target,
            host: target.to_string(),
            path: scenario.topology.path().into(),
        },
        // From 127.0.0.0/8 a container cannot be reached.
        sources: match target.ip().is_loopback() {
            true => source_addresses(scenario.most_clients()),
            false => Vec::new(),
        },
        handshake_timeout: scenario.clients.handshake_timeout,
        reconnect: scenario.reconnect,
        message_interval_us: scenario
            .traffic
            .from_clients
            .then(|| micros(scenario.traffic.interval).max(1)),
        message_size: scenario.traffic.size as usize,
        resend: scenario.traffic.resend,
        ping_interval_us: scenario
            .heartbeat
            .from_clients
            .then(|| micros(scenario.heartbeat.interval).max(1)),
        pong_timeout_us: micros(scenario.heartbeat.pong_timeout),
        load: plan.load.clone(),
        nodes: scenario.topology.nodes,
    }
}
