//! Each fault against containers: who was cut, how it looked to them, and when. Those of links are in `links`.
//!
//! Whole runs are expensive, so each holds as many faults as can be told apart: by the node that a client was on, or by
//! the time.

use serde_json::json;
use wssoak::scenario::FaultKind;

use crate::left::{Left, measure};
use crate::runs::assert_gone;
use crate::stand::{beside_others, images, run};
use crate::support::{Place, complete};

/// Kinds that a whole run of `runs` makes with a shipped scenario, and which. There is none that makes no sense in
/// containers.
const SHIPPED: [(&str, &str); 3] = [
    ("kill-node", "scenarios/node-kill.toml"),
    ("pause-node", "scenarios/node-pause.toml"),
    ("restart-proxy", "scenarios/proxy-restart.toml"),
];

/// 200 clients from the first second on, and these faults; asserts that the run passed with its books balanced, and that
/// nothing is left of it. `None`: there is no engine.
pub(crate) fn play(text: &str) -> Option<(Left, Place)> {
    let images = images()?;
    let _turn = beside_others();
    let place = Place::new();
    let file = place.tmp().join("faults.toml");
    let head = "[clients]\ncount = 200\nramp = \"500ms\"\nhandshake_timeout = \"1500ms\"\n[reconnect]\nbase = \"200ms\"\n\
                cap = \"1s\"\n";
    std::fs::write(&file, format!("{text}\n{head}")).unwrap();
    let args = ["--topology=compose"];
    let finished = complete(&mut run(&place, images, file.to_str().unwrap(), &args));
    std::fs::remove_file(&file).unwrap();
    let left = Left::of(&place, finished);
    left.passes();
    assert_gone(&left.finished, &left.result, &place);
    Some((left, place))
}

#[test]
fn every_kind_of_fault_is_made_in_containers() {
    let here = concat!(include_str!("faults.rs"), include_str!("links.rs"));
    let runs = include_str!("runs.rs");
    for kind in FaultKind::words() {
        let word = format!("kind = \"{kind}\"");
        let is_shipped = SHIPPED.iter().any(|(shipped, file)| {
            let scenario = std::fs::read_to_string(file).unwrap();
            *shipped == kind && scenario.contains(&word) && runs.contains(file)
        });
        assert!(is_shipped || here.contains(&word), "no run makes {kind}");
    }
}

#[test]
fn nodes_fail_in_six_ways_and_each_looks_as_it_should() {
    let Some((left, _)) = play(
        r#"
        duration = "14s"
        objectives = [
            "never_recovered == 0",
            "handshake.failed.status_503 >= 40 after restart",
            "upgrade.p90 >= 400ms after restart",
        ]
        [topology]
        nodes = 3
        [topology.nginx]
        max_fails = 0
        proxy_read_timeout = "2s"
        [traffic]
        rate = "2/s"
        [heartbeat]
        from = "clients"
        interval = "1s"
        pong_timeout = "1s"
        [[faults]]
        name = "stop"
        kind = "stop-node"
        target = "n1"
        code = 1012
        at = "2s"
        for = "2s"
        [[faults]]
        name = "mute"
        kind = "no-pong"
        target = "n2"
        at = "2s"
        for = "3s"
        [[faults]]
        name = "deaf"
        kind = "stop-reading"
        target = "n3"
        at = "2s"
        for = "3s"
        [[faults]]
        name = "no"
        kind = "refuse-upgrades"
        target = "n1"
        retry_after = "1s"
        at = "7s"
        for = "2500ms"
        [[faults]]
        name = "slow"
        kind = "slow-handshake"
        target = "n2"
        delay = "400ms"
        at = "7s"
        for = "2500ms"
        [[faults]]
        name = "restart"
        kind = "restart-proxy"
        at = "7500ms"
        for = "300ms"
        [[faults]]
        name = "again"
        kind = "restart-node"
        target = "n3"
        at = "11500ms"
        "#,
    ) else {
        return;
    };
    let began = left.at("stop", "began_us");
    for (node, cuts) in left.first_by_node() {
        assert!((60..=73).contains(&cuts.len()), "n{node}: round robin");
        let (cause, after) = match node {
            1 => ("close_1012", 0.0..1.5),
            // Half a ping interval on average, and the pong timeout.
            _ => ("pong_timeout", 0.9..2.6),
        };
        for cut in cuts {
            assert_eq!(cut.cause, cause, "n{node}: {cut:?}");
            assert!(after.contains(&(cut.at_s - began)), "n{node}: {cut:?}");
        }
    }
    let again = left.between(left.at("again", "began_us"), 14.0);
    assert!(again.len() >= 40, "{}", again.len());
    for cut in again {
        assert_eq!((cut.node, cut.cause.as_str()), (3, "close_1001"), "{cut:?}");
    }
}

/// Faults of single workers, which need root.
const WORKERS: &str = r#"
        [[faults]]
        name = "worker"
        kind = "kill-worker"
        at = "6500ms"
        [[faults]]
        name = "paused"
        kind = "pause-worker"
        at = "8s"
        for = "1s"
