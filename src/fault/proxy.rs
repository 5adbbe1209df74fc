//! What is done to the proxy, and how it is undone.

use super::injector::shown;
use crate::scenario::{Nginx, ProxyFault};
use crate::topology::{ReloadSeen, Topology, TopologyError, WorkerSeen};

pub(super) async fn begin(
    fault: &ProxyFault,
    topology: &Topology,
) -> Result<String, TopologyError> {
    Ok(match fault {
        ProxyFault::Restart => {
            topology.stop_proxy().await?;
            "nginx's master and workers are gone".into()
        }
        ProxyFault::Reload => reloaded(&topology.reload_proxy().await?),
        ProxyFault::Quit => {
            let left = topology.quit_proxy().await?;
            format!("nobody listens; {left} processes of nginx linger with their tunnels")
        }
        ProxyFault::Kill => format!(
            "{} processes of nginx are gone",
            topology.kill_proxy().await?
        ),
        ProxyFault::KillWorker => {
            let seen = topology.kill_worker().await?;
            format!("{} is gone, as many as before serve", described(&seen))
        }
        ProxyFault::PauseWorker => {
            let seen = topology.pause_worker().await?;
            format!("{} is stopped, says the kernel", described(&seen))
        }
        ProxyFault::Reconfigure(set) => reloaded(&topology.reconfigure_proxy(set).await?),
        ProxyFault::ExhaustConnections { worker_connections } => {
            let few = Nginx {
                worker_connections: Some(*worker_connections),
                ..topology.settings().clone()
            };
            let seen = topology.reconfigure_proxy(&few).await?;
            format!(
                "{worker_connections} connections a worker: {}",
                reloaded(&seen)
            )
        }
    })
}

pub(super) async fn heal(fault: &ProxyFault, topology: &Topology) -> Result<String, TopologyError> {
    Ok(match fault {
        ProxyFault::Restart | ProxyFault::Kill => {
            topology.start_proxy().await?;
            "nginx answers again".into()
        }
        ProxyFault::Quit => {
            let killed = topology.kill_proxy().await?;
            topology.start_proxy().await?;
            format!("{killed} processes that lingered were killed, nginx answers again")
        }
        ProxyFault::PauseWorker => {
            format!("{} worker goes on", topology.resume_workers().await?)
        }
        ProxyFault::Reconfigure(_) | ProxyFault::ExhaustConnections { .. } => {
            let seen = topology.reconfigure_proxy(topology.settings()).await?;
            format!("as before: {}", reloaded(&seen))
        }
        ProxyFault::Reload | ProxyFault::KillWorker => String::new(),
    })
}

fn reloaded(seen: &ReloadSeen) -> String {
    format!(
        "{} new workers after {}, {} old ones drain",
        seen.new_workers.len(),
        shown(seen.took),
        seen.old_workers.len()
    )
}

fn described(seen: &WorkerSeen) -> String {
    let WorkerSeen { pid, files, others } = seen;
    format!(
        "worker {pid} with {files} open files, one of {}",
        others + 1
    )
}
