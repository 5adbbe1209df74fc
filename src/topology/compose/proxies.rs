//! What can be done to the last proxy, which stands before the nodes, and what it has counted.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Compose;
use super::error::ComposeError;
use super::service::Service;
use super::state::Life;
use crate::topology::TopologyError;
use crate::topology::group::{self, ProcStat};
use crate::topology::lives::{ProxySample, ReloadSeen, WorkerSeen};
use crate::topology::proxy::workers;

/// Time for a fast shutdown.
const STOP: Duration = Duration::from_secs(5);
const RELOAD: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

impl Compose {
    /// Stops it at once (SIGTERM); returns when its container has ended.
    ///
    /// # Errors
    /// It does not run.
    pub async fn stop_proxy(&self) -> Result<(), TopologyError> {
        match timeout(STOP, self.end_proxy("TERM")).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!("the proxy did not stop when asked and was killed");
                self.end_proxy("KILL").await
            }
        }
    }

    /// Has it shut down gracefully (SIGQUIT); returns when nobody listens any more, with the number of its processes that
    /// linger for the sake of their tunnels.
    ///
    /// # Errors
    /// It does not run, or goes on listening.
    pub async fn quit_proxy(&self) -> Result<usize, TopologyError> {
        let proxy = self.proxy()?;
        {
            // With the turn in hand no other poll is cut short by the signal.
            let _turn = self.counters.turn().await;
            self.counters.poll().await;
            self.alive.borrow_mut().remove(&proxy.id);
            self.engine.signal(&proxy.id, "QUIT").await?;
        }
        let deadline = Instant::now() + STOP;
        while TcpStream::connect(proxy.at(proxy.port)).await.is_ok() {
            if Instant::now() >= deadline {
                return Err(self.late(proxy, "quitting", STOP).await);
            }
            sleep(POLL).await;
        }
        self.crowd(proxy).await
    }

    /// How many processes it has; none when it has ended, be it while we look.
    async fn crowd(&self, proxy: &Service) -> Result<usize, TopologyError> {
        match self.engine.inmates(&proxy.id).await {
            Ok(inmates) => Ok(inmates.len()),
            Err(error) => match self.engine.state(&proxy.id).await?.life {
                Life::Running => Err(error.into()),
                _ => Ok(0),
            },
        }
    }

    /// SIGKILL to its container: the master, and the workers with it, also those that linger; returns how many there
    /// were.
    ///
    /// # Errors
    /// The engine does not do it.
    pub async fn kill_proxy(&self) -> Result<usize, TopologyError> {
        let proxy = self.proxy()?;
        let inmates = self.crowd(proxy).await?;
        match inmates {
            0 => self.counters.end(),
            _ => self.end_proxy("KILL").await?,
        }
        Ok(inmates)
    }

    /// SIGKILLs the worker with the most open files; returns when it is gone and the master has started another.
    ///
    /// # Errors
    /// It does not run, no other worker appears, or its processes are out of our reach.
    pub async fn kill_worker(&self) -> Result<WorkerSeen, TopologyError> {
        let proxy = self.proxy()?;
        // With the turn in hand no poll of ours dies with it.
        let _turn = self.counters.turn().await;
        let master = self.master(proxy).await?;
        let seen = workers::busiest(master).ok_or_else(workers::without_worker)?;
        match workers::kill(master, &seen).await {
            true => Ok(seen),
            false => Err(self.late(proxy, "rid of its worker", group::SEEN).await),
        }
    }

    /// Stops the worker with the most open files (SIGSTOP); returns when the kernel shows it stopped.
    ///
    /// # Errors
    /// It does not run, the worker does not stop, or its processes are out of our reach.
    pub async fn pause_worker(&self) -> Result<WorkerSeen, TopologyError> {
        let proxy = self.proxy()?;
        let master = self.master(proxy).await?;
        let seen = workers::busiest(master).ok_or_else(workers::without_worker)?;
        match workers::pause(&seen).await {
            true => Ok(seen),
            false => Err(self.late(proxy, "paused", group::SEEN).await),
        }
    }

    /// Lets every stopped worker go on (SIGCONT); returns when they do, with how many they were.
    ///
    /// # Errors
    /// It does not run, or a worker does not go on.
    pub async fn resume_workers(&self) -> Result<usize, TopologyError> {
        let proxy = self.proxy()?;
        let master = self.master(proxy).await?;
        match workers::resume(master).await {
            Some(count) => Ok(count),
            None => Err(self.late(proxy, "resumed", group::SEEN).await),
        }
    }

    /// Its first process, as this machine numbers it: processes of a container are ours to signal where it runs here and
    /// we are root. The engine offers no signal to any but the first.
    async fn master(&self, proxy: &Service) -> Result<u32, TopologyError> {
        let pid = self.engine.state(&proxy.id).await?.pid.unwrap_or_default();
        if ProcStat::of(pid).is_none() || !rustix::process::geteuid().is_root() {
            return Err(TopologyError::State {
                name: proxy.name.clone(),
                state: "out of reach: faults of single workers in containers need root on the engine's machine",
            });
        }
        Ok(pid)
    }

    pub(super) async fn late(
        &self,
        service: &Service,
        what: &'static str,
        within: Duration,
    ) -> TopologyError {
        TopologyError::Late {
            name: service.name.clone(),
            what,
            within,
            log: self.engine.last_words(&service.id).await,
        }
    }

    async fn end_proxy(&self, signal: &str) -> Result<(), TopologyError> {
        let proxy = self.proxy()?;
        // With the turn in hand no other poll is cut short by the signal.
        let _turn = self.counters.turn().await;
        self.counters.poll().await;
        self.end(proxy, signal).await?;
        self.counters.end();
        Ok(())
    }

    /// Starts it again with the same configuration; returns when it serves.
    ///
    /// # Errors
    /// It runs already, it does not start, or it is no longer where clients look for it.
    pub async fn start_proxy(&self) -> Result<(), TopologyError> {
        let proxy = self.proxy()?;
        let before = proxy.at(proxy.port);
        self.begin(proxy).await?;
        let now = proxy.at(proxy.port);
        if before != now && self.endpoint.get() == Some(&before) {
            return Err(ComposeError::Moved {
                service: proxy.name.clone(),
                before: before.ip().to_string(),
                now: now.ip().to_string(),
            }
            .into());
        }
        Ok(())
    }

    /// Makes it read its configuration again (SIGHUP); returns when there are new workers.
    ///
    /// # Errors
    /// It does not run, or no new worker appears in time, for which its log gives the reason.
    pub async fn reload_proxy(&self) -> Result<ReloadSeen, TopologyError> {
        let proxy = self.proxy()?;
        let old = self.workers(proxy).await?;
        let start = Instant::now();
        self.engine.signal(&proxy.id, "HUP").await?;
        while start.elapsed() < RELOAD {
            sleep(POLL).await;
            let now = self.workers(proxy).await?;
            let new: Vec<u32> = now.difference(&old).copied().collect();
            if !new.is_empty() {
                return Ok(ReloadSeen {
                    took: start.elapsed(),
                    old_workers: old.into_iter().collect(),
                    new_workers: new,
                });
            }
        }
        Err(self.late(proxy, "reloaded", RELOAD).await)
    }

    /// Children of its first process, as the host numbers them.
    async fn workers(&self, proxy: &Service) -> Result<BTreeSet<u32>, TopologyError> {
        let master = self.engine.state(&proxy.id).await?.pid;
        let inmates = self.engine.inmates(&proxy.id).await?.into_iter();
        Ok(inmates
            .filter(|inmate| Some(inmate.parent) == master)
            .map(|inmate| inmate.pid)
            .collect())
    }

    /// Its counters; `None` when it does not run or answer, or has no status page.
    pub async fn proxy_status(&self) -> Option<ProxySample> {
        self.counters.sample().await
    }

    pub(super) fn proxy(&self) -> Result<&Service, TopologyError> {
        let last = self.proxies.get().and_then(|proxies| proxies.last());
        last.ok_or_else(without_proxy)
    }

    /// The one that clients connect to.
    pub(super) fn first_proxy(&self) -> Result<&Service, TopologyError> {
        let first = self.proxies.get().and_then(|proxies| proxies.first());
        first.ok_or_else(without_proxy)
    }
}

fn without_proxy() -> TopologyError {
    TopologyError::State {
        name: "the proxy".into(),
        state: "not part of this topology",
    }
}
