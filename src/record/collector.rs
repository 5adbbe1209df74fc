//! Brings the shards' seconds together, writes them to the result folder, and keeps the totals a reader watches live.
//!
//! A second is complete when every shard has passed it; complete seconds are written in order and forgotten. Memory is
//! that of the few seconds in flight, however long the run.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::folder::{self, Folder, FolderError};
use super::generator::{Health, Usage};
use super::hlog;
use super::interval::{Bins, Counts, Gauges, INTERVAL_US, Interval, NodeSessions, Series};
use super::lines::Lines;
use super::outage::OutageEvent;
use super::times::Times;
use crate::cause::ConnectFailure;
use crate::client::shard::{Report, ReportEnd};
use crate::units::show_duration;

/// Version of the files of a result folder. A newer one is refused, not guessed at.
pub const SCHEMA: u32 = 1;

/// `run.json`: how the run was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// [`SCHEMA`] of the folder.
    pub schema: u32,
    /// Version of wssoak.
    pub wssoak: String,
    /// Wall-clock start, RFC 3339.
    pub started: String,
    /// Path of the scenario as given, for messages.
    pub scenario: String,
    /// Flags and variables that changed the scenario: key, value, where from.
    pub overrides: Vec<[String; 3]>,
    /// Seed in force.
    pub seed: u64,
    /// nginx's version and where its binary came from.
    pub nginx: String,
    /// Processors, memory, kernel.
    pub machine: String,
    /// Shards of the fleet.
    pub shards: usize,
}

/// A line of `intervals.jsonl`: one second of the whole fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Covers `[second, second + 1)` seconds of the run.
    pub second: u32,
    /// Clients wanted at its end.
    pub wanted: u32,
    /// What happened.
    pub counts: Counts,
    /// State at its end.
    pub gauges: Gauges,
    /// 100 ms bins.
    pub bins: Bins,
    /// Per node; the last entry is for sessions whose node is not known.
    pub nodes: Vec<NodeSessions>,
    /// What the harness used when the second was written.
    pub usage: Usage,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", content = "why", rename_all = "snake_case")]
pub enum Outcome {
    /// As planned.
    Finished,
    /// By a condition of `abort_when`.
    Aborted(Abort),
    /// By a signal.
    Interrupted(String),
    /// By something that broke: a process of the topology, the disk.
    Broken(String),
}

/// A condition that held for as long as it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// As the scenario states it.
    pub condition: String,
    /// From when on it held, in seconds since the start of the run.
    pub since_s: u32,
    /// When it had held long enough, in seconds since the start of the run.
    pub at_s: u32,
}

impl Abort {
    /// For people.
    pub fn sentence(&self) -> String {
        let time = |seconds: u32| show_duration(Duration::from_secs(seconds.into()));
        format!(
            "the run was aborted at {}: `{}` held in every second since {}",
            time(self.at_s),
            self.condition,
            time(self.since_s)
        )
    }
}

impl Outcome {
    /// Did faults heal and clients leave in order, so that all books are whole?
    pub const fn was_orderly(&self) -> bool {
        matches!(self, Self::Finished | Self::Aborted(_))
    }
}

/// What one node says it accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBooks {
    /// Its name.
    pub node: String,
    /// Upgrades accepted over all its incarnations.
    pub accepted: u64,
    /// Incarnations.
    pub incarnations: u64,
}

/// What nginx says it handled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyBooks {
    /// Requests over all its incarnations, our status polls taken off; `None`: not known.
    pub requests: Option<u64>,
    /// Access-log lines with status 101; `None`: no log of ours.
    pub tunnel_lines: Option<u64>,
    /// Access-log lines with any other status.
    pub other_lines: Option<u64>,
}

/// `end.json`: how the run ended, written last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunEnd {
    /// How.
    pub outcome: Outcome,
    /// Where measuring stopped and the drain began, in µs since the start of the run.
    pub measured_us: u64,
    /// Did every session end before nginx was stopped for good?
    pub drained: bool,
    /// The generator's health.
    pub health: Health,
    /// What the nodes say.
    pub nodes: Vec<NodeBooks>,
    /// What nginx says.
    pub proxy: ProxyBooks,
    /// A few texts of unusual failures.
    pub examples: Vec<(ConnectFailure, String)>,
    /// What had to be forced at the end.
    pub notes: Vec<String>,
}

/// Brings seconds together.
#[derive(Debug)]
pub struct Collector {
    pending: BTreeMap<u32, Interval>,
    pending_outages: Vec<OutageEvent>,
    /// Per shard: the first second not yet reported.
    reached: Vec<u32>,
    intervals: Lines,
    outages: Lines,
    latency: Lines,
    /// Of the HDR log: says when the run began.
    header: Vec<u8>,
    totals: Counts,
    times: [Times; Series::ALL.len()],
    health: Health,
    examples: Vec<(ConnectFailure, String)>,
    /// What the processes of the fleet's other members use.
    usages: Vec<Usage>,
}

