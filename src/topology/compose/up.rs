//! Bringing a project up: the compose tool creates it, then every service is waited for until it serves.

use std::net::SocketAddr;
use std::time::Duration;

use futures::future::try_join_all;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::error::ComposeError;
use super::service::Service;
use super::state::{Life, State};
use super::{Compose, ComposeSpec, spec, sweep};
use crate::topology::TopologyError;
use crate::topology::bundled::Up;
use crate::topology::http::{self, HttpError};

/// Networks tried when others overlap.
const NET_TRIES: usize = 6;
/// Time for every service to serve.
const READY: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
const HEALTHY: &str = "healthy";
/// An engine may go on for a moment with what a compose tool that was cut short has asked for.
const SETTLE: Duration = Duration::from_millis(1_000);
/// Time for a connection to a container's own address: it is on this machine, or it is nowhere.
const CONNECT: Duration = Duration::from_secs(2);

impl Compose {
    /// Brings everything up and waits until it serves, unless `interruption` resolves before.
    ///
    /// # Errors
    /// [`TopologyError`]; everything is gone again then, as it is after an interruption.
    pub async fn up_unless<T>(
        spec: ComposeSpec,
        interruption: impl Future<Output = T>,
    ) -> Result<Up<Self, T>, TopologyError> {
        let compose = Self::prepare(spec).await?;
        tokio::select! {
            up = compose.bring_up() => match up {
                Ok(()) => Ok(Up::Ready(Box::new(compose))),
                Err(error) => {
                    for note in compose.take_down(0, SETTLE).await.notes {
                        tracing::warn!("{note}");
                    }
                    Err(error)
                }
            },
            why = interruption => {
                compose.take_down(0, SETTLE).await;
                Ok(Up::Interrupted(why))
            }
        }
    }

    async fn bring_up(&self) -> Result<(), TopologyError> {
        let services = self.create().await?;
        let containers = self.engine.containers(&self.project).await?;
        let find = |name: &String, port: u16| {
            let mut all = containers.iter();
            let found = all.find(|container| container.service == *name);
            found
                .map(|container| Service::new(container, port))
                .ok_or_else(|| self.no_service(name, &services))
        };
        let asked = &self.asked.services;
        let nodes = asked.nodes.iter().map(|name| find(name, asked.node_port));
        let proxies = asked.proxies.iter().map(|name| find(name, asked.port));
        let (nodes, proxies): (Result<Vec<_>, _>, Result<Vec<_>, _>) =
            (nodes.collect(), proxies.collect());
        // Set once, here.
        let _ = (self.nodes.set(nodes?), self.proxies.set(proxies?));
        let _ = self.watch.set(self.watch());
        // What the scenario does not name, a database say, has to be healthy too before it starts.
        try_join_all(containers.iter().map(|container| async {
            let is_up = |state: &State| match state.life {
                Life::Running => state.healthy != Some(false),
                // A container that does one thing and ends, such as a migration.
                Life::Ended(code) => code == 0,
                Life::Coming | Life::Paused => false,
            };
            self.wait(&container.id, &container.service, HEALTHY, READY, is_up)
                .await
        }))
        .await?;
        try_join_all(self.services().map(|service| self.serving(service))).await?;
        self.start_upstream_relays().await?;
        let proxy = self.open_endpoint().await?;
        self.links.start_edge(proxy, &self.exits).await?;
        let _ = self.endpoint.set(proxy);
        Ok(())
    }

    /// Creates networks and containers; returns the services of the file.
    async fn create(&self) -> Result<Vec<String>, TopologyError> {
        self.journal.project(&self.project, self.engine.socket())?;
        let mut tries = NET_TRIES;
        loop {
            tries -= 1;
            self.net.set(spec::any_net());
            let variables = self
                .spec
                .prepare(&self.asked, self.net.get(), self.upstreams())?;
            let services = self.tool.services(&variables).await?;
            if let Some(missing) = self.asked.named().find(|name| !services.contains(name)) {
                return Err(self.no_service(missing, &services));
            }
            match self.tool.up(&variables, &self.asked.wanted()).await {
                Err(TopologyError::Compose(ComposeError::NetworkTaken { .. })) if tries > 0 => {
                    sweep::remove_project(&self.engine, &self.project, 0, Duration::ZERO).await?;
                }
                Err(TopologyError::Compose(ComposeError::Up { words, .. })) => {
                    let log = self.words_of_the_dead().await;
                    return Err(ComposeError::Up { words, log }.into());
                }
                other => return other.map(|()| services),
            }
        }
    }

    fn no_service(&self, name: &str, services: &[String]) -> TopologyError {
        TopologyError::from(ComposeError::NoService {
            file: self.asked.file.clone(),
            service: name.to_owned(),
            services: services.to_vec(),
        })
    }

    /// Last words of the first container that has ended.
    async fn words_of_the_dead(&self) -> String {
        let containers = self.engine.containers(&self.project).await;
        for container in containers.unwrap_or_default() {
            let state = self.engine.state(&container.id).await;
            if matches!(state, Ok(state) if !matches!(state.life, Life::Running)) {
                let words = self.engine.last_words(&container.id).await;
                if !words.is_empty() {
                    return words;
                }
            }
        }
        String::new()
    }

