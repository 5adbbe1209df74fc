//! What can be done to the last proxy, which stands before the nodes, and what it has counted.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Compose;
use super::error::ComposeError;
use super::service::Service;
use crate::topology::TopologyError;
use crate::topology::lives::{ProxySample, ReloadSeen};

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

    /// SIGKILL to its container: the master, and the workers with it.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill_proxy(&self) -> Result<(), TopologyError> {
        self.end_proxy("KILL").await
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
        if before != now && self.endpoint() == before {
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
        Err(TopologyError::Late {
            name: proxy.name.clone(),
            what: "reloaded",
            within: RELOAD,
            log: self.engine.last_words(&proxy.id).await,
        })
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

    fn proxy(&self) -> Result<&Service, TopologyError> {
        let last = self.proxies.get().and_then(|proxies| proxies.last());
        last.ok_or_else(|| TopologyError::State {
            name: "the proxy".into(),
            state: "not part of this topology",
        })
    }
}
