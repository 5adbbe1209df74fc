//! The bundled topology: warden, nodes and nginx, brought up, handled and taken down together.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use futures::future::{join_all, try_join_all};
use tokio::sync::{Mutex, mpsc};

use super::error::TopologyError;
use super::journal::Journal;
use super::limits;
use super::links::{Links, Relays};
use super::nginx::binary::NginxBinary;
use super::node::{self, Node, NodeSpec};
use super::ports;
use super::process::{Exit, Exits};
use super::proxy::Proxy;
use super::setup::{access_log, conf_input, nameable, rendered, write_whole};
use super::warden::Warden;
use crate::scenario::{Heartbeat, Nginx, NodeId, Topology, Traffic};
use crate::wire::Behaviour;

mod nodes;
mod proxies;

/// Ports tried for nginx when others take them between our look and the bind.
const PORT_TRIES: usize = 4;
/// More unexpected exits than this are not told apart; the first ends the run.
const EXITS: usize = 64;

/// What to bring up.
#[derive(Debug, Clone)]
pub struct BundledSpec {
    /// Nodes and nginx settings.
    pub topology: Topology,
    /// What nodes push.
    pub traffic: Traffic,
    /// What nodes ping.
    pub heartbeat: Heartbeat,
    /// The most clients at any time.
    pub most_clients: u32,
    /// Folder of the run's results; exists. Gets `nginx.conf` and `logs/`.
    pub results: PathBuf,
    /// Another nginx than the scenario's choice (`--nginx`).
    pub nginx_override: Option<PathBuf>,
    /// This program, for the subcommands `node`, `relay`, `tether` and `warden`.
    pub wssoak_exe: PathBuf,
    /// Where relays stand.
    pub relays: Relays,
}

/// How bringing up went.
#[derive(Debug)]
pub enum Up<W, T> {
    /// It is up.
    Ready(Box<W>),
    /// This came before it was up, and everything is down again.
    Interrupted(T),
}

/// How taking down went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Teardown {
    /// Processes that did not end when asked and got SIGKILL, by name.
    pub forced: Vec<String>,
    /// Processes that the final sweep still found.
    pub swept: usize,
    /// What the report has to say about the topology.
    pub notes: Vec<String>,
}

/// Warden, nodes and nginx of one run. All methods take `&self` and may run concurrently on one thread.
///
/// Dropping it without [`Bundled::down`] makes the warden kill everything at once.
#[derive(Debug)]
pub struct Bundled {
    spec: BundledSpec,
    node_spec: NodeSpec,
    /// Processes of each node.
    parts: u32,
    /// All of them, those of one node side by side.
    nodes: Vec<Node>,
    proxy: Proxy,
    links: Links,
    /// What all nodes are told, and what each is told beside it.
    behaviour: Cell<Behaviour>,
    own_behaviour: RefCell<Vec<Behaviour>>,
    exits: Exits,
    exited: Mutex<mpsc::Receiver<Exit>>,
    warden: RefCell<Option<Warden>>,
}

impl Bundled {
    /// Starts everything; returns when the nodes are healthy and nginx answers.
    ///
    /// # Errors
    /// [`TopologyError`]; everything is down again then.
    pub async fn up(spec: BundledSpec) -> Result<Self, TopologyError> {
        match Self::up_unless(spec, pending::<Infallible>()).await? {
            Up::Ready(bundled) => Ok(*bundled),
            Up::Interrupted(never) => match never {},
        }
    }

    /// As [`Bundled::up`], unless `interruption` resolves before.
    ///
    /// # Errors
    /// [`TopologyError`]; everything is down again then, as it is after an interruption.
    pub async fn up_unless<T>(
        spec: BundledSpec,
        interruption: impl Future<Output = T>,
    ) -> Result<Up<Self, T>, TopologyError> {
        let bundled = Self::prepare(spec).await?;
        // Dropping the half-built topology would have the warden sweep too, but nobody would wait for it.
        tokio::select! {
            up = bundled.bring_up() => match up {
                Ok(()) => Ok(Up::Ready(Box::new(bundled))),
                Err(error) => {
                    bundled.down().await;
                    Err(error)
                }
            },
            why = interruption => {
                bundled.abort().await;
                Ok(Up::Interrupted(why))
            }
        }
    }

