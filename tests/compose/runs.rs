//! Runs to the end.

use std::process::Command;

use serde_json::Value;

use crate::stand::{alone, beside_others, images, left, run};
use crate::support::{Finished, Place, complete, result};

/// Runs; asserts that it passed with its books balanced, and that nothing is left of it.
fn passes(command: &mut Command, place: &Place) -> Value {
    let finished: Finished = complete(command);
    assert_eq!(finished.code, 0, "{}\n{}", finished.stdout, finished.stderr);
    let result = result(&place.out());
    assert_gone(&finished, &result, place);
    result
}

/// The books are balanced, and no container, network or process is left.
pub(crate) fn assert_gone(finished: &Finished, result: &Value, place: &Place) {
    assert!(
        finished.stdout.contains("books  balanced"),
        "{}",
        finished.stdout
    );
    let info = result["info"]["nginx"].as_str().unwrap();
    let project = info.rsplit(' ').next().unwrap();
    assert!(project.starts_with("wssoak-"), "{info}");
    assert_eq!(left(project), "");
    assert_eq!(place.processes(&[]), [] as [String; 0]);
}

/// The entries of the books that begin so.
fn entries(result: &Value, what: &str) -> usize {
    let books = result["books"].as_array().unwrap().iter();
    books
        .filter(|entry| entry["what"].as_str().unwrap().starts_with(what))
        .count()
}

#[test]
fn a_node_of_5000_clients_is_killed_and_every_book_balances() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let place = Place::new();
    let args = [
        "--topology=compose",
        "--clients=5000",
        "--duration=12s",
        "--set=phases=[]",
        "--set=faults.kill-n2.at=5s",
        "--set=faults.kill-n2.for=2s",
        // A debug build on two processors shared with everything: a hill instead of a wall, and fewer messages beside it.
        "--set=reconnect.base=1500ms",
        "--set=traffic.rate=0.2/s",
    ];
    let mut command = run(&place, images, "scenarios/node-kill.toml", &args);
    let result = passes(&mut command, &place);
    let storm = &result["storms"][0];
    let cut = storm["clients_cut"].as_u64().unwrap();
    assert!((2_400..=2_600).contains(&cut), "{cut}");
    assert_eq!(storm["cut_by_node"]["n1"], 0);
    for what in ["upgrades", "requests", "tunnels", "refused"] {
        assert_eq!(entries(&result, what), 1, "{what}");
    }
    let nginx = &result["containers"]["nginx"];
    assert!(nginx["cpu"].as_f64().unwrap() > 0.0);
    // Two sides of a tunnel; where the test may not look it is null.
    assert!(
        nginx["open_files"]
            .as_u64()
            .is_none_or(|files| files > 9_000),
        "{nginx}"
    );
}

#[test]
fn a_frozen_node_of_5000_clients_is_found_by_missing_pongs_and_every_book_balances() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let place = Place::new();
    let args = [
        "--topology=compose",
        "--clients=5000",
        "--duration=17s",
        "--set=faults.hang.at=5s",
        "--set=faults.hang.for=6s",
        // As above: the pings of 5,000 clients are enough of a load beside.
        "--set=traffic.rate=0.2/s",
        "--set=reconnect.base=1500ms",
    ];
    let mut command = run(&place, images, "scenarios/node-pause.toml", &args);
    let result = passes(&mut command, &place);
    let storm = &result["storms"][0];
    assert_eq!(storm["cut_by_node"]["n1"], 0);
    let cut = storm["clients_cut"].as_u64().unwrap();
    assert_eq!(storm["cut"]["pong_timeout"].as_u64(), Some(cut));
    assert!((2_400..=2_600).contains(&cut), "{cut}");
}

#[test]
fn nginx_of_5000_clients_is_restarted_and_every_book_balances() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let place = Place::new();
    let args = [
        "--topology=compose",
        "--clients=5000",
        "--duration=15s",
        "--set=faults.restart.at=5s",
        "--set=faults.restart.for=1s",
        "--set=traffic.rate=0.2/s",
        "--set=reconnect.base=4s",
        "--set=objectives=[\"disconnects.share >= 99.9% after restart\", \"never_recovered == 0\"]",
    ];
    let mut command = run(&place, images, "scenarios/proxy-restart.toml", &args);
    let result = passes(&mut command, &place);
    assert_eq!(result["storms"][0]["clients_cut"], 5_000);
    for what in ["upgrades", "requests", "tunnels", "refused"] {
        assert_eq!(entries(&result, what), 1, "{what}");
    }
}

#[test]
fn a_stack_that_is_not_ours_runs_with_a_scenario_file_alone() {
    let Some(images) = images() else { return };
    let _turn = beside_others();
    let place = Place::new();
    let scenario = "tests/data/own-compose/scenario.toml";
    let result = passes(&mut run(&place, images, scenario, &[]), &place);
    let storm = &result["storms"][0];
    assert_eq!(storm["cut_by_node"]["n1"], 0, "{storm}");
    // The relay is before its outer proxy.
    assert_eq!(result["storms"][2]["cut"]["reset"], 200);
    // It was killed and keeps no ledger, so what it had counted is not known; nginx's count is.
    assert_eq!(
        (entries(&result, "upgrades"), entries(&result, "requests")),
        (0, 1)
    );
}
