//! Faults of every family that overlap, at times drawn from the seed: whatever happens, the books balance.

use crate::left::assert_verdict;
use crate::scenarios::run;

/// Fault, due, spread and length in ms: the shipped scenario in a twelfth of its time.
const TIMES: [(&str, u32, u32, u32); 14] = [
    ("kill", 2000, 3000, 1500),
    ("hang", 2000, 4000, 2000),
    ("leave", 4000, 3000, 1000),
    ("busy", 3000, 4000, 2000),
    ("worker", 2000, 1000, 0),
    ("restart", 4000, 1000, 500),
    ("reload", 6000, 3000, 0),
    ("hole", 3000, 3000, 1500),
    ("cut", 8000, 3000, 0),
    ("slow", 2000, 2000, 3000),
    ("snap", 7500, 3000, 0),
    ("flap", 2000, 3000, 0),
    ("gone", 5000, 1000, 2500),
    ("rush", 9000, 1000, 1500),
];

#[test]
fn faults_of_every_family_overlap_and_the_books_balance() {
    let mut args: Vec<String> = [
        "--duration=18s",
        "--set=clients.handshake_timeout=2s",
        "--set=reconnect.cap=1s",
        "--set=heartbeat.interval=1s",
        "--set=heartbeat.pong_timeout=1s",
        "--set=objectives=[\"availability >= 30%\", \"messages.duplicated == 0\"]",
    ]
    .map(String::from)
    .to_vec();
    for (name, at, spread, lasts) in TIMES {
        args.push(format!("--set=faults.{name}.at={at}ms"));
        args.push(format!("--set=faults.{name}.spread={spread}ms"));
        if lasts > 0 {
            args.push(format!("--set=faults.{name}.for={lasts}ms"));
        }
    }
    for seed in ["--seed=1", "--seed=2"] {
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        args.push(seed);
        let (finished, result) = run("scenarios/everything.toml", &args);
        assert_verdict(&finished, &result, "pass", 0);
        let storms = result["storms"].as_array().unwrap();
        assert_eq!(storms.len(), TIMES.len());
        for storm in storms {
            let fault = &storm["fault"];
            let name = fault["name"].as_str().unwrap();
            let (_, at, spread, _) = *TIMES.iter().find(|one| one.0 == name).unwrap();
            let planned = fault["planned_begin_us"].as_u64().unwrap() / 1000;
            let window = u64::from(at)..u64::from(at + spread);
            assert!(window.contains(&planned), "{name} at {planned}ms");
        }
    }
}

#[test]
fn nginx_may_end_before_it_hears_of_what_clients_ended_and_the_books_know() {
    let text = r#"
        duration = "15s"
        objectives = ["never_recovered == 0 after last", "disconnects.local_vanish == 100", "disconnects.pong_timeout >= 100"]
        [topology]
        nodes = 2
        [topology.nginx]
        max_fails = 0
        [clients]
        count = 200
        handshake_timeout = "1s"
        [heartbeat]
        from = "clients"
        interval = "1s"
        pong_timeout = "1s"
        [reconnect]
        base = "200ms"
        cap = "1s"
        [[faults]]
        name = "gone"
        kind = "vanish"
        share = "50%"
        at = "2s"
        for = "3s"
        [[faults]]
        name = "first"
        kind = "restart-proxy"
        at = "3s"
        for = "300ms"
        [[faults]]
        name = "hole"
        kind = "blackhole"
        at = "7s"
        for = "4s"
        [[faults]]
        name = "last"
        kind = "restart-proxy"
        at = "10s"
        for = "300ms"
        "#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("unheard.toml");
    std::fs::write(&path, text).unwrap();
    let (finished, result) = run(path.to_str().unwrap(), &[]);
    assert_verdict(&finished, &result, "pass", 0);
}
