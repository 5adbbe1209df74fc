use super::*;
use crate::analyze::ScopeSummary;
use crate::analyze::books::Entry;
use crate::record::collector::{Abort, ProxyBooks, RunEnd};
use crate::record::generator::Health;
use crate::scenario::{Comparison, Measure, Scope};

fn summary() -> Summary {
    let mut run = ScopeSummary::new("run", 0..10_000_000);
    run.seconds = 10;
    run.counts.attempts = 100;
    run.counts.opened = 100;
    Summary {
        measured_us: 10_000_000,
        run,
        phases: vec![],
        storms: vec![],
        faults: vec![],
        books: vec![Entry::exact("x", ("a", 1), ("b", 1))],
        end: Some(RunEnd {
            outcome: Outcome::Finished,
            measured_us: 10_000_000,
            drained: true,
            health: Health::default(),
            nodes: vec![],
            proxy: ProxyBooks::default(),
            examples: vec![],
            notes: vec![],
        }),
        cut_off: false,
    }
}

fn objective(measure: &str, comparison: Comparison, bound: f64) -> Objective {
    Objective {
        text: measure.into(),
        measure: Measure::parse(measure).unwrap(),
        comparison,
        bound,
        scope: Scope::Run,
    }
}

fn judged(objectives: Vec<Objective>, spoil: impl FnOnce(&mut Summary)) -> Judgement {
    let text = "duration = \"10s\"\n[clients]\ncount = 1\nramp = \"1s\"\n";
    let mut scenario = crate::scenario::load("x.toml".as_ref(), text, &[]).unwrap();
    scenario.objectives = objectives;
    let mut summary = summary();
    spoil(&mut summary);
    judge(&scenario, &summary)
}

#[test]
fn a_bound_met_exactly_holds_for_inclusive_comparisons_only() {
    let verdict = |comparison| {
        judged(
            vec![objective("handshake.success", comparison, 1.0)],
            |_| {},
        )
        .verdict
    };
    assert_eq!(verdict(Comparison::GreaterOrEqual), Verdict::Pass);
    assert_eq!(verdict(Comparison::Equal), Verdict::Pass);
    assert_eq!(verdict(Comparison::Greater), Verdict::Fail);
}

#[test]
fn no_data_is_inconclusive_and_never_a_pass() {
    let judgement = judged(vec![objective("rtt.p99", Comparison::Less, 1.0)], |_| {});
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.objectives[0].held, Held::NoData);
}

#[test]
fn a_missed_objective_fails_even_beside_one_without_data() {
    let objectives = vec![
        objective("rtt.p99", Comparison::Less, 1.0),
        objective("handshake.attempts", Comparison::Less, 1.0),
    ];
    assert_eq!(judged(objectives, |_| {}).verdict, Verdict::Fail);
}

/// Makes a summary untrustworthy.
type Spoil = fn(&mut Summary);

#[test]
fn whatever_breaks_trust_makes_the_run_inconclusive() {
    let cases: [(&str, Spoil); 5] = [
        ("books", |s| s.books[0].theirs.1 = 2),
        ("end", |s| s.end = None),
        ("saturated", |s| {
            s.end.as_mut().unwrap().health.lag_p99_us = Some(10_000_000)
        }),
        ("ports", |s| {
            s.end.as_mut().unwrap().health.local_failures = 1
        }),
        ("broken", |s| {
            s.end.as_mut().unwrap().outcome = Outcome::Broken("a node died".into())
        }),
    ];
    for (name, spoil) in cases {
        let passing = vec![objective("handshake.success", Comparison::Equal, 1.0)];
        let judgement = judged(passing, spoil);
        assert_eq!(judgement.verdict, Verdict::Inconclusive, "{name}");
        assert!(!judgement.reasons.is_empty(), "{name}");
    }
}

#[test]
fn an_interrupted_run_is_its_own_verdict() {
    let judgement = judged(vec![], |s| {
        s.end.as_mut().unwrap().outcome = Outcome::Interrupted("SIGINT".into())
    });
    assert_eq!(judgement.verdict, Verdict::Interrupted);
}

fn abort(summary: &mut Summary) {
    summary.end.as_mut().unwrap().outcome = Outcome::Aborted(Abort {
        condition: "connected < 10% for 10s".into(),
        since_s: 32,
        at_s: 42,
    });
}

#[test]
fn an_aborted_run_fails_with_the_condition_as_reason_whatever_its_objectives_say() {
    for objectives in [
        vec![],
        vec![objective("handshake.success", Comparison::Equal, 1.0)],
        vec![objective("rtt.p99", Comparison::Less, 1.0)],
    ] {
        let judgement = judged(objectives, abort);
        assert_eq!(judgement.verdict, Verdict::Fail);
        assert_eq!(
            judgement.reasons,
            [
                "the run was aborted at 42s: `connected < 10% for 10s` held in every second since 32s"
            ]
        );
    }
}

#[test]
fn an_aborted_run_that_cannot_be_trusted_is_inconclusive() {
    let judgement = judged(vec![], |summary| {
        abort(summary);
        summary.books[0].theirs.1 = 2;
    });
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.reasons.len(), 2, "{:?}", judgement.reasons);
}

#[test]
fn an_aborted_run_owes_no_fault_that_it_did_not_come_to_but_every_one_that_began() {
    let fault = |began_us: Option<u64>| {
        let text = "duration = '60s'\n[clients]\ncount = 1\n[[faults]]\nkind = 'restart-proxy'\nat = '10s'\n";
        let plan =
            crate::plan::Plan::new(crate::scenario::load("x.toml".as_ref(), text, &[]).unwrap());
        FaultRecord {
            began_us,
            ..FaultRecord::planned(crate::plan::OccurrenceId(0), &plan.faults[0])
        }
    };
    let verdict = |began_us, is_aborted| {
        judged(vec![], |summary| {
            summary.faults.push(fault(began_us));
            if is_aborted {
                abort(summary);
            }
        })
        .verdict
    };
    assert_eq!(verdict(None, true), Verdict::Fail);
    assert_eq!(verdict(Some(1), true), Verdict::Inconclusive);
    assert_eq!(verdict(None, false), Verdict::Inconclusive);
}
