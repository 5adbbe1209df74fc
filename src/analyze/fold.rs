//! The fold over the record of a run: seconds, outages and times in, a [`Summary`] out. Pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use hdrhistogram::Histogram;

use super::Summary;
use super::blind;
use super::books::{Entry, FleetBooks};
use super::scope::{ScopeSummary, client_seconds};
use super::silence::Silence;
use super::storm::Storm;
use crate::cause::ConnectFailure;
use crate::fault::FaultRecord;
use crate::plan::Plan;
use crate::record::collector::{RunEnd, Second};
use crate::record::interval::{BIN_US, BINS, INTERVAL_US, NodeSessions, Series};
use crate::record::outage::{Change, OutageEvent};
use crate::units::micros;

/// How much later than a whole second a run may stop and still have measured that second.
const STOP_SLACK_US: u64 = 50_000;

/// What has been read so far.
pub(super) struct Fold<'a> {
    pub(super) plan: &'a Plan,
    pub(super) measured_us: u64,
    pub(super) run: ScopeSummary,
    pub(super) phases: Vec<ScopeSummary>,
    pub(super) storms: Vec<Storm>,
    pub(super) books: FleetBooks,
    pub(super) connected: u64,
    pub(super) nodes: Vec<NodeSessions>,
    /// Open cuts: when.
    pub(super) out: HashMap<u32, u64>,
    pub(super) cuts: u64,
    /// Sessions cut without a log line of nginx.
    pub(super) silence: Silence,
    /// Sessions opened so close to a stop of nginx that its last count may lack them.
    pub(super) uncounted: u64,
    /// When nginx could give a node up that had taken the upgrade, and go to another without a word to the client.
    pub(super) blind: Vec<(u64, u64)>,
    /// Sessions opened then.
    pub(super) opened_blind: u64,
    /// Times in the HDR log, by series.
    pub(super) timed: [u64; Series::ALL.len()],
    /// Cuts of clients that were out already, and returns of clients that were not.
    pub(super) misplaced: u64,
    pub(super) out_now: HashSet<u32>,
}

impl<'a> Fold<'a> {
    pub(super) fn new(plan: &'a Plan, faults: &[FaultRecord], measured_us: u64) -> Self {
        let scenario = &plan.scenario;
        let phases = plan.phases.iter().map(|phase| {
            ScopeSummary::new(
                phase.name.clone(),
                micros(phase.from)..micros(phase.to).min(measured_us),
            )
        });
        let idle_timeout_us = micros(scenario.topology.nginx.proxy_read_timeout);
        let mut storms = Vec::new();
        let mut blind = Vec::new();
        for (fault, record) in plan.faults.iter().zip(faults) {
            let window = match record.confirmed_us.and(record.began_us) {
                Some(began_us) => {
                    let next = next_begun(record, faults).unwrap_or(measured_us);
                    began_us..next.min(measured_us).max(began_us)
                }
                None => 0..0,
            };
            storms.push(Storm::new(fault, window, record.ended_us, idle_timeout_us));
            blind.extend(blind::window(fault, record));
        }
        Self {
            plan,
            measured_us,
            run: ScopeSummary::new("run", 0..measured_us),
            phases: phases.collect(),
            storms,
            books: FleetBooks::default(),
            connected: 0,
            nodes: Vec::new(),
            out: HashMap::new(),
            cuts: 0,
            silence: Silence::new(&plan.faults, faults),
            uncounted: 0,
            blind,
            opened_blind: 0,
            timed: Default::default(),
            misplaced: 0,
            out_now: HashSet::new(),
        }
    }

