//! What goes wrong on purpose, and to whom: the types of `[[faults]]`.
//!
//! Pure. A kind belongs to a family (nodes, proxies, links, clients), which is how it is read, made, healed and shown.

use std::time::Duration;

use super::{Nginx, NodeId};
use crate::relay::order::Way;

/// Index into [`super::Scenario::faults`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct FaultId(pub u16);

/// Something that goes wrong on purpose, once or repeatedly.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Unique name, for objectives and reports.
    pub name: String,
    /// What happens.
    pub kind: FaultKind,
    /// When it begins for the first time, at the earliest.
    pub at: Duration,
    /// How much later each time may begin: less than this, drawn from the seed. Zero: it begins when it is due.
    pub spread: Duration,
    /// How long it lasts, on each node of a rolling one; zero for a mere moment.
    pub lasts: Duration,
    /// To whom.
    pub target: Target,
    /// Rolling: one node after the other, with this much time between them.
    pub pause: Option<Duration>,
    /// From one beginning to the next, before either is drawn.
    pub every: Duration,
    /// How often it happens, at least once.
    pub times: u16,
}

/// To whom a fault is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// There is but one of what it is done to: the proxy, the fleet.
    Whole,
    /// These nodes, in order.
    Named(Vec<NodeId>),
    /// So many nodes, drawn from the seed.
    Drawn(u16),
}

impl Target {
    /// How many nodes.
    pub fn width(&self) -> u16 {
        match self {
            Self::Whole => 0,
            Self::Named(nodes) => u16::try_from(nodes.len()).unwrap_or(u16::MAX),
            Self::Drawn(count) => *count,
        }
    }
}

/// The kinds of fault, by family.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// Done by the clients.
    Client(ClientFault),
    /// Done to nodes.
    Node(NodeFault),
    /// Done to the proxy.
    Proxy(ProxyFault),
    /// Done to a link.
    Link(LinkFault),
}

/// What clients do.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientFault {
    /// Clients and nodes fall silent; `keep_heartbeat` leaves pings on. Reconnects go on.
    IdleGap {
        /// Pings continue.
        keep_heartbeat: bool,
    },
    /// A share of the fleet drops its sessions at once, without a close frame, and reconnects.
    MassDisconnect {
        /// Of all clients.
        share: f64,
        /// How it looks to the proxy.
        how: Cut,
    },
    /// A share of the fleet loses its sessions without a FIN and reconnects; the old sockets stay until the end.
    Vanish {
        /// Of all clients.
        share: f64,
    },
    /// A share of the fleet reads nothing.
    SlowReader {
        /// Of all clients.
        share: f64,
    },
    /// More clients are wanted.
    Surge {
        /// How many more.
        clients: u32,
    },
}

/// How a client cuts its own session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// RST.
    Rst,
    /// FIN.
    Fin,
}

/// What is done to a link by the relay in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFault {
    /// Where.
    pub link: Link,
    /// What.
    pub trouble: Trouble,
}

/// A link that a relay can stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Clients to the proxy.
    Edge,
    /// The proxy to the target nodes.
    Upstream,
}

/// The troubles of a link. The client is who connects, the server who is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing comes through, not even an end.
    Blackhole(Way),
    /// Every open tunnel ends with a RST.
    Reset(Way),
    /// Every open tunnel gets a FIN.
    HalfClose(Way),
    /// Bytes come late.
    Latency {
        /// Those that go this way.
        way: Way,
        /// By this much.
        delay: Duration,
        /// And up to this much more or less.
        jitter: Duration,
    },
    /// Bytes come slowly.
    Bandwidth {
        /// Those that go this way.
        way: Way,
        /// Bytes per second of each tunnel.
        rate: u64,
    },
    /// Bytes come in small pieces.
    Slice {
        /// Those that go this way.
        way: Way,
        /// Most bytes of one write.
        size: u32,
        /// Pause after each.
        gap: Duration,
    },
    /// Nobody takes new connections.
    Refuse,
}

/// What is done to nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeFault {
    /// SIGKILL; started again at the end.
    Kill,
    /// Closes its connections and ends (SIGTERM); started again at the end.
    Stop(Goodbye),
    /// Stopped as if the machine hung (SIGSTOP); goes on at the end (SIGCONT).
    Pause,
    /// Closes its connections, ends, and is started again at once.
    Restart(Goodbye),
    /// Answers upgrades with 503.
    RefuseUpgrades {
        /// Seconds in a header `Retry-After`.
        retry_after_s: Option<u32>,
    },
    /// Holds every 101 back.
    SlowHandshake {
        /// How long.
        delay: Duration,
    },
    /// Reads nothing from its WebSocket connections.
    StopReading,
    /// Leaves pings unanswered.
    NoPong,
}

/// How a node says goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goodbye {
    /// The code of its close frames.
    pub code: u16,
    /// Time to end, after which it is killed.
    pub grace: Duration,
}

