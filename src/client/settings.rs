//! What the clients of a plan do, resolved for the shards. Pure.

use std::net::SocketAddr;

use super::shard::Settings;
use super::transport::Target;
use crate::plan::Plan;
use crate::preflight::source_addresses;
use crate::units::micros;

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
