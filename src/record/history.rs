//! The thinned record: stretches of many seconds in place of seconds, fewer and longer the longer a run lasts. Pure.
//!
//! What objectives and reports need of the thinned seconds is in the checkpoint, to the last count; this is for pictures
//! and for people who look back.

use serde::{Deserialize, Serialize};

use super::collector::Second;
use super::generator::Usage;
use super::interval::{BIN_US, Counts, Gauges, NodeSessions};

/// The shortest stretch, in seconds.
pub const FINEST: u32 = 10;
/// Stretches are made twice as long when there would be more of them than this.
pub const MOST: u32 = 3_600;

/// A line of `history.jsonl`: what the seconds `[second, second + span)` add up to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its first second.
    pub second: u32,
    /// How many seconds it is made of.
    pub span: u32,
    /// Clients wanted at its end.
    pub wanted: u32,
    /// Sums over it.
    pub counts: Counts,
    /// State at its end.
    pub gauges: Gauges,
    /// Fewest clients connected at the end of one of its seconds.
    pub fewest_connected: u64,
    /// Most attempts a second, in bins of 100 ms.
    pub peak_attempts: u32,
    /// Most disconnects a second, in bins of 100 ms.
    pub peak_cuts: u32,
    /// Per node; the last entry is for sessions whose node is not known.
    pub nodes: Vec<NodeSessions>,
    /// What the harness used at its end.
    pub usage: Usage,
}

/// How long stretches are in a record of so many seconds.
pub fn span_of(seconds: u32) -> u32 {
    let mut span = FINEST;
    while seconds.div_ceil(span) > MOST {
        span *= 2;
    }
    span
}

impl From<&Second> for Stretch {
    fn from(second: &Second) -> Self {
        let per_second = u32::try_from(1_000_000 / BIN_US).unwrap_or(u32::MAX);
        let peak = |bins: &[u32]| bins.iter().max().copied().unwrap_or(0) * per_second;
        Self {
            second: second.second,
            span: 1,
            wanted: second.wanted,
            counts: second.counts,
            gauges: second.gauges,
            fewest_connected: second.gauges.connected,
            peak_attempts: peak(&second.bins.attempts),
            peak_cuts: peak(&second.bins.cut),
            nodes: second.nodes.clone(),
            usage: second.usage,
        }
    }
}

impl Stretch {
    /// Adds the stretch that follows this one, if both belong to the same `span` of seconds; hands it back if not.
    ///
    /// # Errors
    /// The stretch, when it begins another span.
    pub fn join(&mut self, next: Self, span: u32) -> Result<(), Box<Self>> {
        if self.second / span != next.second / span {
            return Err(Box::new(next));
        }
        self.span = next.second + next.span - self.second;
        self.wanted = next.wanted;
        self.counts += &next.counts;
        self.gauges = next.gauges;
        self.fewest_connected = self.fewest_connected.min(next.fewest_connected);
        self.peak_attempts = self.peak_attempts.max(next.peak_attempts);
        self.peak_cuts = self.peak_cuts.max(next.peak_cuts);
        for (mine, theirs) in self.nodes.iter_mut().zip(next.nodes) {
            mine.opened += theirs.opened;
            mine.connected = theirs.connected;
        }
        self.usage = next.usage;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn second(at: u32, attempts: u64, connected: u64) -> Second {
        let mut second = Second {
            second: at,
            wanted: 10,
            counts: Counts::default(),
            gauges: Gauges::default(),
            bins: Default::default(),
            nodes: vec![NodeSessions {
                opened: attempts,
                connected,
            }],
            usage: Usage::default(),
        };
        second.counts.attempts = attempts;
        second.bins.attempts[3] = u32::try_from(attempts).unwrap();
        second.gauges.connected = connected;
        second
    }

    /// All stretches of `span` that these make.
    fn joined(parts: impl IntoIterator<Item = Stretch>, span: u32) -> Vec<Stretch> {
        let mut done: Vec<Stretch> = Vec::new();
        for part in parts {
            match done.last_mut() {
                Some(last) => {
                    if let Err(next) = last.join(part, span) {
                        done.push(*next);
                    }
                }
                None => done.push(part),
            }
        }
        done
    }

    #[test]
    fn a_week_is_kept_in_few_stretches() {
        assert_eq!(span_of(0), 10);
        assert_eq!(span_of(36_000), 10);
        assert_eq!(span_of(36_001), 20);
        let week = span_of(7 * 86_400);
        assert!((7 * 86_400_u32).div_ceil(week) <= MOST, "{week}");
    }

    proptest! {
        #[test]
        fn sums_survive_however_often_it_is_thinned(seconds in prop::collection::vec((0u64..1000, 0u64..1000), 1..100)) {
            let all: Vec<Second> = (0u32..).zip(&seconds).map(|(at, (attempts, connected))| second(at, *attempts, *connected)).collect();
            let once = joined(all.iter().map(Stretch::from), 40);
            let twice = joined(joined(joined(all.iter().map(Stretch::from), 10), 20), 40);
            prop_assert_eq!(&once, &twice);
            prop_assert_eq!(once.iter().map(|s| s.counts.attempts).sum::<u64>(), seconds.iter().map(|(a, _)| a).sum::<u64>());
            prop_assert_eq!(once.iter().map(|s| s.nodes[0].opened).sum::<u64>(), seconds.iter().map(|(a, _)| a).sum::<u64>());
            prop_assert_eq!(once.iter().map(|s| s.span).sum::<u32>(), u32::try_from(seconds.len()).unwrap());
            prop_assert_eq!(once.iter().map(|s| s.fewest_connected).min(), seconds.iter().map(|(_, c)| *c).min());
        }
    }
}
