//! Makes faults happen at their time and heals them, whatever happens in between.
//!
//! A fault is begun, held and healed in one function, so that no way out skips the healing: the run's end and Ctrl-C
//! only cut the holding short. What a SIGKILL of the harness leaves is the warden's to clean up.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::FaultRecord;
use crate::client::fleet;
use crate::plan::Plan;
use crate::scenario::{Fault, FaultId, FaultKind};
use crate::topology::{Topology, TopologyError};
use crate::units::micros;
use crate::wire::Behaviour;

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
enum FaultError {
    #[error(transparent)]
    Topology(#[from] TopologyError),
    #[error(transparent)]
    Fleet(#[from] fleet::ShardGone),
}

/// Walks through the faults of `plan`, whose run starts at `started`, until done or `stop` turns true. A record goes
/// out at each change. Faults of one run do not overlap.
pub async fn inject(
    plan: Rc<Plan>,
    victims: Victims,
    started: Instant,
    mut stop: watch::Receiver<bool>,
    records: mpsc::UnboundedSender<FaultRecord>,
) {
    let send = |record: &FaultRecord| {
        // The controller outlives its injector; if it does not, nobody is left to tell.
        let _ = records.send(record.clone());
    };
    for (id, fault) in (0u16..).map(FaultId).zip(&plan.scenario.faults) {
        let mut record = FaultRecord::planned(id, fault);
        if !sleep_until(started + fault.at, &mut stop).await {
            return;
        }
        let now_us = || micros(Instant::now().saturating_duration_since(started));
        record.began_us = Some(now_us());
        send(&record);
        tracing::info!(fault = %fault.name, "begins");
        match begin(fault, &victims).await {
            Ok(observed) => {
                record.confirmed_us = Some(now_us());
                record.observed = observed;
            }
            Err(error) => fail(&mut record, &error),
        }
        send(&record);
        sleep_until(Instant::now() + fault.lasts, &mut stop).await;
        match heal(fault, &victims).await {
            Ok(observed) => {
                record.ended_us = Some(now_us());
                if !observed.is_empty() {
                    record.observed = format!("{}; {observed}", record.observed);
                }
            }
            Err(error) => fail(&mut record, &error),
        }
        tracing::info!(fault = %fault.name, "is over");
        send(&record);
    }
}

fn fail(record: &mut FaultRecord, error: &FaultError) {
    tracing::error!(fault = %record.name, "{error}");
    record.failed = true;
    record.observed = error.to_string();
}

/// Sleeps until `at`; `false` when told to stop before.
async fn sleep_until(at: Instant, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        // An error means that the controller is gone, which is a reason to stop as well.
        _ = stop.wait_for(|stop| *stop) => false,
        () = tokio::time::sleep_until(at) => true,
    }
}

/// Begins a fault; returns once it is seen to have taken effect, with what was seen.
async fn begin(fault: &Fault, victims: &Victims) -> Result<String, FaultError> {
    let topology = &victims.topology;
    Ok(match &fault.kind {
        FaultKind::IdleGap { keep_heartbeat } => {
            let behaviour = Behaviour {
                quiet: true,
                no_heartbeat: !keep_heartbeat,
            };
            topology.set_behaviour(behaviour).await?;
            victims.fleet.quiet(*keep_heartbeat).await?;
            "every shard and node is silent".into()
        }
        FaultKind::KillNode { node } => {
            topology.kill_node(*node).await?;
            format!("{node} is reaped")
        }
        FaultKind::RestartProxy => {
            topology.stop_proxy().await?;
            "nginx's master and workers are gone".into()
        }
        FaultKind::ReloadProxy => {
            let seen = topology.reload_proxy().await?;
            format!(
                "{} new workers after {}, {} old ones drain",
                seen.new_workers.len(),
                crate::units::show_duration(seen.took.max(Duration::from_micros(1))),
                seen.old_workers.len()
            )
        }
    })
}

/// Heals a fault, even one that did not begin as it should; returns what was seen.
async fn heal(fault: &Fault, victims: &Victims) -> Result<String, FaultError> {
    let topology = &victims.topology;
    Ok(match &fault.kind {
        FaultKind::IdleGap { .. } => {
            // The clients first: should a node not take it, they at least speak again.
            victims.fleet.resume().await?;
            topology.set_behaviour(Behaviour::default()).await?;
            "all speak again".into()
        }
        FaultKind::KillNode { node } => {
            topology.start_node(*node).await?;
            format!("{node} is healthy again")
        }
        FaultKind::RestartProxy => {
            topology.start_proxy().await?;
            "nginx answers again".into()
        }
        FaultKind::ReloadProxy => String::new(),
    })
}
