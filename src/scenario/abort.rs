//! Abort conditions: `LIVE OP VALUE for TIME`, such as `connected < 10% for 10s`.
//!
//! Pure. How they are read is in `grammar`, whether one holds is judged by [`crate::analyze::watch`].

use std::fmt;

use super::Comparison;
use super::measure::Unit;

/// What ends a run before its time, when it holds for long enough.
#[derive(Debug, Clone, PartialEq)]
pub struct AbortCondition {
    /// As the user wrote it.
    pub text: String,
    /// What is looked at, each second.
    pub live: Live,
    /// How it is compared.
    pub comparison: Comparison,
    /// The bound, in the base unit of `live` (fraction, count).
    pub bound: f64,
    /// For how many whole seconds in a row it must hold; at least 1.
    pub seconds: u32,
}

/// What can be told of a single second while the run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// `connected`: clients connected ÷ clients wanted, at the second's end.
    Connected,
    /// `handshake.success`: successful upgrades ÷ attempts that ended in the second.
    HandshakeSuccess,
    /// `disconnects`: sessions taken from clients in the second.
    Disconnects,
}

impl Live {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Connected, Self::HandshakeSuccess, Self::Disconnects];

    /// Its name in conditions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::HandshakeSuccess => "handshake.success",
            Self::Disconnects => "disconnects",
        }
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|live| live.name() == name)
    }

    /// Its unit.
    pub const fn unit(self) -> Unit {
        match self {
            Self::Connected | Self::HandshakeSuccess => Unit::Share,
            Self::Disconnects => Unit::Count,
        }
    }
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