/// What is done to the proxy.
#[derive(Debug, Clone, PartialEq)]
pub enum ProxyFault {
    /// Stopped (fast shutdown, SIGTERM) and started again at the end.
    Restart,
    /// Re-reads its configuration (SIGHUP).
    Reload,
    /// Told to shut down gracefully (SIGQUIT): takes no new connections and lingers for the sake of its tunnels. At the
    /// end what lingers is killed, and it is started again.
    Quit,
    /// SIGKILL to master and workers; started again at the end.
    Kill,
    /// SIGKILL to the worker with the most tunnels; the master starts another.
    KillWorker,
    /// The worker with the most tunnels is stopped (SIGSTOP); goes on at the end.
    PauseWorker,
    /// Reloaded with other settings, and with those of the scenario at the end.
    Reconfigure(Box<Nginx>),
    /// Reloaded with few connections per worker, and with those of the scenario at the end.
    ExhaustConnections {
        /// So many, both sides of a tunnel counted.
        worker_connections: u32,
    },
}

/// What a fault holds while it is on. Two faults cannot hold the same at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// What the fleet says.
    Fleet,
    /// Its target nodes.
    Nodes,
    /// The proxy.
    Proxy,
    /// The link between clients and proxy.
    Edge,
    /// The links between proxy and nodes, all of them.
    Upstream,
}

impl NodeFault {
    /// Does it take the process of a node away, which comes back later?
    pub const fn takes_away(&self) -> bool {
        matches!(self, Self::Kill | Self::Stop(_) | Self::Restart(_))
    }
}

impl FaultKind {
    /// The word for it in scenarios and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Client(ClientFault::IdleGap { .. }) => "idle-gap",
            Self::Client(ClientFault::MassDisconnect { .. }) => "mass-disconnect",
            Self::Client(ClientFault::Vanish { .. }) => "vanish",
            Self::Client(ClientFault::SlowReader { .. }) => "slow-reader",
            Self::Client(ClientFault::Surge { .. }) => "surge",
            Self::Link(LinkFault { trouble, .. }) => trouble.name(),
            Self::Node(NodeFault::Kill) => "kill-node",
            Self::Node(NodeFault::Stop(_)) => "stop-node",
            Self::Node(NodeFault::Pause) => "pause-node",
            Self::Node(NodeFault::Restart(_)) => "restart-node",
            Self::Node(NodeFault::RefuseUpgrades { .. }) => "refuse-upgrades",
            Self::Node(NodeFault::SlowHandshake { .. }) => "slow-handshake",
            Self::Node(NodeFault::StopReading) => "stop-reading",
            Self::Node(NodeFault::NoPong) => "no-pong",
            Self::Proxy(ProxyFault::Restart) => "restart-proxy",
            Self::Proxy(ProxyFault::Reload) => "reload-proxy",
            Self::Proxy(ProxyFault::Quit) => "quit-proxy",
            Self::Proxy(ProxyFault::Kill) => "kill-proxy",
            Self::Proxy(ProxyFault::KillWorker) => "kill-worker",
            Self::Proxy(ProxyFault::PauseWorker) => "pause-worker",
            Self::Proxy(ProxyFault::Reconfigure(_)) => "reconfigure-proxy",
            Self::Proxy(ProxyFault::ExhaustConnections { .. }) => "exhaust-connections",
        }
    }

    /// What it holds while it is on.
    pub const fn hold(&self) -> Hold {
        match self {
            Self::Client(_) => Hold::Fleet,
            Self::Node(_) => Hold::Nodes,
            Self::Proxy(_) => Hold::Proxy,
            Self::Link(LinkFault { link, .. }) => match link {
                Link::Edge => Hold::Edge,
                Link::Upstream => Hold::Upstream,
            },
        }
    }

    /// Clients that are wanted beyond the regular ones while it is on.
    pub const fn extra_clients(&self) -> u32 {
        match self {
            Self::Client(ClientFault::Surge { clients }) => *clients,
            _ => 0,
        }
    }
}

impl FaultKind {
    /// Share of the fleet whose tunnels stay while their clients have others.
    pub const fn left_behind(&self) -> f64 {
        match self {
            Self::Client(ClientFault::Vanish { share }) => *share,
            _ => 0.0,
        }
    }
}

impl Trouble {
    /// The word for it in scenarios and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Blackhole(_) => "blackhole",
            Self::Reset(_) => "reset-link",
            Self::HalfClose(_) => "half-close",
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Slice { .. } => "slice",
            Self::Refuse => "refuse-link",
        }
    }
}

impl Fault {
    /// From a beginning to its end, all nodes of a rolling fault together.
    pub fn length(&self) -> Duration {
        match (self.pause, u32::from(self.target.width())) {
            (Some(pause), width @ 2..) => self.lasts * width + pause * (width - 1),
            _ => self.lasts,
        }
    }

    /// From the earliest beginning of one time to its latest end.
    pub fn room(&self) -> Duration {
        self.spread + self.length()
    }

    /// Each time that it happens, from its earliest beginning to its latest end: when it may be on, whatever is drawn.
    pub fn windows(&self) -> impl Iterator<Item = (Duration, Duration)> {
        (0..u32::from(self.times)).map(|time| {
            let begin = self.at + self.every * time;
            (begin, begin + self.room())
        })
    }

    /// When it is over for the last time, at the latest.
    pub fn until(&self) -> Duration {
        let last = u32::from(self.times.saturating_sub(1));
        self.at + self.every * last + self.room()
    }
}

/// Are two windows on at the same time? A window without length is a moment.
pub fn overlap(one: (Duration, Duration), other: (Duration, Duration)) -> bool {
    one.0 == other.0 || (one.0 < other.1 && other.0 < one.1)
}
