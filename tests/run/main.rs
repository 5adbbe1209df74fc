//! Whole runs of the `wssoak` program: real nginx, real nodes, real sockets, shortened in time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod command;
mod directions;
mod effects;
mod ends;
mod faults;
mod links;
mod nodes;
mod play;
mod proxies;
mod scenarios;
mod shipped;
mod support;
mod thin;
