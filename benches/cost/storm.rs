//! How late reconnect attempts leave in a storm: the node dies, every client backs off and tries again.

use std::time::Duration;

use tokio::time::Instant;
use wssoak::client::fleet::{Fleet, Share};
use wssoak::record::interval::Series;
use wssoak::record::times::Times;

use crate::node::Node;
use crate::support::settings;

/// As many as the descriptors of one process allow on a machine with 20,000.
const CLIENTS: u32 = 18_000;

pub(crate) fn run() {
    storm("1s");
    storm("10s");
}

/// One storm whose first delay is spread over `base`.
fn storm(base: &str) {
    let node = Node::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let scenario = format!(
        "[clients]\ncount = {CLIENTS}\nramp = \"4s\"\n[traffic]\nsource = \"none\"\n[reconnect]\nbase = \"{base}\"\ncap = \"20s\"\n"
    );
    runtime.block_on(async {
        let mut fleet = Fleet::start(&settings(&node, &scenario), 1, Share::ALL, Instant::now()).unwrap();
        let mut connected = 0;
        while connected < u64::from(CLIENTS) {
            let report = fleet.report().await.unwrap();
            connected = report.closed.intervals.last().map_or(connected, |interval| interval.gauges.connected);
        }
        drop(node);
        let (mut lateness, mut attempts, mut peak) = (Times::default(), 0, 0);
        let end = Instant::now() + Duration::from_secs(8);
        while Instant::now() < end {
            for interval in fleet.report().await.unwrap().closed.intervals {
                lateness.merge(&interval.times[Series::AttemptLateness as usize]);
                attempts += interval.counts.attempts;
                peak = peak.max(*interval.bins.attempts.iter().max().unwrap());
            }
        }
        let ms = |fraction| lateness.quantile_us(fraction).unwrap() as f64 / 1e3;
        println!(
            "  {CLIENTS} clients cut at once, first delay up to {base}: {attempts} attempts, peak {}/s, left {:.2} ms late at p50, {:.2} ms at p99, {:.2} ms at most",
            peak * 10,
            ms(0.5),
            ms(0.99),
            ms(1.0)
        );
        fleet.stop(true).await;
        while fleet.report().await.is_some() {}
    });
}
