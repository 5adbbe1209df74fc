//! The loop of a run: selects over everything that can happen and owns its state.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::containers;
use super::signals::Signals;
use super::thinner::Thinner;
use crate::analyze::watch::Watch;
use crate::client::fleet::{Fleet, Share};
use crate::client::message::{Order, PROTOCOL};
use crate::client::settings::settings;
use crate::client::shard::{Report as ShardReport, ReportEnd};
use crate::error::Error;
use crate::fault::FaultRecord;
use crate::fault::injector::{self, Victims};
use crate::plan::Plan;
use crate::progress::{Glance, Progress};
use crate::record::collector::{Collector, Outcome, Second};
use crate::record::folder::{self, Folder, FolderError};
use crate::record::lines::Lines;
use crate::topology::Topology;
use crate::units::micros;

/// What the fleet is made of.
#[derive(Debug)]
pub(super) enum Crew {
    /// Threads of this process.
    Shards(usize),
    /// Processes of one thread each.
    Agents {
        /// How many.
        count: usize,
        /// This program.
        exe: PathBuf,
        /// The scenario's text, and what flags changed in it.
        scenario: String,
        overrides: Vec<[String; 3]>,
    },
}

impl Crew {
    /// How many report.
    pub(super) const fn members(&self) -> usize {
        match self {
            Self::Shards(count) | Self::Agents { count, .. } => *count,
        }
    }

    /// From "everything is up" to the first attempt: time for every member to be at its start.
    const fn lead(&self) -> Duration {
        match self {
            Self::Shards(_) => Duration::from_millis(200),
            Self::Agents { .. } => Duration::from_secs(1),
        }
    }

    fn start(self, plan: &Plan, topology: &Topology, started: Instant) -> std::io::Result<Fleet> {
        let target = topology.endpoint();
        match self {
            Self::Shards(count) => {
                Fleet::start(&settings(plan, target), count, Share::ALL, started)
            }
            Self::Agents {
                count,
                exe,
                scenario,
                overrides,
            } => {
                let ahead = started.saturating_duration_since(Instant::now());
                let start = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
                    + ahead;
                let orders = (0..count).map(|index| Order {
                    protocol: PROTOCOL,
                    index,
                    of: count,
                    start_unix_us: micros(start),
                    target,
                    scenario: scenario.clone(),
                    overrides: overrides.clone(),
                });
                Fleet::start_agents(&exe, topology.group(), orders.collect())
            }
        }
    }
}

/// What the loop leaves behind.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) outcome: Outcome,
    /// Where measuring stopped, in µs since the start of the run.
    pub(super) measured_us: u64,
    pub(super) collector: Collector,
    /// A second signal: skip whatever can be skipped but cleaning up.
    pub(super) hurry: bool,
    /// What a reader of the report should know.
    pub(super) notes: Vec<String>,
}

/// Runs the load and the faults until the end, a signal, or something that breaks.
pub(super) async fn measure(
    plan: &Rc<Plan>,
    folder: &Folder,
    topology: &Rc<Topology>,
    progress: &Progress,
    signals: &mut Signals,
    crew: Crew,
    exe: &Path,
) -> Result<Measured, Error> {
    let collector = Collector::create(folder, crew.members())?;
    let faults = folder.append(folder::FAULTS)?;
    let started = Instant::now() + crew.lead();
    let fleet = crew
        .start(plan, topology, started)
        .map_err(|source| Error::System {
            doing: "starting the fleet".into(),
            source,
        })?;
    let _usage = containers::watch(topology, folder, started)?;
    let (stop, stopped) = watch::channel(false);
    let (records, record_reports) = mpsc::unbounded_channel();
    let victims = Victims {
        topology: topology.clone(),
        fleet: fleet.handle(),
    };
    let injector = tokio::task::spawn_local(injector::inject(
        plan.clone(),
        victims,
        started,
        stopped,
        records,
    ));
    let controller = Controller {
        thinner: Thinner::new(folder, exe.to_owned(), plan.scenario.record.detail),
        topology,
        plan,
        progress,
        started,
        fleet,
        stop,
        collector,
        watch: Watch::new(&plan.scenario.abort_when),
        faults,
        fault_on: None,
        stopping: None,
        measured_us: 0,
        hurry: false,
    };
    Ok(controller.control(injector, record_reports, signals).await)
}

struct Controller<'a> {
    topology: &'a Topology,
    thinner: Thinner,
    plan: &'a Plan,
    progress: &'a Progress,
    started: Instant,
    fleet: Fleet,
    stop: watch::Sender<bool>,
    collector: Collector,
    watch: Watch,
    faults: Lines,
    fault_on: Option<String>,
    stopping: Option<Outcome>,
    measured_us: u64,
    hurry: bool,
}

