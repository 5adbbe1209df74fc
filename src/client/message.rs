//! What the controller and an agent say to each other: one JSON document a line, either way.
//!
//! Pure. The schema is versioned and holds no path and no descriptor, so that an agent may run wherever lines can be
//! carried to. Histograms travel in HdrHistogram's own V2 encoding. Memory is that of one second's record.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2Serializer};
use serde::{Deserialize, Serialize};

use super::roll::Call;
use super::shard::{Report, ReportEnd, ShardEnd};
use crate::cause::ConnectFailure;
use crate::record::generator::Usage;
use crate::record::interval::{Bins, Counts, Gauges, Interval, NodeSessions, Series};
use crate::record::outage::OutageEvent;
use crate::record::shard::Closed;

/// Version of the messages. Another one is refused.
pub const PROTOCOL: u32 = 2;

/// Controller to agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToAgent {
    /// The first message: what to run.
    Start(Box<Order>),
    /// Fall silent.
    Quiet {
        /// But for pings.
        keep_heartbeat: bool,
    },
    /// Speak again.
    Resume,
    /// Some clients do something at once.
    Call(Call),
    /// Let every client leave.
    Stop {
        /// Do not close in order.
        abort: bool,
    },
}

/// What an agent is to run: its share of a scenario's clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// [`PROTOCOL`] of the controller.
    pub protocol: u32,
    /// Which agent, from 0: it owns clients `index`, `index + of`, …
    pub index: usize,
    /// How many agents there are.
    pub of: usize,
    /// When the run starts, in µs since the Unix epoch. Clocks of other machines must agree to a few ms.
    pub start_unix_us: u64,
    /// Where clients connect.
    pub target: std::net::SocketAddr,
    /// The scenario's text.
    pub scenario: String,
    /// What flags and variables changed in it: key, value, where from.
    pub overrides: Vec<[String; 3]>,
}

/// Agent to controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromAgent {
    /// A quiet, a resume or a call is in force.
    Done {
        /// Since when, in µs since the start of the run.
        at_us: u64,
        /// Clients that did what a call said.
        clients: u32,
    },
    /// What was recorded.
    Report(Box<AgentReport>),
}

/// A [`Report`] in a form that travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentReport {
    intervals: Vec<AgentInterval>,
    outages: Vec<OutageEvent>,
    examples: Vec<(ConnectFailure, String)>,
    late: u64,
    usage: Usage,
    /// Clients stuck and panicked, in the last report.
    end: Option<(u32, u32)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentInterval {
    second: u32,
    counts: Counts,
    gauges: Gauges,
    bins: Bins,
    nodes: Vec<NodeSessions>,
    /// Series → histogram.
    times: Vec<(String, String)>,
}

/// A message could not be read.
#[derive(Debug, thiserror::Error)]
#[error("an agent's message is not understood: {0}")]
pub struct BadMessage(String);

impl AgentReport {
    /// Packs a shard's report.
    pub fn pack(report: Report, usage: Usage) -> Self {
        let mut serializer = V2Serializer::new();
        let end = match report.end {
            Some(ReportEnd::Finished(end)) => Some((end.stuck, end.panicked)),
            Some(ReportEnd::Lost(_)) | None => None,
        };
        Self {
            intervals: report
                .closed
                .intervals
                .iter()
                .map(|interval| pack(interval, &mut serializer))
                .collect(),
            outages: report.closed.outages,
            examples: report
                .closed
                .examples
                .into_iter()
                .map(|(cause, text)| (cause, text.into()))
                .collect(),
            late: report.late,
            usage,
            end,
        }
    }