impl Collector {
    /// Opens the files of `folder` for a fleet of `shards` shards.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(folder: &Folder, shards: usize) -> Result<Self, FolderError> {
        let mut latency = folder.append(folder::LATENCY)?;
        let header = hlog::header(SystemTime::now());
        latency.push_raw(&header)?;
        Ok(Self {
            header,
            pending: BTreeMap::new(),
            pending_outages: Vec::new(),
            reached: vec![0; shards],
            intervals: folder.append(folder::INTERVALS)?,
            outages: folder.append(folder::OUTAGES)?,
            latency,
            totals: Counts::default(),
            times: Default::default(),
            health: Health::default(),
            examples: Vec::new(),
            usages: vec![Usage::default(); shards],
        })
    }

    /// Takes a shard's report and writes the seconds it completes, which it returns.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn take(
        &mut self,
        report: Report,
        wanted: impl Fn(u32) -> u32,
    ) -> Result<Vec<Second>, FolderError> {
        for interval in report.closed.intervals {
            self.reached[report.shard] = interval.second + 1;
            match self.pending.get_mut(&interval.second) {
                Some(merged) => merged.merge(&interval),
                None => {
                    self.pending.insert(interval.second, interval);
                }
            }
        }
        self.pending_outages.extend(report.closed.outages);
        self.examples.extend(
            report
                .closed
                .examples
                .into_iter()
                .map(|(cause, text)| (cause, text.into())),
        );
        self.health.late_intervals += report.late;
        if let Some(usage) = report.usage {
            self.usages[report.shard] = usage;
        }
        if let Some(end) = report.end {
            self.reached[report.shard] = u32::MAX;
            if let ReportEnd::Finished(end) = end {
                self.health.lost_clients += u64::from(end.stuck) + u64::from(end.panicked);
            }
        }
        let complete = self.reached.iter().copied().min().unwrap_or(u32::MAX);
        let rest = self.pending.split_off(&complete);
        let ready = std::mem::replace(&mut self.pending, rest);
        let mut seconds = Vec::with_capacity(ready.len());
        for (second, interval) in ready {
            seconds.push(self.write(interval, wanted(second))?);
        }
        Ok(seconds)
    }

    fn write(&mut self, interval: Interval, wanted: u32) -> Result<Second, FolderError> {
        let ends_us = (u64::from(interval.second) + 1) * INTERVAL_US;
        // Shards report a second one after the other; the file is in order of time.
        self.pending_outages
            .sort_by_key(|event| (event.at_us, event.client));
        let split = self
            .pending_outages
            .partition_point(|event| event.at_us < ends_us);
        for event in self.pending_outages.drain(..split) {
            self.outages.push(&event)?;
        }
        self.outages.flush()?;
        self.write_times(&interval)?;
        self.totals += &interval.counts;
        let usage = self
            .usages
            .iter()
            .fold(Usage::read(), |sum, usage| sum + *usage);
        self.health.cpu_ms = usage.cpu_ms;
        self.health.rss_max_bytes = self.health.rss_max_bytes.max(usage.rss_bytes);
        self.health.open_files_max = self.health.open_files_max.max(usage.open_files);
        let second = Second {
            second: interval.second,
            wanted,
            counts: interval.counts,
            gauges: interval.gauges,
            bins: interval.bins,
            nodes: interval.nodes,
            usage,
        };
        self.intervals.push(&second)?;
        self.intervals.flush()?;
        Ok(second)
    }

    fn write_times(&mut self, interval: &Interval) -> Result<(), FolderError> {
        let mut lines = Vec::new();
        for series in Series::ALL {
            let times = &interval.times[series as usize];
            self.times[series as usize].merge(times);
            if let Some(histogram) = times.get() {
                hlog::push(&mut lines, series, interval.second, 1, histogram);
            }
        }
        self.latency.push_raw(&lines)?;
        self.latency.flush()
    }

    /// Bytes of the second-by-second record since it was begun or begun anew.
    pub fn detail_bytes(&self) -> u64 {
        self.intervals.written() + self.outages.written() + self.latency.written()
    }

    /// Puts the record so far aside under the names of [`folder::OLD`] and begins anew.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn put_aside(&mut self, folder: &Folder) -> Result<(), FolderError> {
        let [intervals, outages, latency] = folder::OLD;
        // The outages last: without their seconds nobody reads them.
        self.latency.begin_anew(folder, latency.0, latency.1)?;
        self.latency.push_raw(&self.header)?;
        self.intervals
            .begin_anew(folder, intervals.0, intervals.1)?;
        self.outages.begin_anew(folder, outages.0, outages.1)
    }

    /// Have all shards sent their last report?
    pub fn is_finished(&self) -> bool {
        self.reached.iter().all(|second| *second == u32::MAX)
    }

    /// Totals of all seconds written so far.
    pub fn totals(&self) -> &Counts {
        &self.totals
    }

    /// The generator's health so far.
    pub fn health(&self) -> Health {
        let p99 = |series: Series| self.times[series as usize].quantile_us(0.99);
        let local = ConnectFailure::ALL.iter().filter(|cause| cause.is_local());
        Health {
            lag_p99_us: p99(Series::Lag),
            lag_max_us: self.times[Series::Lag as usize].quantile_us(1.0),
            attempt_lateness_p99_us: p99(Series::AttemptLateness),
            message_lateness_p99_us: p99(Series::MessageLateness),
            local_failures: local.map(|cause| self.totals.failed[cause.index()]).sum(),
            ..self.health.clone()
        }
    }

    /// A few texts of unusual failures.
    pub fn examples(&self) -> &[(ConnectFailure, String)] {
        &self.examples
    }
}
