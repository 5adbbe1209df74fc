//! When a client is due to speak: a fixed grid of times, interrupted by quiet windows.
//!
//! Pure; times are µs since the start of the run. The grid does not move with sessions: a message is due when the
//! schedule says, whether or not the client can send it (open loop). That is what keeps latencies honest.

/// Due times `phase + k · interval`, k ≥ 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// The first due time, in µs.
    pub phase_us: u64,
    /// Time between two, in µs; at least 1.
    pub interval_us: u64,
}

/// A stretch in which clients are told to be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// Its beginning, in µs.
    pub from_us: u64,
    /// Its end, in µs; `u64::MAX` while it lasts.
    pub until_us: u64,
    /// Pings go on.
    pub keep_heartbeat: bool,
}

impl Quiet {
    fn covers(&self, at_us: u64) -> bool {
        (self.from_us..self.until_us).contains(&at_us)
    }
}

impl Grid {
    /// The first due time at or after `at_us`; `u64::MAX` when there is none that a `u64` holds.
    pub fn at_or_after(&self, at_us: u64) -> u64 {
        let Some(since) = at_us.checked_sub(self.phase_us) else {
            return self.phase_us;
        };
        let steps = since.div_ceil(self.interval_us);
        steps
            .checked_mul(self.interval_us)
            .and_then(|us| us.checked_add(self.phase_us))
            .unwrap_or(u64::MAX)
    }

    /// How many due times lie in `[from_us, to_us)`.
    pub fn count(&self, from_us: u64, to_us: u64) -> u64 {
        self.index(to_us).saturating_sub(self.index(from_us))
    }

    /// How many due times lie before `at_us`.
    fn index(&self, at_us: u64) -> u64 {
        at_us
            .checked_sub(self.phase_us)
            .map_or(0, |since| since.div_ceil(self.interval_us))
    }

    /// The first due time at or after `at_us` that no quiet window covers; `None` while one without an end does.
    /// `quiet` is in order of time and does not overlap.
    pub fn next_due(&self, at_us: u64, quiet: &[Quiet]) -> Option<u64> {
        let mut due = self.at_or_after(at_us);
        for window in quiet {
            if window.covers(due) {
                if window.until_us == u64::MAX {
                    return None;
                }
                due = self.at_or_after(window.until_us);
            }
        }
        Some(due)
    }

    /// How many due times in `[from_us, to_us)` no quiet window covers: what a client that was away has missed.
    pub fn missed(&self, from_us: u64, to_us: u64, quiet: &[Quiet]) -> u64 {
        let covered: u64 = quiet
            .iter()
            .map(|window| self.count(window.from_us.max(from_us), window.until_us.min(to_us)))
            .sum();
        self.count(from_us, to_us).saturating_sub(covered)
    }
}

/// May pings be sent at `at_us`?
pub fn heartbeat_allowed(at_us: u64, quiet: &[Quiet]) -> bool {
    !quiet
        .iter()
        .any(|window| window.covers(at_us) && !window.keep_heartbeat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GRID: Grid = Grid {
        phase_us: 300,
        interval_us: 1000,
    };

    fn quiet(from_us: u64, until_us: u64) -> Quiet {
        Quiet {
            from_us,
            until_us,
            keep_heartbeat: false,
        }
    }

    #[test]
    fn due_times_lie_on_the_grid() {
        for (at, due) in [
            (0, 300),
            (300, 300),
            (301, 1300),
            (1300, 1300),
            (5000, 5300),
        ] {
            assert_eq!(GRID.at_or_after(at), due, "at {at}");
        }
        assert_eq!(GRID.at_or_after(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_quiet_window_moves_the_next_due_time_past_its_end() {
        assert_eq!(GRID.next_due(1000, &[quiet(1200, 3000)]), Some(3300));
        assert_eq!(GRID.next_due(1000, &[quiet(1200, u64::MAX)]), None);
        assert_eq!(GRID.next_due(1000, &[quiet(1400, 3000)]), Some(1300));
        assert_eq!(
            GRID.next_due(1000, &[quiet(1200, 2000), quiet(2200, 4000)]),
            Some(4300)
        );
    }

    #[test]
    fn pings_stop_in_a_quiet_window_unless_kept() {
        let kept = Quiet {
            keep_heartbeat: true,
            ..quiet(10, 20)
        };
        assert!(!heartbeat_allowed(15, &[quiet(10, 20)]));
        assert!(heartbeat_allowed(20, &[quiet(10, 20)]));
        assert!(heartbeat_allowed(15, &[kept]));
    }

    proptest! {
        #[test]
        fn counting_agrees_with_walking(phase in 0u64..5_000, interval in 1u64..3_000, from in 0u64..20_000, len in 0u64..20_000) {
            let grid = Grid { phase_us: phase, interval_us: interval };
            let to = from + len;
            let mut walked = 0;
            let mut due = grid.at_or_after(from);
            while due < to {
                walked += 1;
                due = grid.at_or_after(due + 1);
            }
            prop_assert_eq!(grid.count(from, to), walked);
        }

        #[test]
        fn every_due_time_is_sent_missed_or_quiet(from in 0u64..20_000, len in 0u64..20_000, a in 0u64..20_000, b in 0u64..20_000) {
            let window = quiet(a.min(b), a.max(b));
            let to = from + len;
            let covered = GRID.count(window.from_us.max(from), window.until_us.min(to).max(window.from_us.max(from)));
            prop_assert_eq!(GRID.missed(from, to, &[window]) + covered, GRID.count(from, to));
        }
    }
}
