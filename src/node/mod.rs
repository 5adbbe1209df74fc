//! `wssoak node`: the reference WebSocket server that runs are made against.
//!
//! One process, one thread, one listener. It echoes, keeps sessions in memory, pushes and pings, and counts. Knows
//! nothing of the harness but [`crate::wire`]. Wherever state is shared, it is shared by `Rc` on that thread and never
//! borrowed across an await.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

mod connection;
mod http;
mod ledger;
mod process;
mod server;
mod session;
mod socket;
mod state;
mod upgrade;

pub use process::run;
pub use server::serve;

/// What a node is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOptions {
    /// Its name, such as `n1`: letters, digits and `-`.
    pub name: String,
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// File for [`crate::wire::Ledger`], emptied at the start: each incarnation needs its own, or to be read before.
    pub ledger: Option<PathBuf>,
    /// Process that must be the parent; when that ends, the node is killed.
    pub parent: Option<u32>,
    /// Messages on the node's own account.
    pub push: Option<Push>,
    /// Pings on the node's own account.
    pub ping: Option<Ping>,
    /// How long a session without a connection is kept.
    pub session_ttl: Duration,
}

/// Messages that a node sends unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push {
    /// Time between two on one connection; more than zero.
    pub interval: Duration,
    /// Bytes of one; fewer than [`crate::wire::Frame::SIZE`] are rounded up to it. At most
    /// [`crate::client::transport::MAX_MESSAGE`].
    pub size: u32,
}

/// Pings that a node sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Time between two on one connection; more than zero. None is sent while one is unanswered.
    pub interval: Duration,
    /// Time for the pong, after which the connection is dropped without a close frame.
    pub pong_timeout: Duration,
}

/// Why a node could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address is taken, or not of this host.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The ledger cannot be created.
    #[error("cannot create the ledger {}", path.display())]
    Ledger {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The process that started the node has ended already.
    #[error("process {expected} is not the parent (any more)")]
    Orphaned {
        /// The parent that was to be.
        expected: u32,
    },
    /// Runtime, signals, limits or standard output.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}