    pub(super) fn add(&mut self, second: &Second, events: &[OutageEvent]) {
        if self.nodes.is_empty() {
            self.nodes = vec![NodeSessions::default(); second.nodes.len()];
        }
        self.books.add(second);
        let start_us = u64::from(second.second) * INTERVAL_US;
        let load = &self.plan.load;
        let at = |bin: u64| Duration::from_micros(start_us + bin * BIN_US);
        let clients = client_seconds(second, self.connected, |bin| {
            load.wanted_seconds(at(bin as u64), at(bin as u64 + 1))
        });
        // The second in which the run was stopped holds what stopping did.
        if start_us + INTERVAL_US > self.measured_us.saturating_add(STOP_SLACK_US) {
            return self.add_unmeasured(second, events);
        }
        self.run.add_second(second, &clients);
        for phase in &mut self.phases {
            phase.add_second(second, &clients);
        }
        for storm in &mut self.storms {
            storm.scope.add_second(second, &clients);
            if storm.scope.window.start < start_us + INTERVAL_US {
                let wanted = load.wanted(Duration::from_micros(start_us));
                storm.prepare(&self.nodes, self.connected, wanted);
            }
        }
        for event in events {
            self.event(event);
        }
        for storm in &mut self.storms {
            storm.second(second, &self.nodes);
        }
        for began_us in self.silence.restarts() {
            self.uncounted += opened_around(second, *began_us);
        }
        let is_blind = |(from, to): &(u64, u64)| start_us < *to && *from < start_us + INTERVAL_US;
        if self.blind.iter().any(is_blind) {
            self.opened_blind += second.counts.opened;
        }
        self.connected = second.gauges.connected;
        self.nodes.clone_from(&second.nodes);
    }

    /// A second that is not measured still counts in the books, and its outages end others.
    fn add_unmeasured(&mut self, second: &Second, events: &[OutageEvent]) {
        for event in events {
            self.event(event);
        }
        self.connected = second.gauges.connected;
        self.nodes.clone_from(&second.nodes);
    }

    pub(super) fn add_times(&mut self, second: u32, series: Series, times: &Histogram<u64>) {
        self.timed[series as usize] += times.len();
        if (u64::from(second) + 1) * INTERVAL_US > self.measured_us.saturating_add(STOP_SLACK_US) {
            return;
        }
        self.run.add_times(second, series, times);
        for phase in &mut self.phases {
            phase.add_times(second, series, times);
        }
        for storm in &mut self.storms {
            storm.scope.add_times(second, series, times);
        }
    }

    fn event(&mut self, event: &OutageEvent) {
        let is_in_place = match event.what {
            Change::Cut { .. } => {
                self.connected = self.connected.saturating_sub(1);
                self.out_now.insert(event.client)
            }
            Change::Back { .. } => {
                self.connected += 1;
                self.out_now.remove(&event.client)
            }
            Change::Out { .. } => self.out_now.remove(&event.client),
        };
        self.misplaced += u64::from(!is_in_place);
        let wanted = self.plan.load.wanted(Duration::from_micros(event.at_us));
        for storm in &mut self.storms {
            storm.event(event, self.connected, wanted);
        }
        match event.what {
            Change::Cut {
                cause, silence_us, ..
            } => {
                self.cuts += 1;
                self.silence.cut(event.at_us, cause);
                if self.run.add_cut(event.at_us, cause, silence_us) {
                    self.out.insert(event.client, event.at_us);
                }
                for phase in &mut self.phases {
                    phase.add_cut(event.at_us, cause, silence_us);
                }
            }
            Change::Back { attempts, .. } => self.outage_over(event, Some(()), attempts),
            Change::Out { attempts } => self.outage_over(event, None, attempts),
        }
    }

    fn outage_over(&mut self, event: &OutageEvent, back: Option<()>, attempts: u32) {
        let Some(cut_us) = self.out.remove(&event.client) else {
            return;
        };
        let lasted_us = back.map(|()| event.at_us - cut_us);
        self.run.add_outage(lasted_us, attempts);
        let storms = self.storms.iter_mut().map(|storm| &mut storm.scope);
        for scope in self.phases.iter_mut().chain(storms) {
            if scope.window.contains(&cut_us) {
                scope.add_outage(lasted_us, attempts);
            }
        }
    }

    pub(super) fn finish(
        mut self,
        faults: Vec<FaultRecord>,
        end: Option<RunEnd>,
        cut_off: bool,
    ) -> Summary {
        // A run that broke off leaves cuts without a second record: those clients were out to the end.
        let left: Vec<u32> = self.out.keys().copied().collect();
        for client in left {
            let event = OutageEvent {
                at_us: self.measured_us,
                client,
                what: Change::Out { attempts: 0 },
            };
            self.outage_over(&event, None, 0);
        }
        for storm in &mut self.storms {
            storm.finish();
        }
        let books = self.entries(end.as_ref());
        Summary {
            measured_us: self.measured_us,
            run: self.run,
            phases: self.phases,
            storms: self.storms,
            faults,
            books,
            end,
            cut_off,
        }
    }

