//! What the fleet records: counters, histograms and outages, second by second.
//!
//! [`interval`] is pure data with merge laws, [`shard`] fills it on a shard's thread without locks, [`folder`] puts it
//! on disk and reads it back, [`generator`] watches the harness itself.

pub mod access;
pub mod collector;
pub mod containers;
pub mod folder;
pub mod generator;
pub mod history;
pub mod hlog;
pub mod interval;
pub mod lines;
pub mod named;
pub mod outage;
pub mod shard;
pub mod times;