    /// Everything that can be found wrong before a process runs, then the warden.
    async fn prepare(mut spec: BundledSpec) -> Result<Self, TopologyError> {
        // With too low a limit the preflight check has already said so.
        if let Err(error) = limits::raise_open_files() {
            tracing::warn!("raising the file descriptor limit: {error}");
        }
        let io = |doing: &str, path: &Path| {
            let doing = format!("{doing} {}", path.display());
            move |source| TopologyError::io(doing, source)
        };
        spec.results = std::fs::canonicalize(&spec.results)
            .map_err(io("opening the folder", &spec.results))?;
        nameable(&spec.results)?;
        let logs = spec.results.join("logs");
        std::fs::create_dir_all(&logs).map_err(io("creating", &logs))?;
        let named = spec.nginx_override.as_deref();
        let binary = NginxBinary::find(named.or(spec.topology.nginx.binary.as_deref()))?;
        // A template that cannot be filled in is found before anything runs.
        let placeholder = SocketAddr::from(([127, 0, 0, 1], 1));
        rendered(
            &spec,
            &conf_input(
                &spec,
                &spec.topology.nginx,
                Path::new("/"),
                [placeholder, placeholder],
                &[],
            ),
        )?;

        let (exits, exited) = mpsc::channel(EXITS);
        let run = Warden::new_run();
        // Only should harness and warden be killed together is it missed.
        let journal = Journal::path_of(&run)
            .inspect_err(|error| tracing::warn!("no journal: {}", crate::error::chain(error)))
            .ok();
        let warden = Warden::start(&spec.wssoak_exe, &exits, &run, journal).await?;
        let node_spec = NodeSpec {
            exe: spec.wssoak_exe.clone(),
            group: warden.group(),
            scratch: warden.scratch.clone(),
            logs,
            duties: node::duties(spec.topology.session_ttl, &spec.traffic, &spec.heartbeat),
        };
        let proxy = Proxy::new(
            binary,
            spec.wssoak_exe.clone(),
            warden.group(),
            warden.scratch.clone(),
            &spec.results,
        );
        let parts = node::node_parts(
            spec.most_clients,
            spec.topology.nodes,
            limits::open_files_limit(),
        );
        let links = Links::new(
            spec.relays,
            (
                spec.wssoak_exe.clone(),
                warden.group(),
                node_spec.logs.clone(),
            ),
            spec.most_clients,
            spec.topology.nodes,
            parts,
        );
        Ok(Self {
            parts,
            links,
            nodes: (0..spec.topology.nodes)
                .flat_map(|n| (0..parts).map(move |part| Node::new(NodeId(n), part)))
                .collect(),
            own_behaviour: RefCell::new(vec![Behaviour::default(); spec.topology.nodes.into()]),
            spec,
            node_spec,
            proxy,
            behaviour: Cell::default(),
            exits,
            exited: Mutex::new(exited),
            warden: RefCell::new(Some(warden)),
        })
    }

    async fn bring_up(&self) -> Result<(), TopologyError> {
        let starts = self
            .nodes
            .iter()
            .map(|node| node.start_fresh(&self.node_spec, &self.exits));
        try_join_all(starts).await?;
        self.links
            .start_upstream(self.node_addresses(), &self.exits)
            .await?;
        self.bring_up_proxy().await?;
        self.links
            .start_edge(self.proxy.endpoint.get(), &self.exits)
            .await
    }

