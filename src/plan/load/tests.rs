//! Tables and properties of the load profile.

use std::path::Path;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

/// A profile from knots of (time in ms, clients), the first of which ends the ramp.
fn profile(knots: &[(u64, u32)], until_ms: u64) -> LoadProfile {
    let (mut from_ns, mut before) = (0, 0);
    let mut changes = Vec::new();
    for (to_ms, after) in knots {
        let to_ns = to_ms * MS;
        changes.push(Change {
            from_ns,
            to_ns,
            before,
            after: *after,
        });
        (from_ns, before) = (to_ns, *after);
    }
    LoadProfile {
        regular: changes.iter().map(|change| change.after).max().unwrap_or(0),
        changes,
        surges: Vec::new(),
        until_ns: until_ms * MS,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_ramp_is_evenly_spread() {
    let load = profile(&[(1_000, 4)], 2_000);
    let wanted = [0, 249, 250, 499, 500, 750, 1_000, 1_999].map(|at| load.wanted(ms(at)));
    assert_eq!(wanted, [1, 1, 2, 2, 3, 4, 4, 4]);
    let starts = [0, 1, 2, 3].map(|client| load.spans(client)[0].start);
    assert_eq!(starts, [0, 250, 500, 750].map(ms));
    assert!(load.spans(4).is_empty());
    assert_eq!(load.most(), 4);
    assert_eq!(load.wanted_seconds(ms(0), ms(1_000)), 2.5);
    assert_eq!(load.wanted_seconds(ms(0), ms(9_000)), 6.5);
    assert_eq!(load.wanted_seconds(ms(250), ms(500)), 0.5);
}

#[test]
fn without_a_ramp_all_come_at_once() {
    let load = profile(&[(0, 3)], 1_000);
    assert_eq!(load.wanted(Duration::ZERO), 3);
    assert_eq!(
        load.spans(2),
        [Span {
            start: ms(0),
            end: ms(1_000)
        }]
    );
    assert_eq!(load.wanted_seconds(ms(0), ms(1_000)), 3.0);
}

#[test]
fn clients_leave_in_reverse_order_and_come_back() {
    let load = profile(&[(0, 4), (1_000, 2), (2_000, 4)], 3_000);
    assert_eq!(
        load.spans(0),
        [Span {
            start: ms(0),
            end: ms(3_000)
        }]
    );
    let first = Span {
        start: ms(0),
        end: ms(500),
    };
    let second = Span {
        start: ms(1_500),
        end: ms(3_000),
    };
    assert_eq!(load.spans(3), [first, second]);
    assert_eq!(load.wanted(ms(499)), 4);
    assert_eq!(load.wanted(ms(500)), 3);
    // Client 2 leaves and comes back in the same instant.
    assert_eq!(load.wanted(ms(1_000)), 3);
    assert_eq!(load.wanted_seconds(ms(0), ms(1_000)), 3.5);
}

#[test]
fn a_scenario_gives_its_ramp_and_its_phases() {
    let text = "duration = '40s'\n[clients]\ncount = 100\nramp = '10s'\n\
        [[phases]]\nname = 'steady'\nfrom = '10s'\n[[phases]]\nname = 'more'\nfrom = '20s'\nclients = 300\n";
    let scenario = crate::scenario::load(Path::new("x.toml"), text, &[]).unwrap();
    let load = LoadProfile::new(&scenario, &[]);
    let wanted = [0, 5_000, 10_000, 19_999, 30_000, 40_000].map(|at| load.wanted(ms(at)));
    assert_eq!(wanted, [1, 51, 100, 100, 201, 300]);
    assert_eq!(load.most(), 300);
}

fn profiles() -> impl Strategy<Value = LoadProfile> {
    let knots = prop::collection::vec((0u64..3_000, 0u32..40), 1..6);
    (knots, 1u64..20_000).prop_map(|(knots, more)| {
        let mut at = 0;
        let knots: Vec<(u64, u32)> = knots
            .into_iter()
            .map(|(gap, clients)| {
                at += gap + 1;
                (at, clients)
            })
            .collect();
        profile(&knots, at + more)
    })
}

proptest! {
    #[test]
    fn the_spans_at_any_time_are_as_many_as_wanted(load in profiles(), at in 0u64..40_000_000_000) {
        let at = Duration::from_nanos(at.min(load.until_ns - 1));
        let there = (0..load.most())
            .filter(|client| load.spans(*client).iter().any(|span| span.start <= at && at < span.end))
            .count();
        prop_assert_eq!(there, load.wanted(at) as usize);
    }

    #[test]
    fn spans_are_ordered_and_within_the_run(load in profiles(), client in 0u32..40) {
        let spans = load.spans(client);
        for span in &spans {
            prop_assert!(span.start <= span.end && nanos(span.end) <= load.until_ns);
        }
        for pair in spans.windows(2) {
            prop_assert!(pair[0].end <= pair[1].start);
        }
    }

    #[test]
    fn between_knots_the_number_goes_one_way(load in profiles(), a in 0.0..1.0f64, b in 0.0..1.0f64) {
        for change in &load.changes {
            let at = |share: f64| change.from_ns + ((change.to_ns - change.from_ns) as f64 * share) as u64;
            let (early, late) = (load.wanted_ns(at(a.min(b))), load.wanted_ns(at(a.max(b))));
            prop_assert_eq!(change.after.cmp(&change.before), late.cmp(&early).then(change.after.cmp(&change.before)));
        }
    }

    #[test]
    fn client_seconds_are_those_of_the_spans(load in profiles(), a in 0u64..20_000, b in 0u64..20_000) {
        let (from, to) = (ms(a.min(b)), ms(a.max(b)));
        let summed: f64 = (0..load.most())
            .flat_map(|client| load.spans(client))
            .map(|span| span.end.min(to).saturating_sub(span.start.max(from)).as_secs_f64())
            .sum();
        prop_assert!((load.wanted_seconds(from, to) - summed).abs() < 1e-5, "{} {summed}", load.wanted_seconds(from, to));
    }
}

#[test]
fn the_clients_of_a_surge_join_within_a_second_and_leave_together() {
    let mut load = profile(&[(0, 10)], 20_000);
    load.surges.push(Surge {
        from_ns: 5_000 * MS,
        to_ns: 9_000 * MS,
        first: 10,
        count: 4,
    });
    let wanted = [4_999, 5_000, 5_249, 5_250, 5_750, 8_999, 9_000].map(|at| load.wanted(ms(at)));
    assert_eq!(wanted, [10, 11, 11, 12, 14, 14, 10]);
    assert_eq!(load.most(), 14);
    assert_eq!(
        load.spans(11),
        [Span {
            start: ms(5_250),
            end: ms(9_000)
        }]
    );
    // Four clients for 4 s, the last three 0.25 s, 0.5 s and 0.75 s later.
    let extra = load.wanted_seconds(ms(0), ms(20_000)) - 200.0;
    assert!((extra - 14.5).abs() < 1e-6, "{extra}");
}

proptest! {
    #[test]
    fn spans_of_surges_agree_with_what_is_wanted(surges in prop::collection::vec((0u64..9_000, 1u64..5_000, 1u32..50), 1..4), at in 0u64..10_000) {
        let mut load = profile(&[(0, 5)], 20_000);
        let mut first = 5;
        for (from, lasts, count) in surges {
            load.surges.push(Surge { from_ns: from * MS, to_ns: (from + lasts) * MS, first, count });
            first += count;
        }
        let there = |client: &u32| load.spans(*client).iter().any(|span| (span.start..span.end).contains(&ms(at)));
        let counted = (0..load.most()).filter(there).count();
        prop_assert_eq!(load.wanted(ms(at)) as usize, counted);
        let spans = (0..load.most()).flat_map(|client| load.spans(client));
        let sum: f64 = spans.map(|span| (span.end - span.start).as_secs_f64()).sum();
        prop_assert!((load.wanted_seconds(ms(0), ms(20_000)) - sum).abs() < 1e-3);
    }
}
