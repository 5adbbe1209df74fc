//! Single workers of nginx: killed, stopped, let go on.
//!
//! The kernel gives connections to whichever worker wakes first, so one may hold nearly all and another none. What is
//! done is done to the one that holds the most, be it one that drains since a reload. A worker is found by its master's
//! process id, so it does not matter whether nginx runs beside us or in a container.

use rustix::process::Signal;

use super::{NAME, Proxy, late, not_running};
use crate::topology::error::TopologyError;
use crate::topology::group::{self, ProcStat};
use crate::topology::lives::WorkerSeen;

impl Proxy {
    pub(in crate::topology) async fn kill_worker(&self) -> Result<WorkerSeen, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        // With the turn in hand no poll of ours dies with it.
        let _turn = self.polling.lock().await;
        let seen = busiest(process.pid).ok_or_else(without_worker)?;
        match kill(process.pid, &seen).await {
            true => Ok(seen),
            false => Err(late("rid of its worker", group::SEEN, &process)),
        }
    }

    pub(in crate::topology) async fn pause_worker(&self) -> Result<WorkerSeen, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        let seen = busiest(process.pid).ok_or_else(without_worker)?;
        match pause(&seen).await {
            true => Ok(seen),
            false => Err(late("paused", group::SEEN, &process)),
        }
    }

    pub(in crate::topology) async fn resume_workers(&self) -> Result<usize, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        resume(process.pid)
            .await
            .ok_or_else(|| late("resumed", group::SEEN, &process))
    }
}

pub(in crate::topology) fn without_worker() -> TopologyError {
    TopologyError::State {
        name: NAME.into(),
        state: "without a worker",
    }
}

/// SIGKILL; `true` once it is gone and another has taken its place, or as many as before take new connections, as they
/// do when it was draining.
pub(in crate::topology) async fn kill(master: u32, worker: &WorkerSeen) -> bool {
    let (before, serving_before) = (workers(master), serving(master));
    group::signal(worker.pid, Signal::KILL);
    // Right after a reload old workers still look as if they served, so the count alone might never come back.
    let is_replaced = || {
        let mut now = workers(master).into_iter();
        serving(master) == serving_before || now.any(|pid| !before.contains(&pid))
    };
    group::seen(|| ProcStat::of(worker.pid).is_none() && is_replaced()).await
}

/// SIGSTOP; `true` once the kernel shows it stopped.
pub(in crate::topology) async fn pause(worker: &WorkerSeen) -> bool {
    group::signal(worker.pid, Signal::STOP);
    group::seen(|| group::is_stopped(worker.pid)).await
}

/// SIGCONT to all that are stopped; once none is, how many there were.
pub(in crate::topology) async fn resume(master: u32) -> Option<usize> {
    let mut stopped = group::children(master);
    stopped.retain(|pid| group::is_stopped(*pid));
    for pid in &stopped {
        group::signal(*pid, Signal::CONT);
    }
    let go_on = || !stopped.iter().any(|pid| group::is_stopped(*pid));
    group::seen(go_on).await.then_some(stopped.len())
}

/// The one with the most open files; `None` when there is none.
pub(in crate::topology) fn busiest(master: u32) -> Option<WorkerSeen> {
    let workers = workers(master);
    let files = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let counted = workers.iter().map(|pid| (files(*pid), *pid));
    let (files, pid) = counted.max()?;
    Some(WorkerSeen {
        pid,
        files,
        others: workers.len() - 1,
    })
}

/// All workers, also those that drain.
fn workers(master: u32) -> Vec<u32> {
    let mut workers = group::children(master);
    workers.retain(|pid| title(*pid).contains("worker process"));
    workers
}

/// How many workers take new connections.
fn serving(master: u32) -> usize {
    let draining = |pid: &u32| title(*pid).contains("shutting down");
    workers(master).iter().filter(|pid| !draining(pid)).count()
}

/// What nginx calls this process.
fn title(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}
