//! The reconnect storm after one fault: who was cut, how fast they came back, what it cost.
//!
//! Pure. The window runs from the beginning of a fault that took effect to the beginning of the next one that does not
//! overlap it, or to the end of measuring; what happens while two faults are on belongs to both. Connected clients are followed from event to event, so recovery is exact to the microsecond that the
//! events carry, not to the second.

use std::collections::HashSet;
use std::ops::Range;

use super::scope::{ScopeSummary, balance};
use super::value::Value;
use crate::cause::SessionEnd;
use crate::plan::PlannedFault;
use crate::record::collector::Second;
use crate::record::interval::NodeSessions;
use crate::record::outage::{Change, OutageEvent};
use crate::record::times::Times;
use crate::scenario::measure::Latency;
use crate::scenario::{FaultId, FaultKind, Measure, NodeId};

/// Share of the wanted clients that must be connected for the fleet to count as recovered.
pub const RECOVERED_SHARE: f64 = 0.99;

/// What became of a node that went away and came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Returned {
    /// Which.
    pub node: NodeId,
    /// Sessions it held before.
    pub held_before: u64,
    /// Sessions opened on all nodes since it was back.
    pub opened_since: u64,
    /// Those of them opened on it.
    pub opened_on_it: u64,
    /// Sessions it holds at the end of the window.
    pub held_at_end: u64,
}

/// The storm after one fault.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Storm {
    /// Of which fault.
    pub fault: FaultId,
    /// What every part of a run has.
    pub scope: ScopeSummary,
    /// Clients connected when the fault began.
    pub connected_before: u64,
    /// Clients wanted when the fault began.
    pub wanted_before: u32,
    /// Clients connected, and wanted, at the last whole second before.
    pub steady: (u64, u32),
    /// Different clients cut.
    pub clients_cut: u64,
    /// Clients cut and not connected at the end of the window.
    pub never_recovered: u64,
    /// Fault began → cut.
    pub detection: Times,
    /// Cuts per node; the last entry is for sessions whose node is not known.
    pub cut_by_node: Vec<u64>,
    /// Sessions per node before the fault; the last entry is for sessions whose node is not known.
    pub nodes_before: Vec<NodeSessions>,
    /// Cuts by a bare FIN after as much silence as nginx's `proxy_read_timeout`: its idle timeout, by all signs.
    pub idle_timeouts: u64,
    /// Of a single node that went away.
    pub returned: Option<Returned>,
    /// Least clients connected in the window.
    pub fewest_connected: u64,
    window: Range<u64>,
    ended_us: Option<u64>,
    connected: u64,
    seen: bool,
    recovered_at: Option<u64>,
    was_below: bool,
    out: HashSet<u32>,
    cut_clients: HashSet<u32>,
    is_closed: bool,
    idle_timeout_us: u64,
}

/// nginx does not re-arm a timer that would move by less than 300 ms, so a tunnel may end that much early.
const TIMER_SLACK_US: u64 = 350_000;
/// How late a loaded nginx or client may see an idle timeout.
const LATE_US: u64 = 1_500_000;

impl Storm {
    /// A fault's storm over `window`; an empty window for a fault that took no effect. `idle_timeout_us` is nginx's
    /// `proxy_read_timeout`.
    pub fn new(
        fault: &PlannedFault,
        window: Range<u64>,
        ended_us: Option<u64>,
        idle_timeout_us: u64,
    ) -> Self {
        let returned = match (&fault.kind, fault.nodes.as_slice()) {
            (FaultKind::Node(kind), [node]) if kind.takes_away() && ended_us.is_some() => {
                Some(Returned {
                    node: *node,
                    held_before: 0,
                    opened_since: 0,
                    opened_on_it: 0,
                    held_at_end: 0,
                })
            }
            _ => None,
        };
        Self {
            fault: fault.fault,
            scope: ScopeSummary::new(&fault.name, window.clone()),
            connected_before: 0,
            wanted_before: 0,
            steady: (0, 0),
            clients_cut: 0,
            never_recovered: 0,
            detection: Times::default(),
            cut_by_node: Vec::new(),
            nodes_before: Vec::new(),
            returned,
            fewest_connected: 0,
            window,
            ended_us,
            connected: 0,
            seen: false,
            recovered_at: None,
            was_below: false,
            out: HashSet::new(),
            cut_clients: HashSet::new(),
            is_closed: false,
            idle_timeouts: 0,
            idle_timeout_us,
        }
    }

    /// Takes an event; `connected` and `wanted` are the clients just after it.
    pub fn event(&mut self, event: &OutageEvent, connected: u64, wanted: u32) {
        if !self.window.contains(&event.at_us) {
            return;
        }
        let before = match event.what {
            Change::Cut { .. } => connected + 1,
            Change::Back { .. } => connected.saturating_sub(1),
            Change::Out { .. } => connected,
        };
        self.begin(before, wanted);
        match event.what {
            Change::Cut {
                cause,
                node,
                silence_us,
                ..
            } => {
                self.scope.add_cut(event.at_us, cause, silence_us);
                self.detection.record_us(event.at_us - self.window.start);
                let idle = self.idle_timeout_us;
                if cause == SessionEnd::Eof
                    && (idle.saturating_sub(TIMER_SLACK_US)..idle + LATE_US).contains(&silence_us)
                {
                    self.idle_timeouts += 1;
                }
                let slot = node.map_or(self.cut_by_node.len().saturating_sub(1), |node| {
                    usize::from(node.0)
                });
                if let Some(count) = self.cut_by_node.get_mut(slot) {
                    *count += 1;
                }
                self.cut_clients.insert(event.client);
                self.out.insert(event.client);
            }
            Change::Back { .. } => {
                self.out.remove(&event.client);
            }
            Change::Out { .. } => {}
        }
        self.follow(event.at_us, connected, wanted);
    }

