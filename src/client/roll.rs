//! The roll of a shard: who is in a session, and what some of them are told to do at once.
//!
//! A call reaches every session that is open, and is answered once each has heard it. Which clients it is for is
//! worked out from the seed ([`Pick`]), so that shards and agents agree without talking.

use std::cell::{Cell, RefCell};

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::plan::pick::Pick;

/// What clients do when called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// End the session with a RST.
    Reset,
    /// End it with a FIN, without a close frame.
    Finish,
    /// Leave the socket as it is and never look at it again.
    Vanish,
    /// Read nothing, now and in later sessions, until [`Deed::Recover`].
    StopReading,
    /// Read again; sockets left by [`Deed::Vanish`] are closed. Everybody does, whoever was picked.
    Recover,
}

/// A deed and for whom it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// What to do.
    pub deed: Deed,
    /// Share of the regular clients: those of a surge are left alone.
    pub share: f64,
    /// Tells the draws of one run apart.
    pub stream: u32,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// When it was in force, in µs since the start of the run.
    pub at_us: u64,
    /// Clients that did it.
    pub clients: u32,
}

/// The sessions of a shard, and the last call.
#[derive(Debug, Default)]
pub struct Roll {
    /// Counts calls: a session that has heard another number has something to do.
    generation: Cell<u32>,
    call: Cell<Option<(Deed, Pick)>>,
    /// Who does not read.
    deaf: Cell<Option<Pick>>,
    sessions: Cell<u32>,
    /// Sessions that have not heard the last call yet.
    behind: Cell<u32>,
    hit: Cell<u32>,
    settled: Notify,
    ghosts: RefCell<Vec<TcpStream>>,
}

impl Roll {
    /// Calls; the sessions are to be woken next.
    pub(super) fn call(&self, deed: Deed, pick: Pick) {
        self.generation.set(self.generation.get().wrapping_add(1));
        self.call.set(Some((deed, pick)));
        self.behind.set(self.sessions.get());
        self.hit.set(0);
        match deed {
            Deed::StopReading => self.deaf.set(Some(pick)),
            Deed::Recover => {
                self.deaf.set(None);
                self.ghosts.take();
            }
            Deed::Reset | Deed::Finish | Deed::Vanish => {}
        }
    }

    /// How many did what the last call said, once all have heard it.
    pub(super) async fn settled(&self) -> u32 {
        while self.behind.get() > 0 {
            self.settled.notified().await;
        }
        self.hit.get()
    }

    /// Keeps the socket of a client that vanished, untouched.
    pub(super) fn haunt(&self, socket: TcpStream) {
        self.ghosts.borrow_mut().push(socket);
    }
}

/// A session's place on the roll.
#[derive(Debug)]
pub(super) struct Present<'a> {
    roll: &'a Roll,
    client: u32,
    heard: u32,
}

impl<'a> Present<'a> {
    pub(super) fn new(roll: &'a Roll, client: u32) -> Self {
        roll.sessions.set(roll.sessions.get() + 1);
        Self {
            roll,
            client,
            heard: roll.generation.get(),
        }
    }

    /// May it read from the start?
    pub(super) fn reads(&self) -> bool {
        let deaf = self.roll.deaf.get();
        deaf.is_none_or(|pick| !pick.holds(self.client))
    }

    /// What it is told, if there was a call since the last time it asked.
    pub(super) fn hear(&mut self) -> Option<Deed> {
        let roll = self.roll;
        if self.heard == roll.generation.get() {
            return None;
        }
        self.heard = roll.generation.get();
        roll.behind.set(roll.behind.get() - 1);
        if roll.behind.get() == 0 {
            roll.settled.notify_one();
        }
        let (deed, pick) = roll.call.get()?;
        let is_meant = deed == Deed::Recover || pick.holds(self.client);
        is_meant.then(|| {
            roll.hit.set(roll.hit.get() + 1);
            deed
        })
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        // Ends without having heard; what it was told is not counted as done.
        let hit = self.roll.hit.get();
        self.hear();
        self.roll.hit.set(hit);
        self.roll.sessions.set(self.roll.sessions.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn half() -> Pick {
        Pick::new(1, 0, 100, 0.5)
    }

    #[test]
    fn a_call_is_answered_once_all_have_heard_it_and_counts_who_was_meant() {
        let roll = Roll::default();
        let mut present: Vec<_> = (0..100).map(|client| Present::new(&roll, client)).collect();
        roll.call(Deed::Reset, half());
        assert_eq!(roll.settled().now_or_never(), None);
        let last = present.pop().unwrap();
        let told = present.iter_mut().filter_map(Present::hear).count();
        assert_eq!(roll.settled().now_or_never(), None);
        // One that ends without having heard has done nothing.
        drop(last);
        assert_eq!(roll.settled().now_or_never(), Some(told as u32));
        assert!((49..=50).contains(&told), "{told}");
        assert!(present.iter_mut().all(|one| one.hear().is_none()), "once");
    }

    #[test]
    fn newcomers_are_not_hit_but_stay_deaf_until_the_end() {
        let roll = Roll::default();
        roll.call(Deed::StopReading, half());
        assert_eq!(roll.settled().now_or_never(), Some(0));
        let mut newcomers: Vec<_> = (0..100).map(|client| Present::new(&roll, client)).collect();
        assert!(newcomers.iter_mut().all(|one| one.hear().is_none()));
        let deaf = newcomers.iter().filter(|one| !one.reads()).count();
        assert_eq!(deaf, 50);
        roll.call(Deed::Recover, half());
        let told = newcomers.iter_mut().filter_map(Present::hear).count();
        assert_eq!((told, roll.settled().now_or_never()), (100, Some(100)));
        assert!(newcomers.iter().all(Present::reads));
    }
}
