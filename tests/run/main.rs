//! Whole runs of the `wssoak` program: real nginx, real nodes, real sockets, shortened in time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod abort;
mod command;
mod directions;
mod effects;
mod ends;
mod everything;
mod faults;
mod kinds;
mod left;
mod links;
mod moments;
mod nodes;
mod orphans;
mod play;
mod proxies;
mod reconnect;
mod scenarios;
mod shipped;
mod support;
mod thin;
