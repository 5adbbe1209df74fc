//! The scenario: everything one test says, validated. No serde, no positions, no optional soup.
//!
//! Pure. [`load()`] is the only way from text to a [`Scenario`]; what it returns needs no further
//! checks. Times are offsets from the start of the run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub mod abort;
pub mod fault;
mod grammar;
mod kind;
mod load;
pub mod measure;
mod nearest;
pub mod objective;
mod overrides;
mod problem;
mod reader;
mod section;
mod tree;

pub use abort::{AbortCondition, Live};
pub use fault::{
    ClientFault, Cut, Fault, FaultId, FaultKind, Goodbye, Hold, Link, LinkFault, NodeFault,
    ProxyFault, Target, Trouble,
};
pub use load::load;
pub use measure::Measure;
pub use objective::{Comparison, Objective, Scope};
pub use overrides::Override;
pub use problem::Problems;

/// One whole test.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Names the result folder: letters, digits, `-` and `_`.
    pub name: String,
    /// One line for `plan` and reports; may be empty.
    pub description: String,
    /// Every random choice of a run comes from it.
    pub seed: u64,
    /// From the start of the ramp to the start of the drain.
    pub duration: Duration,
    /// What is brought up.
    pub topology: Topology,
    /// Who connects.
    pub clients: Clients,
    /// What is said.
    pub traffic: Traffic,
    /// What keeps tunnels alive and finds dead ones.
    pub heartbeat: Heartbeat,
    /// What a client does after a failed attempt or a lost session.
    pub reconnect: Reconnect,
    /// What is kept on disk.
    pub record: Record,
    /// Named stretches of the run that cover it without gaps; at least one; the first starts at zero.
    pub phases: Vec<Phase>,
    /// What goes wrong, in order of `at`.
    pub faults: Vec<Fault>,
    /// What must hold.
    pub objectives: Vec<Objective>,
    /// What ends the run before its time.
    pub abort_when: Vec<AbortCondition>,
    /// The dotted keys that were stated (`clients.count`, `faults.kill-n2.at`); all other values are defaults.
    pub given: BTreeMap<String, Given>,
}

/// Who stated a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// The scenario file.
    File,
    /// A flag or an environment variable: its text, such as `--clients 8000`.
    Override(String),
}

/// What a run brings up.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// Number of nodes, named `n1`, `n2`, …; at least 1.
    pub nodes: u16,
    /// How long a node keeps a session that has no connection, for resumption.
    pub session_ttl: Duration,
    /// The proxy in front of them.
    pub nginx: Nginx,
    /// The containers to bring up; `None`: nginx and nodes as processes of this machine, the bundled topology.
    pub compose: Option<Compose>,
}

impl Topology {
    /// Path of the WebSocket.
    pub fn path(&self) -> &str {
        match &self.compose {
            Some(compose) => &compose.path,
            None => crate::wire::WS_PATH,
        }
    }
}

/// Where nginx and the nodes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As processes on loopback.
    Bundled,
    /// In containers that docker-compose brings up.
    Compose,
}

/// Which services of a compose file are what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// The file; `None`: `docker-compose.yml` in the current folder.
    pub file: Option<PathBuf>,
    /// Proxies, outermost first: clients connect to the first, faults hit the last. At least one.
    pub proxies: Vec<String>,
    /// Nodes: the first is `n1` in faults and reports. As many as [`Topology::nodes`].
    pub nodes: Vec<String>,
    /// Where the first proxy takes WebSockets.
    pub port: u16,
    /// Where a node listens.
    pub node_port: u16,
    /// Where the last proxy has nginx's `stub_status`, at the path `/`.
    pub status_port: Option<u16>,
    /// Path of the WebSocket.
    pub path: String,
}

/// nginx's settings. Names and defaults are those of the rendered configuration, not nginx's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Nginx {
    /// Another binary than the embedded one.
    pub binary: Option<PathBuf>,
    /// The user's own configuration, used as a template.
    pub template: Option<PathBuf>,
    /// Which node a new connection goes to.
    pub balance: Balance,
    /// Failed handshakes before a node is set aside; 0 never does.
    pub max_fails: u32,
    /// The window for `max_fails`, and how long the node is set aside.
    pub fail_timeout: Duration,
    /// Time to reach a node.
    pub proxy_connect_timeout: Duration,
    /// Time without progress of a write to a node.
    pub proxy_send_timeout: Duration,
    /// Before the 101: time to wait for the answer. After: silence in both directions that ends a tunnel.
    pub proxy_read_timeout: Duration,
    /// `1.0` or `1.1`.
    pub proxy_http_version: HttpVersion,
    /// Forward `Upgrade` and `Connection` to the node (two `proxy_set_header`).
    pub upgrade_headers: bool,
    /// Number of workers; `None`: from the client count and the processors.
    pub worker_processes: Option<u32>,
    /// Connections per worker; `None`: from the client count.
    pub worker_connections: Option<u32>,
    /// How long an old worker may drain after a reload; `None`: forever, as nginx does by default.
    pub worker_shutdown_timeout: Option<Duration>,
}