    /// Waits for a container to be as wanted. One that ends meanwhile, unless that is wanted, never will be.
    pub(super) async fn wait(
        &self,
        id: &str,
        name: &str,
        what: &'static str,
        within: Duration,
        is_wanted: impl Fn(&State) -> bool,
    ) -> Result<State, TopologyError> {
        let deadline = Instant::now() + within;
        loop {
            let state = self.engine.state(id).await?;
            if is_wanted(&state) {
                return Ok(state);
            }
            if let Life::Ended(code) = state.life {
                return Err(TopologyError::Start {
                    name: name.to_owned(),
                    how: format!("its container ended with exit code {code}"),
                    log: self.engine.last_words(id).await,
                });
            }
            let gave_up = what == HEALTHY && state.gave_up;
            if gave_up || Instant::now() >= deadline {
                return Err(TopologyError::Late {
                    name: name.to_owned(),
                    what,
                    within,
                    log: self.engine.last_words(id).await,
                });
            }
            sleep(POLL).await;
        }
    }

    /// Waits until a service that was started serves, and notes that it has to live from now on.
    pub(super) async fn serving(&self, service: &Service) -> Result<State, TopologyError> {
        let is_running = |state: &State| state.life == Life::Running;
        let (id, name) = (&service.id, &service.name);
        let state = self.wait(id, name, "running", READY, is_running).await?;
        service.settle(&state);
        let is_counted = self.is_counted(service);
        if is_counted {
            self.counters.begin(state.pid.unwrap_or_default());
            let port = self.asked.status_port();
            self.counters.address.set(port.map(|port| service.at(port)));
        }
        let deadline = Instant::now() + READY;
        loop {
            let state = self.wait(id, name, "running", READY, is_running).await?;
            if self.serves(service, &state).await {
                self.alive.borrow_mut().insert(id.clone());
                return Ok(state);
            }
            if Instant::now() >= deadline {
                return Err(self.late(service, "serving", READY).await);
            }
            sleep(POLL).await;
        }
    }

    async fn serves(&self, service: &Service, state: &State) -> bool {
        if self.is_counted(service)
            && let Some(status) = self.counters.address.get()
        {
            // Elsewhere than on Linux nothing of ours reaches it: its own health has to do.
            return self.counters.sample().await.is_some()
                || state.healthy == Some(true)
                    && state.published(service.port).is_some()
                    && !connects(status).await;
        }
        // A proxy is not asked what a node is: it would pass the question on.
        let is_node = self.nodes.get().into_iter().flatten();
        let is_node = is_node.map(|node| &node.id).any(|id| *id == service.id);
        is_node && service.is_our_node().await
            || match state.healthy {
                Some(healthy) => healthy,
                None => connects(service.at(service.port)).await,
            }
    }

    /// Is it the proxy whose counters are read?
    pub(super) fn is_counted(&self, service: &Service) -> bool {
        let last = self.proxies.get().and_then(|proxies| proxies.last());
        last.is_some_and(|last| last.id == service.id)
    }

    /// Finds out where clients connect: the container's own address, else a published port.
    async fn open_endpoint(&self) -> Result<SocketAddr, TopologyError> {
        let first = self.first_proxy()?;
        let port = self.asked.services.port;
        let own = first.at(port);
        let endpoint = if connects(own).await {
            own
        } else {
            let state = self.engine.state(&first.id).await?;
            let published = state
                .published(port)
                .ok_or_else(|| ComposeError::Unreachable {
                    service: first.name.clone(),
                    address: own.to_string(),
                    port,
                })?;
            self.notes.borrow_mut().push(format!(
                "clients went through the published port {published}, since {own} cannot be reached from here: what \
                 passes it on has been seen to fail at about 3,000 connections, and is part of every figure"
            ));
            published
        };
        self.answering(first, endpoint).await?;
        Ok(endpoint)
    }

    /// Waits for the whole way to the nodes. Only where no status page is read: a request of ours would be on its books.
    async fn answering(&self, first: &Service, at: SocketAddr) -> Result<(), TopologyError> {
        let deadline = Instant::now() + READY;
        while self.counters.address.get().is_none() {
            match http::request(at, "GET", &self.asked.services.path, "", CONNECT).await {
                // A proxy without a node behind it.
                Ok(answer) if matches!(answer.status, 502..=504) => {}
                Err(HttpError::Connect { .. }) => {}
                // Most refuse a plain request; some do not even answer it.
                Ok(_) | Err(HttpError::NoAnswer { .. }) => break,
            }
            if Instant::now() >= deadline {
                return Err(self
                    .late(first, "passing requests on to a node", READY)
                    .await);
            }
            sleep(POLL).await;
        }
        Ok(())
    }
}

async fn connects(at: SocketAddr) -> bool {
    matches!(timeout(CONNECT, TcpStream::connect(at)).await, Ok(Ok(_)))
}
