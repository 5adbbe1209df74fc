//! What all tunnels of a relay share: the rules, the counters, and who has followed the last order.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::order::{Answer, Rules, Stats, Strike};
use crate::plan::seed::{self, ClientRng, Purpose};
use crate::record::generator::Usage;
use crate::record::times::Times;
use crate::units::micros;

/// Largest read. One buffer serves all tunnels, since they take turns.
const SCRATCH: usize = 64 << 10;

/// One end of a run's link: everything here stays on one thread.
#[derive(Debug)]
pub(super) struct Link {
    started: Instant,
    rules: Cell<Rules>,
    strike: Cell<Option<Strike>>,
    /// Counts orders: a tunnel that has seen another number has something to do.
    generation: Cell<u32>,
    /// Tunnels that have not followed the last order yet.
    behind: Cell<u64>,
    settled: Notify,
    /// Wakes every tunnel to look at the rules again.
    pub(super) changed: Notify,
    stats: RefCell<Stats>,
    connects: RefCell<Times>,
    pub(super) scratch: RefCell<Box<[u8]>>,
    pub(super) rng: RefCell<ClientRng>,
}

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Ended,
    Reset,
    Struck,
    Unreachable,
    GaveUp,
}

impl Link {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            started: Instant::now(),
            rules: Cell::default(),
            strike: Cell::new(None),
            generation: Cell::new(0),
            behind: Cell::new(0),
            settled: Notify::new(),
            changed: Notify::new(),
            stats: RefCell::default(),
            connects: RefCell::default(),
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            rng: RefCell::new(seed::rng(seed, 0, Purpose::Fault)),
        }
    }

    /// µs since the relay's start.
    pub(super) fn now_us(&self) -> u64 {
        micros(self.started.elapsed())
    }

    pub(super) fn instant(&self, at_us: u64) -> Instant {
        self.started + std::time::Duration::from_micros(at_us)
    }

    pub(super) fn rules(&self) -> Rules {
        self.rules.get()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Stats)) {
        change(&mut self.stats.borrow_mut());
    }

    pub(super) fn connected(&self, took_us: u64) {
        self.connects.borrow_mut().record_us(took_us);
    }

    /// Puts rules in force and lets every open tunnel take a strike; returns how many there were, once each has.
    pub(super) async fn order(&self, rules: Rules, strike: Option<Strike>) -> u64 {
        let open = self.stats.borrow().open;
        self.rules.set(rules);
        self.strike.set(strike);
        self.generation.set(self.generation.get().wrapping_add(1));
        self.behind.set(open);
        self.changed.notify_waiters();
        while self.behind.get() > 0 {
            self.settled.notified().await;
        }
        open
    }

    /// The counters.
    pub(super) fn answer(&self, applied: u64, error: Option<String>) -> Answer {
        let connects = self.connects.borrow();
        Answer {
            applied,
            error,
            stats: Stats {
                connect_p50_us: connects.quantile_us(0.5),
                connect_p99_us: connects.quantile_us(0.99),
                cpu_ms: Usage::read().cpu_ms,
                ..*self.stats.borrow()
            },
        }
    }
}

/// A tunnel's place on the link: counts it in and, however its task ends, out.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) link: Rc<Link>,
    seen: u32,
    pub(super) end: End,
}

impl Member {
    pub(super) fn join(link: Rc<Link>) -> Self {
        link.count(|stats| {
            stats.accepted += 1;
            stats.open += 1;
        });
        Self {
            seen: link.generation.get(),
            link,
            end: End::Ended,
        }
    }

    /// Has there been an order since the last call? Then the strike that came with it, if any.
    pub(super) fn follow(&mut self) -> Option<Option<Strike>> {
        let generation = self.link.generation.get();
        if self.seen == generation {
            return None;
        }
        self.seen = generation;
        self.link.behind.set(self.link.behind.get() - 1);
        if self.link.behind.get() == 0 {
            self.link.settled.notify_one();
        }
        Some(self.link.strike.get())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.follow();
        self.link.count(|stats| {
            stats.open -= 1;
            match self.end {
                End::Ended => stats.ended += 1,
                End::Reset => stats.reset += 1,
                End::Struck => stats.struck += 1,
                End::Unreachable => stats.unreachable += 1,
                End::GaveUp => stats.gave_up += 1,
            }
        });
    }
}
