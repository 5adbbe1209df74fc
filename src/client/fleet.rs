//! The fleet as the controller sees it: start, fall silent, speak, stop; reports come out of one channel.

use std::path::Path;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::message::Order;
use super::remote;
use super::roll::{Call, Done};
use super::settings::Settings;
use super::shard::{self, Command, Report};

/// Seconds of reports that may wait for the controller, per shard, before shards keep them to themselves.
const REPORT_BACKLOG: usize = 8;

/// The running fleet. Dropping it aborts all clients.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<mpsc::Sender<Command>>,
    reports: mpsc::Receiver<Report>,
}

/// A shard that is no longer there to be told something.
#[derive(Debug, thiserror::Error)]
#[error("a part of the fleet has ended on its own")]
pub struct ShardGone;

/// Which part of all clients a process runs: `index`, `index + of`, …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    pub index: usize,
    /// At least 1.
    pub of: usize,
}

impl Share {
    /// All clients.
    pub const ALL: Self = Self { index: 0, of: 1 };
}

impl Fleet {
    /// Starts `shards` threads in this process, whose run begins at `started`.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(
        settings: &Settings,
        shards: usize,
        share: Share,
        started: Instant,
    ) -> std::io::Result<Self> {
        let shards = shards.max(1);
        let (sender, reports) = mpsc::channel(REPORT_BACKLOG * shards);
        let mut members = Vec::new();
        for index in 0..shards {
            let (commands, receiver) = mpsc::channel(16);
            let first = share.index + index * share.of;
            let clients = (0..settings.load.most())
                .skip(first)
                .step_by(share.of * shards)
                .collect();
            let settings = settings.clone();
            let reports = sender.clone();
            std::thread::Builder::new()
                .name(format!("shard-{index}"))
                .spawn(move || shard::run(index, settings, clients, started, receiver, reports))?;
            members.push(commands);
        }
        Ok(Self { members, reports })
    }

    /// Starts a process for each order. Must be called on the main thread, inside a local set.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub fn start_agents(exe: &Path, group: u32, orders: Vec<Order>) -> std::io::Result<Self> {
        let (sender, reports) = mpsc::channel(REPORT_BACKLOG * orders.len().max(1));
        let mut members = Vec::new();
        for order in orders {
            let (commands, receiver) = mpsc::channel(16);
            remote::start(exe, group, order, receiver, sender.clone())?;
            members.push(commands);
        }
        Ok(Self { members, reports })
    }

    /// The next report; `None` when every shard has ended.
    pub async fn report(&mut self) -> Option<Report> {
        self.reports.recv().await
    }

    /// A handle with which faults can tell the fleet to be silent.
    pub fn handle(&self) -> Handle {
        Handle {
            commands: self.members.clone(),
        }
    }

    /// Lets every client leave; `abort` without closing in order. Reports follow until each shard's last.
    pub async fn stop(&self, abort: bool) {
        for commands in &self.members {
            let _ = commands.send(Command::Stop { abort }).await;
        }
    }
}

/// Tells the fleet to be silent or to speak.
#[derive(Debug, Clone)]
pub struct Handle {
    commands: Vec<mpsc::Sender<Command>>,
}

impl Handle {
    /// Every client falls silent; returns when the last shard did.
    ///
    /// # Errors
    /// When a shard is gone.
    pub async fn quiet(&self, keep_heartbeat: bool) -> Result<Done, ShardGone> {
        self.all(|done| Command::Quiet {
            keep_heartbeat,
            done,
        })
        .await
    }

    /// Every client speaks again; returns when the last shard did.
    ///
    /// # Errors
    /// When a shard is gone.
    pub async fn resume(&self) -> Result<Done, ShardGone> {
        self.all(|done| Command::Resume { done }).await
    }

    /// Some clients do something at once; returns when every session has heard it, with how many did.
    ///
    /// # Errors
    /// When a shard is gone.
    pub async fn call(&self, call: Call) -> Result<Done, ShardGone> {
        self.all(|done| Command::Call { call, done }).await
    }

    async fn all(
        &self,
        command: impl Fn(oneshot::Sender<Done>) -> Command,
    ) -> Result<Done, ShardGone> {
        // All are told before any answer is awaited, or they would fall silent one after the other.
        let mut answers = Vec::with_capacity(self.commands.len());
        for commands in &self.commands {
            let (done, answer) = oneshot::channel();
            commands.send(command(done)).await.map_err(|_| ShardGone)?;
            answers.push(answer);
        }
        let mut all = Done::default();
        for answer in answers {
            let done = answer.await.map_err(|_| ShardGone)?;
            all.at_us = all.at_us.max(done.at_us);
            all.clients += done.clients;
        }
        Ok(all)
    }
}
