//! Can this machine hold the run? Needs against host facts, before anything is dialled.
//!
//! [`check`] is pure; [`HostFacts::read`] looks. Each finding says what is needed, what there is, and the command that
//! gives it. Only what surely fails refuses the run; what fails in the worst case only is a warning.

use std::net::Ipv4Addr;

use crate::topology::nginx::sizing::Sizing;
use crate::units::show_count;

mod host;

pub use host::HostFacts;

/// Descriptors of the harness beyond clients: pipes, logs, results, polls.
const HARNESS_FILES: u64 = 128;
/// Descriptors of a node beyond sessions.
const NODE_FILES: u64 = 64;
/// Memory of one connected client over client, nginx, node and the kernel's four sockets, in bytes. An estimate, on the
/// safe side: user space takes about 6 + 12 + 10 KiB, the kernel about 4 × 4 KiB when idle.
const CLIENT_MEMORY: u64 = 48 << 10;
/// Memory of the processes themselves, in bytes.
const BASE_MEMORY: u64 = 128 << 20;
/// Clients behind one source address: far below the 28,232 ephemeral ports that Linux offers by default.
const CLIENTS_PER_ADDRESS: u32 = 5_000;
/// Source addresses wanted even for few clients, so that `ip_hash`, which looks at /24 networks, can spread them.
const NETWORKS: u32 = 64;
/// Leaves room below for listeners, which the topology puts outside this range.
const WIDER_RANGE: &str = "sysctl -w net.ipv4.ip_local_port_range=\"16384 65535\"";

/// What a run takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The most clients at any time, at least 1.
    pub clients: u32,
    /// Processes that the fleet is spread over, at least 1.
    pub agents: u32,
    /// Processes of each node, at least 1.
    pub node_parts: u32,
    /// Nodes, at least 1; 0 when the target is not ours to size.
    pub nodes: u16,
    /// Links that lead through a relay, of the edge and the upstream ones together.
    pub relays: u32,
    /// Workers of the bundled nginx; `None` when the target is not ours to size.
    pub nginx: Option<Sizing>,
}

/// What can run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Descriptors of the harness.
    HarnessFiles,
    /// Descriptors of one node.
    NodeFiles,
    /// Connections of nginx's workers.
    ProxyConnections,
    /// Descriptors of the whole system.
    SystemFiles,
    /// Memory.
    Memory,
    /// Ephemeral ports from the clients' addresses to nginx.
    ClientPorts,
    /// Ephemeral ports from nginx to one node.
    NodePorts,
}

/// Something that is or may become too small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub resource: Resource,
    /// Surely too small: refuse the run. Otherwise it may become too small in the worst case.
    pub is_fatal: bool,
    /// How much is needed, in the resource's own unit.
    pub needed: u64,
    /// How much there is.
    pub available: u64,
    /// Both, in a sentence.
    pub sentence: String,
    /// What gives more.
    pub command: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.sentence, self.command)
    }
}

/// Everything that is too small, fatal findings first.
pub fn check(needs: &Needs, facts: &HostFacts) -> Vec<Finding> {
    let mut findings: Vec<Finding> = [
        harness_files(needs, facts),
        node_files(needs, facts),
        proxy_connections(needs, facts),
        system_files(needs, facts),
        memory(needs, facts),
        client_ports(needs, facts),
        node_ports(needs, facts),
    ]
    .into_iter()
    .flatten()
    .collect();
    findings.sort_by_key(|finding| !finding.is_fatal);
    findings
}

/// Addresses in 127.0.0.0/8 for the clients to connect from, each in a /24 of its own and none in 127.0.0.0/24. Client
/// `i` takes number `i` modulo the length: at most 5,000 clients share one.
pub fn source_addresses(clients: u32) -> Vec<Ipv4Addr> {
    let needed = clients.div_ceil(CLIENTS_PER_ADDRESS);
    let count = needed.max(NETWORKS.min(clients)).clamp(1, 255 * 256);
    (0..count)
        .map(|i| {
            let [.., second, third] = (i + 256).to_be_bytes();
            Ipv4Addr::new(127, second, third, 1)
        })
        .collect()
}

fn harness_files(needs: &Needs, facts: &HostFacts) -> Option<Finding> {
    let needed = u64::from(needs.clients.div_ceil(needs.agents.max(1))) + HARNESS_FILES;
    let available = facts.open_files;
    (needed > available).then(|| Finding {
        resource: Resource::HarnessFiles,
        is_fatal: true,
        needed,
        available,
        sentence: format!(
            "{} clients in {} need {} file descriptors a process, and the hard limit is {}",
            show_count(needs.clients.into()),
            if needs.agents == 1 {
                "one process".to_owned()
            } else {
                format!("{} agents", needs.agents)
            },
            show_count(needed),
            show_count(available)
        ),
        command: format!(
            "{}, or let the fleet have more processes with --agents",
            raise(needed)
        ),
    })
}

