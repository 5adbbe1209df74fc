//! What can be done to nginx, and asked of it. Everything returns once it has been seen to have happened.

use super::Bundled;
use crate::record::access::aside;
use crate::scenario::Nginx;
use crate::topology::error::TopologyError;
use crate::topology::lives::{Incarnation, ProxySample, ReloadSeen, WorkerSeen};
use crate::topology::setup::{sizing, write_whole};

impl Bundled {
    /// The scenario's settings.
    pub fn settings(&self) -> &Nginx {
        &self.spec.topology.nginx
    }

    /// Stops nginx at once (SIGTERM); returns when the master is reaped and no worker is left.
    ///
    /// # Errors
    /// It does not run.
    pub async fn stop_proxy(&self) -> Result<(), TopologyError> {
        if self.proxy.stop().await? {
            tracing::warn!("nginx did not stop when asked and was killed");
        }
        Ok(())
    }

    /// Has nginx shut down gracefully (SIGQUIT); returns when nobody listens any more, with the number of its processes
    /// that linger for the sake of their tunnels.
    ///
    /// # Errors
    /// It does not run, or goes on listening.
    pub async fn quit_proxy(&self) -> Result<usize, TopologyError> {
        self.proxy.quit_and_linger().await
    }

    /// SIGKILLs nginx, master and workers, also those that linger; returns when none is left, with how many there were.
    pub async fn kill_proxy(&self) -> usize {
        self.proxy.kill().await
    }

    /// Starts nginx again with the same configuration; returns when it answers.
    ///
    /// # Errors
    /// It runs already, or it does not start.
    pub async fn start_proxy(&self) -> Result<(), TopologyError> {
        self.proxy.start(&self.exits).await
    }

    /// Gives nginx's logs other names and has it begin new ones, unless the ones before have not been counted yet. What
    /// was put aside before the last time is for whoever counts it.
    pub fn put_logs_aside(&self) {
        let access_log = self.access_log();
        let (newer, older) = (aside(&access_log, 1), aside(&access_log, 2));
        if older.exists() {
            return;
        }
        // Lines are written to the file that is open until every worker has noticed, hence the two generations. A log that
        // cannot be renamed goes on as it is.
        let _ = std::fs::rename(&newer, &older);
        let _ = std::fs::rename(&access_log, &newer);
        let _ = std::fs::rename(&self.proxy.error_log, aside(&self.proxy.error_log, 1));
        self.proxy.reopen_logs();
    }

    /// Makes nginx read its configuration again (SIGHUP); returns when there are new workers.
    ///
    /// # Errors
    /// It does not run, or no new worker appears in time, for which its error log gives the reason.
    pub async fn reload_proxy(&self) -> Result<ReloadSeen, TopologyError> {
        self.proxy.reload().await
    }

    /// Gives nginx other settings and reloads it; returns when there are new workers.
    ///
    /// # Errors
    /// It refuses the settings (those before stay then), or as [`Self::reload_proxy`].
    pub async fn reconfigure_proxy(&self, nginx: &Nginx) -> Result<ReloadSeen, TopologyError> {
        let mut nginx = nginx.clone();
        // Fewer connections per worker would otherwise be made up for by more workers.
        let before = sizing(&self.spec, &self.spec.topology.nginx);
        nginx
            .worker_processes
            .get_or_insert(before.worker_processes);
        let doing = || format!("reading {}", self.proxy.conf.display());
        let old = std::fs::read_to_string(&self.proxy.conf)
            .map_err(|error| TopologyError::io(doing(), error))?;
        write_whole(&self.proxy.conf, &self.conf(&nginx)?)?;
        if let Err(refused) = self.proxy.test().await {
            write_whole(&self.proxy.conf, &old)?;
            return Err(refused);
        }
        self.proxy.reload().await
    }

    /// SIGKILLs the worker with the most open files; returns when it is gone and the master has started another;
    /// for one that drains it starts none.
    ///
    /// # Errors
    /// nginx does not run, or no other worker appears.
    pub async fn kill_worker(&self) -> Result<WorkerSeen, TopologyError> {
        self.proxy.kill_worker().await
    }

    /// Stops the worker with the most open files (SIGSTOP); returns when the kernel shows it stopped.
    ///
    /// # Errors
    /// nginx does not run, or the worker does not stop.
    pub async fn pause_worker(&self) -> Result<WorkerSeen, TopologyError> {
        self.proxy.pause_worker().await
    }

    /// Lets every stopped worker go on (SIGCONT); returns when they do, with how many they were.
    ///
    /// # Errors
    /// nginx does not run, or a worker does not go on.
    pub async fn resume_workers(&self) -> Result<usize, TopologyError> {
        self.proxy.resume_workers().await
    }

    /// nginx's counters; `None` when it does not run or answer.
    pub async fn proxy_status(&self) -> Option<ProxySample> {
        self.proxy.sample().await
    }

    /// All lives of nginx so far, oldest first, each with its last counters.
    pub fn proxy_incarnations(&self) -> Vec<Incarnation> {
        self.proxy.lives()
    }
}