/// nginx's balancing method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// nginx's default.
    RoundRobin,
    /// Fewest open connections.
    LeastConn,
    /// By the client's address (first three octets of IPv4).
    IpHash,
    /// Consistent hash of the `client` query argument: the same client, the same node.
    HashClient,
}

/// HTTP version towards the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpVersion {
    /// `1.0`, nginx's default before 1.29.7; a strict node refuses to upgrade.
    V10,
    /// `1.1`.
    V11,
}

/// The fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Clients {
    /// How many, at least 1.
    pub count: u32,
    /// Time from the first to the last client's first attempt, evenly spread.
    pub ramp: Duration,
    /// Time for connect and upgrade of one attempt.
    pub handshake_timeout: Duration,
}

/// What clients and nodes say.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// Clients send requests that nodes echo.
    pub from_clients: bool,
    /// Nodes push messages on their own account.
    pub from_nodes: bool,
    /// Time between two messages of one sender on one session.
    pub interval: Duration,
    /// Bytes of one message, head included; at least [`crate::wire::Frame::SIZE`].
    pub size: u32,
    /// After a reconnect, send again what was not echoed (at-least-once) instead of counting it lost.
    pub resend: bool,
}

/// WebSocket pings.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Clients ping.
    pub from_clients: bool,
    /// Nodes ping.
    pub from_nodes: bool,
    /// Time between two pings of one sender on one session.
    pub interval: Duration,
    /// Time for the pong, after which the sender gives the connection up.
    pub pong_timeout: Duration,
}

/// Reconnect policy. A successful upgrade starts it anew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reconnect {
    /// How the delay grows.
    pub policy: Policy,
    /// How the delay is spread.
    pub jitter: Jitter,
    /// The first delay.
    pub base: Duration,
    /// The longest delay.
    pub cap: Duration,
    /// Attempts in a row before the client gives up for good; `None`: never.
    pub attempts: Option<u32>,
    /// After a 429 or 503 with a `Retry-After` in seconds, that time comes before the delay.
    pub retry_after: bool,
}

/// How the reconnect delay grows with failed attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Never reconnect.
    None,
    /// Always `base`.
    Constant,
    /// `base`·2ⁿ, at most `cap`.
    Exponential,
}

/// How the reconnect delay `v` is spread (Brooker, "Exponential Backoff And Jitter", AWS 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jitter {
    /// `v`.
    None,
    /// Uniform in [0, v).
    Full,
    /// Uniform in [v/2, v).
    Equal,
    /// Uniform in [base, 3·previous), at most `cap`; growth comes from the previous delay, not from the policy.
    Decorrelated,
}

/// What is kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Bytes that the second-by-second record may take before its older half is thinned. The totals never are.
    pub detail: u32,
}

/// A named stretch of the run. It ends where the next one starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Unique name.
    pub name: String,
    /// Where it starts.
    pub from: Duration,
    /// Clients wanted at its end, reached linearly through the phase; `None`: as many as before.
    pub clients: Option<u32>,
}

/// Index of a node: 0 is `n1`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct NodeId(pub u16);

impl std::fmt::Display for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "n{}", u32::from(self.0) + 1)
    }
}

impl Scenario {
    /// The most clients wanted at any time.
    pub fn most_clients(&self) -> u32 {
        let regular = self.phases.iter().filter_map(|phase| phase.clients);
        let extra = self.faults.iter().map(|fault| fault.kind.extra_clients());
        regular
            .fold(self.clients.count, u32::max)
            .saturating_add(extra.sum())
    }

    /// The most tunnels at any time: clients that vanish leave theirs behind and come back with another.
    pub fn most_tunnels(&self) -> u32 {
        let left_behind = self.faults.iter().map(|fault| fault.kind.left_behind());
        let share = left_behind.fold(0.0, f64::max);
        // A float to integer cast saturates.
        (f64::from(self.most_clients()) * (1.0 + share)).ceil() as u32
    }
}
