//! The end of a run: waits for nginx to have seen every tunnel end, reads what nginx and the nodes counted, and takes
//! everything down.

use std::time::Duration;

use tokio::time::Instant;

use super::controller::Measured;
use super::run_end;
use crate::analyze::replay;
use crate::error::Error;
use crate::plan::Plan;
use crate::record::access;
use crate::record::collector::{NodeBooks, ProxyBooks, RunEnd};
use crate::record::folder::Folder;
use crate::scenario::{FaultKind, NodeId, ProxyFault};
use crate::topology::{Incarnation, Topology};

/// How long nginx may take to see the last tunnel end.
const DRAIN: Duration = Duration::from_secs(5);
/// So long without a change means that what is left are ghosts.
const SETTLED: Duration = Duration::from_millis(500);
/// How often to look.
const LOOK: Duration = Duration::from_millis(50);

/// Closes the books and takes the topology down, whether or not anything was measured.
pub(super) async fn close(
    plan: &Plan,
    topology: &Topology,
    measured: Result<Measured, Error>,
    folder: &Folder,
) -> Result<RunEnd, Error> {
    let hurry = measured.as_ref().map_or(true, |measured| measured.hurry);
    let finished = matches!(&measured, Ok(measured) if measured.outcome.was_orderly());
    let drained = finished && !hurry && wait_for_drain(topology, lost_workers(plan)).await;
    // Its last count is taken now, while all is quiet; one that is not had is not guessed.
    let is_counted = !hurry && topology.proxy_status().await.is_some();
    let requests = if is_counted {
        total_requests(&topology.proxy_incarnations())
    } else {
        None
    };
    let relays = if hurry {
        Vec::new()
    } else {
        topology.links().stats().await
    };
    let teardown = if hurry {
        topology.abort().await
    } else {
        topology.down().await
    };
    let mut end = run_end(measured?, drained);
    if finished && !drained && !hurry {
        end.notes.push(format!(
            "nginx still counted connections {} after every client had left: did one of its workers die?",
            crate::units::show_duration(DRAIN)
        ));
    }
    let costs = relays.iter().map(|(name, stats)| stats.cost(name));
    end.notes.extend(costs);
    end.notes.extend(teardown.notes);
    if !teardown.forced.is_empty() {
        end.notes.push(format!(
            "did not stop when asked and were killed: {}",
            teardown.forced.join(", ")
        ));
    }
    // The books of all, or none: a sum without one of them is a sum of nothing.
    let books = (0..plan.scenario.topology.nodes).map(NodeId).map(|id| {
        let ledgers = topology.node_ledgers(id)?;
        Some(NodeBooks {
            node: id.to_string(),
            accepted: ledgers.iter().map(|ledger| ledger.accepted).sum(),
            incarnations: ledgers.len() as u64,
        })
    });
    end.nodes = books.collect::<Option<_>>().unwrap_or_default();
    // One that cannot be read spoils the report, which reads it too.
    let thinned = replay::checkpoint(folder).ok().flatten();
    let counted = thinned.map_or_else(Default::default, |thinned| thinned.access);
    let lines = access::count_all(&topology.access_log(), counted);
    end.proxy = ProxyBooks {
        requests,
        tunnel_lines: lines.map(|lines| lines.tunnels),
        other_lines: lines.map(|lines| lines.others),
    };
    Ok(end)
}

/// Requests over all lives of nginx, our polls taken off; `None` when the last count of one is missing, or one of our
/// own polls may or may not be in it.
fn total_requests(lives: &[Incarnation]) -> Option<u64> {
    lives.iter().try_fold(0, |sum, life| {
        let last = life
            .last
            .as_ref()
            .filter(|last| last.polls_undecided == 0)?;
        Some(sum + last.client_requests())
    })
}

/// Were workers of nginx killed on purpose? It goes on counting the connections that died with one.
fn lost_workers(plan: &Plan) -> bool {
    let kill = FaultKind::Proxy(ProxyFault::KillWorker);
    plan.faults.iter().any(|fault| fault.kind == kill)
}

/// Waits until nginx counts no connection but the one that asks, or no fewer any more when some of them `may_be_ghosts`;
/// `false` when it does not come to that.
async fn wait_for_drain(topology: &Topology, may_be_ghosts: bool) -> bool {
    let deadline = Instant::now() + DRAIN;
    let mut least = (u64::MAX, Instant::now());
    while Instant::now() < deadline {
        let Some(sample) = topology.proxy_status().await else {
            return false;
        };
        let active = sample.status.active;
        if active < least.0 {
            least = (active, Instant::now());
        }
        if active <= 1 || (may_be_ghosts && least.1.elapsed() > SETTLED) {
            return true;
        }
        tokio::time::sleep(LOOK).await;
    }
    false
}