    /// Unpacks it as the report of member `shard`.
    ///
    /// # Errors
    /// When a histogram is none.
    pub fn unpack(self, shard: usize) -> Result<Report, BadMessage> {
        let mut deserializer = Deserializer::new();
        let intervals: Result<Vec<_>, _> = self
            .intervals
            .into_iter()
            .map(|interval| unpack(interval, &mut deserializer))
            .collect();
        Ok(Report {
            shard,
            closed: Closed {
                intervals: intervals?,
                outages: self.outages,
                examples: self
                    .examples
                    .into_iter()
                    .map(|(cause, text)| (cause, text.into()))
                    .collect(),
            },
            late: self.late,
            usage: Some(self.usage),
            end: self
                .end
                .map(|(stuck, panicked)| ReportEnd::Finished(ShardEnd { stuck, panicked })),
        })
    }
}

fn pack(interval: &Interval, serializer: &mut V2Serializer) -> AgentInterval {
    let times = Series::ALL.iter().filter_map(|series| {
        let histogram = interval.times[*series as usize].get()?;
        let mut bytes = Vec::new();
        // Into memory, with bounds that the format holds: cannot fail.
        serializer.serialize(histogram, &mut bytes).ok()?;
        Some((series.name().to_owned(), STANDARD.encode(bytes)))
    });
    AgentInterval {
        second: interval.second,
        counts: interval.counts,
        gauges: interval.gauges,
        bins: interval.bins,
        nodes: interval.nodes.clone(),
        times: times.collect(),
    }
}

fn unpack(packed: AgentInterval, deserializer: &mut Deserializer) -> Result<Interval, BadMessage> {
    let mut interval = Interval {
        second: packed.second,
        counts: packed.counts,
        gauges: packed.gauges,
        bins: packed.bins,
        nodes: packed.nodes,
        ..Interval::default()
    };
    for (name, text) in packed.times {
        let series = Series::ALL.into_iter().find(|series| series.name() == name);
        let series = series.ok_or_else(|| BadMessage(format!("there is no series {name}")))?;
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| BadMessage(error.to_string()))?;
        let times = deserializer
            .deserialize::<u64, _>(&mut bytes.as_slice())
            .map_err(|error| BadMessage(format!("{error:?}")))?;
        interval.times(series).merge_histogram(&times);
    }
    Ok(interval)
}

/// Reads a line.
///
/// # Errors
/// When it is no message of this protocol.
pub fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, BadMessage> {
    serde_json::from_str(line).map_err(|error| BadMessage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::outage::Change;
    use proptest::prelude::*;

    #[test]
    fn a_report_arrives_as_it_left() {
        let mut interval = Interval::new(7, 2);
        interval.counts.attempts = 3;
        interval.counts.failed[2] = 1;
        interval.bins.opened[9] = 2;
        for us in [1, 250, 1_000_000, 3_600_000_000] {
            interval.times(Series::Handshake).record_us(us);
        }
        let outage = OutageEvent {
            at_us: 5,
            client: 9,
            what: Change::Out { attempts: 2 },
        };
        let report = Report {
            shard: 3,
            closed: Closed {
                intervals: vec![interval.clone()],
                outages: vec![outage],
                examples: vec![],
            },
            late: 1,
            usage: None,
            end: Some(ReportEnd::Finished(ShardEnd {
                stuck: 1,
                panicked: 0,
            })),
        };
        let line = serde_json::to_string(&FromAgent::Report(Box::new(AgentReport::pack(
            report,
            Usage::default(),
        ))))
        .unwrap();
        let FromAgent::Report(packed) = parse(&line).unwrap() else {
            panic!("{line}")
        };
        let back = packed.unpack(3).unwrap();
        assert_eq!(back.closed.outages, [outage]);
        assert_eq!(back.closed.intervals[0].counts, interval.counts);
        assert_eq!(back.closed.intervals[0].bins, interval.bins);
        let series = Series::Handshake as usize;
        assert_eq!(
            back.closed.intervals[0].times[series].get(),
            interval.times[series].get()
        );
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "\\PC{0,80}", tail in "[\\[\\]{}a-z0-9\":,]{0,60}") {
            let _ = parse::<FromAgent>(&line);
            let _ = parse::<FromAgent>(&format!("{{\"is\":\"report\",\"intervals\":{tail}"));
            let _ = parse::<ToAgent>(&line);
        }
    }
}
