//! From a scenario to what the compose file is given: nginx's configuration, and the variables.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rand::RngExt;

use super::error::ComposeError;
use crate::scenario::{Compose, Heartbeat, Nginx, Topology, Traffic};
use crate::topology::TopologyError;
use crate::topology::links::Relays;
use crate::topology::nginx::conf::{self, ConfInput};
use crate::topology::nginx::sizing::Sizing;
use crate::topology::node::duties;
use crate::topology::setup::write_whole;

/// The result folder. A compose file that mounts `nginx.conf` out of it runs nginx with our configuration.
const RESULTS: &str = "WSSOAK_RESULTS";
/// Open files of a process beyond tunnels.
const FILES: u64 = 2_048;
/// Where nginx's status page is in a rendered configuration.
const STATUS_PORT: u16 = 8_081;
/// Last number of nginx's address in the compose file at the root; its nodes follow.
const NGINX: u8 = 10;

/// What to bring up.
#[derive(Debug, Clone)]
pub struct ComposeSpec {
    /// Number of nodes, and nginx's settings.
    pub topology: Topology,
    /// Which services of the compose file are what.
    pub services: Compose,
    /// What nodes push.
    pub traffic: Traffic,
    /// What nodes ping.
    pub heartbeat: Heartbeat,
    /// The most clients at any time.
    pub most_clients: u32,
    /// Folder of the run's results; exists. Gets `nginx.conf` and `logs/`.
    pub results: PathBuf,
    /// Leave the containers running at the end.
    pub keep: bool,
    /// This program, for the warden and the relays.
    pub wssoak_exe: PathBuf,
    /// Where relays stand.
    pub relays: Relays,
}

/// The compose file, and what it asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) services: Compose,
    pub(super) file: PathBuf,
    /// nginx runs with our configuration.
    pub(super) is_rendered: bool,
}

impl ComposeSpec {
    /// Reads the compose file as far as it concerns us: which of our files it uses.
    pub(super) fn asked(&self) -> Result<Asked, TopologyError> {
        let services = self.services.clone();
        let file = services.file.clone();
        let file = file.unwrap_or_else(|| "docker-compose.yml".into());
        let text = std::fs::read_to_string(&file).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                TopologyError::from(ComposeError::NoFile { file: file.clone() })
            }
            _ => TopologyError::io(format!("reading {}", file.display()), error),
        })?;
        Ok(Asked {
            services,
            file,
            is_rendered: mounts_conf(&text),
        })
    }

    /// Writes what the file mounts, for addresses that start with `net`; returns the variables.
    pub(super) fn prepare(
        &self,
        asked: &Asked,
        net: [u8; 3],
        upstreams: Vec<SocketAddr>,
    ) -> Result<Vec<(&'static str, OsString)>, TopologyError> {
        let files = self.files();
        if let Some(text) = self.conf(asked, upstreams, &self.topology.nginx) {
            write_whole(&self.results.join("nginx.conf"), &text)?;
        }
        let duties = duties(self.topology.session_ttl, &self.traffic, &self.heartbeat);
        let [a, b, c] = net;
        Ok(vec![
            (RESULTS, self.results.clone().into()),
            ("WSSOAK_NET", format!("{a}.{b}.{c}").into()),
            ("WSSOAK_NOFILE", files.to_string().into()),
            ("WSSOAK_DUTIES", duties.join(&OsString::from(" "))),
        ])
    }

    /// Open files of every process.
    fn files(&self) -> u64 {
        (u64::from(self.most_clients) * 2 + FILES).clamp(16_384, 1_048_576)
    }

    /// Where the nodes are in a network whose addresses start with `net`.
    pub(super) fn nodes(&self, asked: &Asked, net: [u8; 3]) -> Vec<SocketAddr> {
        let [a, b, c] = net;
        let nodes = (NGINX + 1..).take(usize::from(self.topology.nodes));
        nodes
            .map(|d| SocketAddr::from(([a, b, c, d], asked.services.node_port)))
            .collect()
    }

    /// nginx's configuration with these servers and settings; `None` where it has one that is not ours.
    pub(super) fn conf(
        &self,
        asked: &Asked,
        upstreams: Vec<SocketAddr>,
        nginx: &Nginx,
    ) -> Option<String> {
        let input = self.conf_input(asked, upstreams, nginx);
        asked.is_rendered.then(|| conf::render(&input))
    }

    fn conf_input(&self, asked: &Asked, upstreams: Vec<SocketAddr>, nginx: &Nginx) -> ConfInput {
        let files = self.files();
        let any = |port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
        let inside = Path::new("/logs");
        ConfInput {
            nginx: nginx.clone(),
            sizing: Sizing::new(
                nginx,
                self.most_clients,
                files,
                u32::try_from(processors).unwrap_or(u32::MAX),
            ),
            listen: any(asked.services.port),
            status_listen: any(asked.status_port().unwrap_or(STATUS_PORT)),
            nodes: upstreams,
            access_log: inside.join("nginx-access.log"),
            error_log: inside.join("nginx-error.log"),
            scratch: "/tmp".into(),
            // In its container it is.
            as_root: true,
        }
    }
}

impl Asked {
    /// Where the last proxy has its status page, if it is known to have one.
    pub(super) fn status_port(&self) -> Option<u16> {
        let rendered = self.is_rendered.then_some(STATUS_PORT);
        self.services.status_port.or(rendered)
    }

    /// The services to bring up: those of the compose file at the root that the scenario wants, all of another file.
    pub(super) fn wanted(&self) -> Vec<String> {
        match self.services.file {
            None => self.named().cloned().collect(),
            Some(_) => Vec::new(),
        }
    }

    /// Every service that the scenario names.
    pub(super) fn named(&self) -> impl Iterator<Item = &String> {
        self.services.proxies.iter().chain(&self.services.nodes)
    }
}

fn mounts_conf(compose_file: &str) -> bool {
    let mut lines = compose_file.lines();
    lines.any(|line| line.contains(RESULTS) && line.contains("/nginx.conf"))
}

/// The start of addresses of a private network, at random: two runs side by side want different ones.
pub(super) fn any_net() -> [u8; 3] {
    let mut rng = rand::rng();
    // The upper half of 10.0.0.0/8 is seldom used by hosts; the engine says when one is.
    [10, rng.random_range(128..=254), rng.random()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compose_file_at_the_root_takes_our_configuration_and_other_files_need_not() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let ours = std::fs::read_to_string(root.join("docker-compose.yml")).unwrap();
        assert!(mounts_conf(&ours));
        assert!(!mounts_conf(
            "volumes: [\"${WSSOAK_RESULTS}/logs:/logs\"]\n"
        ));
    }
}
