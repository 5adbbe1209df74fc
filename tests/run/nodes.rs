//! Nodes that hang, do not read, refuse, or die before they have said goodbye: who was cut, how it looked, and when.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::left::measure;
use crate::play::{play, play_with};
use crate::support::{Place, finish, turn, wait_for};

/// nginx's words for a tunnel that took nothing, or said nothing, for too long.
const TIMED_OUT: &str =
    "upstream timed out (110: Connection timed out) while proxying upgraded connection";

#[test]
fn who_says_nothing_is_cut_by_nginx_after_the_read_timeout_and_who_hears_nothing_by_its_node() {
    // Only nodes ping. A node that gets no pong gives up after 500 ms, nginx without a byte either way after 2 s.
    let left = play_with(
        // Who comes back does so when the node is itself again, or has lost nginx's patience.
        "[clients]\ncount = 200\nramp = \"500ms\"\n\
         [reconnect]\npolicy = \"constant\"\njitter = \"none\"\nbase = \"1500ms\"\n",
        r#"
        duration = "19s"
        objectives = ["never_recovered == 0", "handshake.success == 100%"]
        faults = [
            { kind = "pause-node", name = "hang", target = "n2", at = "2s", for = "6s" },
            { kind = "blackhole", name = "deaf", link = "upstream", node = "n1", direction = "to-server", at = "10s",
              for = "1200ms" },
            { kind = "blackhole", name = "mute", link = "upstream", node = "n2", direction = "to-client", at = "14s",
              for = "2500ms" },
        ]
        [topology]
        nodes = 2
        [topology.nginx]
        balance = "hash-client"
        max_fails = 0
        proxy_read_timeout = "2s"
        [traffic]
        source = "none"
        [heartbeat]
        from = "nodes"
        interval = "500ms"
        pong_timeout = "500ms"
        "#,
    );
    left.passes();
    // The last byte is up to an interval old, and nginx does not move a timer by less than 300 ms.
    let idle = 1.2..2.3;
    for (name, node, after) in [
        ("hang", 2, idle.clone()),
        ("deaf", 1, 0.4..1.3),
        ("mute", 2, idle),
    ] {
        let is_idle = name != "deaf";
        left.assert_node_cut(name, node, "eof", after);
        let storm = left.storm(name);
        let idle = storm["idle_timeouts"].as_u64();
        let all = storm["clients_cut"].as_u64();
        assert_eq!(idle, if is_idle { all } else { Some(0) }, "{storm}");
    }
    let by_nginx = ["hang", "mute"].map(|name| left.storm(name)["clients_cut"].as_u64().unwrap());
    assert_eq!(
        left.errors_with(&["[info]", TIMED_OUT]),
        by_nginx.iter().sum::<u64>()
    );
    // Who comes back to a node that hangs waits until nginx has lost patience with it and asks the other one.
    let waited = measure(left.storm("hang"), "upgrade.p50");
    assert!((1.9..2.6).contains(&waited), "{waited}");
}