    /// Takes the end of a second: `connected` clients were counted then.
    pub fn second(&mut self, second: &Second, before: &[NodeSessions]) {
        let end_us = (u64::from(second.second) + 1) * crate::record::interval::INTERVAL_US;
        if end_us <= self.window.start {
            return;
        }
        if self.nodes_before.is_empty() {
            self.nodes_before = before.to_vec();
            self.cut_by_node.resize(second.nodes.len(), 0);
        }
        if let (Some(returned), Some(ended_us)) = (&mut self.returned, self.ended_us)
            && self.scope.holds_second(second.second)
        {
            let index = usize::from(returned.node.0);
            if end_us > ended_us + crate::record::interval::INTERVAL_US / 2 {
                returned.opened_since += second.nodes.iter().map(|node| node.opened).sum::<u64>();
                returned.opened_on_it += second.nodes.get(index).map_or(0, |node| node.opened);
            }
            returned.held_at_end = second.nodes.get(index).map_or(0, |node| node.connected);
            returned.held_before = self
                .nodes_before
                .get(index)
                .map_or(0, |node| node.connected);
        }
        if self.window.contains(&end_us) {
            self.begin(second.gauges.connected, second.wanted);
            self.follow(end_us, second.gauges.connected, second.wanted);
        }
    }

    /// Prepares for the events of the second in which the window opens: what was so at its beginning.
    pub fn prepare(&mut self, before: &[NodeSessions], connected: u64, wanted: u32) {
        if self.nodes_before.is_empty() {
            self.steady = (connected, wanted);
            self.nodes_before = before.to_vec();
            self.cut_by_node.resize(before.len(), 0);
        }
    }

    fn begin(&mut self, connected: u64, wanted: u32) {
        if !self.seen {
            self.seen = true;
            self.connected_before = connected;
            self.wanted_before = wanted;
            self.fewest_connected = connected;
        }
    }

    fn follow(&mut self, at_us: u64, connected: u64, wanted: u32) {
        self.connected = connected;
        self.fewest_connected = self.fewest_connected.min(connected);
        if (connected as f64) < RECOVERED_SHARE * f64::from(wanted) {
            self.was_below = true;
            self.recovered_at = None;
        } else if self.recovered_at.is_none() {
            self.recovered_at = Some(at_us);
        }
    }

    /// Goes on from what was summed up before: all but the window and the end of the fault, which are better known now.
    pub fn adopt(&mut self, saved: Self) {
        let (window, ended_us) = (self.window.clone(), self.ended_us);
        *self = saved;
        self.scope.window = window.clone();
        self.window = window;
        self.ended_us = ended_us;
    }

    /// Closes the window if it ends before `at_us`: who was cut and who is out need not be remembered any longer.
    pub fn close_by(&mut self, at_us: u64) {
        if self.seen && self.window.end <= at_us {
            self.finish();
        }
    }

    /// Closes the window.
    pub fn finish(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.clients_cut = self.cut_clients.len() as u64;
        self.never_recovered = self.out.len() as u64;
        self.cut_clients = HashSet::new();
        self.out = HashSet::new();
    }

    /// Was anything recorded in the window?
    pub fn has_data(&self) -> bool {
        self.seen
    }

    /// Fault began → ≥ 99 % of the wanted clients connected, and so until the end of the window. Zero when they were
    /// never fewer; `None` without data.
    pub fn fleet_recovery(&self) -> Option<Value> {
        if !self.seen {
            return None;
        }
        Some(match self.recovered_at {
            _ if !self.was_below => Value::Number(0.0),
            Some(at_us) => Value::from_us(at_us - self.window.start),
            None => Value::Never,
        })
    }

    /// Different clients cut ÷ clients connected when the fault began; `None` when nobody was.
    pub fn cut_share(&self) -> Option<Value> {
        Value::ratio(self.clients_cut, self.connected_before)
    }

    /// Most ÷ mean sessions over the nodes before the fault, and at the end of the window.
    pub fn balances(&self) -> (Option<Value>, Option<Value>) {
        (balance(&self.nodes_before), balance(&self.scope.nodes))
    }

    /// The value of a measure; `None` without data.
    pub fn value(&self, measure: Measure) -> Option<Value> {
        if !self.seen {
            return None;
        }
        match measure {
            Measure::DisconnectShare => self.cut_share(),
            Measure::NeverRecovered => Some(Value::count(self.never_recovered)),
            Measure::FleetRecovery => self.fleet_recovery(),
            Measure::Latency(Latency::Detection, quantile) => self
                .detection
                .quantile_us(quantile.fraction())
                .map(Value::from_us),
            other => self.scope.value(other),
        }
    }
}

#[cfg(test)]
mod tests;
