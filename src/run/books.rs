//! The end of a run: waits for nginx to have seen every tunnel end, reads what nginx and the nodes counted, and takes
//! everything down.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::controller::Measured;
use super::run_end;
use crate::error::Error;
use crate::plan::Plan;
use crate::record::collector::{NodeBooks, Outcome, ProxyBooks, RunEnd};
use crate::scenario::NodeId;
use crate::topology::{Incarnation, Topology};

/// How long nginx may take to see the last tunnel end.
const DRAIN: Duration = Duration::from_secs(5);
/// How often to look.
const LOOK: Duration = Duration::from_millis(50);

/// Closes the books and takes the topology down, whether or not anything was measured.
pub(super) async fn close(
    plan: &Plan,
    topology: &Topology,
    measured: Result<Measured, Error>,
) -> Result<RunEnd, Error> {
    let hurry = measured.as_ref().map_or(true, |measured| measured.hurry);
    let finished = matches!(&measured, Ok(measured) if measured.outcome == Outcome::Finished);
    let drained = finished && !hurry && wait_for_drain(topology).await;
    // Its last count is taken now, while all is quiet; one that is not had is not guessed.
    let is_counted = !hurry && topology.proxy_status().await.is_some();
    let requests = if is_counted {
        total_requests(&topology.proxy_incarnations())
    } else {
        None
    };
    let teardown = if hurry {
        topology.abort().await
    } else {
        topology.down().await
    };
    let mut end = run_end(measured?, drained, Vec::new());
    if finished && !drained && !hurry {
        end.notes.push(format!(
            "nginx still counted connections {} after every client had left: did one of its workers die?",
            crate::units::show_duration(DRAIN)
        ));
    }
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
    let (tunnel_lines, other_lines) = match count_lines(&topology.access_log()) {
        Some((tunnels, others)) => (Some(tunnels), Some(others)),
        None => (None, None),
    };
    end.proxy = ProxyBooks {
        requests,
        tunnel_lines,
        other_lines,
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

/// Waits until nginx counts no connection but the one that asks; `false` when it does not come to that.
async fn wait_for_drain(topology: &Topology) -> bool {
    let deadline = Instant::now() + DRAIN;
    while Instant::now() < deadline {
        match topology.proxy_status().await {
            Some(sample) if sample.status.active <= 1 => return true,
            Some(_) => tokio::time::sleep(LOOK).await,
            None => return false,
        }
    }
    false
}

#[derive(Deserialize)]
struct AccessLine {
    status: String,
    client: String,
}

/// Lines of the access log with status 101, and others; `None` when there is no log in our format.
fn count_lines(path: &Path) -> Option<(u64, u64)> {
    let mut reader = BufReader::new(File::open(path).ok()?);
    let (mut tunnels, mut others) = (0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).ok()? == 0 {
            return Some((tunnels, others));
        }
        let entry: AccessLine = serde_json::from_slice(&line).ok()?;
        // Every client says who it is; what does not is a poll of a template's status page.
        if entry.client.is_empty() {
            continue;
        }
        if entry.status == "101" {
            tunnels += 1;
        } else {
            others += 1;
        }
    }
}