impl Controller<'_> {
    async fn control(
        mut self,
        mut injector: JoinHandle<()>,
        mut records: mpsc::UnboundedReceiver<FaultRecord>,
        signals: &mut Signals,
    ) -> Measured {
        let end = self.started + self.plan.scenario.duration;
        let mut injecting = true;
        loop {
            tokio::select! {
                // Faults before reports: a second is only summed up for good when every fault that began in it is known.
                biased;
                Some(record) = records.recv() => self.take_fault(&record),
                joined = &mut injector, if injecting => {
                    injecting = false;
                    if joined.is_err() {
                        self.begin_stop(Outcome::Broken("the fault injector panicked; please report this".into()));
                    }
                    if self.stopping.is_some() {
                        self.stop_fleet().await;
                    }
                }
                exit = self.topology.unexpected_exit() => {
                    let log = if exit.log.is_empty() { String::new() } else { format!("; its last words: {}", exit.log) };
                    self.begin_stop(Outcome::Broken(format!("{} ended on its own ({}){log}", exit.name, exit.status)));
                    if !injecting {
                        self.stop_fleet().await;
                    }
                }
                name = signals.next() => {
                    if matches!(self.stopping, Some(Outcome::Interrupted(_) | Outcome::Broken(_))) {
                        self.hurry = true;
                        break;
                    }
                    if self.stopping.as_ref().is_some_and(Outcome::was_orderly) {
                        // All is measured, only closing in order is cut short.
                        self.stopping = Some(Outcome::Interrupted(name.into()));
                        self.fleet.stop(true).await;
                        continue;
                    }
                    self.progress.say(&format!("{name}: healing and stopping; once more to skip the waiting"));
                    self.begin_stop(Outcome::Interrupted(name.into()));
                    if !injecting {
                        self.stop_fleet().await;
                    }
                }
                () = tokio::time::sleep_until(end), if self.stopping.is_none() => {
                    self.begin_stop(Outcome::Finished);
                    if !injecting {
                        self.stop_fleet().await;
                    }
                }
                report = self.fleet.report() => match report {
                    Some(report) => {
                        let lost = matches!(report.end, Some(ReportEnd::Lost(_)));
                        let is_over = self.take_report(report) || lost;
                        if is_over && !injecting {
                            self.stop_fleet().await;
                        }
                    }
                    None => break,
                },
            }
        }
        while let Ok(record) = records.try_recv() {
            self.take_fault(&record);
        }
        if !self.hurry
            && !self.collector.is_finished()
            && !matches!(self.stopping, Some(Outcome::Broken(_)))
        {
            self.stopping = Some(Outcome::Broken(
                "a shard of the fleet ended on its own; please report this".into(),
            ));
        }
        let outcome = self
            .stopping
            .unwrap_or_else(|| Outcome::Broken("the fleet ended on its own".into()));
        Measured {
            outcome,
            measured_us: self.measured_us,
            collector: self.collector,
            hurry: self.hurry,
            notes: self.thinner.finish(self.hurry).await.into_iter().collect(),
        }
    }

    /// Stops injecting; faults that are on are healed first. The first reason given is the one that stays.
    fn begin_stop(&mut self, outcome: Outcome) {
        if self.stopping.is_none() {
            self.stopping = Some(outcome);
        }
        self.stop.send_replace(true);
    }

    async fn stop_fleet(&mut self) {
        if self.measured_us == 0 {
            self.measured_us =
                micros(Instant::now().saturating_duration_since(self.started)).max(1);
            let orderly = self.stopping.as_ref().is_some_and(Outcome::was_orderly);
            self.progress.stage(if orderly {
                "closing sessions …"
            } else {
                "stopping …"
            });
            self.fleet.stop(!orderly).await;
        }
    }

    /// Returns whether the seconds in it end the run.
    fn take_report(&mut self, report: ShardReport) -> bool {
        if let Some(ReportEnd::Lost(why)) = &report.end {
            self.begin_stop(Outcome::Broken(why.clone()));
        }
        let load = &self.plan.load;
        let wanted = |second: u32| load.wanted(Duration::from_secs(u64::from(second) + 1));
        let mut is_over = false;
        match self.collector.take(report, wanted) {
            Ok(seconds) => {
                for second in &seconds {
                    self.show(second);
                    is_over |= self.watch(second);
                }
                if self.stopping.is_none()
                    && let Err(error) = self.thinner.look(&mut self.collector, self.topology)
                {
                    self.lost_disk(&error);
                }
            }
            Err(error) => self.lost_disk(&error),
        }
        is_over
    }

    /// Ends the run when an abort condition has held for long enough; returns whether that is so.
    fn watch(&mut self, second: &Second) -> bool {
        if self.stopping.is_some() {
            return false;
        }
        let Some(abort) = self.watch.add(second) else {
            return false;
        };
        self.progress
            .say(&format!("{}; healing and stopping", abort.sentence()));
        self.begin_stop(Outcome::Aborted(abort));
        true
    }

    fn take_fault(&mut self, record: &FaultRecord) {
        self.thinner.note(record);
        self.fault_on = (record.confirmed_us.is_some() && record.ended_us.is_none())
            .then(|| record.name.clone());
        if let Err(error) = self.faults.push(record).and_then(|()| self.faults.flush()) {
            self.lost_disk(&error);
        }
    }

    fn lost_disk(&mut self, error: &FolderError) {
        if self.stopping.is_none() {
            self.progress.say(&error.to_string());
        }
        self.begin_stop(Outcome::Broken(error.to_string()));
    }

    fn show(&self, second: &Second) {
        let at = Duration::from_secs(second.second.into());
        let phase = self.plan.phases.iter().rfind(|phase| phase.from <= at);
        self.progress.second(&Glance {
            second: second.second,
            of: self.plan.scenario.duration.as_secs(),
            phase: phase.map_or("", |phase| phase.name.as_str()),
            fault: self.fault_on.as_deref(),
            connected: second.gauges.connected,
            wanted: second.wanted,
            attempts: second.counts.attempts,
            failed: second.counts.failed_total(),
            cut: second.counts.cut_total(),
        });
    }
}
