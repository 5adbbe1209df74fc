//! Watches the abort conditions second by second, while a run goes on.
//!
//! Pure. A condition holds in a second by what that second alone says. A second that says nothing (nobody was wanted, no
//! attempt ended) is no second in which it held, so it begins the count anew: a run is never ended for lack of data.

use crate::record::collector::{Abort, Second};
use crate::scenario::{AbortCondition, Live};

/// The conditions of a run, and for how long each has held.
#[derive(Debug, Clone)]
pub struct Watch {
    conditions: Vec<(AbortCondition, u32)>,
    /// The second that comes next.
    next: u32,
}

impl Watch {
    /// Before the first second.
    pub fn new(conditions: &[AbortCondition]) -> Self {
        Self {
            conditions: conditions.iter().map(|one| (one.clone(), 0)).collect(),
            next: 0,
        }
    }

    /// Takes a second, and says which condition has held long enough with it; the first one, if several have.
    pub fn add(&mut self, second: &Second) -> Option<Abort> {
        let is_gap = second.second != self.next;
        self.next = second.second + 1;
        let mut over = None;
        for (condition, held) in &mut self.conditions {
            if is_gap {
                *held = 0;
            }
            let holds = value(condition.live, second)
                .is_some_and(|value| condition.comparison.holds(value, condition.bound));
            *held = if holds { *held + 1 } else { 0 };
            if over.is_none() && *held >= condition.seconds {
                over = Some(Abort {
                    condition: condition.text.clone(),
                    since_s: self.next - *held,
                    at_s: self.next,
                });
            }
        }
        over
    }
}

/// What a second says; `None` without data.
fn value(live: Live, second: &Second) -> Option<f64> {
    let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
    let counts = &second.counts;
    match live {
        Live::Connected => share(second.gauges.connected, second.wanted.into()),
        Live::HandshakeSuccess => share(counts.opened, counts.opened + counts.failed_total()),
        Live::Disconnects => Some(counts.cut_total() as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::{ConnectFailure, SessionEnd};
    use proptest::prelude::*;
    use std::path::Path;

    fn watch(conditions: &str) -> Watch {
        let text =
            format!("duration = '60s'\nabort_when = [{conditions}]\n[clients]\ncount = 100\n");
        let scenario = crate::scenario::load(Path::new("x.toml"), &text, &[]);
        Watch::new(
            &scenario
                .unwrap_or_else(|problems| panic!("{problems}"))
                .abort_when,
        )
    }

    /// A second with 100 wanted clients, so many of them connected, attempts opened and failed, and sessions cut.
    fn second(number: u32, connected: u64, (opened, failed): (u64, u64), cut: u64) -> Second {
        let mut second = Second {
            second: number,
            wanted: 100,
            counts: Default::default(),
            gauges: Default::default(),
            bins: Default::default(),
            nodes: Vec::new(),
            usage: Default::default(),
        };
        second.gauges.connected = connected;
        second.counts.opened = opened;
        second.counts.failed[ConnectFailure::Refused.index()] = failed;
        second.counts.closed[SessionEnd::Eof.index()] = cut;
        second.counts.closed[SessionEnd::Local.index()] = 1000;
        second
    }

    /// When it ends, if these shares of clients are connected.
    fn ends(watch: &mut Watch, connected: &[u64]) -> Option<(u32, u32)> {
        let seconds = (0u32..).zip(connected);
        seconds
            .filter_map(|(at, connected)| watch.add(&second(at, *connected, (0, 0), 0)))
            .map(|abort| (abort.since_s, abort.at_s))
            .next()
    }

    #[test]
    fn a_condition_must_hold_for_every_second_of_its_time() {
        let mut short = watch("'connected < 10% for 3s'");
        assert_eq!(ends(&mut short, &[100, 9, 9, 10, 9, 9]), None);
        let mut long = watch("'connected < 10% for 3s'");
        assert_eq!(ends(&mut long, &[100, 9, 9, 10, 9, 0, 9, 9]), Some((4, 7)));
        let mut once = watch("'connected < 10% for 1s'");
        assert_eq!(ends(&mut once, &[9]), Some((0, 1)));
    }

    #[test]
    fn a_second_without_data_begins_the_count_anew() {
        let mut watch = watch("'handshake.success < 50% for 3s'");
        let attempts = [
            (0, 5),
            (1, 5),
            (0, 0),
            (0, 5),
            (49, 51),
            (50, 50),
            (0, 1),
            (0, 1),
        ];
        for (at, attempts) in (0u32..).zip(attempts) {
            assert_eq!(watch.add(&second(at, 0, attempts, 0)), None, "{at}");
        }
        let abort = watch.add(&second(8, 0, (0, 1), 0)).unwrap();
        assert_eq!((abort.since_s, abort.at_s), (6, 9));
        assert_eq!(
            abort.sentence(),
            "the run was aborted at 9s: `handshake.success < 50% for 3s` held in every second since 6s"
        );
    }

    #[test]
    fn nobody_wanted_is_no_data() {
        let mut watch = watch("'connected < 10% for 1s'");
        let mut nobody = second(0, 0, (0, 0), 0);
        nobody.wanted = 0;
        assert_eq!(watch.add(&nobody), None);
    }

    #[test]
    fn disconnects_are_those_of_a_second_and_only_what_was_taken_from_clients() {
        let mut watch = watch("'disconnects > 20 for 2s'");
        for (at, cut) in [(0, 15), (1, 15), (2, 21), (3, 20)] {
            assert_eq!(watch.add(&second(at, 0, (0, 0), cut)), None, "{at}");
        }
        assert_eq!(watch.add(&second(4, 0, (0, 0), 21)), None);
        assert!(watch.add(&second(5, 0, (0, 0), 21)).is_some());
    }

    #[test]
    fn a_missing_second_begins_the_count_anew_and_the_first_condition_is_named() {
        let mut watch = watch("'connected < 50% for 2s', 'connected < 10% for 2s'");
        assert_eq!(watch.add(&second(0, 0, (0, 0), 0)), None);
        assert_eq!(watch.add(&second(2, 0, (0, 0), 0)), None);
        let abort = watch.add(&second(3, 0, (0, 0), 0)).unwrap();
        assert_eq!(abort.condition, "connected < 50% for 2s");
    }

    proptest! {
        #[test]
        fn it_ends_exactly_after_the_first_streak_that_is_long_enough(
            connected in prop::collection::vec(0u64..20, 0..40), seconds in 1usize..6,
        ) {
            let mut watch = watch(&format!("'connected < 10% for {seconds}s'"));
            let want = connected
                .windows(seconds)
                .position(|streak| streak.iter().all(|connected| *connected < 10))
                .map(|at| (at as u32, (at + seconds) as u32));
            prop_assert_eq!(ends(&mut watch, &connected), want);
        }
    }
}
