//! A link's relay as child processes: started, told what to do, asked, stopped. See [`crate::relay`].

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use futures::future::try_join_all;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::error::TopologyError;
use super::ports;
use super::process::{Exits, Process, log_to};
use crate::relay::order::{Answer, Order, READY, Stats};

/// Time for a started relay to listen, and for an order to be in force on every tunnel.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time to end once its orders have.
const GRACE: Duration = Duration::from_secs(2);
/// Ports tried before giving up when others take them between our look and the bind.
const PORT_TRIES: usize = 4;
/// Descriptors of a relay beside its tunnels.
const RELAY_FILES: u64 = 100;

/// What all relays of a run have in common.
#[derive(Debug)]
pub(super) struct RelaySpec {
    pub(super) exe: PathBuf,
    pub(super) group: u32,
    pub(super) logs: PathBuf,
    pub(super) seed: u64,
}

/// One link's relay: as many processes on one address as its tunnels need descriptors.
#[derive(Debug)]
pub(super) struct Relay {
    /// `edge-relay` or `n1-relay`.
    pub(super) name: String,
    count: u32,
    address: Cell<SocketAddr>,
    parts: RefCell<Vec<Rc<Part>>>,
}

#[derive(Debug)]
struct Part {
    process: Process,
    /// One order after the other; `None` once it was told to end.
    talk: Mutex<Option<Talk>>,
}

