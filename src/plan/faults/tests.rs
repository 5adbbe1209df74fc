use super::*;
use crate::plan::Plan;
use proptest::prelude::*;
use std::path::Path;

fn planned(seed: u64, nodes: u16, faults: &str) -> Vec<PlannedFault> {
    let text = format!(
        "duration = '60s'\nseed = {seed}\n[topology]\nnodes = {nodes}\n[clients]\ncount = 10\n{faults}"
    );
    let scenario = crate::scenario::load(Path::new("x.toml"), &text, &[])
        .unwrap_or_else(|problems| panic!("{problems}"));
    Plan::new(scenario).faults
}

#[test]
fn a_repeated_fault_happens_as_often_as_it_fits() {
    let faults = planned(
        1,
        2,
        "[[faults]]\nname='kill'\nkind='kill-node'\ntarget='n2'\nat='10s'\nfor='5s'\nevery='15s'",
    );
    let seen: Vec<(&str, u64, u64)> = faults
        .iter()
        .map(|fault| {
            (
                fault.name.as_str(),
                fault.at.as_secs(),
                fault.until.as_secs(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("kill", 10, 15),
            ("kill#2", 25, 30),
            ("kill#3", 40, 45),
            ("kill#4", 55, 60)
        ]
    );
    assert!(faults.iter().all(|fault| fault.nodes == [NodeId(1)]));
}

#[test]
fn a_rolling_fault_takes_its_nodes_one_after_the_other() {
    let faults = planned(
        1,
        3,
        "[[faults]]\nkind='kill-node'\ntarget='all'\nat='10s'\nfor='5s'\npause='2s'",
    );
    assert_eq!(faults[0].until, Duration::from_secs(10 + 3 * 5 + 2 * 2));
    let all: Vec<NodeId> = (0..3).map(NodeId).collect();
    assert_eq!(faults[0].waves(), all.chunks(1).collect::<Vec<_>>());
}

#[test]
fn a_share_is_rounded_and_at_least_one_node() {
    for (target, want) in [
        ("'1%'", 1),
        ("'50%'", 4),
        ("'100%'", 7),
        ("3", 3),
        ("'one'", 1),
    ] {
        let text = format!("[[faults]]\nkind='kill-node'\ntarget={target}\nat='10s'\nfor='5s'");
        assert_eq!(planned(1, 7, &text)[0].nodes.len(), want, "{target}");
    }
}

proptest! {
    #[test]
    fn what_is_drawn_depends_on_the_seed_alone_and_is_free(seed in 0u64..1000) {
        let faults = "[[faults]]\nname='named'\nkind='kill-node'\ntarget=['n1','n4']\nat='12s'\nfor='5s'\n\
             [[faults]]\nname='two'\nkind='kill-node'\ntarget=2\nat='10s'\nfor='5s'\nevery='10s'\nuntil='20s'\n\
             [[faults]]\nname='one'\nkind='kill-node'\ntarget='one'\nat='11s'\nfor='5s'";
        let all = planned(seed, 6, faults);
        prop_assert_eq!(&all, &planned(seed, 6, faults));
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                if overlap((one.at, one.until), (other.at, other.until)) {
                    prop_assert!(one.nodes.iter().all(|node| !other.has(*node)), "{:?} {:?}", one, other);
                }
            }
            let width = match one.name.as_str() { "one" => 1, _ => 2 };
            prop_assert_eq!(one.nodes.len(), width);
        }
    }
}

