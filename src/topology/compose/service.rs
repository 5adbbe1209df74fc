//! One service of the project: its container, its address, and what its node has counted.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::engine::Container;
use super::state::State;
use crate::topology::http;
use crate::wire::{HEALTH_PATH, Ledger, NodeStats, STATS_PATH};

/// Time for one question. A node with thousands of sessions coming back may take a while.
const ANSWER: Duration = Duration::from_secs(3);

/// A container that the scenario names.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) image: String,
    pub(super) port: u16,
    address: Cell<IpAddr>,
    /// Ledgers of lives that are over, oldest first.
    past: RefCell<Vec<Ledger>>,
    /// Lives that are over.
    ended: Cell<u32>,
    /// What is known once the run is over; `None`: not known.
    books: RefCell<Option<Vec<Ledger>>>,
}

impl Service {
    pub(super) fn new(container: &Container, port: u16) -> Self {
        Self {
            name: container.service.clone(),
            id: container.id.clone(),
            image: container.image.clone(),
            port,
            address: Cell::new(Ipv4Addr::UNSPECIFIED.into()),
            past: RefCell::default(),
            ended: Cell::default(),
            books: RefCell::default(),
        }
    }

    /// Takes over its address; returns the one before if it was another.
    pub(super) fn settle(&self, state: &State) -> Option<IpAddr> {
        let now = state.address?;
        let before = self.address.replace(now);
        (before != now && !before.is_unspecified()).then_some(before)
    }

    pub(super) fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address.get(), port)
    }

    /// Does it answer as our own node does?
    pub(super) async fn is_our_node(&self) -> bool {
        let health = http::request(self.at(self.port), "GET", HEALTH_PATH, "", ANSWER).await;
        health.is_ok_and(|response| response.status == 200 && response.body.contains("\"node\""))
    }

    /// Its counters; `None` when it does not answer, or is no node of ours.
    pub(super) async fn stats(&self) -> Option<NodeStats> {
        let answer = http::request(self.at(self.port), "GET", STATS_PATH, "", ANSWER).await;
        let answer = answer.ok().filter(|response| response.status == 200)?;
        serde_json::from_str(&answer.body).ok()
    }

    /// A life is over: its ledger is read before the next life begins a new one.
    pub(super) fn end_life(&self, ledger: &Path) {
        self.ended.set(self.ended.get() + 1);
        if let Some(last) = read(ledger) {
            self.past.borrow_mut().push(last);
            // So that a life that never came to write one does not inherit it.
            let _ = std::fs::remove_file(ledger);
        }
    }

    /// Adds everything up: from ledgers, or from the counters of a node that has lived through the whole run.
    pub(super) async fn close_book(&self, ledger: &Path) {
        let mut books = self.past.borrow().clone();
        books.extend(read(ledger));
        if books.is_empty() && self.ended.get() == 0 {
            let stats = self.stats().await;
            books.extend(stats.map(|stats| Ledger {
                accepted: stats.accepted,
                closed: stats.closed,
            }));
        }
        self.books.replace((!books.is_empty()).then_some(books));
    }

    pub(super) fn books(&self) -> Option<Vec<Ledger>> {
        self.books.borrow().clone()
    }
}

fn read(ledger: &Path) -> Option<Ledger> {
    Ledger::decode(&std::fs::read(ledger).ok()?)
}
