//! The bundled topology: warden, nodes and nginx, brought up, handled and taken down together.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use futures::future::{join_all, try_join_all};
use tokio::sync::{Mutex, mpsc};

use super::error::TopologyError;
use super::limits;
use super::lives::{Incarnation, ProxySample, ReloadSeen};
use super::nginx::binary::NginxBinary;
use super::node::{self, Node, NodeSpec};
use super::ports;
use super::process::{Exit, Exits};
use super::proxy::Proxy;
use super::setup::{access_log, conf_input, nameable, rendered, write_whole};
use super::warden::Warden;
use crate::scenario::{Heartbeat, NodeId, Topology, Traffic};
use crate::wire::{Behaviour, Ledger, NodeStats};

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
    /// This program, for the subcommands `node`, `tether` and `warden`.
    pub wssoak_exe: PathBuf,
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
    behaviour: Cell<Behaviour>,
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
            &conf_input(&spec, Path::new("/"), placeholder, placeholder, &[]),
        )?;

        let (exits, exited) = mpsc::channel(EXITS);
        let warden = Warden::start(&spec.wssoak_exe, &exits, None).await?;
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
        Ok(Self {
            parts,
            nodes: (0..spec.topology.nodes)
                .flat_map(|n| (0..parts).map(move |part| Node::new(NodeId(n), part)))
                .collect(),
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
        let nodes: Vec<SocketAddr> = self.nodes.iter().map(Node::address).collect();
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
            let input = conf_input(
                &self.spec,
                &self.node_spec.scratch,
                at(listen),
                at(status),
                &nodes,
            );
            write_whole(&self.proxy.conf, &rendered(&self.spec, &input)?)?;
            self.proxy.test().await?;
            match self.proxy.start(&self.exits).await {
                // Another run was faster. Every other cause would be there again with other ports.
                Err(TopologyError::Start { .. })
                    if tries > 0 && !(ports::is_free(listen) && ports::is_free(status)) => {}
                result => return result,
            }
        }
    }

    /// The process group of everything that belongs to this run.
    pub fn group(&self) -> u32 {
        self.node_spec.group
    }

    /// Where clients connect: nginx's WebSocket listener.
    pub fn endpoint(&self) -> SocketAddr {
        self.proxy.endpoint.get()
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

    /// SIGKILLs a node; returns when it is reaped.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill_node(&self, id: NodeId) -> Result<(), TopologyError> {
        try_join_all(self.node(id)?.iter().map(Node::kill)).await?;
        Ok(())
    }

    /// Starts a node on its port again; returns when it is healthy and behaves as the others do.
    ///
    /// # Errors
    /// It runs already, or it does not become healthy.
    pub async fn start_node(&self, id: NodeId) -> Result<(), TopologyError> {
        let behaviour = self.behaviour.get();
        let starts = self.node(id)?.iter().map(|node| async move {
            node.start(&self.node_spec, &self.exits).await?;
            match behaviour == Behaviour::default() {
                true => Ok(()),
                false => node.behave(behaviour).await,
            }
        });
        try_join_all(starts).await?;
        Ok(())
    }

    /// Stops nginx at once (SIGTERM); returns when the master is reaped and no worker is left.
    ///
    /// # Errors
    /// It does not run.
    pub async fn stop_proxy(&self) -> Result<(), TopologyError> {
        if self.proxy.stop().await? {
            tracing::warn!("nginx did not stop when asked and was killed");
        }
        Ok(())
    }

    /// Starts nginx again with the same configuration; returns when it answers.
    ///
    /// # Errors
    /// It runs already, or it does not start.
    pub async fn start_proxy(&self) -> Result<(), TopologyError> {
        self.proxy.start(&self.exits).await
    }

    /// Makes nginx read its configuration again (SIGHUP); returns when there are new workers.
    ///
    /// # Errors
    /// It does not run, or no new worker appears in time, for which its error log gives the reason.
    pub async fn reload_proxy(&self) -> Result<ReloadSeen, TopologyError> {
        self.proxy.reload().await
    }

    /// Tells every running node how to behave; nodes started later are told too.
    ///
    /// # Errors
    /// A node that runs did not take it.
    pub async fn set_behaviour(&self, behaviour: Behaviour) -> Result<(), TopologyError> {
        self.behaviour.set(behaviour);
        let told = join_all(self.nodes.iter().map(|node| node.behave(behaviour))).await;
        told.into_iter().collect()
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

    /// nginx's counters; `None` when it does not run or answer.
    pub async fn proxy_status(&self) -> Option<ProxySample> {
        self.proxy.sample().await
    }

    /// All lives of nginx so far, oldest first, each with its last counters.
    pub fn proxy_incarnations(&self) -> Vec<Incarnation> {
        self.proxy.lives()
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
        teardown.swept = warden.finish().await;
        teardown
    }

    /// Has the warden kill everything at once, and waits until it has.
    pub async fn abort(&self) -> Teardown {
        let Some(mut warden) = self.warden.take() else {
            return Teardown::default();
        };
        warden.process.expect_end();
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
