//! What can be measured, by name: the vocabulary that objectives, summaries and reports share.
//!
//! Pure. A measure has one unit; [`Measure::parse`] reads the dotted name, [`Measure`]'s `Display` writes it back.

use std::fmt;

use crate::cause::{ConnectFailure, SessionEnd};

/// Something an objective can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// `handshake.success`: successful upgrades ÷ attempts that ended.
    HandshakeSuccess,
    /// `handshake.attempts`: attempts started.
    HandshakeAttempts,
    /// `handshake.failed`, `handshake.failed.CAUSE`: attempts that failed.
    HandshakeFailed(Option<ConnectFailure>),
    /// `disconnects`, `disconnects.CAUSE`: sessions taken from clients.
    Disconnects(Option<SessionEnd>),
    /// `disconnects.share`: clients cut ÷ clients connected when the fault began.
    DisconnectShare,
    /// `availability`: connected ÷ wanted client-seconds.
    Availability,
    /// `never_recovered`: clients cut that were not connected again at the end of the window.
    NeverRecovered,
    /// `fleet_recovery`: from the beginning of a fault until ≥ 99 % of the wanted clients are connected and stay so.
    FleetRecovery,
    /// `peak_attempt_rate`: most attempts started in a 100 ms bin, times ten.
    PeakAttemptRate,
    /// `amplification`: attempts ÷ disconnects.
    Amplification,
    /// `balance`: most ÷ mean sessions over the nodes.
    Balance,
    /// `messages.COUNT`.
    Messages(MessageCount),
    /// `sessions.COUNT`.
    Sessions(SessionCount),
    /// `LATENCY.QUANTILE`, such as `outage.p99`.
    Latency(Latency, Quantile),
}

/// Counts of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageCount {
    /// Sent by clients, resends not counted again.
    Sent,
    /// Echoed to clients.
    Echoed,
    /// Sent and never echoed.
    Lost,
    /// Processed twice by a node, or echoed twice.
    Duplicated,
    /// Due while the client was not connected, and so never sent.
    Missed,
    /// Pushed by nodes and received by clients.
    Pushed,
}

/// Counts of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionCount {
    /// Successful upgrades.
    Opened,
    /// Reconnects that found their session.
    Resumed,
    /// Reconnects that did not.
    Lost,
}

/// Distributions of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Latency {
    /// TCP connect.
    Connect,
    /// Upgrade request sent → 101 complete.
    Upgrade,
    /// Connect and upgrade together, successful attempts.
    Handshake,
    /// Message due → its echo received.
    Rtt,
    /// Fault began → the client saw its session end.
    Detection,
    /// Session end → next successful upgrade.
    Outage,
    /// Last byte either way → session end.
    Silence,
}

/// Which point of a distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantile {
    /// Median.
    P50,
    /// 90 %.
    P90,
    /// 95 %.
    P95,
    /// 99 %.
    P99,
    /// 99.9 %.
    P999,
    /// Largest.
    Max,
}

/// The unit of a measure, in the base form in which values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Fraction from 0 to 1.
    Share,
    /// Whole number.
    Count,
    /// Seconds.
    Seconds,
    /// Events per second.
    PerSecond,
    /// A bare factor.
    Factor,
}

impl Quantile {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::P50,
        Self::P90,
        Self::P95,
        Self::P99,
        Self::P999,
        Self::Max,
    ];

    /// Its name in objectives.
    pub const fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Max => "max",
        }
    }

    /// The fraction, 1 for the largest.
    pub const fn fraction(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
            Self::Max => 1.0,
        }
    }
}

impl Latency {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Upgrade,
        Self::Handshake,
        Self::Rtt,
        Self::Detection,
        Self::Outage,
        Self::Silence,
    ];

    /// Its name in objectives.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Upgrade => "upgrade",
            Self::Handshake => "handshake",
            Self::Rtt => "rtt",
            Self::Detection => "detection",
            Self::Outage => "outage",
            Self::Silence => "silence",
        }
    }
}

