//! Whole runs of the `wssoak` program: real nginx, real nodes, real sockets, shortened in time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod abort;
mod command;
mod ends;
mod everything;
mod faults;
mod kinds;
mod left;
mod links;
mod moments;
mod orphans;
mod reconnect;
mod scenarios;
mod support;
mod thin;
