//! What is done to nodes, and how it is undone.

use futures::future::join_all;

use super::injector::they_are;
use crate::scenario::{NodeFault, NodeId};
use crate::topology::{Bundled, TopologyError};

pub(super) async fn begin(
    fault: &NodeFault,
    nodes: &[NodeId],
    topology: &Bundled,
) -> Result<String, TopologyError> {
    match fault {
        NodeFault::Kill => {
            each(nodes, |node| topology.kill_node(node)).await?;
            Ok(format!("{} reaped", they_are(nodes)))
        }
    }
}

pub(super) async fn heal(
    fault: &NodeFault,
    nodes: &[NodeId],
    topology: &Bundled,
) -> Result<String, TopologyError> {
    match fault {
        NodeFault::Kill => {
            each(nodes, |node| topology.start_node(node)).await?;
            Ok(format!("{} healthy again", they_are(nodes)))
        }
    }
}

/// Does it to all nodes at once; one that fails does not keep it from the others.
async fn each<T, F: Future<Output = Result<T, TopologyError>>>(
    nodes: &[NodeId],
    act: impl Fn(NodeId) -> F,
) -> Result<Vec<T>, TopologyError> {
    let acts = nodes.iter().map(|node| act(*node));
    join_all(acts).await.into_iter().collect()
}
