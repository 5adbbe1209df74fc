//! What a run brings up: nginx and nodes as child processes, and the warden that outlives the harness.
//!
//! [`Bundled`] is the whole of it. Processes live in one process group whose leader is the warden; see [`warden`].
//! This module knows nothing of faults, phases or measurement: it does what it is told and says when it is done.
//!
//! Invariant: processes are started from the main thread, on a current-thread runtime. The parent-death signal, the
//! second line of defence, fires when the *thread* that forked ends, not the process.

pub mod group;
pub mod http;
pub mod limits;
pub mod nginx;
pub mod ports;
pub mod tether;
pub mod warden;

mod bundled;
mod error;
mod links;
mod lives;
mod node;
mod process;
mod proxy;
mod relay;
mod setup;

pub use bundled::{Bundled, BundledSpec, Teardown, Up};
pub use error::TopologyError;
pub use links::{Link, Links, Relays};
pub use lives::{Incarnation, ProxySample, ReloadSeen, WorkerSeen};
pub use nginx::binary::{NginxBinary, Origin};
pub use nginx::status::StubStatus;
pub use node::node_parts;
pub use process::Exit;
