//! One node as a child process: started, found healthy, asked, killed, started again on the same port.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::error::TopologyError;
use super::process::{Exits, Process, log_to};
use super::{http, ports};
use crate::scenario::NodeId;
use crate::units::exact_duration;
use crate::wire::{BEHAVIOUR_PATH, Behaviour, HEALTH_PATH, Ledger, NodeStats, STATS_PATH};

/// Time for a started node to answer.
const READY: Duration = Duration::from_secs(10);
const READY_POLL: Duration = Duration::from_millis(10);
/// Time for a node that was killed to be reaped.
const DYING: Duration = Duration::from_secs(1);
/// Time for one question. A node with thousands of sessions coming back may take a while.
const ANSWER: Duration = Duration::from_secs(3);
/// Time for a killed process to be reaped, and for a terminated one to end.
const GRACE: Duration = Duration::from_secs(5);
/// Descriptors that a node needs beside its clients' connections.
const NODE_FILES: u64 = 200;
/// Ports tried before giving up when others take them between our look and the bind.
const PORT_TRIES: usize = 4;

/// What all nodes of a run have in common.
#[derive(Debug)]
pub(super) struct NodeSpec {
    pub(super) exe: PathBuf,
    pub(super) group: u32,
    pub(super) scratch: PathBuf,
    pub(super) logs: PathBuf,
    /// Session time to live, pushes and pings, as command line arguments.
    pub(super) duties: Vec<OsString>,
}

/// The ledger file of one incarnation, and what it said last.
#[derive(Debug)]
struct Book {
    path: PathBuf,
    last: Ledger,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: NodeId,
    /// Which of the processes of this node, from 0: one process may open only so many files.
    part: u32,
    address: Cell<SocketAddr>,
    running: RefCell<Option<Rc<Process>>>,
    /// What the running process was told last. A paused one would not answer; it is told when it goes on.
    told: Cell<Behaviour>,
    is_paused: Cell<bool>,
    books: RefCell<Vec<Book>>,
}

