//! The shipped scenarios of nodes and resets, shortened, with what their comments predict asserted in causes and counts.

use serde_json::json;

use crate::left::{Left, assert_fin, measure};
use crate::play::play_file;

fn short(scenario: &str, args: &[&str]) -> Left {
    let all = [&["--clients=200", "--set=clients.ramp=500ms"], args].concat();
    let left = play_file(scenario, &all);
    left.passes();
    left
}

#[test]
fn node_stop_tells_half_of_the_fleet_why_and_no_reconnect_fails() {
    let left = short(
        "scenarios/node-stop.toml",
        &[
            "--duration=8s",
            "--set=faults.stop-n2.at=2s",
            "--set=faults.stop-n2.for=2s",
            "--set=reconnect.base=200ms",
            "--set=objectives=[\"disconnects == 100\", \"handshake.success == 100%\", \"never_recovered == 0\", \
             \"fleet_recovery < 2s\", \"amplification == 1 after stop-n2\"]",
        ],
    );
    left.assert_node_cut("stop-n2", 2, "close_1012", 0.0..0.5);
    let seen = left.observed("stop-n2");
    assert!(seen.contains("n2 is gone, in order"), "{seen}");
}

#[test]
fn rolling_restart_cuts_each_node_in_its_turn_with_1012_and_nothing_fails() {
    let left = short(
        "scenarios/rolling-restart.toml",
        &[
            "--duration=11s",
            "--set=phases=[]",
            "--set=faults.deploy.at=2s",
            "--set=faults.deploy.pause=2s",
            "--set=reconnect.base=200ms",
            "--set=objectives=[\"disconnects.share == 100% after deploy\", \"handshake.success == 100%\", \
             \"never_recovered == 0\", \"outage.p99 < 1s after deploy\"]",
        ],
    );
    let began = left.at("deploy", "began_us");
    for cut in &left.cuts {
        assert_eq!(cut.cause, "close_1012", "{cut:?}");
        let turn = (cut.at_s - began) / 2.0;
        // Each restart takes a moment, which the later ones come later by.
        let expected = (cut.node - 1) as f64..(cut.node - 1) as f64 + 0.5;
        assert!(expected.contains(&turn), "{cut:?}, begun at {began}");
    }
    let first = left.first_by_node();
    assert_eq!(first[&1].len() as i64 - 67, 0, "a third, rounded up");
    let storm = left.storm("deploy");
    let (cut, clients) = (left.cuts.len(), storm["clients_cut"].as_u64());
    assert_eq!(clients, Some(200));
    assert!(cut > 220, "who fled to a later node is cut again: {cut}");
    let after = |node: &str| storm["nodes_after"][node].as_u64().unwrap();
    assert!(after("n3") < after("n1").min(after("n2")), "{storm}");
}

#[test]
fn reset_shows_as_such_on_the_edge_and_as_a_fin_from_upstream() {
    let left = short(
        "scenarios/reset.toml",
        &[
            "--duration=7s",
            "--set=faults.edge.at=2s",
            "--set=faults.upstream.at=4s",
            "--set=reconnect.base=300ms",
            "--set=objectives=[\"handshake.success == 100%\", \"never_recovered == 0\", \"fleet_recovery < 2s\"]",
        ],
    );
    assert_eq!(left.storm("edge")["cut"], json!({"reset": 200}));
    let storm = left.storm("upstream");
    assert_fin(storm);
    assert_eq!(storm["cut_by_node"]["n1"], 0);
    assert_eq!(storm["cut_by_node"]["n2"], storm["nodes_before"]["n2"]);
    for name in ["edge", "upstream"] {
        let last = measure(left.storm(name), "detection.max");
        assert!(last < 0.5, "{name}: {last}");
    }
    // nginx is told what its clients are not.
    let told = left.errors_with(&["[error]", "(104: Connection reset by peer)", "upstream:"]);
    assert_eq!(Some(told), storm["clients_cut"].as_u64());
}

