//! The fleet: clients, the shards they live on, and the way one connects.
//!
//! [`transport`] makes one attempt, [`session`] lives through one session, [`life`] strings attempts and sessions
//! together by the reconnect policy, [`shard`] runs many lives on one thread, [`fleet`] starts the shards and talks to
//! them. [`agent`] is a part of the fleet in a process of its own, [`remote`] the controller's end of it, [`message`] what
//! they say. [`schedule`] and [`classify`] are pure.

pub mod agent;
pub mod classify;
pub mod fleet;
pub mod life;
pub mod message;
pub mod remote;
pub mod roll;
pub mod schedule;
pub mod session;
pub mod settings;
pub mod shard;
pub mod transport;