impl Node {
    pub(super) fn new(id: NodeId, part: u32) -> Self {
        Self {
            id,
            part,
            address: Cell::new((Ipv4Addr::LOCALHOST, 0).into()),
            running: RefCell::new(None),
            told: Cell::default(),
            is_paused: Cell::new(false),
            books: RefCell::new(Vec::new()),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address.get()
    }

    /// The process, if one runs.
    pub(super) fn process(&self) -> Option<Rc<Process>> {
        self.running
            .borrow()
            .clone()
            .filter(|process| process.status().is_none())
    }

    /// Starts it for the first time, on a fresh port.
    pub(super) async fn start_fresh(
        &self,
        spec: &NodeSpec,
        exits: &Exits,
    ) -> Result<(), TopologyError> {
        let mut tries = PORT_TRIES;
        loop {
            tries -= 1;
            let fresh = ports::fresh(1).map_err(|e| TopologyError::io("choosing a port", e))?;
            let port = fresh.first().copied().unwrap_or_default();
            self.address.set((Ipv4Addr::LOCALHOST, port).into());
            match self.start(spec, exits).await {
                // Another run was faster; anything else that ends a node would end it on every port.
                Err(TopologyError::Start { .. }) if tries > 0 && !ports::is_free(port) => {}
                result => return result,
            }
        }
    }

    /// Starts it on its port; returns when it is healthy.
    pub(super) async fn start(&self, spec: &NodeSpec, exits: &Exits) -> Result<(), TopologyError> {
        let name = self.id.to_string();
        if self.process().is_some() {
            let state = "running already";
            return Err(TopologyError::State { name, state });
        }
        let incarnation = self.books.borrow().len();
        let ledger = spec
            .scratch
            .join(format!("{name}.{}.{incarnation}.ledger", self.part));
        let log = match self.part {
            0 => spec.logs.join(format!("{name}.log")),
            part => spec.logs.join(format!("{name}.{part}.log")),
        };
        let mut command = Command::new(&spec.exe);
        command
            .arg("node")
            .args(["--name", &name])
            .arg("--listen")
            .arg(self.address().to_string())
            .arg("--ledger")
            .arg(&ledger)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .args(&spec.duties)
            .current_dir("/")
            .process_group(i32::try_from(spec.group).unwrap_or_default());
        log_to(&mut command, &log)?;
        let (process, _) = Process::spawn(&name, command, Some(log), exits)?;
        let process = Rc::new(process);
        self.running.replace(Some(Rc::clone(&process)));
        self.told.take();
        self.is_paused.set(false);
        self.books.borrow_mut().push(Book {
            path: ledger,
            last: Ledger::default(),
        });
        let ready = tokio::select! {
            biased;
            status = process.ended() => Err(TopologyError::Start {
                name,
                how: status.map_or_else(|| "it ended".into(), |status| format!("it ended ({status})")),
                log: process.last_words(),
            }),
            ready = self.healthy(&process) => ready,
        };
        if ready.is_err() {
            process.stop(Signal::KILL, GRACE).await;
        } else {
            process.expect_life();
        }
        ready
    }

    async fn healthy(&self, process: &Process) -> Result<(), TopologyError> {
        let deadline = Instant::now() + READY;
        loop {
            let health = http::request(self.address(), "GET", HEALTH_PATH, "", ANSWER).await;
            // Another run's node could answer on a port that ours failed to bind: the process id tells.
            if health.is_ok_and(|response| response.status == 200)
                && let Some(stats) = self.stats().await
                && stats.pid == process.pid
            {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(TopologyError::Late {
                    name: process.name.clone(),
                    what: "ready",
                    within: READY,
                    log: process.last_words(),
                });
            }
            sleep(READY_POLL).await;
        }
    }

    /// SIGKILL; returns when it is reaped.
    pub(super) async fn kill(&self) -> Result<(), TopologyError> {
        self.alive()?.stop(Signal::KILL, GRACE).await;
        Ok(())
    }

    /// SIGTERM, and SIGKILL after `grace`. Returns whether it had to be forced.
    pub(super) async fn stop_within(&self, grace: Duration) -> Result<bool, TopologyError> {
        Ok(self.alive()?.stop(Signal::TERM, grace).await)
    }

    /// SIGSTOP; returns when the kernel shows it stopped.
    pub(super) async fn pause(&self) -> Result<(), TopologyError> {
        self.alive()?.pause().await?;
        self.is_paused.set(true);
        Ok(())
    }

    /// SIGCONT; returns when the kernel shows it running.
    pub(super) async fn resume(&self) -> Result<(), TopologyError> {
        self.alive()?.resume().await?;
        self.is_paused.set(false);
        Ok(())
    }

    fn alive(&self) -> Result<Rc<Process>, TopologyError> {
        self.process().ok_or_else(|| TopologyError::State {
            name: self.id.to_string(),
            state: "not running",
        })
    }

    /// SIGTERM, then SIGKILL. Returns whether it had to be forced.
    pub(super) async fn stop(&self) -> bool {
        match self.process() {
            Some(process) => process.stop(Signal::TERM, GRACE).await,
            None => false,
        }
    }

    /// Its counters; `None` when it does not answer.
    pub(super) async fn stats(&self) -> Option<NodeStats> {
        let response = http::request(self.address(), "GET", STATS_PATH, "", ANSWER)
            .await
            .ok()?;
        serde_json::from_str(&response.body).ok()
    }

    /// Tells it how to behave, if it runs. A node that dies or is stopped meanwhile is no error: it is told when it is
    /// back.
    pub(super) async fn behave(&self, behaviour: Behaviour) -> Result<(), TopologyError> {
        let Some(process) = self.process() else {
            return Ok(());
        };
        if self.is_paused.get() || self.told.get() == behaviour {
            return Ok(());
        }
        // Numbers and booleans always serialise.
        let body = serde_json::to_string(&behaviour).unwrap_or_default();
        let source = match http::request(self.address(), "PUT", BEHAVIOUR_PATH, &body, ANSWER).await
        {
            Ok(response) if response.status == 204 => {
                self.told.set(behaviour);
                return Ok(());
            }
            Ok(_) => None,
            Err(error) => Some(error),
        };
        // Its connections fail before it is reaped.
        if self.is_paused.get() || process.ended_within(DYING).await.is_some() {
            return Ok(());
        }
        Err(TopologyError::Behaviour {
            node: self.id.to_string(),
            source,
        })
    }

    /// The ledgers of all its incarnations, oldest first. They outlive the node and the scratch folder.
    pub(super) fn ledgers(&self) -> Vec<Ledger> {
        let mut books = self.books.borrow_mut();
        for book in books.iter_mut() {
            if let Some(ledger) = read_ledger(&book.path) {
                book.last = ledger;
            }
        }
        books.iter().map(|book| book.last).collect()
    }
}

fn read_ledger(path: &Path) -> Option<Ledger> {
    Ledger::decode(&std::fs::read(path).ok()?)
}

/// The command line arguments of a node's duties.
pub(super) fn duties(
    session_ttl: Duration,
    traffic: &crate::scenario::Traffic,
    heartbeat: &crate::scenario::Heartbeat,
) -> Vec<OsString> {
    let mut arguments: Vec<OsString> =
        vec!["--session-ttl".into(), exact_duration(session_ttl).into()];
    if traffic.from_nodes {
        arguments.extend([
            "--push-interval".into(),
            exact_duration(traffic.interval).into(),
            "--push-size".into(),
            traffic.size.to_string().into(),
        ]);
    }
    if heartbeat.from_nodes {
        arguments.extend([
            "--ping-interval".into(),
            exact_duration(heartbeat.interval).into(),
            "--pong-timeout".into(),
            exact_duration(heartbeat.pong_timeout).into(),
        ]);
    }
    arguments
}

/// How many processes a node is made of, so that all others can take the clients of one that dies: a process may open
/// only `limit` files. Each is an upstream server of its own to nginx.
pub fn node_parts(clients: u32, nodes: u16, limit: u64) -> u32 {
    let survivors = u64::from(nodes.max(2) - 1);
    // Balancing is even, but not to the last connection.
    let share = u64::from(clients).div_ceil(survivors) * 21 / 20;
    let room = limit.saturating_sub(NODE_FILES).max(64);
    u32::try_from(share.div_ceil(room).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::node_parts;

    #[test]
    fn a_node_has_room_for_its_share_when_another_is_dead() {
        for (clients, nodes, parts) in [
            (8_000, 2, 1),
            (19_000, 2, 2),
            (50_000, 3, 2),
            (50_000, 1, 3),
            (1, 1, 1),
        ] {
            assert_eq!(
                node_parts(clients, nodes, 20_000),
                parts,
                "{clients} clients, {nodes} nodes"
            );
        }
    }
}