#[test]
fn slow_handshake_lets_newcomers_wait_and_gives_504_after_the_timeout_of_each_node() {
    let left = short(
        "scenarios/slow-handshake.toml",
        &[
            "--duration=15s",
            "--set=topology.nginx.proxy_read_timeout=1s",
            "--set=phases=[{name='steady', from='500ms'}, {name='growth', from='2s', clients=240}, \
             {name='pause', from='4s'}, {name='more', from='6s', clients=280}, {name='end', from='8s'}]",
            "--set=faults.slow.at=1500ms",
            "--set=faults.slow.for=3s",
            "--set=faults.slow.delay=500ms",
            "--set=faults.stuck.at=5500ms",
            "--set=faults.stuck.for=4500ms",
            "--set=faults.stuck.delay=3s",
            "--set=reconnect.cap=1s",
            "--set=objectives=[\"disconnects == 0\", \"handshake.success == 100% after slow\", \
             \"upgrade.p50 >= 500ms after slow\", \"upgrade.max < 900ms after slow\", \"never_recovered == 0\"]",
        ],
    );
    assert_eq!(measure(&left.result["run"], "sessions.opened"), 280.0);
    let failures = left.storm("stuck")["failures"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["status_504"]);
    assert!(failures["status_504"].as_u64().unwrap() >= 40);
    let refused = left.requests.iter().filter(|line| line["status"] == "504");
    for line in refused {
        let took: f64 = line["request_time"].as_str().unwrap().parse().unwrap();
        assert!((1.9..2.5).contains(&took), "twice the timeout: {line}");
        assert_eq!(line["upstream_status"], "504, 504", "{line}");
    }
}

/// A node dies for a second, and the fleet grows by a hundred later: what both scenarios of it have in common.
fn rejoin(scenario: &str, balance: &str) -> Left {
    let balance = format!("--set=objectives=[\"never_recovered == 0\", \"{balance}\"]");
    let left = short(
        scenario,
        &[
            "--duration=8s",
            "--set=phases.steady.from=500ms",
            "--set=phases.kill.from=2s",
            "--set=phases.growth.from=5s",
            "--set=phases.growth.clients=300",
            "--set=phases.after.from=6s",
            "--set=faults.kill-n2.at=2s",
            "--set=faults.kill-n2.for=1s",
            "--set=reconnect.base=200ms",
            &balance,
        ],
    );
    let storm = left.storm("kill-n2");
    assert_fin(storm);
    assert_eq!(storm["cut_by_node"], json!({"n1": 0, "n2": 100}));
    assert!(measure(storm, "detection.max") < 0.5, "{storm}");
    assert_eq!(storm["returned"]["opened_since"], 100);
    left
}

#[test]
fn rejoin_starves_the_returned_node_and_says_so() {
    let left = rejoin("scenarios/rejoin.toml", "balance >= 1.9 after kill-n2");
    let got = left.storm("kill-n2")["returned"]["opened_on_it"]
        .as_u64()
        .unwrap();
    assert!(got <= 1, "one in a fail_timeout of 10 s: {got}");
    let share = if got == 1 { "1%" } else { "0%" };
    let sentence = format!(
        "n2 returned   got {got} of the 100 sessions opened since it was back ({share}), a fair share is 50: it starves"
    );
    let text = &left.finished.stdout;
    assert!(text.contains(&sentence), "{sentence}\n{text}");
    assert!(text.contains("max_fails = 0 avoids it"), "{text}");
}

#[test]
fn rejoin_without_max_fails_gives_the_returned_node_its_share_and_says_so() {
    let left = rejoin(
        "scenarios/rejoin-max-fails-0.toml",
        "balance <= 1.7 after kill-n2",
    );
    let sentence = "n2 returned   got 50 of the 100 sessions opened since it was back (50%), a fair share is 50";
    let text = &left.finished.stdout;
    assert!(text.contains(&format!("{sentence}\n")), "{text}");
    assert!(!text.contains("starves"), "{text}");
}
