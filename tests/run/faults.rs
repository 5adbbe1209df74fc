//! Each fault against the real nginx: who was cut, how it looked to them, and when.
//!
//! Whole runs are expensive, so each holds as many faults as can be told apart: by the node that a client was on, or by
//! the time.

use crate::left::{Cut, assert_fin, assert_verdict, measure};
use crate::play::play;
use crate::scenarios::run;

#[test]
fn four_nodes_fail_in_four_ways_at_once_and_each_looks_as_it_should() {
    let left = play(
        r#"
        duration = "10s"
        objectives = ["never_recovered == 0", "disconnects.reset == 0"]
        [topology]
        nodes = 4
        [topology.nginx]
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
        name = "hang"
        kind = "pause-node"
        target = "n2"
        at = "2s"
        for = "3s"
        [[faults]]
        name = "mute"
        kind = "no-pong"
        target = "n3"
        at = "2s"
        for = "3s"
        [[faults]]
        name = "deaf"
        kind = "stop-reading"
        target = "n4"
        at = "2s"
        for = "3s"
        "#,
    );
    left.passes();
    let began = left.at("stop", "began_us");
    for (node, cuts) in left.first_by_node() {
        assert_eq!(cuts.len(), 50, "n{node}: round robin");
        let (cause, after) = match node {
            1 => ("close_1012", 0.0..1.0),
            // Half a ping interval on average, and the pong timeout.
            _ => ("pong_timeout", 0.9..2.6),
        };
        for cut in cuts {
            assert_eq!(cut.cause, cause, "n{node}: {cut:?}");
            assert!(after.contains(&(cut.at_s - began)), "n{node}: {cut:?}");
        }
    }
    for (name, word) in [
        ("stop", "gone, in order"),
        ("hang", "stopped, says the kernel"),
        ("mute", "not answering pings"),
        ("deaf", "not reading"),
    ] {
        let observed = left.fault(name)["observed"].as_str().unwrap();
        assert!(observed.contains(word), "{observed}");
    }
}

#[test]
fn refused_and_slow_handshakes_and_a_rolling_restart_of_drawn_nodes() {
    let left = play(
        r#"
        duration = "13s"
        objectives = [
            "never_recovered == 0",
            "handshake.failed.status_503 >= 50 after restart",
            "upgrade.p50 >= 400ms after restart",
            "disconnects.share == 100% after roll",
        ]
        [topology]
        nodes = 2
        [topology.nginx]
        max_fails = 0
        [[faults]]
        name = "no"
        kind = "refuse-upgrades"
        target = "n1"
        retry_after = "1s"
        at = "1500ms"
        for = "2500ms"
        [[faults]]
        name = "slow"
        kind = "slow-handshake"
        target = "n2"
        delay = "400ms"
        at = "1500ms"
        for = "2500ms"
        [[faults]]
        name = "restart"
        kind = "restart-proxy"
        at = "2s"
        for = "300ms"
        [[faults]]
        name = "roll"
        kind = "restart-node"
        target = "all"
        pause = "1500ms"
        at = "7s"
        every = "3s"
        until = "10s"
        "#,
    );
    left.passes();
    // Until n1 takes sessions again, all that come back are n2's.
    let roll = left.at("roll", "began_us");
    let [first, second] = ["roll", "roll#2"].map(|name| left.at(name, "began_us"));
    assert!((2.9..3.3).contains(&(second - first)), "{first} {second}");
    for cut in left.between(roll, 13.0) {
        assert_eq!(cut.cause, "close_1001", "{cut:?}");
    }
    let half = left.between(roll, roll + 1.4);
    assert!(half.iter().all(|cut| cut.node == 1), "n1 comes first");
    let targets = &left.fault("roll")["targets"];
    assert_eq!(targets, &serde_json::json!(["n1", "n2"]));
}

