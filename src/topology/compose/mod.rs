//! The compose topology: containers of a compose file, brought up under a project name of their own, handled through the
//! Docker engine, and taken down whatever happens.
//!
//! `tool` runs the compose tool and only brings up; `engine` does everything else, by the project's label. `nodes` and
//! `proxies` are the faults, `sweep` is the end of all.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::bundled::Teardown;
use super::counters::Counters;
use super::error::TopologyError;
use super::journal::Journal;
use super::links::Links;
use super::lives::Incarnation;
use super::process::{Exit, Exits};
use super::warden::Warden;
use super::{group, limits};
use crate::scenario::NodeId;
use crate::wire::Behaviour;

pub(super) mod engine;
pub(super) mod error;
mod nodes;
mod proxies;
mod reconfigure;
mod relays;
mod service;
mod spec;
mod state;
pub(super) mod sweep;
mod tool;
mod up;
mod usage;

use engine::Engine;
use service::Service;
use spec::Asked;
pub use spec::ComposeSpec;
use tool::Tool;

/// More unexpected ends than this are not told apart; the first ends the run.
const EXITS: usize = 64;
/// Time for a killed compose tool to be gone.
const TOOL_GONE: Duration = Duration::from_secs(2);
/// Seconds that containers have to stop at the end.
const GRACE_S: u32 = 2;

/// The containers of one run. All methods take `&self` and may run concurrently on one thread.
///
/// Dropping it without [`Compose::down`] makes the warden remove everything at once.
#[derive(Debug)]
pub struct Compose {
    spec: ComposeSpec,
    asked: Asked,
    project: String,
    engine: Engine,
    tool: Tool,
    journal: Journal,
    warden: RefCell<Option<Warden>>,
    group: u32,
    /// In the order of the scenario; set once they are up.
    nodes: OnceCell<Vec<Service>>,
    proxies: OnceCell<Vec<Service>>,
    /// Where the first proxy takes clients; set once all is up.
    endpoint: OnceCell<SocketAddr>,
    links: Links,
    /// Where the relays of the nodes listen at the network's gateway; none where there are none.
    relay_ports: Vec<u16>,
    /// How addresses of its network begin.
    net: Cell<[u8; 3]>,
    counters: Counters,
    /// What all nodes were told, and what single ones were told beside.
    behaviour: Cell<Behaviour>,
    own_behaviour: RefCell<BTreeMap<NodeId, Behaviour>>,
    /// Ids of containers that have to run.
    alive: Rc<RefCell<BTreeSet<String>>>,
    exits: Exits,
    exited: Mutex<mpsc::Receiver<Exit>>,
    watch: OnceCell<JoinHandle<()>>,
    /// What the report has to say about the topology.
    notes: RefCell<Vec<String>>,
}

impl Compose {
    /// Everything that can be found wrong before a container runs, then the warden.
    pub(super) async fn prepare(mut spec: ComposeSpec) -> Result<Self, TopologyError> {
        if let Err(error) = limits::raise_open_files() {
            tracing::warn!("raising the file descriptor limit: {error}");
        }
        let asked = spec.asked()?;
        let relay_ports = relays::ports(&spec, &asked)?;
        let doing = format!("opening the folder {}", spec.results.display());
        spec.results =
            std::fs::canonicalize(&spec.results).map_err(|e| TopologyError::io(doing, e))?;
        let logs = spec.results.join("logs");
        let doing = format!("creating {}", logs.display());
        std::fs::create_dir_all(&logs).map_err(|e| TopologyError::io(doing, e))?;
        let engine = Engine::connect().await?;
        let project = Warden::new_run();
        let path = Journal::path_of(&project)?;
        let (exits, exited) = mpsc::channel(EXITS);
        let warden = Warden::start(&spec.wssoak_exe, &exits, &project, Some(path.clone())).await?;
        let journal = Journal::open(&path)?;
        let tool = Tool::find(&asked.file, &project, warden.group()).await?;
        let links = Links::new(
            spec.relays,
            (spec.wssoak_exe.clone(), warden.group(), logs),
            spec.most_clients,
            spec.topology.nodes,
            1,
        );
        Ok(Self {
            asked,
            links,
            relay_ports,
            project,
            engine,
            tool,
            journal,
            group: warden.group(),
            warden: RefCell::new(Some(warden)),
            nodes: OnceCell::new(),
            proxies: OnceCell::new(),
            endpoint: OnceCell::new(),
            net: Cell::default(),
            counters: Counters::new(),
            behaviour: Cell::default(),
            own_behaviour: RefCell::default(),
            alive: Rc::default(),
            exits,
            exited: Mutex::new(exited),
            watch: OnceCell::new(),
            notes: RefCell::default(),
            spec,
        })
    }

    /// The process group of everything that belongs to this run and is a process of this machine.
    pub fn group(&self) -> u32 {
        self.group
    }

