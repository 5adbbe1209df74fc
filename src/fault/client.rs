//! What clients do, and how they stop doing it.

use super::injector::{FaultError, Victims};
use crate::scenario::ClientFault;
use crate::wire::Behaviour;

pub(super) async fn begin(fault: &ClientFault, victims: &Victims) -> Result<String, FaultError> {
    match fault {
        ClientFault::IdleGap { keep_heartbeat } => {
            let behaviour = Behaviour {
                quiet: true,
                no_heartbeat: !keep_heartbeat,
                ..Behaviour::default()
            };
            victims.topology.set_behaviour(behaviour).await?;
            victims.fleet.quiet(*keep_heartbeat).await?;
            Ok("every shard and node is silent".into())
        }
    }
}

pub(super) async fn heal(fault: &ClientFault, victims: &Victims) -> Result<String, FaultError> {
    match fault {
        ClientFault::IdleGap { .. } => {
            // The clients first: should a node not take it, they at least speak again.
            victims.fleet.resume().await?;
            victims.topology.set_behaviour(Behaviour::default()).await?;
            Ok("all speak again".into())
        }
    }
}