#[test]
fn a_flooded_node_that_does_not_read_costs_its_clients_their_tunnels_after_the_send_timeout() {
    // The kernel takes some megabytes a tunnel before nginx notices, so a few clients say much.
    let left = play_with(
        "[clients]\ncount = 6\nramp = \"500ms\"\n[reconnect]\nbase = \"200ms\"\ncap = \"1s\"\n",
        r#"
        duration = "12s"
        objectives = ["never_recovered == 0"]
        faults = [{ kind = "stop-reading", name = "full", target = "n2", at = "2s", for = "6s" }]
        [topology]
        nodes = 2
        [topology.nginx]
        proxy_send_timeout = "1s"
        [traffic]
        rate = "50/s"
        size = "64KiB"
        "#,
    );
    left.passes();
    let first = left.first_by_node();
    assert_eq!(first.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(first[&2].len(), 3, "half of them");
    let (began, healing) = (left.at("full", "began_us"), left.at("full", "healing_us"));
    for cut in &left.cuts {
        assert_eq!((cut.node, cut.cause.as_str()), (2, "eof"), "{cut:?}");
        assert!((began + 1.0..healing).contains(&cut.at_s), "{cut:?}");
    }
    let told = left.errors_with(&["[info]", TIMED_OUT]);
    assert_eq!(told, left.cuts.len() as u64, "{}", left.errors);
}

#[test]
fn a_node_that_cannot_say_goodbye_is_killed_after_its_grace_and_refusing_keeps_newcomers_out() {
    let left = play(
        r#"
        duration = "15s"
        objectives = [
            "never_recovered == 0", "disconnects.share == 50% after refuse", "disconnects.local_fin == 100 after refuse",
            "handshake.failed == 0 after grace",
        ]
        faults = [
            { kind = "blackhole", name = "unanswered", link = "upstream", node = "n1", direction = "to-server", at = "2s",
              for = "2500ms" },
            { kind = "stop-node", name = "grace", target = "n1", code = 1012, grace = "600ms", at = "2200ms", for = "1500ms" },
            { kind = "blackhole", name = "unheard", link = "upstream", node = "n2", direction = "to-client", at = "7s",
              for = "2500ms" },
            { kind = "stop-node", name = "late", target = "n2", grace = "600ms", at = "7200ms", for = "1500ms" },
            { kind = "refuse-upgrades", name = "refuse", target = "n1", at = "12s", for = "1500ms" },
            { kind = "mass-disconnect", name = "flap", share = "50%", how = "fin", at = "12200ms" },
        ]
        [topology]
        nodes = 2
        [topology.nginx]
        max_fails = 0
        proxy_read_timeout = "1s"
        [traffic]
        rate = "4/s"
        "#,
    );
    left.passes();
    // The close frame comes through at once; the answer does not, so the node waits for it in vain.
    left.assert_node_cut("grace", 1, "close_1012", 0.0..0.5);
    // Nothing comes, not even the end of a node that is killed meanwhile; its last words do, when the hole is over, unless
    // nginx is about to pass a message on, finds nobody, and does not look for words any more.
    left.assert_node_cut_by("late", 2, ["close_1001", "eof"], 2.2..2.8);
    for name in ["grace", "late"] {
        let seen = left.observed(name);
        assert!(seen.contains("1 of them by force after 600ms"), "{seen}");
        let took = left.at(name, "confirmed_us") - left.at(name, "began_us");
        assert!((0.6..1.1).contains(&took), "{took}");
    }
    let causes = left.storm("flap")["failures"].as_object().unwrap();
    assert_eq!(causes.keys().collect::<Vec<_>>(), ["status_503"]);
}

/// nginx's answer to an upgrade asked for by hand.
fn ask(endpoint: &str) -> String {
    let mut stream = TcpStream::connect(endpoint).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let request = "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_refusal_comes_through_nginx_with_the_retry_after_that_it_was_given_or_none() {
    let _turn = turn();
    let place = Place::new();
    let file = place.tmp().join("refuse.toml");
    let text = r#"
        duration = "30s"
        faults = [
            { kind = "refuse-upgrades", name = "later", target = "n1", retry_after = "7s", at = "1s", for = "25s" },
            { kind = "refuse-upgrades", name = "no", target = "n2", at = "1s", for = "25s" },
        ]
        [topology]
        nodes = 2
        [clients]
        count = 2
        ramp = "100ms"
        "#;
    std::fs::write(&file, text).unwrap();
    let patience = Duration::from_secs(30);
    let mut child = place
        .run_command(file.to_str().unwrap(), &[])
        .spawn()
        .unwrap();
    wait_for("both nodes to refuse", patience, || {
        assert!(child.try_wait().unwrap().is_none());
        let faults = std::fs::read_to_string(place.out().join("faults.jsonl"));
        faults.is_ok_and(|text| {
            text.contains("n1 is refusing upgrades") && text.contains("n2 is refusing upgrades")
        })
    });
    let conf = std::fs::read_to_string(place.out().join("nginx.conf")).unwrap();
    let listen = conf.split("listen ").nth(1).unwrap();
    let (endpoint, _) = listen.split_once(';').unwrap();
    // In turn, whichever node is next.
    let mut answers = [ask(endpoint), ask(endpoint)];
    answers.sort_by_key(|answer| !answer.contains("X-Wssoak-Node: n1"));
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    finish(child, patience);
    for (answer, retry_after) in answers.iter().zip([Some("7"), None]) {
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        let mut lines = answer.lines();
        let found = lines.find_map(|line| line.strip_prefix("Retry-After: "));
        assert_eq!(found, retry_after, "{answers:?}");
    }
}
