//! What can be done to the nodes of a project, and what they have counted.
//!
//! Every method returns once its effect is seen in the state of the container.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::Compose;
use super::service::Service;
use super::state::{Life, State};
use crate::scenario::NodeId;
use crate::topology::TopologyError;
use crate::topology::http;
use crate::wire::{BEHAVIOUR_PATH, Behaviour, Ledger, NodeStats};

/// Time for a container to change its state.
const CHANGE: Duration = Duration::from_secs(20);
/// Time for the engine to know that a node was killed or frozen.
const DYING: Duration = Duration::from_secs(1);
/// Time for a node to take a behaviour.
const ANSWER: Duration = Duration::from_secs(3);

impl Compose {
    /// SIGKILLs a node; returns when its container has ended.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill_node(&self, id: NodeId) -> Result<(), TopologyError> {
        self.end_node(id, "KILL").await
    }

    /// SIGTERM, on which a node of ours closes its connections with `code`, and SIGKILL after `grace`; returns when its
    /// container has ended, with whether that was needed.
    ///
    /// # Errors
    /// It does not run, or did not take the code.
    pub async fn stop_node(
        &self,
        id: NodeId,
        grace: Duration,
        code: u16,
    ) -> Result<bool, TopologyError> {
        let last = Behaviour {
            close_code: Some(code),
            ..self.behaviour_of(id)
        };
        self.behave(self.node(id)?, last).await?;
        let gentle = tokio::time::timeout(grace, self.end_node(id, "TERM")).await;
        match gentle {
            Ok(ended) => ended.map(|()| false),
            Err(_) => self.end_node(id, "KILL").await.map(|()| true),
        }
    }

    async fn end_node(&self, id: NodeId, signal: &str) -> Result<(), TopologyError> {
        let node = self.node(id)?;
        self.end(node, signal).await?;
        node.end_life(&self.ledger(node));
        Ok(())
    }

    /// Starts a node's container again; returns when it serves and behaves as the others do.
    ///
    /// # Errors
    /// It runs already, or it does not come to serve.
    pub async fn start_node(&self, id: NodeId) -> Result<(), TopologyError> {
        let node = self.node(id)?;
        self.begin(node).await?;
        self.behave(node, self.behaviour_of(id)).await
    }

    /// Freezes a node (`docker pause`).
    ///
    /// # Errors
    /// It does not run.
    pub async fn pause_node(&self, id: NodeId) -> Result<(), TopologyError> {
        let node = self.node(id)?;
        self.journal.pause(&node.id)?;
        self.engine.pause(&node.id).await?;
        let is_paused = |state: &State| state.life == Life::Paused;
        let (id, name) = (&node.id, &node.name);
        self.wait(id, name, "paused", CHANGE, is_paused).await?;
        Ok(())
    }

    /// Lets a frozen node go on.
    ///
    /// # Errors
    /// It is not frozen.
    pub async fn resume_node(&self, id: NodeId) -> Result<(), TopologyError> {
        let node = self.node(id)?;
        self.engine.unpause(&node.id).await?;
        let is_running = |state: &State| state.life == Life::Running;
        let name = &node.name;
        self.wait(&node.id, name, "resumed", CHANGE, is_running)
            .await?;
        self.behave(node, self.behaviour_of(id)).await
    }

    /// Tells every running node how to behave, beside what it was told alone; nodes started later are told too.
    ///
    /// # Errors
    /// A node of ours that runs did not take it.
    pub async fn set_behaviour(&self, behaviour: Behaviour) -> Result<(), TopologyError> {
        self.behaviour.set(behaviour);
        let ids = (0..self.spec.topology.nodes).map(NodeId);
        let told =
            ids.map(|id| async move { self.behave(self.node(id)?, self.behaviour_of(id)).await });
        join_all(told).await.into_iter().collect()
    }

    /// Tells one node how to behave, beside what all are told; also when it is started again.
    ///
    /// # Errors
    /// It is no node of ours, and cannot be told; or it runs and did not take it.
    pub async fn set_behaviour_of(
        &self,
        id: NodeId,
        behaviour: Behaviour,
    ) -> Result<(), TopologyError> {
        let node = self.node(id)?;
        if self.alive.borrow().contains(&node.id) && !node.is_our_node().await {
            return Err(TopologyError::State {
                name: node.name.clone(),
                state: "no node of wssoak, which this fault needs",
            });
        }
        self.own_behaviour.borrow_mut().insert(id, behaviour);
        self.behave(node, self.behaviour_of(id)).await
    }

    fn behaviour_of(&self, id: NodeId) -> Behaviour {
        let own = self.own_behaviour.borrow().get(&id).copied();
        self.behaviour.get().and(own.unwrap_or_default())
    }

    /// A node that is not ours cannot be told, which is no error: then it just goes on. Nor can a frozen one; it is told
    /// when it goes on.
    async fn behave(&self, node: &Service, behaviour: Behaviour) -> Result<(), TopologyError> {
        if !self.alive.borrow().contains(&node.id)
            || self.engine.state(&node.id).await?.life != Life::Running
            || !node.is_our_node().await
        {
            return Ok(());
        }
        // Plain numbers and booleans always serialise.
        let body = serde_json::to_string(&behaviour).unwrap_or_default();
        let at = node.at(node.port);
        let source = match http::request(at, "PUT", BEHAVIOUR_PATH, &body, ANSWER).await {
            Ok(response) if response.status == 204 => return Ok(()),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        // Its connections fail before the engine says that it was killed or frozen.
        let deadline = Instant::now() + DYING;
        while Instant::now() < deadline {
            let is_alive = self.alive.borrow().contains(&node.id);
            if !is_alive || self.engine.state(&node.id).await?.life != Life::Running {
                return Ok(());
            }
            sleep(DYING / 20).await;
        }
        Err(TopologyError::Behaviour {
            node: node.name.clone(),
            source,
        })
    }

    /// The counters of a node; `None` when it does not answer, or is no node of ours.
    pub async fn node_stats(&self, id: NodeId) -> Option<Vec<NodeStats>> {
        let node = self.node(id).ok()?;
        Some(vec![node.stats().await?])
    }

    /// What a node has counted, one ledger per life, after [`Compose::down`]; `None` when it cannot be known, since it
    /// is no node of ours, or was killed and keeps no ledger.
    pub fn node_ledgers(&self, id: NodeId) -> Option<Vec<Ledger>> {
        self.node(id).ok()?.books()
    }

    fn node(&self, id: NodeId) -> Result<&Service, TopologyError> {
        let nodes = self.nodes.get().map_or(&[][..], Vec::as_slice);
        nodes
            .get(usize::from(id.0))
            .ok_or_else(|| TopologyError::State {
                name: id.to_string(),
                state: "not part of this topology",
            })
    }

    /// Sends the first process of a service a signal that ends it; returns when the container has ended.
    pub(super) async fn end(&self, service: &Service, signal: &str) -> Result<(), TopologyError> {
        let state = self.engine.state(&service.id).await?;
        if state.life != Life::Running {
            return Err(TopologyError::State {
                name: service.name.clone(),
                state: "not running",
            });
        }
        self.alive.borrow_mut().remove(&service.id);
        self.engine.signal(&service.id, signal).await?;
        let has_ended = |state: &State| matches!(state.life, Life::Ended(_));
        let (id, name) = (&service.id, &service.name);
        self.wait(id, name, "stopped", CHANGE, has_ended).await?;
        Ok(())
    }

    /// Starts a container that has ended; returns when it serves.
    pub(super) async fn begin(&self, service: &Service) -> Result<(), TopologyError> {
        if self.engine.state(&service.id).await?.life == Life::Running {
            return Err(TopologyError::State {
                name: service.name.clone(),
                state: "running already",
            });
        }
        self.engine.start(&service.id).await?;
        self.serving(service).await?;
        Ok(())
    }
}