fn node_files(needs: &Needs, facts: &HostFacts) -> Option<Finding> {
    if needs.nodes == 0 {
        return None;
    }
    let available = facts.open_files;
    let parts = needs.node_parts.max(1);
    let even = u64::from(needs.clients.div_ceil(u32::from(needs.nodes) * parts)) + NODE_FILES;
    let worst = u64::from(needs.clients.div_ceil(parts)) + NODE_FILES;
    (worst > available).then(|| Finding {
        resource: Resource::NodeFiles,
        is_fatal: even > available,
        needed: worst,
        available,
        sentence: format!(
            "a node that gets all {} clients needs {} file descriptors a process, and the hard limit is {}",
            show_count(needs.clients.into()),
            show_count(worst),
            show_count(available)
        ),
        command: raise(worst),
    })
}

fn proxy_connections(needs: &Needs, facts: &HostFacts) -> Option<Finding> {
    let nginx = needs.nginx?;
    let clients = u64::from(needs.clients);
    let one = nginx.tunnels_per_worker();
    if one >= clients {
        return None;
    }
    let limited = u64::from(nginx.worker_connections) + 64 >= facts.open_files;
    // Too few connections by the scenario's own choice are an experiment, not a mistake.
    let is_fatal = nginx.tunnels() < clients && limited;
    let wanted = clients * 2 + 512;
    Some(Finding {
        resource: Resource::ProxyConnections,
        is_fatal,
        needed: clients,
        available: if is_fatal { nginx.tunnels() } else { one },
        sentence: format!(
            "{} clients need as many tunnels, and nginx's {} workers hold {} each (two connections and two descriptors a \
             tunnel); workers do not share evenly",
            show_count(clients),
            nginx.worker_processes,
            show_count(one)
        ),
        command: if limited {
            raise(wanted + 64)
        } else {
            format!("set topology.nginx.worker_connections to {wanted}, or leave it out")
        },
    })
}

fn system_files(needs: &Needs, facts: &HostFacts) -> Option<Finding> {
    // Four sockets a client: its own, two of nginx, one of the node; and two of each relay in its way.
    let sockets = if needs.nginx.is_some() { 4 } else { 1 } + 2 * u64::from(needs.relays);
    let needed = u64::from(needs.clients) * sockets + 1_024;
    let available = facts.system_files?;
    (needed > available).then(|| Finding {
        resource: Resource::SystemFiles,
        is_fatal: true,
        needed,
        available,
        sentence: format!(
            "the run needs {} open files in the whole system, and {} are left",
            show_count(needed),
            show_count(available)
        ),
        command: format!("run `sysctl -w fs.file-max={}`", needed * 2),
    })
}

fn memory(needs: &Needs, facts: &HostFacts) -> Option<Finding> {
    let workers = needs.nginx.map_or(0, |nginx| {
        // nginx allocates connections and events of every worker at its start, about 430 bytes each.
        u64::from(nginx.worker_processes) * u64::from(nginx.worker_connections) * 430
    });
    let needed = BASE_MEMORY + u64::from(needs.clients) * CLIENT_MEMORY + workers;
    let available = facts.memory?;
    let mebi = |bytes: u64| show_count(bytes >> 20);
    (needed > available).then(|| Finding {
        resource: Resource::Memory,
        // An estimate on the safe side refuses only what is far off.
        is_fatal: needed / 2 > available,
        needed,
        available,
        sentence: format!(
            "{} clients take about {} MiB of memory, and {} MiB are available",
            show_count(needs.clients.into()),
            mebi(needed),
            mebi(available)
        ),
        command: "free memory, or lower the client count with --clients".into(),
    })
}

fn client_ports(needs: &Needs, facts: &HostFacts) -> Option<Finding> {
    let addresses = source_addresses(needs.clients).len();
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX).max(1);
    let needed = u64::from(needs.clients.div_ceil(addresses));
    let available = facts.ports();
    (needed > available).then(|| Finding {
        resource: Resource::ClientPorts,
        is_fatal: true,
        needed,
        available,
        sentence: format!(
            "{} clients on {addresses} source addresses need {} ephemeral ports each, and the range has {}",
            show_count(needs.clients.into()),
            show_count(needed),
            show_count(available)
        ),
        command: format!("run `{WIDER_RANGE}`"),
    })
}

fn node_ports(needs: &Needs, facts: &HostFacts) -> Option<Finding> {
    if needs.nodes == 0 || needs.nginx.is_none() {
        return None;
    }
    let parts = needs.node_parts.max(1);
    let even = u64::from(needs.clients.div_ceil(u32::from(needs.nodes) * parts));
    let worst = u64::from(needs.clients.div_ceil(parts));
    let available = facts.ports();
    (worst > available).then(|| Finding {
        resource: Resource::NodePorts,
        is_fatal: even > available,
        needed: worst,
        available,
        sentence: format!(
            "nginx needs {} ephemeral ports to a node that gets all clients ({} when they spread evenly), and the range \
             has {}",
            show_count(worst),
            show_count(even),
            show_count(available)
        ),
        command: format!("run `{WIDER_RANGE}`, or use more nodes"),
    })
}

fn raise(needed: u64) -> String {
    format!(
        "run `ulimit -n {needed}` before wssoak (as root, or after raising the hard limit in /etc/security/limits.conf)"
    )
}

#[cfg(test)]
#[path = "preflight/tests.rs"]
mod tests;
