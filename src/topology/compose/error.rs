//! Why containers could not be brought up or handled: each a sentence of its own, with what to do.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

/// Something about Docker, the compose tool or the compose file.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// Nothing listens on the socket.
    #[error(
        "no Docker engine answers on {}; start one (`systemctl start docker`), or name its socket with \
         DOCKER_HOST=unix:///…", socket.display()
    )]
    NoEngine {
        /// The socket.
        socket: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The socket is there but not for this user.
    #[error(
        "this user may not talk to the Docker engine on {}; join the group that owns the socket \
         (`sudo usermod -aG docker $USER`, then log in again)", socket.display()
    )]
    NoPermission {
        /// The socket.
        socket: PathBuf,
    },
    /// `DOCKER_HOST` names something else than a Unix socket.
    #[error(
        "DOCKER_HOST is {host}, and wssoak speaks to an engine over a Unix socket only: its containers must run on this machine"
    )]
    NotASocket {
        /// What it names.
        host: String,
    },
    /// Neither the plugin nor the program is there.
    #[error(
        "neither `docker compose` nor `docker-compose` (1.28 or newer) can be run; install one of them, such as the \
         package docker-compose-plugin or docker-compose"
    )]
    NoTool,
    /// The compose file is not there.
    #[error(
        "there is no compose file {}; run from the folder that has it, or name yours with `topology.compose.file`",
        file.display()
    )]
    NoFile {
        /// Where it should be.
        file: PathBuf,
    },
    /// The compose tool does not accept the file.
    #[error("the compose file {} is not valid:\n{words}", file.display())]
    BadFile {
        /// The file.
        file: PathBuf,
        /// The tool's own words.
        words: String,
    },
    /// The scenario names a service that the file does not have.
    #[error("{} has no service `{service}`; it has {}", file.display(), services.join(", "))]
    NoService {
        /// The file.
        file: PathBuf,
        /// What is missing.
        service: String,
        /// What there is.
        services: Vec<String>,
    },
    /// An image is neither here nor to be had.
    #[error(
        "an image is not here and could not be pulled or built; build or load it, or name another with \
         WSSOAK_NGINX_IMAGE or WSSOAK_NODE_IMAGE:\n{words}"
    )]
    NoImage {
        /// The tool's own words.
        words: String,
    },
    /// A published port is in use.
    #[error(
        "a port that the compose file publishes is taken; stop what uses it, or publish another (wssoak needs none \
         published on Linux):\n{words}"
    )]
    PortTaken {
        /// The tool's own words.
        words: String,
    },
    /// No network could be made.
    #[error(
        "every network that was tried overlaps with one that is there; remove unused ones with `docker network prune`:\n{words}"
    )]
    NetworkTaken {
        /// The tool's own words.
        words: String,
    },
    /// `up` failed for another reason.
    #[error("the containers did not come up:\n{words}{}", ending(log))]
    Up {
        /// The tool's own words.
        words: String,
        /// Last lines of the container that failed.
        log: String,
    },
    /// Clients have no way to the first proxy.
    #[error(
        "`{service}` cannot be reached: neither at its own address {address} nor at a published port; publish port {port} \
         of it in the compose file, or correct `topology.compose.port`"
    )]
    Unreachable {
        /// The service.
        service: String,
        /// Where it was looked for.
        address: String,
        /// The port.
        port: u16,
    },
    /// After a restart it has another address than before.
    #[error(
        "`{service}` came back at {now} instead of {before}, where clients look for it; give it a fixed `ipv4_address` in \
         the compose file"
    )]
    Moved {
        /// The service.
        service: String,
        /// Its address before.
        before: String,
        /// Its address now.
        now: String,
    },
    /// A fault of upstream links where nginx does not name what we say.
    #[error(
        "a fault of upstream links needs relays between nginx and the nodes, and nginx of {} runs with a configuration of \
         its own, which does not name them; mount ${{WSSOAK_RESULTS}}/nginx.conf as its configuration and give the nodes the \
         addresses ${{WSSOAK_NET}}.11, .12, … as wssoak's docker-compose.yml does, or put the fault on the edge: link = \"edge\"",
        file.display()
    )]
    NotOurConf {
        /// The compose file.
        file: PathBuf,
    },
    /// Relays cannot stand where containers reach them.
    #[error(
        "a fault of upstream links needs relays at {gateway}, the gateway of the run's own network, and that is no address \
         of this machine: the engine runs elsewhere (Docker Desktop, rootless Docker), or the network is no bridge or has \
         another gateway; put the fault on the edge (link = \"edge\"), or run without topology.kind = \"compose\""
    )]
    NoGateway {
        /// Where it should be.
        gateway: IpAddr,
    },
    /// The relays stand, and nginx does not reach them.
    #[error(
        "`{service}` does not reach the relays at {gateway}, the gateway of the run's own network; does a firewall of this \
         machine keep containers out? Let it accept what comes from networks of Docker (with ufw: `ufw allow from 10.128.0.0/9`)"
    )]
    Walled {
        /// The proxy.
        service: String,
        /// Where they are.
        gateway: IpAddr,
    },
    /// The engine refused or failed.
    #[error("the Docker engine did not {asked}")]
    Engine {
        /// What it was asked, as a verb.
        asked: String,
        /// Its answer.
        #[source]
        source: Box<bollard::errors::Error>,
    },
}

fn ending(log: &str) -> String {
    match log {
        "" => String::new(),
        log => format!("\nthe log of the container ends with:\n{log}"),
    }
}
