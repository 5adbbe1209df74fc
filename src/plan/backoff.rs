//! How long a client waits before it tries again.
//!
//! Pure: the random numbers come from the caller. Formulas: Marc Brooker, "Exponential Backoff And Jitter" (AWS
//! Architecture Blog, 2015) and its simulator, aws-samples/aws-arch-backoff-simulator. With `n` failed attempts:
//!
//! - `v` = `base` (constant) or min(`cap`, `base`·2ⁿ) (exponential)
//! - none: `v`; full: uniform in [0, `v`); equal: `v`/2 + uniform in [0, `v`/2)
//! - decorrelated: min(`cap`, uniform in [`base`, 3·previous)), where the first previous is `base`

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::scenario::{Jitter, Policy, Reconnect};

/// Where a client stands in its reconnect policy: 16 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    /// The last delay, in ns; 0: none yet.
    previous_ns: u64,
    /// Delays handed out since the last success.
    attempt: u32,
}

impl Backoff {
    /// Delays handed out since the last success.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The delay before the next attempt; `None` when the client gives up for good.
    pub fn next(&mut self, policy: &Reconnect, rng: &mut impl Rng) -> Option<Duration> {
        if policy.policy == Policy::None || policy.attempts.is_some_and(|most| self.attempt >= most)
        {
            return None;
        }
        let delay = match policy.jitter {
            Jitter::None => self.planned(policy),
            Jitter::Full => below(rng, self.planned(policy)),
            Jitter::Equal => {
                let planned = self.planned(policy);
                planned - planned / 2 + below(rng, planned / 2)
            }
            Jitter::Decorrelated => {
                let base = nanos(policy.base);
                let previous = self.previous_ns.max(base);
                let spread = previous.saturating_mul(3).saturating_sub(base);
                base.saturating_add(below(rng, spread))
                    .min(nanos(policy.cap))
            }
        };
        self.previous_ns = delay;
        self.attempt = self.attempt.saturating_add(1);
        Some(Duration::from_nanos(delay))
    }

    /// After a success: the policy starts anew.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The delay before jitter, in ns.
    fn planned(&self, policy: &Reconnect) -> u64 {
        let base = nanos(policy.base);
        match policy.policy {
            Policy::None | Policy::Constant => base,
            // 64 doublings exceed any cap; the bound keeps the shift within u128.
            Policy::Exponential => {
                let grown = u128::from(base) << self.attempt.min(63);
                u64::try_from(grown)
                    .unwrap_or(u64::MAX)
                    .min(nanos(policy.cap))
            }
        }
    }
}

