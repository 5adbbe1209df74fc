//! `result.json`: the report as a value. Versioned; times in seconds (`_s`), absent values are null, "never" is a word.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::analyze::books::Entry;
use crate::analyze::{ScopeSummary, Storm, Summary, Value};
use crate::cause::{ConnectFailure, SessionEnd};
use crate::fault::FaultRecord;
use crate::plan::Plan;
use crate::record::collector::{RunInfo, SCHEMA};
use crate::record::containers::Peak;
use crate::record::generator::Health;
use crate::scenario::Measure;
use crate::scenario::measure::{Latency, Quantile};
use crate::verdict::{Judgement, judge};

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this format.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The scenario's description.
    pub description: String,
    /// How the run was started.
    pub info: RunInfo,
    /// Length of the measured part.
    pub measured_s: f64,
    /// Most clients wanted.
    pub clients: u32,
    /// nginx's `proxy_read_timeout`.
    pub proxy_read_timeout_s: f64,
    /// The verdict.
    pub judgement: Judgement,
    /// The whole run.
    pub run: Part,
    /// Each phase.
    pub phases: Vec<Part>,
    /// Each fault with its storm.
    pub storms: Vec<StormReport>,
    /// Attempts that failed, by cause; causes that did not occur are left out.
    pub failures: BTreeMap<String, u64>,
    /// Sessions that ended, by cause; causes that did not occur are left out.
    pub ends: BTreeMap<String, u64>,
    /// A few texts of unusual failures.
    pub examples: Vec<(String, String)>,
    /// The books.
    pub books: Vec<Entry>,
    /// The most that each service used; empty when nothing ran in containers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub containers: BTreeMap<String, Peak>,
    /// The generator's health.
    pub generator: Option<Health>,
    /// What had to be forced at the end.
    pub notes: Vec<String>,
}

/// The measures of one part of a run, by name: those that have data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `run`, or a phase's name.
    pub name: String,
    /// Where it starts.
    pub from_s: f64,
    /// Where it ends.
    pub to_s: f64,
    /// Measure → value in its base unit.
    pub measures: BTreeMap<String, Value>,
}

/// One fault and the storm after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StormReport {
    /// What became of the fault.
    pub fault: FaultRecord,
    /// Clients connected when it began; null when it did not.
    pub connected_before: Option<u64>,
    /// Clients wanted when it began.
    pub wanted_before: u32,
    /// Different clients cut.
    pub clients_cut: u64,
    /// Least clients connected.
    pub fewest_connected: u64,
    /// Cuts by cause.
    pub cut: BTreeMap<String, u64>,
    /// Cuts by a bare FIN after as much silence as nginx's `proxy_read_timeout`.
    pub idle_timeouts: u64,
    /// Cuts per node, `?` for sessions whose node is not known.
    pub cut_by_node: BTreeMap<String, u64>,
    /// Sessions per node before.
    pub nodes_before: BTreeMap<String, u64>,
    /// Sessions per node at the end of the window.
    pub nodes_after: BTreeMap<String, u64>,
    /// What a killed node got back.
    pub returned: Option<ReturnedReport>,
    /// Failed attempts by cause.
    pub failures: BTreeMap<String, u64>,
    /// The measures, with the fault's own among them.
    #[serde(flatten)]
    pub part: Part,
}

/// What a node that was killed got back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedReport {
    /// Its name.
    pub node: String,
    /// Sessions it held before.
    pub held_before: u64,
    /// Sessions opened anywhere since it was back.
    pub opened_since: u64,
    /// Those opened on it.
    pub opened_on_it: u64,
    /// Sessions it holds at the end of the window.
    pub held_at_end: u64,
}

