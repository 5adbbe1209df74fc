//! The node over real sockets: what it accepts, says, keeps and counts.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows tests by their attribute and takes the helpers for product code"
)]

mod behaviour;
mod handshake;
mod heartbeat;
mod process;
mod session;
mod support;
