//! What a run brings up: nginx and nodes as child processes, and the warden that outlives the harness.
//!
//! [`Bundled`] runs them as processes on loopback, [`Compose`] in containers; [`Topology`] is either. Processes live in
//! one process group whose leader is the warden; see [`warden`]. What else has to be undone is in the [`journal`].
//! This module knows nothing of faults, phases or measurement: it does what it is told and says when it is done.
//!
//! Invariant: processes are started from the main thread, on a current-thread runtime. The parent-death signal, the
//! second line of defence, fires when the *thread* that forked ends, not the process.

pub mod compose;
pub mod group;
pub mod http;
pub mod journal;
pub mod limits;
pub mod nginx;
pub mod ports;
pub mod tether;
pub mod warden;

mod bundled;
mod counters;
mod either;
mod error;
mod links;
mod lives;
mod node;
mod process;
mod proxy;
mod relay;
mod setup;

pub use bundled::{Bundled, BundledSpec, Teardown, Up};
pub use compose::error::ComposeError;
pub use compose::{Compose, ComposeSpec};
pub use either::{Spec, Topology};
pub use error::TopologyError;
pub use links::{Link, Links, Relays};
pub use lives::{Incarnation, ProxySample, ReloadSeen, WorkerSeen};
pub use nginx::binary::{NginxBinary, Origin};
pub use nginx::status::StubStatus;
pub use node::node_parts;
pub use process::Exit;
