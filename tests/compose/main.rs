//! Whole runs against containers: a real engine, a real compose tool, stand-in images (`tests/stand-ins.sh`). Where no
//! engine answers they are skipped, and say so.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod ends;
mod errors;
mod faults;
mod hands;
#[path = "../run/kinds.rs"]
mod kinds;
#[path = "../run/left.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of the bundled topology, which need more of it"
)]
mod left;
mod links;
mod moments;
mod runs;
mod stand;
#[path = "../run/support.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of the bundled topology, which need more of it"
)]
mod support;
