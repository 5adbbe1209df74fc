//! What all connections of a node share: options, counters, sessions, behaviour.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::session::{Offer, Session, Sessions, Signal, Stop};
use super::{NodeOptions, Push};
use crate::wire::{Behaviour, Frame, FrameKind, NodeStats};

/// Counters that no one else keeps. See [`NodeStats`] for their meaning.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) rejected: Cell<u64>,
    pub(super) sessions_created: Cell<u64>,
    pub(super) sessions_resumed: Cell<u64>,
    pub(super) sessions_unknown: Cell<u64>,
    pub(super) received: Cell<u64>,
    pub(super) echoed: Cell<u64>,
    pub(super) duplicates: Cell<u64>,
    pub(super) pushed: Cell<u64>,
    pub(super) pings: Cell<u64>,
    pub(super) pong_timeouts: Cell<u64>,
}

/// Adds one.
pub(super) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// The node, on its one thread.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) options: NodeOptions,
    pub(super) counters: Counters,
    /// Read whenever it matters, so a change is in force as soon as it is stored; see [`Self::behave`].
    pub(super) behaviour: Cell<Behaviour>,
    pub(super) is_stopping: Cell<bool>,
    ledger: Ledger,
    sessions: RefCell<Sessions>,
    scratch: RefCell<BytesMut>,
}

impl Node {
    /// A node without connections.
    pub(super) fn new(options: NodeOptions, ledger: Ledger) -> Self {
        Self {
            sessions: RefCell::new(Sessions::new(options.session_ttl)),
            options,
            counters: Counters::default(),
            behaviour: Cell::default(),
            is_stopping: Cell::new(false),
            ledger,
            scratch: RefCell::default(),
        }
    }

    /// WebSocket connections open now.
    pub(super) fn open(&self) -> u64 {
        let totals = self.ledger.totals();
        totals.accepted - totals.closed
    }

    /// Counts an upgrade and gives it a session. To be called right before the 101 is written.
    pub(super) fn accept(self: &Rc<Self>, resume: Option<&str>) -> Open {
        self.ledger.accept();
        let signal = Rc::new(Signal::default());
        let (session, offer) =
            self.sessions
                .borrow_mut()
                .attach(resume, &signal, Instant::now(), &mut rand::rng());
        if offer == Offer::Resumed {
            count(&self.counters.sessions_resumed);
        } else {
            count(&self.counters.sessions_created);
        }
        if offer == Offer::Unknown {
            count(&self.counters.sessions_unknown);
        }
        if self.is_stopping.get() {
            signal.raise(Stop::GoingAway);
        }
        Open {
            node: Rc::clone(self),
            session,
            signal,
            is_resumed: offer == Offer::Resumed,
        }
    }

    /// Behaves otherwise from now on.
    pub(super) fn behave(&self, behaviour: Behaviour) {
        self.behaviour.set(behaviour);
        // One that has not been reading has nothing else to wake it.
        self.sessions.borrow().wake_all();
    }

    /// Forgets sessions whose time is over.
    pub(super) fn sweep(&self) {
        self.sessions.borrow_mut().expire(Instant::now());
    }

    /// Tells every connection, also those still in their upgrade, to close.
    pub(super) fn stop(&self) {
        self.is_stopping.set(true);
        self.sessions.borrow().stop_all();
    }

    /// `message` with another kind, as a request's echo.
    ///
    /// tungstenite's read buffer holds on to the message's memory, so it cannot be changed in place. The copy is made
    /// in a buffer of the node's: tungstenite copies it on at once, so the memory comes back for the next message.
    pub(super) fn echo(&self, message: &[u8], kind: FrameKind) -> Bytes {
        let mut scratch = self.scratch.borrow_mut();
        scratch.extend_from_slice(message);
        scratch[0] = kind as u8;
        scratch.split().freeze()
    }

    /// A push of the configured size; see [`Self::echo`] for its memory.
    pub(super) fn push(&self, push: Push, seq: u64, due_us: u64) -> Bytes {
        let frame = Frame {
            kind: FrameKind::Push,
            seq,
            due_us,
        };
        let mut scratch = self.scratch.borrow_mut();
        scratch.extend_from_slice(&frame.encode());
        scratch.resize(Frame::SIZE.max(push.size as usize), 0);
        scratch.split().freeze()
    }

    /// The counters now.
    pub(super) fn stats(&self) -> NodeStats {
        let counters = &self.counters;
        let totals = self.ledger.totals();
        NodeStats {
            node: self.options.name.clone(),
            pid: std::process::id(),
            accepted: totals.accepted,
            rejected: counters.rejected.get(),
            open: self.open(),
            closed: totals.closed,
            sessions_created: counters.sessions_created.get(),
            sessions_resumed: counters.sessions_resumed.get(),
            sessions_unknown: counters.sessions_unknown.get(),
            received: counters.received.get(),
            echoed: counters.echoed.get(),
            duplicates: counters.duplicates.get(),
            pushed: counters.pushed.get(),
            pings: counters.pings.get(),
            pong_timeouts: counters.pong_timeouts.get(),
        }
    }
}

/// A counted connection. However its task ends, dropping this counts the end and frees the session.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) node: Rc<Node>,
    pub(super) session: Rc<Session>,
    pub(super) signal: Rc<Signal>,
    pub(super) is_resumed: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        let node = &self.node;
        let mut sessions = node.sessions.borrow_mut();
        sessions.detach(&self.session, &self.signal, Instant::now());
        drop(sessions);
        node.ledger.close();
    }
}
