//! Objectives: `MEASURE OP VALUE [in PHASE | after FAULT]`, such as `outage.p99 < 10s after kill-n2`.
//!
//! Pure. How they are read is in `grammar`, how they are judged is the verdict's part.

use std::fmt;

use super::Measure;

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// As the user wrote it.
    pub text: String,
    /// What is measured.
    pub measure: Measure,
    /// How it is compared.
    pub comparison: Comparison,
    /// The bound, in the measure's base unit (fraction, count, seconds, per second, factor).
    pub bound: f64,
    /// Over which part of the run.
    pub scope: Scope,
}

/// `<`, `<=`, `==`, `!=`, `>=`, `>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
}

impl Comparison {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Less,
        Self::LessOrEqual,
        Self::Equal,
        Self::NotEqual,
        Self::GreaterOrEqual,
        Self::Greater,
    ];

    /// The sign.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        }
    }

    /// Does `actual` compare to `bound` like this?
    ///
    /// Values that differ by a billionth or less count as equal: `99.9%` is no binary fraction, and 999 of 1000 must
    /// meet `>= 99.9%`. A value that is not a number meets nothing.
    pub fn holds(self, actual: f64, bound: f64) -> bool {
        if actual.is_nan() || bound.is_nan() {
            return false;
        }
        let is_equal = actual == bound || (actual - bound).abs() <= 1e-9 * bound.abs().max(1e-3);
        match self {
            Self::Less => actual < bound && !is_equal,
            Self::LessOrEqual => actual < bound || is_equal,
            Self::Equal => is_equal,
            Self::NotEqual => !is_equal,
            Self::GreaterOrEqual => actual > bound || is_equal,
            Self::Greater => actual > bound && !is_equal,
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sign())
    }
}

/// The part of the run an objective looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// From the start to the start of the drain; for measures of a fault, the worst over all faults.
    Run,
    /// One phase: index into [`super::Scenario::phases`].
    Phase(usize),
    /// From the beginning of a fault to the beginning of the next one that does not overlap it, or the end of the run;
    /// of a fault that happens several times, each time.
    After(super::FaultId),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_on_the_bound_meets_or_equal() {
        let bound = crate::units::parse_share("99.9%").unwrap();
        assert!(Comparison::GreaterOrEqual.holds(999.0 / 1000.0, bound));
        assert!(!Comparison::Greater.holds(999.0 / 1000.0, bound));
        assert!(!Comparison::GreaterOrEqual.holds(9989.0 / 10_000.0, bound));
        assert!(!Comparison::Less.holds(f64::NAN, 1.0));
        assert!(!Comparison::NotEqual.holds(f64::NAN, 1.0));
        assert!(Comparison::Greater.holds(f64::INFINITY, 1.0));
    }

    proptest! {
        #[test]
        fn each_comparison_has_its_opposite(actual in -1e9..1e9f64, bound in -1e9..1e9f64) {
            for (one, other) in [
                (Comparison::Less, Comparison::GreaterOrEqual),
                (Comparison::LessOrEqual, Comparison::Greater),
                (Comparison::Equal, Comparison::NotEqual),
            ] {
                prop_assert_ne!(one.holds(actual, bound), other.holds(actual, bound));
            }
        }
    }
}
