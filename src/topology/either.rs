//! Either topology behind one face. Every method is a match; what it does is said in [`Bundled`] and [`Compose`].

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::bundled::{Bundled, BundledSpec, Teardown, Up};
use super::compose::{Compose, ComposeSpec};
use super::error::TopologyError;
use super::links::Links;
use super::lives::{Incarnation, ProxySample, ReloadSeen, WorkerSeen};
use super::process::Exit;
use crate::record::containers::Usage;
use crate::scenario::{Nginx, NodeId};
use crate::wire::{Behaviour, Ledger, NodeStats};

/// What to bring up.
#[derive(Debug, Clone)]
pub enum Spec {
    /// Processes on loopback.
    Bundled(BundledSpec),
    /// Containers.
    Compose(ComposeSpec),
}

/// What is up.
#[derive(Debug)]
pub enum Topology {
    /// Processes on loopback.
    Bundled(Box<Bundled>),
    /// Containers.
    Compose(Box<Compose>),
}

/// Calls a method of whichever it is.
macro_rules! either {
    ($self:ident, $topology:ident => $call:expr) => {
        match $self {
            Topology::Bundled($topology) => $call,
            Topology::Compose($topology) => $call,
        }
    };
}

#[expect(missing_docs, reason = "said where they are implemented")]
#[expect(clippy::missing_errors_doc, reason = "said where they are implemented")]
impl Topology {
    /// Brings it up, unless `interruption` resolves before.
    ///
    /// # Errors
    /// [`TopologyError`]; everything is down again then, as it is after an interruption.
    pub async fn up_unless<T>(
        spec: Spec,
        interruption: impl Future<Output = T>,
    ) -> Result<Up<Self, T>, TopologyError> {
        Ok(match spec {
            Spec::Bundled(spec) => match Bundled::up_unless(spec, interruption).await? {
                Up::Ready(bundled) => Up::Ready(Box::new(Self::Bundled(bundled))),
                Up::Interrupted(why) => Up::Interrupted(why),
            },
            Spec::Compose(spec) => match Compose::up_unless(spec, interruption).await? {
                Up::Ready(compose) => Up::Ready(Box::new(Self::Compose(compose))),
                Up::Interrupted(why) => Up::Interrupted(why),
            },
        })
    }

    pub fn group(&self) -> u32 {
        either!(self, topology => topology.group())
    }

    pub fn endpoint(&self) -> SocketAddr {
        either!(self, topology => topology.endpoint())
    }

    /// nginx or images, in a line.
    pub fn describe(&self) -> String {
        match self {
            Self::Bundled(bundled) => {
                let nginx = bundled.nginx();
                format!("nginx {} ({})", nginx.version, nginx.origin)
            }
            Self::Compose(compose) => compose.describe(),
        }
    }

    pub fn access_log(&self) -> PathBuf {
        either!(self, topology => topology.access_log())
    }

    pub async fn kill_node(&self, id: NodeId) -> Result<(), TopologyError> {
        either!(self, topology => topology.kill_node(id).await)
    }

    pub async fn start_node(&self, id: NodeId) -> Result<(), TopologyError> {
        either!(self, topology => topology.start_node(id).await)
    }

    pub async fn stop_node(
        &self,
        id: NodeId,
        grace: Duration,
        code: u16,
    ) -> Result<bool, TopologyError> {
        either!(self, topology => topology.stop_node(id, grace, code).await)
    }

    pub async fn pause_node(&self, id: NodeId) -> Result<(), TopologyError> {
        either!(self, topology => topology.pause_node(id).await)
    }

    pub async fn resume_node(&self, id: NodeId) -> Result<(), TopologyError> {
        either!(self, topology => topology.resume_node(id).await)
    }

    pub async fn set_behaviour_of(
        &self,
        id: NodeId,
        behaviour: Behaviour,
    ) -> Result<(), TopologyError> {
        either!(self, topology => topology.set_behaviour_of(id, behaviour).await)
    }

    pub async fn set_behaviour(&self, behaviour: Behaviour) -> Result<(), TopologyError> {
        either!(self, topology => topology.set_behaviour(behaviour).await)
    }

    pub async fn node_stats(&self, id: NodeId) -> Option<Vec<NodeStats>> {
        either!(self, topology => topology.node_stats(id).await)
    }

    /// `None` when it cannot be known what the node has counted.
    pub fn node_ledgers(&self, id: NodeId) -> Option<Vec<Ledger>> {
        match self {
            Self::Bundled(bundled) => Some(bundled.node_ledgers(id)),
            Self::Compose(compose) => compose.node_ledgers(id),
        }
    }

    pub async fn stop_proxy(&self) -> Result<(), TopologyError> {
        either!(self, topology => topology.stop_proxy().await)
    }

    pub async fn start_proxy(&self) -> Result<(), TopologyError> {
        either!(self, topology => topology.start_proxy().await)
    }

    pub async fn quit_proxy(&self) -> Result<usize, TopologyError> {
        either!(self, topology => topology.quit_proxy().await)
    }

    pub async fn kill_proxy(&self) -> Result<usize, TopologyError> {
        match self {
            Self::Bundled(bundled) => Ok(bundled.kill_proxy().await),
            Self::Compose(compose) => compose.kill_proxy().await,
        }
    }

    pub async fn kill_worker(&self) -> Result<WorkerSeen, TopologyError> {
        either!(self, topology => topology.kill_worker().await)
    }

    pub async fn pause_worker(&self) -> Result<WorkerSeen, TopologyError> {
        either!(self, topology => topology.pause_worker().await)
    }

    pub async fn resume_workers(&self) -> Result<usize, TopologyError> {
        either!(self, topology => topology.resume_workers().await)
    }

    pub fn settings(&self) -> &Nginx {
        either!(self, topology => topology.settings())
    }

    pub async fn reconfigure_proxy(&self, nginx: &Nginx) -> Result<ReloadSeen, TopologyError> {
        either!(self, topology => topology.reconfigure_proxy(nginx).await)
    }

    /// The relays in its links.
    pub const fn links(&self) -> &Links {
        either!(self, topology => topology.links())
    }

    /// Logs of containers are the compose file's to limit.
    pub fn put_logs_aside(&self) {
        if let Self::Bundled(bundled) = self {
            bundled.put_logs_aside();
        }
    }

    pub async fn reload_proxy(&self) -> Result<ReloadSeen, TopologyError> {
        either!(self, topology => topology.reload_proxy().await)
    }

    pub async fn proxy_status(&self) -> Option<ProxySample> {
        either!(self, topology => topology.proxy_status().await)
    }

    pub fn proxy_incarnations(&self) -> Vec<Incarnation> {
        either!(self, topology => topology.proxy_incarnations())
    }

    /// Does it run in containers?
    pub const fn has_containers(&self) -> bool {
        matches!(self, Self::Compose(_))
    }

    /// What containers use, by service; nothing when there are none.
    pub async fn usage(&self) -> BTreeMap<String, Usage> {
        match self {
            Self::Bundled(_) => BTreeMap::new(),
            Self::Compose(compose) => compose.usage().await,
        }
    }

    pub async fn unexpected_exit(&self) -> Exit {
        either!(self, topology => topology.unexpected_exit().await)
    }

    pub async fn down(&self) -> Teardown {
        either!(self, topology => topology.down().await)
    }

    pub async fn abort(&self) -> Teardown {
        either!(self, topology => topology.abort().await)
    }
}
