//! Sessions in memory: what a node knows of a client across its connections.
//!
//! A session outlives its connection by the time to live, then it is forgotten. Detachments queue up in the order in
//! which they expire, so a sweep costs what it removes, whatever the number of sessions.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::client::transport::Token;

/// Why a node ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The node shuts down.
    GoingAway,
    /// The client came back on another connection.
    TakenOver,
}

/// Reaches one connection's task from outside. Single-threaded, so a cell and a waker do.
#[derive(Debug, Default)]
pub(super) struct Signal {
    stop: Cell<Option<Stop>>,
    waker: RefCell<Option<Waker>>,
}

impl Signal {
    /// Tells the connection to end. A takeover outranks a shutdown, since it waits for nothing.
    pub(super) fn raise(&self, stop: Stop) {
        if self.stop.get() != Some(Stop::TakenOver) {
            self.stop.set(Some(stop));
        }
        self.wake();
    }

    /// Has the connection look again at what it may do.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready once raised.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Stop> {
        if let Some(stop) = self.stop.get() {
            return Poll::Ready(stop);
        }
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

/// What is known of one client.
#[derive(Debug)]
pub(super) struct Session {
    /// Its name.
    pub(super) token: Token,
    /// Highest sequence number received; 0 if none.
    pub(super) received: Cell<u64>,
    /// Messages pushed.
    pub(super) pushed: Cell<u64>,
    attached: RefCell<Option<Rc<Signal>>>,
    detached: Cell<Option<Instant>>,
}

/// What became of the token that a client offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// None was offered.
    None,
    /// It was found and continued.
    Resumed,
    /// It was unknown: never given, forgotten, or of another node.
    Unknown,
}

/// All sessions of a node.
#[derive(Debug)]
pub(super) struct Sessions {
    ttl: Duration,
    by_token: HashMap<Token, Rc<Session>>,
    expiring: VecDeque<(Instant, Token)>,
}

impl Sessions {
    /// None yet.
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            by_token: HashMap::new(),
            expiring: VecDeque::new(),
        }
    }

    /// Attaches a connection to the session offered, or to a new one. `offered` is the text as the client sent it. A
    /// connection still attached is half-open as far as its client knows; it is taken over.
    pub(super) fn attach(
        &mut self,
        offered: Option<&str>,
        signal: &Rc<Signal>,
        now: Instant,
        rng: &mut impl rand::Rng,
    ) -> (Rc<Session>, Offer) {
        self.expire(now);
        let found = offered
            .and_then(|text| text.parse().ok())
            .and_then(|token: Token| self.by_token.get(&token));
        if let Some(session) = found {
            session.detached.set(None);
            if let Some(old) = session.attached.replace(Some(Rc::clone(signal))) {
                old.raise(Stop::TakenOver);
            }
            return (Rc::clone(session), Offer::Resumed);
        }
        let session = Rc::new(Session {
            token: self.fresh_token(rng),
            received: Cell::new(0),
            pushed: Cell::new(0),
            attached: RefCell::new(Some(Rc::clone(signal))),
            detached: Cell::new(None),
        });
        self.by_token.insert(session.token, Rc::clone(&session));
        let offer = if offered.is_some() {
            Offer::Unknown
        } else {
            Offer::None
        };
        (session, offer)
    }

    fn fresh_token(&self, rng: &mut impl rand::Rng) -> Token {
        loop {
            let token = Token(rng.next_u64());
            if !self.by_token.contains_key(&token) {
                return token;
            }
        }
    }

    /// The connection of `signal` has ended. Nothing happens when another has taken its session over.
    pub(super) fn detach(&mut self, session: &Session, signal: &Rc<Signal>, now: Instant) {
        let is_attached = session
            .attached
            .borrow()
            .as_ref()
            .is_some_and(|attached| Rc::ptr_eq(attached, signal));
        if is_attached {
            session.attached.take();
            session.detached.set(Some(now));
            self.expiring.push_back((now, session.token));
        }
    }

    /// Forgets the sessions that have been without a connection for the time to live.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(at, token)) = self.expiring.front() {
            if now.saturating_duration_since(at) < self.ttl {
                break;
            }
            self.expiring.pop_front();
            // A session that came back and left again has a later entry of its own.
            let is_due = |session: &Rc<Session>| session.detached.get() == Some(at);
            if self.by_token.get(&token).is_some_and(is_due) {
                self.by_token.remove(&token);
            }
        }
    }

    /// Tells every attached connection to end.
    pub(super) fn stop_all(&self) {
        self.each_attached(|signal| signal.raise(Stop::GoingAway));
    }

    /// Has every attached connection look again at what it may do.
    pub(super) fn wake_all(&self) {
        self.each_attached(Signal::wake);
    }

    fn each_attached(&self, act: impl Fn(&Signal)) {
        for session in self.by_token.values() {
            if let Some(signal) = &*session.attached.borrow() {
                act(signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(10);

    fn attach(
        sessions: &mut Sessions,
        token: Option<Token>,
        now: Instant,
    ) -> (Rc<Session>, Rc<Signal>, Offer) {
        let signal = Rc::new(Signal::default());
        let text = token.map(|token| token.to_string());
        let (session, offer) = sessions.attach(text.as_deref(), &signal, now, &mut rand::rng());
        (session, signal, offer)
    }

    #[test]
    fn a_session_is_resumed_until_it_expires() {
        let (mut sessions, start) = (Sessions::new(TTL), Instant::now());
        let (session, signal, offer) = attach(&mut sessions, None, start);
        assert_eq!(offer, Offer::None);
        session.received.set(7);
        sessions.detach(&session, &signal, start);
        let (again, signal, offer) = attach(&mut sessions, Some(session.token), start + TTL / 2);
        assert_eq!((offer, again.received.get()), (Offer::Resumed, 7));
        // The first detachment's entry must not end the session that has come back.
        sessions.expire(start + TTL * 3);
        sessions.detach(&again, &signal, start + TTL * 3);
        let (_, _, offer) = attach(&mut sessions, Some(session.token), start + TTL * 4);
        assert_eq!(offer, Offer::Unknown);
        assert_eq!((sessions.by_token.len(), sessions.expiring.len()), (1, 0));
    }

    #[test]
    fn a_half_open_connection_is_taken_over_and_its_end_detaches_nothing() {
        let (mut sessions, start) = (Sessions::new(TTL), Instant::now());
        let (session, old, _) = attach(&mut sessions, None, start);
        let (_, new, offer) = attach(&mut sessions, Some(session.token), start);
        assert_eq!(
            (offer, old.stop.get(), new.stop.get()),
            (Offer::Resumed, Some(Stop::TakenOver), None)
        );
        sessions.detach(&session, &old, start);
        sessions.expire(start + TTL * 2);
        assert_eq!(sessions.by_token.len(), 1);
        sessions.stop_all();
        assert_eq!(
            (old.stop.get(), new.stop.get()),
            (Some(Stop::TakenOver), Some(Stop::GoingAway))
        );
    }

    #[test]
    fn what_is_no_token_is_unknown() {
        let mut sessions = Sessions::new(TTL);
        let signal = Rc::new(Signal::default());
        for text in ["", "xyz", "../../etc"] {
            let (_, offer) = sessions.attach(Some(text), &signal, Instant::now(), &mut rand::rng());
            assert_eq!(offer, Offer::Unknown, "{text}");
        }
    }
}
