//! A measured value: a number, or "never" where something that was to happen did not.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::measure::Unit;
use crate::units;

/// A measured value in its measure's base unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Finite.
    Number(f64),
    /// Longer than any number: it never happened.
    Never,
}

impl Value {
    /// For comparisons: never is infinite.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Number(number) => number,
            Self::Never => f64::INFINITY,
        }
    }

    /// The larger of two.
    pub fn worse(self, other: Self) -> Self {
        if other.as_f64() > self.as_f64() {
            other
        } else {
            self
        }
    }

    /// A time in µs as seconds.
    pub fn from_us(us: u64) -> Self {
        Self::Number(us as f64 / 1e6)
    }

    /// A count.
    pub fn count(count: u64) -> Self {
        Self::Number(count as f64)
    }

    /// A quotient; `None` when the divisor is zero.
    pub fn ratio(part: u64, whole: u64) -> Option<Self> {
        (whole > 0).then(|| Self::Number(part as f64 / whole as f64))
    }

    /// For people, with its unit.
    pub fn show(self, unit: Unit) -> String {
        let Self::Number(number) = self else {
            return "never".into();
        };
        match unit {
            Unit::Share => units::show_share(number),
            Unit::Count => units::show_count(number.round() as u64),
            Unit::Seconds => units::show_duration(Duration::from_secs_f64(number.clamp(0.0, 1e9))),
            Unit::PerSecond => format!("{}/s", units::show_count(number.round() as u64)),
            Unit::Factor => format!("{number:.2}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Never => f.write_str("never"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Never => serializer.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) if text == "never" => Ok(Self::Never),
            serde_json::Value::Number(number) => Ok(Self::Number(number.as_f64().unwrap_or(0.0))),
            other => Err(serde::de::Error::custom(format!(
                "expected a number or \"never\", found {other}"
            ))),
        }
    }
}
