//! CPU per message (due, sent, echoed, sequence checked, recorded): the fleet against a bare echo loop with the same pace.

use std::time::Duration;

use tokio::time::Instant;
use wssoak::client::fleet::{Fleet, Share};

use crate::bare;
use crate::node::Node;
use crate::support::{cpu, median, settings};

const CLIENTS: u32 = 1_000;
const EACH: u32 = 20;
const INTERVAL: Duration = Duration::from_millis(100);
const ROUNDS: usize = 5;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let bare = runtime.block_on(bare_round());
        let fleet = runtime.block_on(fleet_round());
        ratios.push(fleet / bare);
        ours.push(fleet);
        theirs.push(bare);
    }
    println!(
        "  cpu per message and echo: fleet {:.2} µs, bare loop {:.2} µs, ratio {:.2} (bound 1.5; medians of {ROUNDS} rounds, {CLIENTS} clients, {} messages a second)",
        median(ours),
        median(theirs),
        median(ratios),
        f64::from(CLIENTS) / INTERVAL.as_secs_f64()
    );
}

async fn bare_round() -> f64 {
    let node = Node::start();
    let streams = bare::connect_all(node.addr, CLIENTS, Duration::from_millis(200)).await;
    let before = cpu();
    bare::echo_all(streams, EACH, INTERVAL, 128).await;
    (cpu() - before).as_secs_f64() * 1e6 / f64::from(CLIENTS * EACH)
}

async fn fleet_round() -> f64 {
    let node = Node::start();
    let scenario = format!(
        "[clients]\ncount = {CLIENTS}\nramp = \"200ms\"\n[traffic]\nrate = \"10/s\"\nsize = \"128B\"\n"
    );
    let settings = settings(&node, &scenario);
    let mut fleet = Fleet::start(&settings, 1, Share::ALL, Instant::now()).unwrap();
    // The first second is the ramp's; then two whole seconds.
    fleet.report().await.unwrap();
    let before = cpu();
    let mut echoed = 0;
    for _ in 0..2 {
        let report = fleet.report().await.unwrap();
        echoed += report
            .closed
            .intervals
            .iter()
            .map(|interval| interval.counts.echoed)
            .sum::<u64>();
    }
    let spent = cpu() - before;
    fleet.stop(true).await;
    while fleet.report().await.is_some() {}
    spent.as_secs_f64() * 1e6 / echoed as f64
}
