//! The measures of one part of a run: the whole, a phase, or the time after a fault.
//!
//! Pure. What is recorded per second belongs to the scope that holds the middle of the second, what is binned at
//! 100 ms to the one that holds the middle of the bin; outages have exact times. An outage belongs to the scope in
//! which its session was cut, however late it ends.

use std::ops::Range;

use crate::cause::{ConnectFailure, SessionEnd};
use crate::record::collector::Second;
use crate::record::interval::{BIN_US, BINS, Counts, INTERVAL_US, NodeSessions, Series};
use crate::record::times::Times;
use crate::scenario::Measure;
use crate::scenario::measure::{Latency, MessageCount, Quantile, SessionCount};

use super::value::Value;

/// Sums over one part of a run.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct ScopeSummary {
    /// Its name: `run`, a phase's, or a fault's.
    pub name: String,
    /// Which part, in µs since the start of the run.
    pub window: Range<u64>,
    /// Seconds that belong to it.
    pub seconds: u64,
    /// Sums of its seconds. Disconnects are counted from outages instead, which have exact times.
    pub counts: Counts,
    /// Times of its seconds, by [`Series`].
    pub times: [Times; Series::ALL.len()],
    /// Most attempts in a bin.
    pub peak_attempts: u32,
    /// Sessions cut, by [`SessionEnd::index`].
    pub cut: [u64; SessionEnd::COUNT],
    /// Session end → next upgrade.
    pub outage: Times,
    /// Outages without an end: the client was not back when measuring stopped.
    pub endless: u64,
    /// Silence before the cut.
    pub silence: Times,
    /// Attempts made for the outages that began here.
    pub outage_attempts: u64,
    connected_seconds: f64,
    wanted_seconds: f64,
    /// Sessions per node at the end; the last entry is for sessions whose node is not known.
    pub nodes: Vec<NodeSessions>,
}

/// Client-seconds of one bin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BinClients {
    /// Connected.
    pub connected: f64,
    /// Wanted.
    pub wanted: f64,
}

/// Follows the connected clients through the bins of a second that begins with `before` of them. Within a bin they are
/// taken to change evenly; clients that left on their own are not binned and so come off evenly over the second.
pub fn client_seconds(
    second: &Second,
    before: u64,
    wanted: impl Fn(usize) -> f64,
) -> [BinClients; BINS] {
    const BIN_S: f64 = BIN_US as f64 / 1e6;
    let opened: u32 = second.bins.opened.iter().sum();
    let cut: u32 = second.bins.cut.iter().sum();
    let left = before as f64 + f64::from(opened) - f64::from(cut) - second.gauges.connected as f64;
    let mut connected = before as f64;
    std::array::from_fn(|bin| {
        let change = f64::from(second.bins.opened[bin])
            - f64::from(second.bins.cut[bin])
            - left / BINS as f64;
        let mean = connected + change / 2.0;
        connected += change;
        BinClients {
            connected: mean * BIN_S,
            wanted: wanted(bin),
        }
    })
}

impl ScopeSummary {
    /// An empty scope.
    pub fn new(name: impl Into<String>, window: Range<u64>) -> Self {
        Self {
            name: name.into(),
            window,
            ..Self::default()
        }
    }

    /// Does a second belong here?
    pub fn holds_second(&self, second: u32) -> bool {
        self.window
            .contains(&(u64::from(second) * INTERVAL_US + INTERVAL_US / 2))
    }

    /// Adds a second. Its bins and client-seconds count as far as they lie in the window, its counts if its middle does.
    pub fn add_second(&mut self, second: &Second, connection: &[BinClients; BINS]) {
        let start_us = u64::from(second.second) * INTERVAL_US;
        for (bin, clients) in connection.iter().enumerate() {
            if self
                .window
                .contains(&(start_us + bin as u64 * BIN_US + BIN_US / 2))
            {
                self.peak_attempts = self.peak_attempts.max(second.bins.attempts[bin]);
                self.connected_seconds += clients.connected;
                self.wanted_seconds += clients.wanted;
            }
        }
        if !self.holds_second(second.second) {
            return;
        }
        self.seconds += 1;
        self.counts += &second.counts;
        self.nodes.clone_from(&second.nodes);
    }

    /// Adds a second's times if it belongs here.
    pub fn add_times(&mut self, second: u32, series: Series, times: &hdrhistogram::Histogram<u64>) {
        if self.holds_second(second) {
            self.times[series as usize].merge_histogram(times);
        }
    }

    /// Adds a cut at `at_us` if it belongs here, and says whether it did.
    pub fn add_cut(&mut self, at_us: u64, cause: SessionEnd, silence_us: u64) -> bool {
        let mine = self.window.contains(&at_us);
        if mine {
            self.cut[cause.index()] += 1;
            self.silence.record_us(silence_us);
        }
        mine
    }

    /// The end of an outage that began here: after so long, or never.
    pub fn add_outage(&mut self, lasted_us: Option<u64>, attempts: u32) {
        self.outage_attempts += u64::from(attempts);
        match lasted_us {
            Some(us) => self.outage.record_us(us),
            None => self.endless += 1,
        }
    }

    /// Sessions cut, all causes.
    pub fn cut_total(&self) -> u64 {
        self.cut.iter().sum()
    }