"#;

#[test]
fn each_way_to_hurt_nginx_cuts_whom_it_should_when_it_should() {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: faults of single workers in containers need root");
    }
    let proxy = r#"
        duration = "19s"
        objectives = [
            "never_recovered == 0",
            "disconnects == 0 in settings",
            "disconnects == 0 in growth",
            "handshake.success < 95% in growth",
            "disconnects.share == 100% after killed",
            "disconnects.share == 100% after quit",
        ]
        [topology.nginx]
        worker_processes = 2
        [traffic]
        rate = "4/s"
        [[phases]]
        name = "settings"
        from = "1s"
        [[phases]]
        name = "growth"
        from = "4s"
        clients = 260
        [[phases]]
        name = "rest"
        from = "5s"
        [[faults]]
        name = "other"
        kind = "reconfigure-proxy"
        set = { max_fails = 7, balance = "least-conn" }
        at = "2s"
        for = "1s"
        [[faults]]
        name = "exhausted"
        kind = "exhaust-connections"
        worker_connections = 20
        at = "3500ms"
        for = "2s"
        [[faults]]
        name = "killed"
        kind = "kill-proxy"
        at = "9500ms"
        for = "500ms"
        [[faults]]
        name = "quit"
        kind = "quit-proxy"
        at = "14s"
        for = "1s"
    "#;
    let workers = if is_root { WORKERS } else { "" };
    let Some((left, _)) = play(&format!("{proxy}{workers}")) else {
        return;
    };
    let failures = left.storm("exhausted")["failures"].as_object().unwrap();
    let known = ["reset", "eof", "status_500"];
    assert!(
        failures.keys().all(|cause| known.contains(&cause.as_str())),
        "{failures:?}"
    );
    let killed = left.at("killed", "began_us");
    if is_root {
        let worker = left.at("worker", "began_us");
        let dead = left.between(worker, worker + 1.0);
        // Two workers of the first configuration, which drain, have the first 200: the busier one has at least half.
        assert!(dead.len() >= 100, "{}", dead.len());
        let later = left.between(worker + 1.0, killed);
        assert!(later.is_empty(), "a stopped worker cuts nobody: {later:?}");
        let paused = left.storm("paused");
        assert!(measure(paused, "rtt.max") >= 0.7, "{paused}");
    }
    assert_eq!(
        left.between(killed, left.at("killed", "ended_us")).len(),
        260
    );
    let (quit, healing) = (left.at("quit", "began_us"), left.at("quit", "healing_us"));
    let before = left.between(quit, healing);
    assert!(before.is_empty(), "a quit nginx lingers: {before:?}");
    let cuts = left.between(healing, 19.0);
    assert_eq!(cuts.len(), 260);
    // What lingered was killed, some of it with bytes unread.
    let known = ["eof", "reset"];
    assert!(
        cuts.iter().all(|cut| known.contains(&cut.cause.as_str())),
        "{cuts:?}"
    );
}

#[test]
fn clients_vanish_go_deaf_multiply_and_fall_silent_and_each_looks_as_it_should() {
    let Some((left, _)) = play(
        r#"
        duration = "15s"
        objectives = ["never_recovered == 0", "silence.p50 >= 1600ms after silence"]
        [topology]
        nodes = 2
        [topology.nginx]
        proxy_read_timeout = "2s"
        [traffic]
        source = "none"
        [heartbeat]
        from = "nodes"
        interval = "500ms"
        pong_timeout = "500ms"
        [[faults]]
        name = "gone"
        kind = "vanish"
        share = "20%"
        at = "2s"
        for = "2s"
        [[faults]]
        name = "deaf"
        kind = "slow-reader"
        share = "25%"
        at = "5s"
        for = "2s"
        [[faults]]
        name = "rush"
        kind = "surge"
        clients = 40
        at = "8500ms"
        for = "1500ms"
        [[faults]]
        name = "silence"
        kind = "idle-gap"
        at = "10500ms"
        for = "2800ms"
        "#,
    ) else {
        return;
    };
    assert_eq!(left.storm("gone")["cut"], json!({"local_vanish": 40}));
    // Who does not read sends no pong; the node closes, and the client finds the end when it reads again.
    let deaf = left.storm("deaf");
    assert_eq!(deaf["cut"], json!({"eof": 50}));
    let first = measure(deaf, "detection.p50");
    assert!((2.0..3.0).contains(&first), "{first}");
    assert_eq!(left.storm("rush")["clients_cut"], 0);
    let silence = left.storm("silence");
    assert_eq!(silence["cut"], json!({"eof": 200}));
    assert_eq!(silence["idle_timeouts"], 200);
    // 200 at the start, 40 and 50 again, 40 newcomers, and all again.
    assert_eq!(measure(&left.result["run"], "sessions.opened"), 530.0);
    assert_eq!(
        left.result["ends"]["local"], 40,
        "the surge left as planned"
    );
}