    async fn bring_up_proxy(&self) -> Result<(), TopologyError> {
        let mut tries = PORT_TRIES;
        loop {
            tries -= 1;
            let fresh = ports::fresh(2).map_err(|e| TopologyError::io("choosing ports", e))?;
            let &[listen, status] = fresh.as_slice() else {
                continue;
            };
            let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
            self.proxy.endpoint.set(at(listen));
            self.proxy.status.set(at(status));
            write_whole(&self.proxy.conf, &self.conf(&self.spec.topology.nginx)?)?;
            self.proxy.test().await?;
            match self.proxy.start(&self.exits).await {
                // Another run was faster. Every other cause would be there again with other ports.
                Err(TopologyError::Start { .. })
                    if tries > 0 && !(ports::is_free(listen) && ports::is_free(status)) => {}
                result => return result,
            }
        }
    }

    /// nginx's configuration with these settings.
    fn conf(&self, nginx: &Nginx) -> Result<String, TopologyError> {
        // To nginx a relay is the node.
        let relays = self.links.upstream();
        let input = conf_input(
            &self.spec,
            nginx,
            &self.node_spec.scratch,
            [self.proxy.endpoint.get(), self.proxy.status.get()],
            &relays.unwrap_or_else(|| self.node_addresses()),
        );
        rendered(&self.spec, &input)
    }

    /// The process group of everything that belongs to this run.
    pub fn group(&self) -> u32 {
        self.node_spec.group
    }

    /// Where clients connect: nginx's WebSocket listener, or the relay in front of it.
    pub fn endpoint(&self) -> SocketAddr {
        let relay = self.links.endpoint();
        relay.unwrap_or_else(|| self.proxy.endpoint.get())
    }

    /// The relays.
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// Addresses of the nodes, in order.
    pub fn node_addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Node::address).collect()
    }

    /// The nginx in use.
    pub fn nginx(&self) -> &NginxBinary {
        &self.proxy.binary
    }

    /// The rendered configuration.
    pub fn conf_path(&self) -> &Path {
        &self.proxy.conf
    }

    /// nginx's access log.
    pub fn access_log(&self) -> PathBuf {
        access_log(&self.spec)
    }

    /// nginx's error log.
    pub fn error_log(&self) -> &Path {
        &self.proxy.error_log
    }

    /// Process ids of everything that runs: warden, nodes, nginx and its workers.
    pub fn processes(&self) -> Vec<u32> {
        let members = super::group::members(self.node_spec.group);
        members.into_iter().map(|stat| stat.pid).collect()
    }

    /// Resolves when a process ends that should run: a node, nginx's master or the warden.
    pub async fn unexpected_exit(&self) -> Exit {
        match self.exited.lock().await.recv().await {
            Some(exit) => exit,
            // We hold a sender ourselves.
            None => pending().await,
        }
    }

    /// Stops nginx and the nodes gracefully, then has the warden sweep up. Doing it twice does no harm.
    pub async fn down(&self) -> Teardown {
        let Some(mut warden) = self.warden.take() else {
            return Teardown::default();
        };
        warden.process.expect_end();
        self.links.expect_end();
        for node in &self.nodes {
            if let Some(process) = node.process() {
                process.expect_end();
            }
        }
        let mut teardown = Teardown::default();
        if self.proxy.quit().await {
            teardown.forced.push("nginx".into());
        }
        let stops = self.nodes.iter().map(|node| async {
            let forced = node.stop().await;
            // The ledger goes with the scratch folder.
            node.ledgers();
            forced.then(|| node.id.to_string())
        });
        teardown
            .forced
            .extend(join_all(stops).await.into_iter().flatten());
        teardown.forced.extend(self.links.stop().await);
        teardown.swept = warden.finish().await;
        teardown
    }

    /// Has the warden kill everything at once, and waits until it has.
    pub async fn abort(&self) -> Teardown {
        let Some(mut warden) = self.warden.take() else {
            return Teardown::default();
        };
        warden.process.expect_end();
        self.links.expect_end();
        for node in &self.nodes {
            // The ledger goes with the scratch folder.
            node.ledgers();
            if let Some(process) = node.process() {
                process.expect_end();
            }
        }
        Teardown {
            swept: warden.finish().await,
            ..Teardown::default()
        }
    }
}