impl MessageCount {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Sent,
        Self::Echoed,
        Self::Lost,
        Self::Duplicated,
        Self::Missed,
        Self::Pushed,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Sent => "messages.sent",
            Self::Echoed => "messages.echoed",
            Self::Lost => "messages.lost",
            Self::Duplicated => "messages.duplicated",
            Self::Missed => "messages.missed",
            Self::Pushed => "messages.pushed",
        }
    }
}

impl SessionCount {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Opened, Self::Resumed, Self::Lost];

    const fn name(self) -> &'static str {
        match self {
            Self::Opened => "sessions.opened",
            Self::Resumed => "sessions.resumed",
            Self::Lost => "sessions.lost",
        }
    }
}

impl Measure {
    /// Every measure there is.
    pub fn all() -> Vec<Self> {
        let mut all = vec![
            Self::HandshakeSuccess,
            Self::HandshakeAttempts,
            Self::HandshakeFailed(None),
            Self::Disconnects(None),
            Self::DisconnectShare,
            Self::Availability,
            Self::NeverRecovered,
            Self::FleetRecovery,
            Self::PeakAttemptRate,
            Self::Amplification,
            Self::Balance,
        ];
        all.extend(
            ConnectFailure::ALL
                .iter()
                .map(|cause| Self::HandshakeFailed(Some(*cause))),
        );
        all.extend(
            SessionEnd::ALL
                .iter()
                .filter(|end| end.is_disconnect())
                .map(|end| Self::Disconnects(Some(*end))),
        );
        all.extend(MessageCount::ALL.map(Self::Messages));
        all.extend(SessionCount::ALL.map(Self::Sessions));
        for latency in Latency::ALL {
            all.extend(Quantile::ALL.map(|quantile| Self::Latency(latency, quantile)));
        }
        all
    }

    /// The measure with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all()
            .into_iter()
            .find(|measure| measure.to_string() == name)
    }

    /// Its unit.
    pub const fn unit(self) -> Unit {
        match self {
            Self::HandshakeSuccess | Self::DisconnectShare | Self::Availability => Unit::Share,
            Self::HandshakeAttempts
            | Self::HandshakeFailed(_)
            | Self::Disconnects(_)
            | Self::NeverRecovered
            | Self::Messages(_)
            | Self::Sessions(_) => Unit::Count,
            Self::FleetRecovery | Self::Latency(..) => Unit::Seconds,
            Self::PeakAttemptRate => Unit::PerSecond,
            Self::Amplification | Self::Balance => Unit::Factor,
        }
    }

    /// Does it only exist with respect to a fault? Without one named, the worst over all faults is meant.
    pub const fn needs_fault(self) -> bool {
        matches!(
            self,
            Self::DisconnectShare
                | Self::NeverRecovered
                | Self::FleetRecovery
                | Self::Latency(Latency::Detection, _)
        )
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HandshakeSuccess => f.write_str("handshake.success"),
            Self::HandshakeAttempts => f.write_str("handshake.attempts"),
            Self::HandshakeFailed(None) => f.write_str("handshake.failed"),
            Self::HandshakeFailed(Some(cause)) => write!(f, "handshake.failed.{cause}"),
            Self::Disconnects(None) => f.write_str("disconnects"),
            Self::Disconnects(Some(end)) => write!(f, "disconnects.{end}"),
            Self::DisconnectShare => f.write_str("disconnects.share"),
            Self::Availability => f.write_str("availability"),
            Self::NeverRecovered => f.write_str("never_recovered"),
            Self::FleetRecovery => f.write_str("fleet_recovery"),
            Self::PeakAttemptRate => f.write_str("peak_attempt_rate"),
            Self::Amplification => f.write_str("amplification"),
            Self::Balance => f.write_str("balance"),
            Self::Messages(count) => f.write_str(count.name()),
            Self::Sessions(count) => f.write_str(count.name()),
            Self::Latency(latency, quantile) => write!(f, "{}.{}", latency.name(), quantile.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_unique_and_reads_back() {
        let mut names: Vec<String> = Measure::all().iter().map(Measure::to_string).collect();
        for (measure, name) in Measure::all().into_iter().zip(&names) {
            assert_eq!(Measure::parse(name), Some(measure));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), Measure::all().len());
    }
}
