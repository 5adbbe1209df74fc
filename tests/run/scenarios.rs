//! Each shipped scenario, shortened, with what its comment predicts asserted in causes and counts.

use serde_json::Value;

use crate::left::{assert_verdict, measure};
use crate::support::{Finished, Place, complete, result, turn};

/// 200 clients in half a second; all else as shipped.
const SHORT: [&str; 4] = ["--clients", "200", "--set", "clients.ramp=500ms"];

pub(crate) fn run(scenario: &str, args: &[&str]) -> (Finished, Value) {
    let _turn = turn();
    let place = Place::new();
    let args: Vec<&str> = SHORT.iter().chain(args).copied().collect();
    let finished = complete(&mut place.run_command(scenario, &args));
    let result = result(&place.out());
    assert_eq!(place.processes(&[]), [] as [String; 0]);
    for entry in result["books"].as_array().unwrap() {
        let (ours, theirs) = (entry["ours"][1].as_u64(), entry["theirs"][1].as_u64());
        assert!(ours.is_some() && theirs.is_some(), "{entry}");
    }
    (finished, result)
}

#[test]
fn idle_cuts_the_whole_fleet_after_the_read_timeout_and_all_are_back() {
    let (finished, result) = run(
        "scenarios/idle.toml",
        &[
            "--duration=7s",
            "--set=topology.nginx.proxy_read_timeout=2s",
            "--set=faults.silence.at=1s",
            "--set=faults.silence.for=2500ms",
            "--set=traffic.rate=4/s",
            "--set=objectives=[\"disconnects.share == 100% after silence\", \"silence.p50 >= 1.6s\", \
             \"never_recovered == 0\", \"messages.lost == 0\"]",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let storm = &result["storms"][0];
    assert_eq!(storm["clients_cut"], 200);
    assert_eq!(storm["cut"], serde_json::json!({"eof": 200}));
    assert_eq!(storm["idle_timeouts"], 200);
    assert_eq!(
        result["ends"]["local"],
        Value::Null,
        "sessions closed by the drain are outside the measured part"
    );
    assert_eq!(measure(&result["run"], "sessions.opened"), 400.0);
    let resumed = measure(&result["run"], "sessions.resumed");
    let lost = measure(&result["run"], "sessions.lost");
    assert_eq!(
        resumed + lost,
        200.0,
        "each reconnect finds its session or does not"
    );
}

#[test]
fn idle_heartbeat_keeps_every_tunnel() {
    let (finished, result) = run(
        "scenarios/idle-heartbeat.toml",
        &[
            "--duration=6s",
            "--set=topology.nginx.proxy_read_timeout=2s",
            "--set=heartbeat.interval=700ms",
            "--set=heartbeat.pong_timeout=700ms",
            "--set=faults.silence.at=1s",
            "--set=faults.silence.for=4s",
            "--set=objectives=[\"disconnects == 0\", \"messages.lost == 0\"]",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    assert_eq!(result["storms"][0]["clients_cut"], 0);
    assert_eq!(measure(&result["run"], "sessions.opened"), 200.0);
}

#[test]
fn node_kill_cuts_the_sessions_of_that_node_and_no_other_and_starves_it_after() {
    let (finished, result) = run(
        "scenarios/node-kill.toml",
        &[
            "--duration=8s",
            "--set=phases.steady.from=500ms",
            "--set=phases.kill.from=2s",
            "--set=phases.growth.from=5s",
            "--set=phases.growth.clients=300",
            "--set=phases.after.from=6s",
            "--set=faults.kill-n2.at=2s",
            "--set=faults.kill-n2.for=2s",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let storm = &result["storms"][0];
    assert_eq!(
        storm["cut_by_node"],
        serde_json::json!({"n1": 0, "n2": 100})
    );
    assert_eq!(storm["returned"]["held_before"], 100);
    assert_eq!(storm["returned"]["opened_since"], 100);
    let on_it = storm["returned"]["opened_on_it"].as_u64().unwrap();
    assert!(
        on_it <= 2,
        "one connection per fail_timeout of 10s, got {on_it}"
    );
    assert!(
        finished.stdout.contains("a fair share is 50: it starves"),
        "{}",
        finished.stdout
    );
}

#[test]
fn proxy_restart_cuts_everybody_refuses_them_and_takes_them_back() {
    let (finished, result) = run(
        "scenarios/proxy-restart.toml",
        &[
            "--duration=10s",
            "--set=faults.restart.at=2s",
            "--set=faults.restart.for=1s",
            "--set=reconnect.base=200ms",
            "--set=reconnect.cap=2s",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let storm = &result["storms"][0];
    assert_eq!(storm["clients_cut"], 200);
    let (eof, reset) = (
        storm["cut"]["eof"].as_u64().unwrap_or(0),
        storm["cut"]["reset"].as_u64().unwrap_or(0),
    );
    assert_eq!(
        eof + reset,
        200,
        "nginx that stops sends a FIN, or an RST where bytes were unread: {storm}"
    );
    assert!(
        storm["failures"]["refused"].as_u64().unwrap() >= 100,
        "{storm}"
    );
    assert_eq!(storm["fewest_connected"], 0);
    assert!(measure(storm, "detection.max") < 0.5, "{storm}");
}

#[test]
fn proxy_reload_cuts_nobody() {
    let (finished, result) = run(
        "scenarios/proxy-reload.toml",
        &["--duration=6s", "--set=faults.reload.at=2s"],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let fault = &result["storms"][0]["fault"];
    assert!(
        fault["observed"].as_str().unwrap().contains("new workers"),
        "{fault}"
    );
    assert_eq!(measure(&result["run"], "sessions.opened"), 200.0);
}

#[test]
fn a_missed_objective_fails_and_one_without_data_is_inconclusive() {
    let short = ["--duration=3s", "--set=faults.reload.at=1s"];
    let missed = ["--set=objectives=[\"sessions.opened < 10\"]"];
    let (finished, result) = run(
        "scenarios/proxy-reload.toml",
        &[&short[..], &missed].concat(),
    );
    assert_verdict(&finished, &result, "fail", 1);
    let no_data = [
        "--set=traffic.source=none",
        "--set=objectives=[\"rtt.p99 < 1s\"]",
    ];
    let (finished, result) = run(
        "scenarios/proxy-reload.toml",
        &[&short[..], &no_data].concat(),
    );
    assert_verdict(&finished, &result, "inconclusive", 3);
}

#[test]
fn resending_after_a_reconnect_loses_nothing() {
    let (_, result) = run(
        "scenarios/proxy-restart.toml",
        &[
            "--duration=8s",
            "--set=faults.restart.at=2s",
            "--set=faults.restart.for=500ms",
            "--set=traffic.resend=true",
            "--set=traffic.rate=20/s",
            "--set=reconnect.base=200ms",
            "--set=reconnect.cap=2s",
            "--set=objectives=[\"messages.lost == 0\"]",
        ],
    );
    assert_eq!(result["judgement"]["verdict"], "pass", "{result:#}");
}

#[test]
fn nodes_can_push_and_ping_instead_of_clients() {
    let (_, result) = run(
        "scenarios/proxy-reload.toml",
        &[
            "--duration=5s",
            "--set=faults.reload.at=2s",
            "--set=traffic.source=nodes",
            "--set=heartbeat.from=nodes",
            "--set=heartbeat.interval=1s",
            "--set=heartbeat.pong_timeout=1s",
            "--set=objectives=[\"messages.pushed > 500\", \"messages.sent == 0\", \"disconnects == 0\"]",
        ],
    );
    assert_eq!(result["judgement"]["verdict"], "pass", "{result:#}");
}

#[test]
fn clients_that_give_up_miss_their_messages_and_cost_availability() {
    let (_, result) = run(
        "scenarios/proxy-restart.toml",
        &[
            "--duration=6s",
            "--set=faults.restart.at=2s",
            "--set=faults.restart.for=1s",
            "--set=reconnect.policy=none",
            "--set=objectives=[\"never_recovered == 200\"]",
        ],
    );
    assert_eq!(result["judgement"]["verdict"], "pass", "{result:#}");
    // 200 clients, one message a second, away for the last 4 of 6 s; connected for 2 of about 5.75 wanted seconds.
    let missed = measure(&result["run"], "messages.missed");
    assert!((780.0..=820.0).contains(&missed), "{missed}");
    let availability = measure(&result["run"], "availability");
    assert!((0.29..0.34).contains(&availability), "{availability}");
}

#[test]
fn a_proxy_that_does_not_forward_the_upgrade_gets_426_for_every_attempt() {
    let (_, result) = run(
        "scenarios/proxy-reload.toml",
        &[
            "--duration=4s",
            "--set=faults=[]",
            "--set=topology.nginx.upgrade_headers=false",
            "--set=objectives=[\"handshake.success == 0%\"]",
        ],
    );
    assert_eq!(result["judgement"]["verdict"], "pass", "{result:#}");
    let failures = result["failures"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["status_426"]);
}

#[test]
fn an_edited_record_does_not_pass() {
    let _turn = turn();
    let place = Place::new();
    let args = [
        "--clients=50",
        "--duration=3s",
        "--set=faults.reload.at=1s",
        "--set=clients.ramp=500ms",
    ];
    let finished = complete(&mut place.run_command("scenarios/proxy-reload.toml", &args));
    assert_eq!(finished.code, 0, "{}", finished.stdout);
    let out = place.out();
    let report =
        || complete(&mut place.command(&["report", out.to_str().unwrap(), "--quiet"])).code;
    assert_eq!(report(), 0);
    let edit = |file: &str, change: fn(String) -> String| {
        let before = std::fs::read_to_string(out.join(file)).unwrap();
        let after = change(before.clone());
        assert_ne!(before, after, "{file}");
        std::fs::write(out.join(file), after).unwrap();
        let code = report();
        std::fs::write(out.join(file), before).unwrap();
        code
    };
    assert_eq!(
        edit("latency.hlog", |text| text
            .lines()
            .take(4)
            .map(|l| format!("{l}\n"))
            .collect()),
        3
    );
    assert_eq!(
        edit("intervals.jsonl", |text| text
            .replacen("\"attempts\":[", "\"attempts\":[7,", 1)
            .replacen(",0],\"opened\"", "],\"opened\"", 1)),
        3
    );
    assert_eq!(
        edit("intervals.jsonl", |text| text
            .lines()
            .skip(1)
            .map(|l| format!("{l}\n"))
            .collect()),
        3
    );
    assert_eq!(
        edit("outages.jsonl", |_| {
            "{\"at_us\":5,\"client\":1,\"what\":\"back\",\"node\":0,\"attempts\":1}\n".into()
        }),
        3
    );
    assert_eq!(report(), 0);
}
