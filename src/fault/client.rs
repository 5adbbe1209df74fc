//! What clients do, and how they stop doing it.

use super::injector::{FaultError, Victims};
use crate::client::roll::{Call, Deed};
use crate::plan::OccurrenceId;
use crate::scenario::{ClientFault, Cut};
use crate::units::show_count;
use crate::wire::Behaviour;

pub(super) async fn begin(
    fault: &ClientFault,
    id: OccurrenceId,
    victims: &Victims,
) -> Result<String, FaultError> {
    let call = |deed, share: &f64| {
        victims.fleet.call(Call {
            deed,
            share: *share,
            stream: id.0.into(),
        })
    };
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
        ClientFault::MassDisconnect { share, how } => {
            let (deed, what) = match how {
                Cut::Rst => (Deed::Reset, "RST"),
                Cut::Fin => (Deed::Finish, "FIN"),
            };
            let clients = call(deed, share).await?.clients;
            Ok(format!(
                "{} clients left with a {what}",
                show_count(clients.into())
            ))
        }
        ClientFault::Vanish { share } => {
            let clients = call(Deed::Vanish, share).await?.clients;
            Ok(format!("{} clients vanished", show_count(clients.into())))
        }
        ClientFault::SlowReader { share } => {
            let clients = call(Deed::StopReading, share).await?.clients;
            Ok(format!(
                "{} clients do not read",
                show_count(clients.into())
            ))
        }
        // Wanted by the plan itself, at their own times.
        ClientFault::Surge { clients } => Ok(format!(
            "{} more clients are wanted",
            show_count((*clients).into())
        )),
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
        ClientFault::MassDisconnect { .. } => Ok(String::new()),
        ClientFault::Vanish { .. } | ClientFault::SlowReader { .. } => {
            let everybody = Call {
                deed: Deed::Recover,
                share: 1.0,
                stream: 0,
            };
            victims.fleet.call(everybody).await?;
            Ok(match fault {
                ClientFault::Vanish { .. } => "the old sockets are closed".into(),
                _ => "all read again".into(),
            })
        }
        ClientFault::Surge { .. } => Ok("they have left".into()),
    }
}