    /// A quantile of the outages; those without an end count as longer than all others.
    pub fn outage_quantile(&self, quantile: Quantile) -> Option<Value> {
        let ended = self.outage.count();
        let all = ended + self.endless;
        if all == 0 {
            return None;
        }
        let rank = (quantile.fraction() * all as f64).ceil().max(1.0);
        if rank > ended as f64 {
            return Some(Value::Never);
        }
        self.outage
            .quantile_us((rank / ended as f64).min(1.0))
            .map(Value::from_us)
    }

    /// The value of a measure that does not need a fault; `None` without data.
    pub fn value(&self, measure: Measure) -> Option<Value> {
        if self.seconds == 0 {
            return None;
        }
        let counts = &self.counts;
        let failed = counts.failed_total() - counts.failed[ConnectFailure::Abandoned.index()];
        match measure {
            Measure::HandshakeSuccess => Value::ratio(counts.opened, counts.opened + failed),
            Measure::HandshakeAttempts => Some(Value::count(counts.attempts)),
            Measure::HandshakeFailed(None) => Some(Value::count(failed)),
            Measure::HandshakeFailed(Some(cause)) => {
                Some(Value::count(counts.failed[cause.index()]))
            }
            Measure::Disconnects(None) => Some(Value::count(self.cut_total())),
            Measure::Disconnects(Some(end)) => Some(Value::count(self.cut[end.index()])),
            Measure::Availability => (self.wanted_seconds > 0.0)
                .then(|| Value::Number(self.connected_seconds / self.wanted_seconds)),
            Measure::PeakAttemptRate => Some(Value::count(
                u64::from(self.peak_attempts) * (1_000_000 / BIN_US),
            )),
            Measure::Amplification => Value::ratio(self.outage_attempts, self.cut_total()),
            Measure::Balance => balance(&self.nodes),
            Measure::Messages(count) => Some(Value::count(match count {
                MessageCount::Sent => counts.sent,
                MessageCount::Echoed => counts.echoed,
                MessageCount::Lost => counts.lost_total(),
                MessageCount::Duplicated => counts.duplicated,
                MessageCount::Missed => counts.missed,
                MessageCount::Pushed => counts.pushed,
            })),
            Measure::Sessions(count) => Some(Value::count(match count {
                SessionCount::Opened => counts.opened,
                SessionCount::Resumed => counts.resumed,
                SessionCount::Lost => counts.forgotten,
            })),
            Measure::Latency(latency, quantile) => self.latency(latency, quantile),
            Measure::DisconnectShare | Measure::NeverRecovered | Measure::FleetRecovery => None,
        }
    }

    fn latency(&self, latency: Latency, quantile: Quantile) -> Option<Value> {
        let times = match latency {
            Latency::Connect => &self.times[Series::Connect as usize],
            Latency::Upgrade => &self.times[Series::Upgrade as usize],
            Latency::Handshake => &self.times[Series::Handshake as usize],
            Latency::Rtt => &self.times[Series::Rtt as usize],
            Latency::Silence => &self.silence,
            Latency::Outage => return self.outage_quantile(quantile),
            Latency::Detection => return None,
        };
        times.quantile_us(quantile.fraction()).map(Value::from_us)
    }
}

/// Most ÷ mean sessions over the known nodes; `None` when nobody is connected.
pub fn balance(nodes: &[NodeSessions]) -> Option<Value> {
    let known = nodes.split_last().map_or(&[][..], |(_, known)| known);
    let most = known.iter().map(|node| node.connected).max()?;
    let sum: u64 = known.iter().map(|node| node.connected).sum();
    Value::ratio(most * known.len() as u64, sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_without_an_end_are_longer_than_all_others() {
        let mut scope = ScopeSummary::new("x", 0..10);
        for _ in 0..98 {
            scope.add_outage(Some(1_000_000), 1);
        }
        scope.add_outage(None, 5);
        scope.add_outage(None, 5);
        assert!(
            matches!(scope.outage_quantile(Quantile::P50), Some(Value::Number(n)) if (n - 1.0).abs() < 0.02)
        );
        assert_eq!(scope.outage_quantile(Quantile::P99), Some(Value::Never));
        assert_eq!(scope.outage_quantile(Quantile::Max), Some(Value::Never));
        assert_eq!(
            ScopeSummary::new("y", 0..1).outage_quantile(Quantile::P50),
            None
        );
    }

    #[test]
    fn client_seconds_follow_the_bins() {
        let mut second = Second {
            second: 0,
            wanted: 100,
            counts: Counts::default(),
            gauges: Default::default(),
            bins: Default::default(),
            nodes: Vec::new(),
            usage: Default::default(),
        };
        // Half is cut in the third bin and back in the eighth: 100 for 2.5 bins, 50 for 5, 100 for 2.5.
        second.bins.cut[2] = 50;
        second.bins.opened[7] = 50;
        second.gauges.connected = 100;
        let sum: f64 = client_seconds(&second, 100, |_| 10.0)
            .iter()
            .map(|bin| bin.connected)
            .sum();
        assert!((sum - 75.0).abs() < 1e-9, "{sum}");
    }

    #[test]
    fn a_scope_without_a_second_has_no_value() {
        let scope = ScopeSummary::new("x", 0..100);
        assert_eq!(scope.value(Measure::HandshakeAttempts), None);
    }

    #[test]
    fn balance_leaves_unknown_nodes_out() {
        let sessions = |connected| NodeSessions {
            opened: 0,
            connected,
        };
        assert_eq!(
            balance(&[sessions(30), sessions(10), sessions(99)]),
            Some(Value::Number(1.5))
        );
        assert_eq!(balance(&[sessions(0), sessions(0), sessions(99)]), None);
        assert_eq!(balance(&[]), None);
    }
}
