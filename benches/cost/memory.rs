//! Memory per idle client: the whole fleet, recorder and schedule included, against bare sockets of the same library.

use std::time::Duration;

use tokio::time::Instant;
use wssoak::client::fleet::{Fleet, Share};

use crate::bare;
use crate::node::Node;
use crate::support::{anonymous_bytes, settings};

const CLIENTS: u32 = 15_000;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // The fleet first: what the bare loop leaves in the allocator must not be counted as the fleet's saving.
    let fleet = runtime.block_on(fleet());
    let bare = bare_sockets();
    println!(
        "  {CLIENTS} idle clients, user space: fleet {fleet:.0} bytes each ({:.2} KiB; bound 3 KiB), bare sockets {bare:.0}, ratio {:.2}",
        fleet / 1024.0,
        fleet / bare
    );
}

async fn fleet() -> f64 {
    let node = Node::start();
    let scenario =
        format!("[clients]\ncount = {CLIENTS}\nramp = \"3s\"\n[traffic]\nsource = \"none\"\n");
    let settings = settings(&node, &scenario);
    let before = anonymous_bytes();
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
    // Two more seconds of silence: what the handshakes needed is given back.
    for _ in 0..2 {
        fleet.report().await.unwrap();
    }
    let each = (anonymous_bytes() - before) as f64 / f64::from(CLIENTS);
    fleet.stop(true).await;
    while fleet.report().await.is_some() {}
    each
}

/// Bare sockets, in a process of its own, since the allocator of this one is warm by now.
fn bare_sockets() -> f64 {
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .env("WSSOAK_BENCH_BARE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.trim().strip_prefix("bare ").unwrap().parse().unwrap()
}

/// The bare side, when this program was started for it.
pub(crate) fn bare_only() {
    let node = Node::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let before = anonymous_bytes();
    runtime.block_on(async {
        let streams = bare::connect_all(node.addr, CLIENTS, Duration::from_secs(3)).await;
        let each = (anonymous_bytes() - before) as f64 / f64::from(CLIENTS);
        println!("bare {each}");
        drop(streams);
    });
}