    fn entries(&self, end: Option<&RunEnd>) -> Vec<Entry> {
        let totals = self.books.totals();
        let failed = |want: fn(ConnectFailure) -> bool| -> u64 {
            ConnectFailure::ALL
                .iter()
                .filter(|cause| want(**cause))
                .map(|cause| totals.failed[cause.index()])
                .sum()
        };
        let answered = failed(ConnectFailure::was_answered);
        let unanswered = failed(ConnectFailure::may_have_arrived);
        let violations = self.books.violations();
        let mut entries = vec![Entry::exact(
            format!(
                "fleet, {} seconds{}",
                self.books.seconds(),
                violations
                    .first()
                    .map_or(String::new(), |v| format!(" ({v})"))
            ),
            ("seconds", self.books.seconds()),
            (
                "balanced seconds",
                self.books.seconds() - (violations.len() as u64).min(self.books.seconds()),
            ),
        )];
        entries.push(Entry::exact(
            "disconnects",
            ("counted", totals.cut_total()),
            ("recorded singly", self.cuts),
        ));
        entries.push(Entry::exact(
            "outages, each cut before its return",
            ("misplaced", 0),
            ("events", self.misplaced),
        ));
        let timed = |series: Series| self.timed[series as usize];
        entries.push(Entry::exact(
            "times",
            (
                "attempts, handshakes, messages",
                totals.attempts + totals.opened + totals.sent,
            ),
            (
                "in the HDR log",
                timed(Series::AttemptLateness)
                    + timed(Series::Handshake)
                    + timed(Series::MessageLateness),
            ),
        ));
        let Some(end) = end else { return entries };
        if !end.nodes.is_empty() {
            let accepted = end.nodes.iter().map(|node| node.accepted).sum();
            // A node may have accepted what nginx answered for it (502, 504) or what the client never heard of.
            let undecided = unanswered
                + self.opened_blind
                + totals.failed[ConnectFailure::Status502.index()]
                + totals.failed[ConnectFailure::Status504.index()];
            entries.push(Entry {
                may_exceed: undecided,
                ..Entry::exact(
                    "upgrades",
                    ("clients", totals.opened),
                    ("nodes accepted", accepted),
                )
            });
        }
        if let Some(requests) = end.proxy.requests {
            entries.push(Entry {
                may_exceed: unanswered,
                may_lack: self.uncounted,
                ..Entry::exact(
                    "requests",
                    ("clients", totals.opened + answered),
                    ("nginx", requests),
                )
            });
        }
        if let (Some(tunnels), Some(others), true) = (
            end.proxy.tunnel_lines,
            end.proxy.other_lines,
            end.outcome.was_orderly(),
        ) {
            entries.push(Entry {
                may_exceed: unanswered + self.silence.undecided,
                may_lack: self.silence.untold,
                ..Entry::exact(
                    format!(
                        "tunnels ended, less {} cut by the end of nginx or a worker, which log none",
                        self.silence.cuts
                    ),
                    ("clients", totals.closed_total() - self.silence.cuts),
                    ("access-log lines with 101", tunnels),
                )
            });
            entries.push(Entry {
                may_exceed: unanswered,
                ..Entry::exact(
                    "refused upgrades",
                    ("clients", answered),
                    ("access-log lines without 101", others),
                )
            });
        }
        entries
    }
}

/// When the next fault began that was not to overlap this one.
fn next_begun(this: &FaultRecord, all: &[FaultRecord]) -> Option<u64> {
    all.iter()
        .filter(|other| {
            other.planned_begin_us >= this.planned_end_us
                && other.planned_begin_us > this.planned_begin_us
        })
        .filter_map(|other| other.confirmed_us.and(other.began_us))
        .min()
}

/// Sessions opened in the bins within 200 ms of a moment.
fn opened_around(second: &Second, at_us: u64) -> u64 {
    let start_us = u64::from(second.second) * INTERVAL_US;
    (0..BINS as u64)
        .filter(|bin| (start_us + bin * BIN_US + BIN_US / 2).abs_diff(at_us) < 2 * BIN_US)
        .map(|bin| u64::from(second.bins.opened[bin as usize]))
        .sum()
}
