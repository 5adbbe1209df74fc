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
