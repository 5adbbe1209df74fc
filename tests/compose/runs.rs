//! Runs to the end.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::stand::{alone, images, left, run};
use crate::support::{Finished, Place, complete, result};

/// Runs; asserts that it passed with its books balanced, and that nothing is left of it.
fn passes(command: &mut Command, place: &Place) -> Value {
    let finished: Finished = complete(command);
    assert_eq!(finished.code, 0, "{}\n{}", finished.stdout, finished.stderr);
    assert!(
        finished.stdout.contains("books  balanced"),
        "{}",
        finished.stdout
    );
    let result = result(&place.out());
    let info = result["info"]["nginx"].as_str().unwrap();
    let project = info.rsplit(' ').next().unwrap();
    assert!(project.starts_with("wssoak-"), "{info}");
    assert_eq!(left(project), "");
    assert_eq!(place.processes(&[]), [] as [String; 0]);
    result
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
        "--duration=14s",
        "--set=phases=[]",
        "--set=faults.kill-n2.at=6s",
        "--set=faults.kill-n2.for=2s",
        // A debug build on two processors shared with everything: a hill instead of a wall.
        "--set=reconnect.base=1500ms",
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
fn a_frozen_node_is_found_by_missing_pongs_and_every_book_balances() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let place = Place::new();
    let args = [
        "--topology=compose",
        "--clients=1000",
        "--duration=20s",
        "--set=clients.ramp=2s",
        "--set=faults.hang.at=4s",
        "--set=faults.hang.for=8s",
    ];
    let mut command = run(&place, images, "scenarios/node-pause.toml", &args);
    let result = passes(&mut command, &place);
    let storm = &result["storms"][0];
    assert_eq!(storm["cut_by_node"]["n1"], 0);
    let cut = storm["clients_cut"].as_u64().unwrap();
    assert_eq!(storm["cut"]["pong_timeout"].as_u64(), Some(cut));
    assert!((480..=520).contains(&cut), "{cut}");
}

#[test]
fn nginx_is_restarted_and_every_book_balances() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let place = Place::new();
    let args = [
        "--topology=compose",
        "--clients=1000",
        "--duration=14s",
        "--set=clients.ramp=2s",
        "--set=faults.restart.at=3s",
        "--set=faults.restart.for=2s",
        "--set=objectives=[\"disconnects.share >= 99.9% after restart\", \"never_recovered == 0\"]",
    ];
    let mut command = run(&place, images, "scenarios/proxy-restart.toml", &args);
    let result = passes(&mut command, &place);
    assert_eq!(result["storms"][0]["clients_cut"], 1_000);
    assert_eq!(entries(&result, "requests"), 1);
}

#[test]
fn nginx_behind_another_proxy_is_reloaded_and_nobody_is_cut() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let place = Place::new();
    let args = [
        "--topology=compose",
        "--clients=200",
        "--duration=8s",
        "--set=clients.ramp=1s",
        "--set=phases=[]",
        "--set=faults.reload.at=3s",
        "--set=objectives=[\"disconnects == 0\"]",
        "--set=topology.compose.proxies=[\"outer\", \"nginx\"]",
    ];
    let mut command = run(&place, images, "scenarios/proxy-reload.toml", &args);
    let result = passes(&mut command, &place);
    let seen = result["storms"][0]["fault"]["observed"].as_str().unwrap();
    assert!(seen.contains("new workers"), "{seen}");
    assert!(
        result["containers"]["outer"].is_object(),
        "{}",
        result["containers"]
    );
}

#[test]
fn a_stack_that_is_not_ours_runs_with_a_scenario_file_alone() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let place = Place::new();
    let scenario = "tests/data/own-compose/scenario.toml";
    let result = passes(&mut run(&place, images, scenario, &[]), &place);
    let storm = &result["storms"][0];
    assert_eq!(storm["cut_by_node"]["n1"], 0, "{storm}");
    // It was killed and keeps no ledger, so what it had counted is not known; nginx's count is.
    assert_eq!(
        (entries(&result, "upgrades"), entries(&result, "requests")),
        (0, 1)
    );
}

#[test]
fn kept_containers_stay_until_they_are_removed_by_hand() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let place = Place::new();
    let args = [
        "--topology=compose",
        "--keep",
        "--clients=10",
        "--duration=2s",
        "--set=clients.ramp=100ms",
        "--set=faults=[]",
        "--set=objectives=[]",
    ];
    let finished = complete(&mut run(
        &place,
        images,
        "scenarios/proxy-restart.toml",
        &args,
    ));
    assert_eq!(finished.code, 0, "{}\n{}", finished.stdout, finished.stderr);
    let (_, by_hand) = finished.stdout.split_once("they go with: ").unwrap();
    let by_hand = by_hand.lines().next().unwrap();
    let result = result(&place.out());
    let project = result["info"]["nginx"]
        .as_str()
        .unwrap()
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    assert_ne!(left(&project), "");
    assert!(
        Command::new("sh")
            .args(["-c", by_hand])
            .status()
            .unwrap()
            .success()
    );
    crate::support::wait_for("removal by hand", Duration::from_secs(10), || {
        left(&project).is_empty()
    });
}