#[test]
fn each_way_to_hurt_nginx_cuts_whom_it_should_when_it_should() {
    let left = play(
        r#"
        duration = "17s"
        objectives = [
            "never_recovered == 0",
            "disconnects == 0 in settings",
            "rtt.max >= 700ms after paused",
            "disconnects.share == 100% after killed",
            "handshake.failed.refused >= 100 after killed",
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
        name = "rest"
        from = "4s"
        [[faults]]
        name = "other"
        kind = "reconfigure-proxy"
        set = { max_fails = 7, balance = "least-conn" }
        at = "2s"
        for = "1s"
        [[faults]]
        name = "worker"
        kind = "kill-worker"
        at = "4s"
        [[faults]]
        name = "paused"
        kind = "pause-worker"
        at = "6s"
        for = "1s"
        [[faults]]
        name = "killed"
        kind = "kill-proxy"
        at = "8s"
        for = "500ms"
        [[faults]]
        name = "quit"
        kind = "quit-proxy"
        at = "12s"
        for = "1500ms"
        "#,
    );
    left.passes();
    let (worker, paused) = (left.at("worker", "began_us"), left.at("paused", "began_us"));
    let dead = left.between(worker, worker + 1.0);
    // All are on the two workers of the first configuration, which drain: the busier one has at least half.
    assert!(dead.len() >= 100, "{}", dead.len());
    assert!(
        dead.iter()
            .all(|cut| ["eof", "reset"].contains(&cut.cause.as_str()))
    );
    let later = left.between(worker + 1.0, left.at("killed", "began_us"));
    assert_eq!(
        later,
        [] as [&Cut; 0],
        "a worker that is stopped at {paused} cuts nobody"
    );
    let killed = left.between(left.at("killed", "began_us"), left.at("killed", "ended_us"));
    assert_eq!(killed.len(), 200);
    let last = killed.iter().map(|cut| cut.at_s).fold(0.0, f64::max);
    assert!(last - left.at("killed", "began_us") < 0.5, "{last}");
    for cut in left.between(left.at("killed", "began_us"), 17.0) {
        assert!(["eof", "reset"].contains(&cut.cause.as_str()), "{cut:?}");
    }
    let (quit, healing) = (left.at("quit", "began_us"), left.at("quit", "healing_us"));
    assert_eq!(
        left.between(quit, healing),
        [] as [&Cut; 0],
        "a quit nginx lingers"
    );
    assert_eq!(left.between(healing, 17.0).len(), 200);
    let books = left.result["books"].as_array().unwrap();
    let tunnels = books
        .iter()
        .find(|entry| entry["what"].as_str().unwrap().starts_with("tunnels"));
    let silent = dead.len() + 400;
    let what = tunnels.unwrap()["what"].as_str().unwrap();
    assert!(what.contains(&format!("less {silent} cut")), "{what}");
}

#[test]
fn a_killed_worker_takes_its_share_along_and_no_other() {
    let (finished, result) = run(
        "scenarios/proxy-kill-worker.toml",
        &[
            "--duration=7s",
            "--set=faults.oom.at=2s",
            "--set=topology.nginx.worker_processes=2",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let storm = &result["storms"][0];
    let cut = storm["clients_cut"].as_u64().unwrap();
    let observed = storm["fault"]["observed"].as_str().unwrap();
    let files: u64 = observed.split(' ').nth(3).unwrap().parse().unwrap();
    // Two files a tunnel, and a few for listeners, logs and epoll.
    assert!(
        (2 * cut..2 * cut + 20).contains(&files),
        "{cut} cut: {observed}"
    );
}

#[test]
fn a_reload_with_a_shutdown_timeout_cuts_everybody_at_its_end() {
    let (finished, result) = run(
        "scenarios/proxy-reload-shutdown-timeout.toml",
        &[
            "--duration=9s",
            "--set=faults.reload.at=2s",
            "--set=topology.nginx.worker_shutdown_timeout=2s",
            "--set=reconnect.base=500ms",
            "--set=objectives=[\"detection.p50 >= 1.9s after reload\", \"detection.max < 3s after reload\", \
             \"never_recovered == 0\", \"handshake.success == 100%\"]",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let storm = &result["storms"][0];
    assert_eq!(storm["clients_cut"], 200);
    assert_fin(storm);
}

#[test]
fn exhausted_workers_turn_newcomers_away_and_keep_the_rest() {
    let (finished, result) = run(
        "scenarios/worker-connections.toml",
        &[
            "--duration=9s",
            "--set=faults.exhausted.at=1s",
            "--set=faults.exhausted.for=3s",
            "--set=phases.steady.from=600ms",
            "--set=phases.growth.from=1500ms",
            "--set=phases.growth.clients=400",
            "--set=phases.after.from=3s",
            "--set=reconnect.base=200ms",
            "--set=reconnect.cap=1s",
            "--set=objectives=[\"disconnects == 0\", \"handshake.success < 80% in growth\", \"fleet_recovery < 7s\"]",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let failures = result["failures"].as_object().unwrap();
    let known = ["reset", "eof", "status_500"];
    assert!(
        failures.keys().all(|cause| known.contains(&cause.as_str())),
        "{failures:?}"
    );
    assert_eq!(measure(&result["run"], "sessions.opened"), 400.0);
}

#[test]
fn without_a_steady_state_before_the_first_fault_nothing_is_concluded() {
    let (finished, result) = run(
        "scenarios/proxy-reload.toml",
        &[
            "--duration=3s",
            "--set=faults.reload.at=1s",
            "--set=topology.nginx.upgrade_headers=false",
            "--set=objectives=[]",
        ],
    );
    assert_verdict(&finished, &result, "inconclusive", 3);
    let reason = result["judgement"]["reasons"][0].as_str().unwrap();
    assert!(
        reason.starts_with("there was no steady state before the first fault, `reload`: 0 of 200"),
        "{reason}"
    );
}
