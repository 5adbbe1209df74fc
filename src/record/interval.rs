//! One second of one shard: counters, 100 ms bins, gauges and histograms; merging is addition.
//!
//! Pure. Invariant: merging is commutative and associative, so that shards (and later agents) can be added in any
//! order. Everything is counted in arrays indexed by cause; nothing here allocates per event.

use crate::cause::{ConnectFailure, SessionEnd};
use crate::record::times::Times;
use std::ops::AddAssign;

/// Bins of one interval for rates: ten of 100 ms.
pub const BINS: usize = 10;
/// Width of a bin in µs.
pub const BIN_US: u64 = 100_000;
/// Length of an interval in µs.
pub const INTERVAL_US: u64 = 1_000_000;

/// Totals of what happened in the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Attempts started.
    pub attempts: u64,
    /// Attempts that became sessions.
    pub opened: u64,
    /// Attempts that failed, by [`ConnectFailure::index`].
    #[serde(with = "super::named::failures")]
    pub failed: [u64; ConnectFailure::COUNT],
    /// Sessions that ended, by [`SessionEnd::index`].
    #[serde(with = "super::named::ends")]
    pub closed: [u64; SessionEnd::COUNT],
    /// Messages sent for the first time.
    pub sent: u64,
    /// Messages sent again after a reconnect.
    pub resent: u64,
    /// Messages echoed for the first time.
    pub echoed: u64,
    /// Messages given up because their session ended, by [`SessionEnd::index`]; see [`Self::skipped`] for gaps.
    #[serde(with = "super::named::ends")]
    pub lost: [u64; SessionEnd::COUNT],
    /// Messages given up because a later one was echoed first.
    pub skipped: u64,
    /// Echoes of messages already echoed, and echoes that the node marked as seen before.
    pub duplicated: u64,
    /// Messages due while not connected, or that the send buffer had no room for; never sent.
    pub missed: u64,
    /// Messages pushed by nodes.
    pub pushed: u64,
    /// Pings sent by clients.
    pub pings: u64,
    /// Pongs received by clients.
    pub pongs: u64,
    /// Reconnects whose session was found.
    pub resumed: u64,
    /// Reconnects whose session was not.
    pub forgotten: u64,
}

/// Clients and messages by state at the end of the interval, counted by looking at each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Gauges {
    /// Attempts in flight.
    pub attempting: u64,
    /// Sessions open.
    pub connected: u64,
    /// Clients waiting for their next attempt.
    pub waiting: u64,
    /// Clients that gave up for good.
    pub gone: u64,
    /// Messages sent and neither echoed nor given up.
    pub in_flight: u64,
}

/// Sessions of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct NodeSessions {
    /// Opened in the interval.
    pub opened: u64,
    /// Open at its end.
    pub connected: u64,
}

/// 100 ms bins of the interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Bins {
    /// Attempts started.
    pub attempts: [u32; BINS],
    /// Sessions opened.
    pub opened: [u32; BINS],
    /// Sessions taken from clients.
    pub cut: [u32; BINS],
}

/// Which histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Series {
    /// TCP connect of successful attempts.
    Connect,
    /// Upgrade of successful attempts.
    Upgrade,
    /// Both together.
    Handshake,
    /// Message due → echo.
    Rtt,
    /// Attempt due → attempt started.
    AttemptLateness,
    /// Message due → message handed to the socket.
    MessageLateness,
    /// A shard's timer due → fired.
    Lag,
}

impl Series {
    /// All of them, in index order.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Upgrade,
        Self::Handshake,
        Self::Rtt,
        Self::AttemptLateness,
        Self::MessageLateness,
        Self::Lag,
    ];

    /// Its tag in the HDR log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Upgrade => "upgrade",
            Self::Handshake => "handshake",
            Self::Rtt => "rtt",
            Self::AttemptLateness => "attempt_lateness",
            Self::MessageLateness => "message_lateness",
            Self::Lag => "scheduler_lag",
        }
    }
}

/// One second of one shard, or of several added up.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    /// Covers `[second, second + 1)` seconds of the run.
    pub second: u32,
    /// What happened.
    pub counts: Counts,
    /// State at the end.
    pub gauges: Gauges,
    /// Rates within.
    pub bins: Bins,
    /// Per node; the last entry is for sessions whose node is not known.
    pub nodes: Vec<NodeSessions>,
    /// Times, by [`Series`].
    pub times: [Times; Series::ALL.len()],
}

impl Interval {
    /// An empty interval for `nodes` nodes and the unknown one.
    pub fn new(second: u32, nodes: u16) -> Self {
        Self {
            second,
            nodes: vec![NodeSessions::default(); usize::from(nodes) + 1],
            ..Self::default()
        }
    }