#[test]
fn every_node_is_drawn_by_some_seed() {
    let fault = "[[faults]]\nkind='kill-node'\ntarget='one'\nat='10s'\nfor='5s'";
    let drawn: std::collections::BTreeSet<u16> = (0..50)
        .map(|seed| planned(seed, 3, fault)[0].nodes[0].0)
        .collect();
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

/// One fault of a random scenario: kind, due time, spread, length and repetition in seconds.
type Random = (usize, u64, u64, u64, Option<u64>);

fn written((kind, at, spread, lasts, every): &Random) -> String {
    let (kind, is_moment) = [
        ("kind = 'restart-proxy'", false),
        ("kind = 'reload-proxy'", true),
        ("kind = 'kill-node'\ntarget = 'one'", false),
        ("kind = 'pause-node'\ntarget = 'n2'", false),
        ("kind = 'surge'\nclients = 5", false),
    ][*kind];
    let mut text = format!("[[faults]]\n{kind}\nat = '{at}s'\n");
    if *spread > 0 {
        text.push_str(&format!("spread = '{spread}s'\n"));
    }
    if !is_moment {
        text.push_str(&format!("for = '{lasts}s'\n"));
    }
    if let Some(every) = every {
        text.push_str(&format!("every = '{every}s'\n"));
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn drawn_times_keep_their_bounds_and_no_two_fight_whatever_the_seed(
        faults in prop::collection::vec(
            (0usize..5, 0u64..50, 0u64..15, 1u64..8, prop::option::of(1u64..30)), 1..4),
        seeds in prop::array::uniform4(any::<u64>()),
    ) {
        let faults: String = faults.iter().map(written).collect();
        let load = |seed: u64| {
            let text = format!(
                "duration = '60s'\nseed = {seed}\n[topology]\nnodes = 3\n[clients]\ncount = 10\n{faults}");
            crate::scenario::load(Path::new("x.toml"), &text, &[]).ok()
        };
        let seeds = seeds.map(|seed| seed >> 1);
        let sound: Vec<_> = seeds.into_iter().filter_map(load).collect();
        // Whether it is right does not depend on the seed.
        prop_assert!(sound.is_empty() || sound.len() == seeds.len());
        for scenario in sound {
            let plan = Plan::new(scenario.clone());
            prop_assert_eq!(&plan, &Plan::new(scenario));
            for (index, one) in plan.faults.iter().enumerate() {
                let fault = &plan.scenario.faults[usize::from(one.fault.0)];
                prop_assert!(one.at >= one.due && one.until <= one.due + fault.spread + fault.lasts);
                prop_assert!(one.at == one.due || one.at < one.due + fault.spread);
                prop_assert!(one.until <= plan.scenario.duration);
                for other in &plan.faults[index + 1..] {
                    let (this, that) = (one.kind.hold(), other.kind.hold());
                    let fight = this == that
                        && (this != Hold::Nodes || one.nodes.iter().any(|node| other.has(*node)));
                    let windows = ((one.at, one.until), (other.at, other.until));
                    prop_assert!(!fight || !overlap(windows.0, windows.1), "{:?} {:?}", one, other);
                }
            }
        }
    }
}

#[test]
fn times_are_spread_evenly_and_one_more_fault_moves_no_other() {
    let fault = "[[faults]]\nname='kill'\nkind='kill-node'\ntarget='one'\nat='10s'\nspread='20s'\nfor='5s'\n";
    let at = |seed, faults: &str| {
        let planned = planned(seed, 3, faults);
        planned.iter().find(|one| one.name == "kill").unwrap().at
    };
    let drawn: Vec<f64> = (0..2000)
        .map(|seed| at(seed, fault).as_secs_f64())
        .collect();
    for from in [10.0, 15.0, 20.0, 25.0] {
        let quarter = drawn.iter().filter(|at| (from..from + 5.0).contains(*at));
        assert!((400..600).contains(&quarter.count()), "from {from}");
    }
    let two = format!("{fault}[[faults]]\nkind='reload-proxy'\nat='40s'\nspread='3s'\n");
    assert_eq!(at(1, fault), at(1, &two));
}

#[test]
fn a_repetition_ends_within_the_run_and_begins_by_until_however_late_it_is_drawn() {
    let times = |until: &str| {
        let fault = format!(
            "[[faults]]\nkind='kill-node'\ntarget='n1'\nat='10s'\nspread='5s'\nfor='5s'\nevery='10s'\n{until}"
        );
        planned(1, 2, &fault).len()
    };
    assert_eq!(times(""), 5);
    assert_eq!(times("until='35s'"), 3);
    assert_eq!(times("until='34s'"), 2);
}