impl Report {
    /// Judges a run and puts everything into one value.
    pub fn new(plan: &Plan, info: RunInfo, summary: &Summary) -> Self {
        let scenario = &plan.scenario;
        let end = summary.end.as_ref();
        Self {
            schema: SCHEMA,
            scenario: scenario.name.clone(),
            description: scenario.description.clone(),
            info,
            measured_s: summary.measured_us as f64 / 1e6,
            clients: scenario.most_clients(),
            proxy_read_timeout_s: scenario.topology.nginx.proxy_read_timeout.as_secs_f64(),
            judgement: judge(scenario, summary),
            run: part(&summary.run, |measure| {
                if measure.needs_fault() {
                    None
                } else {
                    summary.run.value(measure)
                }
            }),
            phases: summary
                .phases
                .iter()
                .map(|phase| part(phase, |measure| phase.value(measure)))
                .collect(),
            storms: summary
                .storms
                .iter()
                .zip(&summary.faults)
                .map(|(storm, fault)| storm_report(storm, fault))
                .collect(),
            failures: failures(&summary.run),
            ends: ends(&summary.run.counts.closed),
            examples: end.map_or_else(Vec::new, |end| {
                end.examples
                    .iter()
                    .map(|(cause, text)| (cause.name().into(), text.clone()))
                    .collect()
            }),
            books: summary.books.clone(),
            containers: BTreeMap::new(),
            generator: summary.health().cloned(),
            notes: end.map_or_else(Vec::new, |end| end.notes.clone()),
        }
    }
}

impl Part {
    /// The value of a measure; `None` without data.
    pub fn get(&self, measure: Measure) -> Option<Value> {
        self.measures.get(&measure.to_string()).copied()
    }

    /// A quantile for people; a dash without data.
    pub fn show(&self, measure: Measure) -> String {
        self.get(measure)
            .map_or_else(|| "–".into(), |value| value.show(measure.unit()))
    }

    /// A latency's quantile for people; a dash without data.
    pub fn time(&self, latency: Latency, quantile: Quantile) -> String {
        self.show(Measure::Latency(latency, quantile))
    }
}

fn part(scope: &ScopeSummary, value: impl Fn(Measure) -> Option<Value>) -> Part {
    let measures = Measure::all().into_iter().filter_map(|measure| {
        let value = value(measure)?;
        // Causes that did not occur would bury those that did.
        let is_cause = matches!(
            measure,
            Measure::HandshakeFailed(Some(_)) | Measure::Disconnects(Some(_))
        );
        (!is_cause || value != Value::Number(0.0)).then(|| (measure.to_string(), value))
    });
    Part {
        name: scope.name.clone(),
        from_s: scope.window.start as f64 / 1e6,
        to_s: scope.window.end as f64 / 1e6,
        measures: measures.collect(),
    }
}

fn storm_report(storm: &Storm, fault: &FaultRecord) -> StormReport {
    let per_node = |counts: Vec<u64>| -> BTreeMap<String, u64> {
        let last = counts.len().saturating_sub(1);
        let named = counts.into_iter().enumerate().map(|(index, count)| {
            (
                if index == last {
                    "?".into()
                } else {
                    format!("n{}", index + 1)
                },
                count,
            )
        });
        named
            .filter(|(name, count)| name != "?" || *count > 0)
            .collect()
    };
    StormReport {
        fault: fault.clone(),
        connected_before: storm.has_data().then_some(storm.connected_before),
        wanted_before: storm.wanted_before,
        clients_cut: storm.clients_cut,
        fewest_connected: storm.fewest_connected,
        cut: ends(&storm.scope.cut),
        idle_timeouts: storm.idle_timeouts,
        cut_by_node: per_node(storm.cut_by_node.clone()),
        nodes_before: per_node(
            storm
                .nodes_before
                .iter()
                .map(|node| node.connected)
                .collect(),
        ),
        nodes_after: per_node(
            storm
                .scope
                .nodes
                .iter()
                .map(|node| node.connected)
                .collect(),
        ),
        returned: storm.returned.map(|returned| ReturnedReport {
            node: returned.node.to_string(),
            held_before: returned.held_before,
            opened_since: returned.opened_since,
            opened_on_it: returned.opened_on_it,
            held_at_end: returned.held_at_end,
        }),
        failures: failures(&storm.scope),
        part: part(&storm.scope, |measure| storm.value(measure)),
    }
}

fn failures(scope: &ScopeSummary) -> BTreeMap<String, u64> {
    let named = ConnectFailure::ALL
        .iter()
        .map(|cause| (cause.name().into(), scope.counts.failed[cause.index()]));
    named.filter(|(_, count)| *count > 0).collect()
}

fn ends(counts: &[u64; SessionEnd::COUNT]) -> BTreeMap<String, u64> {
    let named = SessionEnd::ALL
        .iter()
        .map(|end| (end.name().into(), counts[end.index()]));
    named.filter(|(_, count)| *count > 0).collect()
}
