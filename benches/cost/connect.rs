//! CPU per connect and upgrade: the fleet's ramp against a bare loop with the same pace.

use std::time::Duration;

use tokio::time::Instant;
use wssoak::client::fleet::{Fleet, Share};

use crate::bare;
use crate::node::Node;
use crate::support::{cpu, median, settings};

const CLIENTS: u32 = 5_000;
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
        "  cpu per connect and upgrade: fleet {:.1} µs, bare loop {:.1} µs, ratio {:.2} (bound 1.3; medians of {ROUNDS} rounds of {CLIENTS})",
        median(ours),
        median(theirs),
        median(ratios)
    );
}

async fn bare_round() -> f64 {
    let node = Node::start();
    let before = cpu();
    let streams = bare::connect_all(node.addr, CLIENTS, Duration::from_secs(1)).await;
    let spent = cpu() - before;
    drop(streams);
    spent.as_secs_f64() * 1e6 / f64::from(CLIENTS)
}

async fn fleet_round() -> f64 {
    let node = Node::start();
    let scenario =
        format!("[clients]\ncount = {CLIENTS}\nramp = \"1s\"\n[traffic]\nsource = \"none\"\n");
    let settings = settings(&node, &scenario);
    let before = cpu();
    let mut fleet = Fleet::start(&settings, 1, Share::ALL, Instant::now()).unwrap();
    let mut connected = 0;
    while connected < u64::from(CLIENTS) {
        let report = fleet.report().await.unwrap();
        connected = report
            .closed
            .intervals
            .last()
            .map_or(connected, |interval| interval.gauges.connected);
    }
    let spent = cpu() - before;
    fleet.stop(true).await;
    while fleet.report().await.is_some() {}
    spent.as_secs_f64() * 1e6 / f64::from(CLIENTS)
}