    /// Where clients connect: the first proxy, or the relay in front of it.
    pub fn endpoint(&self) -> SocketAddr {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let proxy = self.endpoint.get().copied().unwrap_or(nowhere);
        self.links.endpoint().unwrap_or(proxy)
    }

    /// The relays.
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// Project and images, in a line.
    pub fn describe(&self) -> String {
        let all = self
            .services()
            .map(|service| format!("{} ({})", service.name, service.image));
        let all: Vec<String> = all.collect();
        format!("containers {} of {}", all.join(", "), self.project)
    }

    /// Where the last proxy writes its access log, if it does.
    pub fn access_log(&self) -> PathBuf {
        self.spec.results.join("logs/nginx-access.log")
    }

    /// All lives of the last proxy so far, oldest first, each with its last counters.
    pub fn proxy_incarnations(&self) -> Vec<Incarnation> {
        self.counters.lives()
    }

    /// Resolves when a container ends that should run, or the warden.
    pub async fn unexpected_exit(&self) -> Exit {
        match self.exited.lock().await.recv().await {
            Some(exit) => exit,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// Keeps the logs, then stops and removes everything. Doing it twice does no harm.
    pub async fn down(&self) -> Teardown {
        self.take_down(GRACE_S, Duration::ZERO).await
    }

    /// The same without patience.
    pub async fn abort(&self) -> Teardown {
        self.take_down(0, Duration::ZERO).await
    }

    async fn take_down(&self, grace_s: u32, settle: Duration) -> Teardown {
        let mut teardown = Teardown::default();
        let Some(mut warden) = self.warden.take() else {
            return teardown;
        };
        warden.process.expect_end();
        self.links.expect_end();
        if let Some(watch) = self.watch.get() {
            watch.abort();
        }
        self.close_books(grace_s > 0).await;
        let is_up = self.endpoint.get().is_some();
        if !is_up {
            // A compose tool that was cut short may have left helpers that go on making containers.
            group::kill_members(self.group, self.group, TOOL_GONE);
        }
        if self.spec.keep && is_up {
            if !self.relay_ports.is_empty() {
                self.without_relays().await;
            }
            teardown.notes = self.notes.take();
            teardown.notes.push(format!(
                "the containers were left running; they go with: {}",
                self.tool.down_by_hand()
            ));
            self.journal.settle(&self.project);
        } else {
            teardown.notes = self.notes.take();
            let removed = sweep::remove_project(&self.engine, &self.project, grace_s, settle).await;
            match removed {
                Ok(_) => self.journal.settle(&self.project),
                // The journal stays, and the warden tries again.
                Err(error) => teardown.notes.push(format!(
                    "{}; should containers of {} be left, `wssoak clean` removes them",
                    crate::error::chain(&error),
                    self.project
                )),
            }
        }
        if grace_s > 0 {
            teardown.forced = self.links.stop().await;
        }
        teardown.swept = warden.finish().await;
        teardown
    }

    /// Reads what is gone with the containers.
    async fn close_books(&self, with_logs: bool) {
        for node in self.nodes.get().into_iter().flatten() {
            node.close_book(&self.ledger(node)).await;
        }
        if !with_logs {
            return;
        }
        for service in self.services() {
            let path = self.spec.results.join(format!("logs/{}.log", service.name));
            // A log that is not to be had is no reason to fail a run that is over.
            if let Ok(log) = self.engine.logs(&service.id, "all").await
                && let Err(error) = std::fs::write(&path, log)
            {
                tracing::warn!("writing {}: {error}", path.display());
            }
        }
    }

    /// Every service that the scenario names.
    fn services(&self) -> impl Iterator<Item = &Service> {
        let proxies = self.proxies.get().into_iter().flatten();
        proxies.chain(self.nodes.get().into_iter().flatten())
    }

    /// Where our own node keeps its ledger, should this be one.
    fn ledger(&self, node: &Service) -> PathBuf {
        self.spec.results.join(format!("logs/{}.ledger", node.name))
    }

    /// Reports containers that end and should not.
    fn watch(&self) -> JoinHandle<()> {
        let mut deaths = Box::pin(self.engine.deaths(&self.project));
        let (alive, exits) = (Rc::clone(&self.alive), self.exits.clone());
        let engine = self.engine.clone();
        tokio::task::spawn_local(async move {
            while let Some(event) = deaths.next().await {
                let exit = match event {
                    Ok(event) => {
                        let Some((service, id, code)) = engine::death(event) else {
                            continue;
                        };
                        if !alive.borrow_mut().remove(&id) {
                            continue;
                        }
                        Exit {
                            name: service,
                            status: format!("exit code {code}"),
                            log: engine.last_words(&id).await,
                        }
                    }
                    Err(error) => Exit {
                        name: "the stream of the Docker engine's events".into(),
                        status: error.to_string(),
                        log: String::new(),
                    },
                };
                // Full: there are reports enough.
                let _ = exits.try_send(exit);
            }
        })
    }
}