#[derive(Debug)]
struct Talk {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Relay {
    pub(super) fn new(name: String, count: u32) -> Self {
        Self {
            name,
            count,
            address: Cell::new((Ipv4Addr::LOCALHOST, 0).into()),
            parts: RefCell::default(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address.get()
    }

    /// Starts it on a fresh port of loopback; returns when it accepts connections.
    pub(super) async fn start(
        &self,
        spec: &RelaySpec,
        to: SocketAddr,
        exits: &Exits,
    ) -> Result<(), TopologyError> {
        let mut tries = PORT_TRIES;
        loop {
            tries -= 1;
            let fresh = ports::fresh(1).map_err(|e| TopologyError::io("choosing a port", e))?;
            let port = fresh.first().copied().unwrap_or_default();
            let listen = (Ipv4Addr::LOCALHOST, port).into();
            match self.start_at(spec, listen, to, exits).await {
                // Another run was faster; later parts find the port taken by the first.
                Err(TopologyError::Start { .. })
                    if tries > 0 && self.parts.borrow().is_empty() && !ports::is_free(port) => {}
                result => return result,
            }
        }
    }

    /// Starts it where others have been told already that it is; returns when it accepts connections.
    pub(super) async fn start_at(
        &self,
        spec: &RelaySpec,
        listen: SocketAddr,
        to: SocketAddr,
        exits: &Exits,
    ) -> Result<(), TopologyError> {
        self.address.set(listen);
        for _ in 0..self.count {
            let part = self.start_part(spec, to, exits).await?;
            self.parts.borrow_mut().push(part);
        }
        Ok(())
    }

    async fn start_part(
        &self,
        spec: &RelaySpec,
        to: SocketAddr,
        exits: &Exits,
    ) -> Result<Rc<Part>, TopologyError> {
        let log = spec.logs.join(format!("{}.log", self.name));
        let mut command = Command::new(&spec.exe);
        command
            .arg("relay")
            .args(["--listen", &self.address().to_string()])
            .args(["--to", &to.to_string()])
            .args(["--seed", &spec.seed.to_string()])
            .args(["--parent", &std::process::id().to_string()])
            .current_dir("/")
            .process_group(i32::try_from(spec.group).unwrap_or_default());
        if self.count > 1 {
            command.arg("--shared");
        }
        log_to(&mut command, &log)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let (process, pipes) = Process::spawn(&self.name, command, Some(log), exits)?;
        let (Some(orders), Some(stdout)) = (pipes.stdin, pipes.stdout) else {
            return Err(self.failed("it has no pipes"));
        };
        let mut answers = BufReader::new(stdout).lines();
        let first = timeout(PATIENCE, answers.next_line()).await;
        if !matches!(&first, Ok(Ok(Some(line))) if line == READY) {
            let forced = process.stop(Signal::KILL, GRACE).await;
            return Err(TopologyError::Start {
                name: self.name.clone(),
                how: match forced {
                    true => "it did not listen in time".into(),
                    false => "it ended".into(),
                },
                log: process.last_words(),
            });
        }
        process.expect_life();
        Ok(Rc::new(Part {
            process,
            talk: Mutex::new(Some(Talk { orders, answers })),
        }))
    }

    /// Gives an order to all its processes; returns the sum of their answers once every open tunnel follows it.
    pub(super) async fn order(&self, order: Order) -> Result<Answer, TopologyError> {
        let parts = self.parts.borrow().clone();
        let asked = parts.iter().map(|part| part.ask(order));
        let answers = timeout(PATIENCE, try_join_all(asked))
            .await
            .map_err(|_| self.failed("it did not answer in time"))?
            .map_err(|why| self.failed(&why))?;
        let mut sum = Answer::default();
        for answer in answers {
            if let Some(why) = answer.error {
                return Err(self.failed(&why));
            }
            sum.applied += answer.applied;
            sum.stats = sum.stats + answer.stats;
        }
        Ok(sum)
    }

    /// Its counters; `None` when it does not answer.
    pub(super) async fn stats(&self) -> Option<Stats> {
        Some(self.order(Order::Count).await.ok()?.stats)
    }

    /// Its end is no surprise from here on.
    pub(super) fn expect_end(&self) {
        for part in self.parts.borrow().iter() {
            part.process.expect_end();
        }
    }

    /// Ends it. Returns whether it had to be forced.
    pub(super) async fn stop(&self) -> bool {
        let mut forced = false;
        let parts = self.parts.take();
        for part in parts {
            part.process.expect_end();
            // The end of its orders is its end.
            part.talk.lock().await.take();
            if part.process.ended_within(GRACE).await.is_none() {
                forced = true;
                part.process.stop(Signal::KILL, GRACE).await;
            }
        }
        forced
    }

    fn failed(&self, why: &str) -> TopologyError {
        TopologyError::Relay {
            name: self.name.clone(),
            why: why.into(),
        }
    }
}

impl Part {
    async fn ask(&self, order: Order) -> Result<Answer, String> {
        let mut talk = self.talk.lock().await;
        let talk = talk.as_mut().ok_or("it was stopped")?;
        let ask = async {
            let mut line = serde_json::to_vec(&order)?;
            line.push(b'\n');
            talk.orders.write_all(&line).await?;
            talk.orders.flush().await?;
            let answer = talk.answers.next_line().await?;
            let answer = answer.ok_or(std::io::ErrorKind::UnexpectedEof)?;
            Ok::<Answer, std::io::Error>(serde_json::from_str(&answer)?)
        };
        ask.await.map_err(|error| error.to_string())
    }
}

/// How many processes a relay of `tunnels` tunnels is made of, each of which may open `limit` files: a tunnel takes two.
pub(super) fn relay_parts(tunnels: u32, limit: u64) -> u32 {
    // The kernel spreads connections over them evenly, but not to the last one.
    let wanted = u64::from(tunnels) * 21 / 20;
    let room = (limit.saturating_sub(RELAY_FILES) / 2).max(32);
    u32::try_from(wanted.div_ceil(room).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::relay_parts;

    #[test]
    fn a_relay_has_two_descriptors_for_each_tunnel() {
        for (tunnels, parts) in [(1, 1), (9_000, 1), (9_900, 2), (50_000, 6)] {
            assert_eq!(relay_parts(tunnels, 20_000), parts, "{tunnels} tunnels");
        }
    }
}
