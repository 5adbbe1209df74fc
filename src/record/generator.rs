//! The harness's own health: what it used, and whether it kept up. It can overrule the verdict.

use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the harness process uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// User and system time since its start, in ms.
    pub cpu_ms: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// Open file descriptors; 0 where the kernel does not say.
    pub open_files: u64,
}

impl std::ops::Add for Usage {
    type Output = Self;

    /// Of two processes together.
    fn add(self, other: Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms + other.cpu_ms,
            rss_bytes: self.rss_bytes + other.rss_bytes,
            open_files: self.open_files + other.open_files,
        }
    }
}

impl Usage {
    /// Reads it from /proc; what cannot be read is zero.
    pub fn read() -> Self {
        Self {
            cpu_ms: cpu_time().map_or(0, |time| crate::units::micros(time) / 1000),
            rss_bytes: rss(),
            open_files: open_files(),
        }
    }
}

fn cpu_time() -> Option<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The command name is in parentheses and may hold spaces; fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_micros(ticks * 1_000_000 / per_second))
}

fn rss() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

fn open_files() -> u64 {
    // Since Linux 6.2 the size of the directory is the count; listing 10,000 entries each second would be felt.
    fs::metadata("/proc/self/fd").map_or(0, |meta| meta.len())
}

/// 99 % of attempts and of messages must leave within this of their due time, or the harness was the bottleneck.
pub const LATENESS_BOUND_US: u64 = 50_000;
/// 99 % of the shards' timers must fire within this of their due time.
pub const LAG_BOUND_US: u64 = 50_000;

/// The generator's health over a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// 99th percentile of scheduler lag, in µs.
    pub lag_p99_us: Option<u64>,
    /// Largest scheduler lag, in µs.
    pub lag_max_us: Option<u64>,
    /// 99th percentile of how late attempts left, in µs.
    pub attempt_lateness_p99_us: Option<u64>,
    /// 99th percentile of how late messages left, in µs.
    pub message_lateness_p99_us: Option<u64>,
    /// Attempts that failed because the harness had no port or descriptor left.
    pub local_failures: u64,
    /// Seconds whose figures came late from a shard.
    pub late_intervals: u64,
    /// Clients whose task panicked or did not end.
    pub lost_clients: u64,
    /// CPU time used over the run, in ms.
    pub cpu_ms: u64,
    /// Largest resident memory seen, in bytes.
    pub rss_max_bytes: u64,
    /// Most open files seen.
    pub open_files_max: u64,
}

impl Health {
    /// What makes the run untrustworthy, one sentence each; empty when the harness kept up.
    pub fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut late = |what: &str, value: Option<u64>, bound: u64| {
            if let Some(value) = value.filter(|value| *value > bound) {
                let (value, bound) = (Duration::from_micros(value), Duration::from_micros(bound));
                complaints.push(format!(
                    "the harness was the bottleneck: {what} {} late at p99 (bound {}); use fewer clients or more processors",
                    crate::units::show_duration(value),
                    crate::units::show_duration(bound)
                ));
            }
        };
        late("its timers fired", self.lag_p99_us, LAG_BOUND_US);
        late(
            "attempts left",
            self.attempt_lateness_p99_us,
            LATENESS_BOUND_US,
        );
        late(
            "messages left",
            self.message_lateness_p99_us,
            LATENESS_BOUND_US,
        );
        if self.local_failures > 0 {
            complaints.push(format!(
                "{} attempts failed for lack of ports or file descriptors of the harness itself; raise `ulimit -n` or use fewer clients",
                self.local_failures
            ));
        }
        if self.lost_clients > 0 {
            complaints.push(format!(
                "{} clients of the harness itself panicked or hung; please report this",
                self.lost_clients
            ));
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::read();
        assert!(usage.rss_bytes > 100_000, "{usage:?}");
    }

    #[test]
    fn a_late_harness_complains_and_a_prompt_one_does_not() {
        let prompt = Health {
            lag_p99_us: Some(LAG_BOUND_US),
            ..Health::default()
        };
        assert!(prompt.complaints().is_empty());
        let late = Health {
            attempt_lateness_p99_us: Some(LATENESS_BOUND_US + 1),
            local_failures: 2,
            ..Health::default()
        };
        assert_eq!(late.complaints().len(), 2);
    }
}
