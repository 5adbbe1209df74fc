//! wssoak: chaos and soak harness for WebSocket services behind reverse proxies.
//!
//! ARCHITECTURE.md is the map. Data flows one way: scenario → plan → topology + fleet + faults → recorder → analysis →
//! verdict → reports.

pub mod analyze;
pub mod cause;
pub mod cli;
pub mod client;
pub mod error;
pub mod fault;
pub mod http1;
pub mod node;
pub mod plan;
pub mod preflight;
pub mod progress;
pub mod record;
pub mod relay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod topology;
pub mod units;
pub mod verdict;
pub mod wire;
