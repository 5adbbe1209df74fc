//! What containers used, second by second: the lines of `containers.jsonl`, and the most of each for the report. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One [`Sample`] a line; there when the topology runs in containers.
pub const CONTAINERS: &str = "containers.jsonl";

/// What the containers of a run used up to a moment, by service. One that did not run is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When, in µs since the start of the run.
    pub at_us: u64,
    /// By service.
    pub services: BTreeMap<String, Usage>,
}

/// What one container used up to a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time since its start, in µs.
    pub cpu_us: u64,
    /// Memory without what the kernel can drop at will, in bytes.
    pub memory_bytes: u64,
    /// Open files of all its processes; null where this user may not look.
    pub open_files: Option<u64>,
    /// Connections that a full accept queue turned away, since its start; null where this user may not look.
    pub listen_overflows: Option<u64>,
}

/// The most that a service used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// Processor time per time from one sample to the next: 1 is one processor.
    pub cpu: f64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Open files; null when never seen.
    pub open_files: Option<u64>,
    /// Connections that a full accept queue turned away, over all lives of the container; null when never seen.
    pub listen_overflows: Option<u64>,
}

/// Finds the peaks, sample by sample.
#[derive(Debug, Default)]
pub struct Peaks {
    last: Sample,
    peaks: BTreeMap<String, Peak>,
}

impl Peaks {
    /// Adds the next sample.
    pub fn add(&mut self, sample: Sample) {
        let elapsed_us = sample.at_us.saturating_sub(self.last.at_us);
        for (name, now) in &sample.services {
            let before = self.last.services.get(name);
            let peak = self.peaks.entry(name.clone()).or_default();
            if let Some(before) = before.filter(|before| before.cpu_us <= now.cpu_us)
                && elapsed_us > 0
            {
                let used_us = now.cpu_us - before.cpu_us;
                peak.cpu = peak.cpu.max(used_us as f64 / elapsed_us as f64);
            }
            peak.memory_bytes = peak.memory_bytes.max(now.memory_bytes);
            peak.open_files = peak.open_files.max(now.open_files);
            if let Some(overflows) = now.listen_overflows {
                // A container that was started again counts from zero.
                let before = before.and_then(|before| before.listen_overflows);
                let more = match before {
                    Some(before) if before <= overflows => overflows - before,
                    _ => overflows,
                };
                *peak.listen_overflows.get_or_insert(0) += more;
            }
        }
        self.last = sample;
    }

    /// The peaks by service.
    pub fn into_peaks(self) -> BTreeMap<String, Peak> {
        self.peaks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_s: u64, usage: Option<(u64, u64, u64)>) -> Sample {
        let usage = usage.map(|(cpu_us, memory_bytes, overflows)| Usage {
            cpu_us,
            memory_bytes,
            open_files: None,
            listen_overflows: Some(overflows),
        });
        Sample {
            at_us: at_s * 1_000_000,
            services: usage
                .map(|usage| ("n1".into(), usage))
                .into_iter()
                .collect(),
        }
    }

    #[test]
    fn a_container_that_was_started_again_counts_from_zero() {
        let mut peaks = Peaks::default();
        for (at_s, usage) in [
            (0, Some((5_000_000, 10, 2))),
            (1, Some((5_500_000, 30, 3))),
            (2, None),
            (3, Some((100_000, 20, 0))),
            (4, Some((350_000, 20, 4))),
        ] {
            peaks.add(sample(at_s, usage));
        }
        let want = Peak {
            cpu: 0.5,
            memory_bytes: 30,
            open_files: None,
            listen_overflows: Some(7),
        };
        assert_eq!(peaks.into_peaks().remove("n1"), Some(want));
    }
}
