//! Makes faults happen at their time and heals them, whatever happens in between.
//!
//! Every fault is a task of its own, so that faults can overlap. It is begun, held and healed in one function, so that
//! no way out skips the healing: the run's end and Ctrl-C only cut the holding short. What a SIGKILL of the harness
//! leaves is the warden's to clean up.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::turns::Turns;
use super::{FaultRecord, client, link, node, proxy};
use crate::client::fleet;
use crate::plan::{OccurrenceId, Plan, PlannedFault};
use crate::scenario::{FaultKind, NodeId};
use crate::topology::{Topology, TopologyError};
use crate::units::micros;

/// Everything a fault can be done to.
#[derive(Debug, Clone)]
pub struct Victims {
    /// nginx and the nodes.
    pub topology: Rc<Topology>,
    /// The clients.
    pub fleet: fleet::Handle,
}

/// A fault could not be made or healed.
#[derive(Debug, thiserror::Error)]
pub(super) enum FaultError {
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error(transparent)]
    Fleet(#[from] fleet::ShardGone),
}

/// Makes the faults of `plan`, whose run starts at `started`, until all are over or `stop` turns true; returns when all
/// are healed. A record goes out at each change.
///
/// # Panics
/// When the task of a fault does.
pub async fn inject(
    plan: Rc<Plan>,
    victims: Victims,
    started: Instant,
    stop: watch::Receiver<bool>,
    records: mpsc::UnboundedSender<FaultRecord>,
) {
    let turns = Rc::new(Turns::new(plan.scenario.topology.nodes));
    let mut tasks = JoinSet::new();
    for (id, fault) in (0u16..).map(OccurrenceId).zip(&plan.faults) {
        let stage = Stage {
            victims: victims.clone(),
            turns: turns.clone(),
            started,
            stop: stop.clone(),
            records: records.clone(),
        };
        let record = FaultRecord::planned(id, fault);
        tasks.spawn_local(stage.play(fault.clone(), record));
    }
    tasks.join_all().await;
}

/// What the task of one fault works with.
struct Stage {
    victims: Victims,
    turns: Rc<Turns>,
    started: Instant,
    stop: watch::Receiver<bool>,
    records: mpsc::UnboundedSender<FaultRecord>,
}

impl Stage {
    /// One fault from its beginning to its end.
    async fn play(mut self, fault: PlannedFault, mut record: FaultRecord) {
        if !self.sleep_until(self.started + fault.at).await {
            return;
        }
        let turns = self.turns.clone();
        let _turn = turns.take(&fault).await;
        if *self.stop.borrow() {
            return;
        }
        record.began_us = Some(self.now_us());
        self.send(&record);
        tracing::info!(fault = %fault.name, "begins");
        let mut healed = true;
        for (index, nodes) in fault.waves().into_iter().enumerate() {
            let pause = fault.pause.unwrap_or_default();
            if index > 0 && !self.sleep_until(Instant::now() + pause).await {
                break;
            }
            match begin(&fault.kind, nodes, record.id, &self.victims).await {
                Ok(seen) => {
                    record.confirmed_us.get_or_insert(self.now_us());
                    record.saw(&seen);
                }
                Err(error) => fail(&mut record, &error),
            }
            self.send(&record);
            self.sleep_until(Instant::now() + fault.lasts).await;
            record.healing_us = Some(self.now_us());
            self.send(&record);
            match heal(&fault.kind, nodes, &self.victims).await {
                Ok(seen) => record.saw(&seen),
                Err(error) => {
                    healed = false;
                    fail(&mut record, &error);
                }
            }
        }
        record.ended_us = healed.then(|| self.now_us());
        tracing::info!(fault = %fault.name, "is over");
        self.send(&record);
    }

    fn now_us(&self) -> u64 {
        micros(Instant::now().saturating_duration_since(self.started))
    }

    fn send(&self, record: &FaultRecord) {
        // The controller outlives its injector; if it does not, nobody is left to tell.
        let _ = self.records.send(record.clone());
    }

    /// Sleeps until `at`; `false` when told to stop before.
    async fn sleep_until(&mut self, at: Instant) -> bool {
        tokio::select! {
            biased;
            // An error means that the controller is gone, which is a reason to stop as well.
            _ = self.stop.wait_for(|stop| *stop) => false,
            () = tokio::time::sleep_until(at) => true,
        }
    }
}

fn fail(record: &mut FaultRecord, error: &FaultError) {
    tracing::error!(fault = %record.name, "{error}");
    record.failed = true;
    record.saw(&error.to_string());
}

/// Begins a fault; returns once it is seen to have taken effect, with what was seen.
async fn begin(
    kind: &FaultKind,
    nodes: &[NodeId],
    id: OccurrenceId,
    victims: &Victims,
) -> Result<String, FaultError> {
    match kind {
        FaultKind::Client(kind) => client::begin(kind, id, victims).await,
        FaultKind::Node(kind) => Ok(node::begin(kind, nodes, &victims.topology).await?),
        FaultKind::Proxy(kind) => Ok(proxy::begin(kind, &victims.topology).await?),
        FaultKind::Link(kind) => Ok(link::begin(kind, nodes, victims.topology.links()).await?),
    }
}

/// Heals a fault, even one that did not begin as it should; returns what was seen.
async fn heal(kind: &FaultKind, nodes: &[NodeId], victims: &Victims) -> Result<String, FaultError> {
    match kind {
        FaultKind::Client(kind) => client::heal(kind, victims).await,
        FaultKind::Node(kind) => Ok(node::heal(kind, nodes, &victims.topology).await?),
        FaultKind::Proxy(kind) => Ok(proxy::heal(kind, &victims.topology).await?),
        FaultKind::Link(kind) => Ok(link::heal(kind, nodes, victims.topology.links()).await?),
    }
}

/// `n1 and n2 are`, `n1 is`.
pub(super) fn they_are(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    match names.as_slice() {
        [one] => format!("{one} is"),
        [head @ .., last] => format!("{} and {last} are", head.join(", ")),
        [] => "nobody is".into(),
    }
}

/// A time that was measured, never shown as none.
pub(super) fn shown(took: Duration) -> String {
    crate::units::show_duration(took.max(Duration::from_micros(1)))
}
