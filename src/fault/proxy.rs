//! What is done to the proxy, and how it is undone.

use super::injector::shown;
use crate::scenario::ProxyFault;
use crate::topology::{Bundled, TopologyError};

pub(super) async fn begin(fault: &ProxyFault, topology: &Bundled) -> Result<String, TopologyError> {
    Ok(match fault {
        ProxyFault::Restart => {
            topology.stop_proxy().await?;
            "nginx's master and workers are gone".into()
        }
        ProxyFault::Reload => {
            let seen = topology.reload_proxy().await?;
            format!(
                "{} new workers after {}, {} old ones drain",
                seen.new_workers.len(),
                shown(seen.took),
                seen.old_workers.len()
            )
        }
    })
}

pub(super) async fn heal(fault: &ProxyFault, topology: &Bundled) -> Result<String, TopologyError> {
    Ok(match fault {
        ProxyFault::Restart => {
            topology.start_proxy().await?;
            "nginx answers again".into()
        }
        ProxyFault::Reload => String::new(),
    })
}
