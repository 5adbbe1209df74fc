//! Relays in the links of containers: processes of this machine, in the run's process group as on loopback.
//!
//! The one on the edge is on loopback, before the first proxy. Those before the nodes listen on the gateway of the run's own
//! network, an address that this machine has for as long as the network is there, and that only its containers reach.
//! nginx's configuration names them before anything runs, so their ports are chosen first.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use super::spec::Asked;
use super::{Compose, ComposeSpec};
use crate::topology::compose::error::ComposeError;
use crate::topology::error::TopologyError;
use crate::topology::ports as free;
use crate::wire::HEALTH_PATH;

/// Time for one request to come through nginx to a relay.
const THROUGH: Duration = Duration::from_secs(3);
/// Last number of the gateway's address: engines take the first of a network.
const GATEWAY: u8 = 1;

/// Where the relays before the nodes are to listen: as many ports as nodes, or none.
pub(super) fn ports(spec: &ComposeSpec, asked: &Asked) -> Result<Vec<u16>, TopologyError> {
    if !spec.relays.upstream {
        return Ok(Vec::new());
    }
    if !asked.is_rendered {
        return Err(ComposeError::NotOurConf {
            file: asked.file.clone(),
        }
        .into());
    }
    // A port that is free on loopback is free on an address that does not exist yet.
    let ports = free::fresh(spec.topology.nodes.into());
    ports.map_err(|error| TopologyError::io("choosing ports", error))
}

impl Compose {
    /// What nginx connects to: the nodes, or the relays before them.
    pub(super) fn upstreams(&self) -> Vec<SocketAddr> {
        if self.relay_ports.is_empty() {
            return self.spec.nodes(&self.asked, self.net.get());
        }
        let ports = self.relay_ports.iter();
        ports
            .map(|port| SocketAddr::new(self.gateway(), *port))
            .collect()
    }

    /// Puts relays before the nodes, if there are to be any, and sees nginx reach them.
    pub(super) async fn start_upstream_relays(&self) -> Result<(), TopologyError> {
        if self.relay_ports.is_empty() {
            return Ok(());
        }
        let gateway = self.gateway();
        if TcpListener::bind((gateway, 0)).is_err() {
            return Err(ComposeError::NoGateway { gateway }.into());
        }
        let nodes = self.spec.nodes(&self.asked, self.net.get());
        let listens = self.upstreams();
        self.links
            .start_upstream_at(listens, nodes, &self.exits)
            .await?;
        // Nothing but a request of ours shows it before clients come; a firewall of this machine may keep containers out.
        let proxy = self.proxy()?;
        let at = proxy.at(proxy.port);
        self.counters.pass(at, HEALTH_PATH, THROUGH).await;
        match self.links.is_upstream_reached().await {
            true => Ok(()),
            false => Err(ComposeError::Walled {
                service: proxy.name.clone(),
                gateway,
            }
            .into()),
        }
    }

    fn gateway(&self) -> IpAddr {
        let [a, b, c] = self.net.get();
        [a, b, c, GATEWAY].into()
    }
}
