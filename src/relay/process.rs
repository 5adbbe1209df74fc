//! A relay as a process of its own: orders on stdin, answers on stdout, the end of stdin is its end.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::order::READY;
use super::server::{self, Asked};
use crate::topology::{limits, tether};

/// What a relay is told at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayOptions {
    /// Where it accepts.
    pub listen: SocketAddr,
    /// Where it connects.
    pub to: SocketAddr,
    /// Seed of its jitter.
    pub seed: u64,
    /// Others listen on the address as well: a link that needs more descriptors than one process has is several relays.
    pub is_shared: bool,
}

/// The body of `wssoak relay`.
///
/// # Errors
/// When the parent is gone, the address is taken, or an order is not understood.
pub fn run(options: RelayOptions, parent: u32) -> io::Result<()> {
    tether::tie(parent, Signal::KILL)?;
    limits::raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = LocalSet::new().block_on(&runtime, async {
        let (asking, orders) = mpsc::channel(1);
        tokio::select! {
            served = server::serve(options, |_| drop(say(READY)), orders) => served,
            asked = converse(asking) => asked,
        }
    });
    // Reading stdin blocks a thread until the harness closes it.
    runtime.shutdown_background();
    outcome
}

async fn converse(asking: mpsc::Sender<Asked>) -> io::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let order = serde_json::from_str(&line).map_err(io::Error::other)?;
        let (sender, answer) = oneshot::channel();
        if asking.send((order, sender)).await.is_err() {
            break;
        }
        let Ok(answer) = answer.await else { break };
        say(&serde_json::to_string(&answer)?)?;
    }
    Ok(())
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
