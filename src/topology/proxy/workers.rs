//! Single workers of nginx: killed, stopped, let go on.
//!
//! The kernel gives connections to whichever worker wakes first, so one may hold nearly all and another none. What is
//! done is done to the one that holds the most, be it one that drains since a reload.

use rustix::process::Signal;

use super::{NAME, Proxy, late, not_running};
use crate::topology::error::TopologyError;
use crate::topology::group::{self, ProcStat};
use crate::topology::lives::WorkerSeen;

impl Proxy {
    /// SIGKILL; returns when it is gone and as many workers as before take new connections.
    pub(in crate::topology) async fn kill_worker(&self) -> Result<WorkerSeen, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        // With the turn in hand no poll of ours dies with it.
        let _turn = self.polling.lock().await;
        let seen = self.busiest()?;
        let before = serving(process.pid);
        group::signal(seen.pid, Signal::KILL);
        let is_replaced = || ProcStat::of(seen.pid).is_none() && serving(process.pid) == before;
        match group::seen(is_replaced).await {
            true => Ok(seen),
            false => Err(late("rid of its worker", group::SEEN, &process)),
        }
    }

    /// SIGSTOP; returns when the kernel shows it stopped.
    pub(in crate::topology) async fn pause_worker(&self) -> Result<WorkerSeen, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        let seen = self.busiest()?;
        group::signal(seen.pid, Signal::STOP);
        match group::seen(|| group::is_stopped(seen.pid)).await {
            true => Ok(seen),
            false => Err(late("paused", group::SEEN, &process)),
        }
    }

    /// SIGCONT to all that are stopped; returns when none is, with how many there were.
    pub(in crate::topology) async fn resume_workers(&self) -> Result<usize, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        let mut stopped = group::children(process.pid);
        stopped.retain(|pid| group::is_stopped(*pid));
        for pid in &stopped {
            group::signal(*pid, Signal::CONT);
        }
        let go_on = || !stopped.iter().any(|pid| group::is_stopped(*pid));
        match group::seen(go_on).await {
            true => Ok(stopped.len()),
            false => Err(late("resumed", group::SEEN, &process)),
        }
    }

    fn busiest(&self) -> Result<WorkerSeen, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        let workers = workers(process.pid);
        let files =
            |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let counted = workers.iter().map(|pid| (files(*pid), *pid));
        let (files, pid) = counted.max().ok_or_else(|| TopologyError::State {
            name: NAME.into(),
            state: "without a worker",
        })?;
        Ok(WorkerSeen {
            pid,
            files,
            others: workers.len() - 1,
        })
    }
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
