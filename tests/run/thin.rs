//! Thinning: whatever is put aside and when, what is judged stays the same to the last count.

use std::path::Path;

use serde_json::Value;

use crate::support::{Place, complete, lines, result, turn};

/// Moves what happened before `second` to the files that are thinned.
fn put_aside(out: &Path, second: u64) {
    let json = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let split = |name: &str, old: &str, is_old: &dyn Fn(&str) -> bool| {
        let text = std::fs::read_to_string(out.join(name)).unwrap();
        let (mut aside, mut rest) = (String::new(), String::new());
        for line in text.split_inclusive('\n') {
            let is_head = line.starts_with(['#', '"']);
            if is_head || is_old(line) {
                aside.push_str(line);
            }
            if is_head || !is_old(line) {
                rest.push_str(line);
            }
        }
        std::fs::write(out.join(old), aside).unwrap();
        std::fs::write(out.join(name), rest).unwrap();
    };
    split("intervals.jsonl", "intervals.old.jsonl", &|line| {
        json(line)["second"].as_u64().unwrap() < second
    });
    split("outages.jsonl", "outages.old.jsonl", &|line| {
        json(line)["at_us"].as_u64().unwrap() < second * 1_000_000
    });
    split("latency.hlog", "latency.old.hlog", &|line| {
        let start = line.split(',').find(|field| !field.starts_with("Tag="));
        start.unwrap().parse::<f64>().unwrap() < second as f64
    });
}

#[test]
fn thinning_a_record_changes_nothing_that_is_judged() {
    let _turn = turn();
    let place = Place::new();
    let args = [
        "--clients=200",
        "--duration=7s",
        "--set=clients.ramp=500ms",
        "--set=faults.restart.at=2s",
        "--set=faults.restart.for=600ms",
    ];
    let finished = complete(&mut place.run_command("scenarios/proxy-restart.toml", &args));
    let out = place.out();
    let whole = result(&out);
    let books = whole["books"].as_array().unwrap().len();
    assert!(books >= 7, "{}", finished.stdout);
    // Before the fault, right after it with clients still out, and once more.
    for (round, second) in [1, 4, 5].into_iter().enumerate() {
        put_aside(&out, second);
        let thin = complete(
            place
                .command(&["thin", "--folder"])
                .arg(&out)
                .arg("--access-log")
                .arg(out.join("logs/nginx-access.log")),
        );
        assert_eq!(thin.code, 0, "{}", thin.stderr);
        let report = complete(place.command(&["report"]).arg(&out));
        assert_eq!(report.code, finished.code, "{}", report.stderr);
        let thinned = result(&out);
        assert_eq!(thinned, whole, "after round {round}");
        assert!(!out.join("intervals.old.jsonl").exists());
    }
    assert_eq!(lines(&out.join("history.jsonl")), 1);
    let stretch: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("history.jsonl")).unwrap()).unwrap();
    assert_eq!(
        (stretch["second"].as_u64(), stretch["span"].as_u64()),
        (Some(0), Some(5))
    );
    let history = std::fs::read_to_string(out.join("history.hlog")).unwrap();
    assert!(history.contains("Tag=handshake,0.000,5.000,"), "{history}");
}

#[test]
fn a_run_thins_its_record_as_it_grows() {
    let _turn = turn();
    let place = Place::new();
    let args = [
        "--clients=300",
        "--duration=9s",
        "--set=clients.ramp=500ms",
        "--set=record.detail=64KiB",
        "--set=phases=[]",
        "--set=topology.nginx.max_fails=0",
        "--set=faults.kill-n2.at=1500ms",
        "--set=faults.kill-n2.for=500ms",
        "--set=objectives=[\"disconnects == 150\", \"never_recovered == 0\"]",
    ];
    let finished = complete(&mut place.run_command("scenarios/node-kill.toml", &args));
    let out = place.out();
    let result = result(&out);
    assert_eq!(finished.code, 0, "{}\n{}", finished.stdout, finished.stderr);
    assert_eq!(
        result["notes"],
        serde_json::json!([]),
        "{}",
        finished.stderr
    );
    let text = std::fs::read_to_string(out.join("checkpoint.json")).unwrap();
    let checkpoint: Value = serde_json::from_str(&text).unwrap();
    let seconds = checkpoint["seconds"].as_u64().unwrap();
    assert!(seconds >= 3, "{seconds}");
    let first = std::fs::read_to_string(out.join("intervals.jsonl")).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    assert!(first["second"].as_u64().unwrap() >= seconds);
    assert!(out.join("logs/nginx-access.1.log").exists());
}
