//! What can be done to the nodes, and asked of them. Everything returns once it has been seen to have happened.

use std::time::Duration;

use futures::future::{join_all, try_join_all};

use super::Bundled;
use crate::scenario::NodeId;
use crate::topology::error::TopologyError;
use crate::topology::node::Node;
use crate::wire::{Behaviour, Ledger, NodeStats};

impl Bundled {
    /// SIGKILLs a node; returns when it is reaped.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill_node(&self, id: NodeId) -> Result<(), TopologyError> {
        try_join_all(self.node(id)?.iter().map(Node::kill)).await?;
        Ok(())
    }

    /// Has a node close its connections with `code` and end (SIGTERM), and SIGKILLs it after `grace`; returns when it is
    /// reaped, with whether that was needed.
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
        let stops = self.node(id)?.iter().map(|node| async move {
            node.behave(last).await?;
            node.stop_within(grace).await
        });
        let forced: Vec<bool> = try_join_all(stops).await?;
        Ok(forced.contains(&true))
    }

    /// Stops a node's processes (SIGSTOP); returns when the kernel shows them stopped.
    ///
    /// # Errors
    /// It does not run.
    pub async fn pause_node(&self, id: NodeId) -> Result<(), TopologyError> {
        try_join_all(self.node(id)?.iter().map(Node::pause)).await?;
        Ok(())
    }

    /// Lets a paused node go on (SIGCONT); returns when it does, and behaves as it should by now.
    ///
    /// # Errors
    /// It does not run, or does not go on.
    pub async fn resume_node(&self, id: NodeId) -> Result<(), TopologyError> {
        let behaviour = self.behaviour_of(id);
        let resumes = self.node(id)?.iter().map(|node| async move {
            node.resume().await?;
            node.behave(behaviour).await
        });
        try_join_all(resumes).await?;
        Ok(())
    }

    /// Starts a node on its port again; returns when it is healthy and behaves as it should.
    ///
    /// # Errors
    /// It runs already, or it does not become healthy.
    pub async fn start_node(&self, id: NodeId) -> Result<(), TopologyError> {
        let behaviour = self.behaviour_of(id);
        let starts = self.node(id)?.iter().map(|node| async move {
            node.start(&self.node_spec, &self.exits).await?;
            node.behave(behaviour).await
        });
        try_join_all(starts).await?;
        Ok(())
    }

    /// Tells every running node how to behave, beside what it was told alone; nodes started later are told too.
    ///
    /// # Errors
    /// A node that runs did not take it.
    pub async fn set_behaviour(&self, behaviour: Behaviour) -> Result<(), TopologyError> {
        self.behaviour.set(behaviour);
        let all = (0..self.spec.topology.nodes).map(NodeId);
        let told = join_all(all.map(|id| self.tell(id))).await;
        told.into_iter().collect()
    }

    /// Tells one node how to behave, beside what all are told; also when it is started again.
    ///
    /// # Errors
    /// It runs and did not take it.
    pub async fn set_behaviour_of(
        &self,
        id: NodeId,
        behaviour: Behaviour,
    ) -> Result<(), TopologyError> {
        if let Some(own) = self.own_behaviour.borrow_mut().get_mut(usize::from(id.0)) {
            *own = behaviour;
        }
        self.tell(id).await
    }

    async fn tell(&self, id: NodeId) -> Result<(), TopologyError> {
        let behaviour = self.behaviour_of(id);
        let parts = self.node(id)?.iter();
        let told = join_all(parts.map(|node| node.behave(behaviour))).await;
        told.into_iter().collect()
    }

    fn behaviour_of(&self, id: NodeId) -> Behaviour {
        let own = self.own_behaviour.borrow();
        let own = own.get(usize::from(id.0)).copied().unwrap_or_default();
        self.behaviour.get().and(own)
    }

    /// The counters of each of a node's processes; `None` when one does not run or answer.
    pub async fn node_stats(&self, id: NodeId) -> Option<Vec<NodeStats>> {
        let parts = self.node(id).ok()?.iter().map(|node| async {
            node.process()?;
            node.stats().await
        });
        join_all(parts).await.into_iter().collect()
    }

    /// A node's ledgers, one per incarnation and process; also of killed ones, also after [`Bundled::down`].
    pub fn node_ledgers(&self, id: NodeId) -> Vec<Ledger> {
        let parts = self.node(id).unwrap_or_default();
        parts.iter().flat_map(Node::ledgers).collect()
    }

    /// The processes of a node.
    fn node(&self, id: NodeId) -> Result<&[Node], TopologyError> {
        let parts = self.parts as usize;
        let from = usize::from(id.0) * parts;
        self.nodes
            .get(from..from + parts)
            .ok_or_else(|| TopologyError::State {
                name: id.to_string(),
                state: "not part of this topology",
            })
    }
}