/// Uniform in [0, `end`), and 0 for an empty range.
pub(crate) fn below(rng: &mut impl Rng, end: u64) -> u64 {
    if end == 0 {
        0
    } else {
        rng.random_range(0..end)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::seed::{Purpose, rng};
    use proptest::prelude::*;

    const JITTERS: [Jitter; 4] = [
        Jitter::None,
        Jitter::Full,
        Jitter::Equal,
        Jitter::Decorrelated,
    ];

    fn exponential(jitter: Jitter, base_ms: u64, cap_ms: u64) -> Reconnect {
        Reconnect {
            policy: Policy::Exponential,
            jitter,
            base: Duration::from_millis(base_ms),
            cap: Duration::from_millis(cap_ms),
            attempts: None,
            retry_after: false,
        }
    }

    fn delays(policy: &Reconnect, seed: u64, count: usize) -> Vec<Duration> {
        let (mut backoff, mut rng) = (Backoff::default(), rng(seed, 0, Purpose::Backoff));
        (0..count)
            .map_while(|_| backoff.next(policy, &mut rng))
            .collect()
    }

    /// Mean of the delay after `attempt` failures, in seconds, over many clients.
    fn mean(policy: &Reconnect, attempt: u32) -> f64 {
        const CLIENTS: u32 = 20_000;
        let total: f64 = (0..CLIENTS)
            .map(|client| {
                let mut backoff = Backoff {
                    attempt,
                    previous_ns: 0,
                };
                let delay = backoff.next(policy, &mut rng(7, client, Purpose::Backoff));
                delay.unwrap().as_secs_f64()
            })
            .sum();
        total / f64::from(CLIENTS)
    }

    #[test]
    fn without_jitter_the_delay_doubles_up_to_the_cap() {
        let got = delays(&exponential(Jitter::None, 500, 5_000), 1, 6);
        let want = [500, 1_000, 2_000, 4_000, 5_000, 5_000].map(Duration::from_millis);
        assert_eq!(got, want);
    }

    #[test]
    fn constant_does_not_grow() {
        let mut policy = exponential(Jitter::None, 500, 5_000);
        policy.policy = Policy::Constant;
        assert_eq!(delays(&policy, 1, 3), [Duration::from_millis(500); 3]);
    }

    #[test]
    fn none_and_the_last_attempt_give_up() {
        let mut policy = exponential(Jitter::Full, 500, 5_000);
        policy.attempts = Some(3);
        assert_eq!(delays(&policy, 1, 10).len(), 3);
        policy.policy = Policy::None;
        assert!(delays(&policy, 1, 10).is_empty());
    }

    #[test]
    fn a_success_starts_the_policy_anew() {
        let policy = exponential(Jitter::None, 500, 5_000);
        let (mut backoff, mut rng) = (Backoff::default(), rng(1, 0, Purpose::Backoff));
        let first = backoff.next(&policy, &mut rng);
        backoff.next(&policy, &mut rng);
        backoff.reset();
        assert_eq!(backoff.next(&policy, &mut rng), first);
    }

    #[test]
    fn means_are_those_of_the_formulas() {
        for (jitter, attempt, want) in [
            (Jitter::Full, 0, 0.5),
            (Jitter::Full, 3, 4.0),
            (Jitter::Full, 9, 5.0),
            (Jitter::Equal, 3, 6.0),
            (Jitter::Equal, 9, 7.5),
            (Jitter::Decorrelated, 0, 2.0),
        ] {
            let got = mean(&exponential(jitter, 1_000, 10_000), attempt);
            assert!(
                (got / want - 1.0).abs() < 0.02,
                "{jitter:?} {attempt}: {got} for {want}"
            );
        }
    }

    #[test]
    fn a_client_pays_16_bytes() {
        assert_eq!(size_of::<Backoff>(), 16);
    }

    proptest! {
        #[test]
        fn delays_keep_their_bounds(
            seed: u64, jitter in 0..4usize, base in 1u64..10_000, more in 0u64..1_000_000, attempt: u32,
        ) {
            let policy = exponential(JITTERS[jitter], base, base + more);
            let mut backoff = Backoff { attempt, previous_ns: 0 };
            let mut rng = rng(seed, 1, Purpose::Backoff);
            for _ in 0..4 {
                let planned = Duration::from_nanos(backoff.planned(&policy));
                let delay = backoff.next(&policy, &mut rng).unwrap();
                prop_assert!(delay <= policy.cap);
                match policy.jitter {
                    Jitter::None => prop_assert_eq!(delay, planned),
                    Jitter::Full => prop_assert!(delay < planned),
                    Jitter::Equal => prop_assert!(delay >= planned / 2 && delay < planned.max(Duration::from_nanos(1))),
                    Jitter::Decorrelated => prop_assert!(delay >= policy.base),
                }
            }
        }

        #[test]
        fn the_same_seed_gives_the_same_delays(seed: u64, jitter in 0..4usize) {
            let policy = exponential(JITTERS[jitter], 100, 20_000);
            prop_assert_eq!(delays(&policy, seed, 20), delays(&policy, seed, 20));
        }

        #[test]
        fn the_longest_durations_do_not_overflow(seed: u64, jitter in 0..4usize, attempt in (u32::MAX - 3)..) {
            let mut policy = exponential(JITTERS[jitter], 1, 1);
            (policy.base, policy.cap) = (Duration::MAX, Duration::MAX);
            let mut backoff = Backoff { attempt, previous_ns: u64::MAX };
            for _ in 0..5 {
                prop_assert!(backoff.next(&policy, &mut rng(seed, 0, Purpose::Backoff)).is_some());
            }
        }
    }
}