    /// The histogram of a series.
    pub fn times(&mut self, series: Series) -> &mut Times {
        &mut self.times[series as usize]
    }

    /// Adds another shard's interval of the same second.
    pub fn merge(&mut self, other: &Self) {
        self.counts += &other.counts;
        self.gauges += &other.gauges;
        for (mine, theirs) in [
            (&mut self.bins.attempts, &other.bins.attempts),
            (&mut self.bins.opened, &other.bins.opened),
            (&mut self.bins.cut, &other.bins.cut),
        ] {
            add_all(mine, theirs);
        }
        if self.nodes.len() < other.nodes.len() {
            self.nodes
                .resize(other.nodes.len(), NodeSessions::default());
        }
        for (mine, theirs) in self.nodes.iter_mut().zip(&other.nodes) {
            mine.opened += theirs.opened;
            mine.connected += theirs.connected;
        }
        for (mine, theirs) in self.times.iter_mut().zip(&other.times) {
            mine.merge(theirs);
        }
    }
}

fn add_all<T: AddAssign + Copy>(mine: &mut [T], theirs: &[T]) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine += *theirs;
    }
}

impl Counts {
    /// Attempts that failed, all causes.
    pub fn failed_total(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Sessions that ended, all causes.
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }

    /// Sessions taken from clients.
    pub fn cut_total(&self) -> u64 {
        SessionEnd::ALL
            .iter()
            .filter(|end| end.is_disconnect())
            .map(|end| self.closed[end.index()])
            .sum()
    }

    /// Messages sent and never echoed.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().sum::<u64>() + self.skipped
    }
}

impl AddAssign<&Counts> for Counts {
    fn add_assign(&mut self, other: &Counts) {
        // Destructured so that a new counter that is not added is a compile error.
        let Counts {
            attempts,
            opened,
            failed,
            closed,
            sent,
            resent,
            echoed,
            lost,
            skipped,
            duplicated,
            missed,
            pushed,
            pings,
            pongs,
            resumed,
            forgotten,
        } = other;
        add_all(&mut self.failed, failed);
        add_all(&mut self.closed, closed);
        add_all(&mut self.lost, lost);
        self.attempts += attempts;
        self.opened += opened;
        self.sent += sent;
        self.resent += resent;
        self.echoed += echoed;
        self.skipped += skipped;
        self.duplicated += duplicated;
        self.missed += missed;
        self.pushed += pushed;
        self.pings += pings;
        self.pongs += pongs;
        self.resumed += resumed;
        self.forgotten += forgotten;
    }
}

impl AddAssign<&Gauges> for Gauges {
    fn add_assign(&mut self, other: &Gauges) {
        let Gauges {
            attempting,
            connected,
            waiting,
            gone,
            in_flight,
        } = other;
        self.attempting += attempting;
        self.connected += connected;
        self.waiting += waiting;
        self.gone += gone;
        self.in_flight += in_flight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interval() -> impl Strategy<Value = Interval> {
        (
            0u64..1000,
            0u64..1000,
            prop::collection::vec(1u64..10_000_000_000, 0..20),
            0usize..SessionEnd::COUNT,
        )
            .prop_map(|(attempts, opened, times, cause)| {
                let mut interval = Interval::new(3, 2);
                interval.counts.attempts = attempts;
                interval.counts.closed[cause] = opened;
                interval.gauges.connected = opened;
                interval.bins.cut[cause % BINS] = 7;
                interval.nodes[1].opened = opened;
                for us in times {
                    interval.times(Series::Rtt).record_us(us);
                }
                interval
            })
    }

    fn same(a: &Interval, b: &Interval) -> bool {
        a.counts == b.counts
            && a.gauges == b.gauges
            && a.bins == b.bins
            && a.nodes == b.nodes
            && a.times
                .iter()
                .zip(&b.times)
                .all(|(x, y)| x.get() == y.get())
    }

    fn merged(a: &Interval, b: &Interval) -> Interval {
        let mut sum = a.clone();
        sum.merge(b);
        sum
    }

    proptest! {
        #[test]
        fn merging_is_commutative_and_associative(a in interval(), b in interval(), c in interval()) {
            prop_assert!(same(&merged(&a, &b), &merged(&b, &a)));
            prop_assert!(same(&merged(&merged(&a, &b), &c), &merged(&a, &merged(&b, &c))));
            prop_assert!(same(&merged(&a, &Interval::new(3, 2)), &a));
        }

        #[test]
        fn merging_keeps_every_time(a in interval(), b in interval()) {
            let sum = merged(&a, &b);
            let rtt = Series::Rtt as usize;
            prop_assert_eq!(sum.times[rtt].count(), a.times[rtt].count() + b.times[rtt].count());
        }
    }
}
