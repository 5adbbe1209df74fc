//! Fleets for benches, and the time and memory they take.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wssoak::client::settings::Settings;
use wssoak::client::settings::settings as plan_settings;
use wssoak::plan::Plan;

use crate::node::Node;

/// Settings of a fleet that connects to the node, from a scenario's lines after `duration`.
pub(crate) fn settings(node: &Node, scenario: &str) -> Settings {
    let text = format!("duration = \"1h\"\n{scenario}");
    let scenario = wssoak::scenario::load("bench.toml".as_ref(), &text, &[]).unwrap();
    plan_settings(&Plan::new(scenario), node.addr)
}

/// CPU time of this process so far, all threads.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap(),
        u32::try_from(time.tv_nsec).unwrap(),
    )
}

/// Resident memory that no file backs, in bytes: heap and stacks, without the code.
pub(crate) fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kib * 1024
}

/// The median of some ratios.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
