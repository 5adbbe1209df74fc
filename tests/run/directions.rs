//! Link faults one way at a time, on the edge and upstream: what still passes, whom it cuts, how that looks, and when.

use crate::left::{Left, assert_fin, measure};
use crate::play::{play, play_with};

#[test]
fn a_short_blackhole_one_way_stops_what_goes_that_way_and_lets_it_go_on_afterwards() {
    let left = play_with(
        "[clients]\ncount = 200\nramp = \"500ms\"\nhandshake_timeout = \"500ms\"\n\
         [reconnect]\npolicy = \"constant\"\njitter = \"none\"\nbase = \"200ms\"\n",
        r#"
        duration = "17s"
        objectives = [
            "messages.lost == 0", "never_recovered == 0", "disconnects == 40", "disconnects.local_fin == 40",
        ]
        phases = [
            { name = "clear", from = "1s" },
            { name = "edge-up", from = "3s" }, { name = "after-edge-up", from = "5s" },
            { name = "edge-down", from = "6s" }, { name = "after-edge-down", from = "8s" },
            { name = "upstream-up", from = "10s" }, { name = "after-upstream-up", from = "12s" },
            { name = "upstream-down", from = "13s" }, { name = "after-upstream-down", from = "15s" },
        ]
        faults = [
            { name = "edge-up", kind = "blackhole", link = "edge", direction = "to-server", at = "2900ms", for = "2200ms" },
            { name = "flap-up", kind = "mass-disconnect", share = "10%", how = "fin", at = "3100ms" },
            { name = "edge-down", kind = "blackhole", link = "edge", direction = "to-client", at = "5900ms", for = "2200ms" },
            { name = "flap-down", kind = "mass-disconnect", share = "10%", how = "fin", at = "6100ms" },
            { kind = "blackhole", name = "upstream-up", link = "upstream", node = "n2", direction = "to-server",
              at = "9900ms", for = "2200ms" },
            { kind = "blackhole", name = "upstream-down", link = "upstream", node = "n2", direction = "to-client",
              at = "12900ms", for = "2200ms" },
        ]
        [topology]
        nodes = 2
        [traffic]
        source = "both"
        rate = "4/s"
        resend = true
        [heartbeat]
        from = "none"
        "#,
    );
    left.passes();
    // Two seconds of each phase lie within its blackhole, with four messages a second each way and client.
    let share = |phase: &str, what: &str, clients: f64| {
        left.during(phase, &format!("messages.{what}")) / (2.0 * 4.0 * clients)
    };
    let is_about = |share: f64, part: f64| (share - part).abs() <= 0.05;
    // The tenth that had just left is away.
    assert_eq!(share("edge-up", "echoed", 180.0), 0.0);
    let pushed = share("edge-up", "pushed", 180.0);
    assert!(is_about(pushed, 1.0), "nodes are still heard: {pushed}");
    assert_eq!(share("edge-down", "echoed", 180.0), 0.0);
    assert_eq!(share("edge-down", "pushed", 180.0), 0.0);
    let held = left.result["storms"].as_array().unwrap();
    let of_n1 = held.last().unwrap()["nodes_after"]["n1"].as_f64().unwrap() / 200.0;
    for (phase, pushed) in [("upstream-up", 1.0), ("upstream-down", of_n1)] {
        let shares = [share(phase, "echoed", 200.0), share(phase, "pushed", 200.0)];
        assert!(is_about(shares[0], of_n1), "{phase}: {shares:?} of {of_n1}");
        assert!(
            is_about(shares[1], pushed),
            "{phase}: {shares:?} of {of_n1}"
        );
    }
    // nginx hears of attempts if requests come through, and answers them to nobody if the 101 does not.
    let failed = |name| measure(left.storm(name), "handshake.failed.upgrade_timeout");
    let (unheard, unanswered) = (failed("flap-up"), failed("flap-down"));
    assert!(
        unheard >= 20.0 && unanswered >= 20.0,
        "{unheard} {unanswered}"
    );
    let upgraded = left.requests.iter().filter(|line| line["status"] == "101");
    let opened = measure(&left.result["run"], "sessions.opened");
    assert_eq!(upgraded.count() as f64, opened + unanswered);
}

/// nginx's words for a RST that it got.
const RESET: &str = "() failed (104: Connection reset by peer)";

#[test]
fn a_reset_is_one_on_the_side_named_and_a_half_close_either_way_ends_the_whole_tunnel() {
    let left = play(
        r#"
        duration = "12s"
        objectives = ["handshake.success == 100%", "never_recovered == 0"]
        faults = [
            { kind = "reset-link", name = "edge-client", link = "edge", direction = "to-client", at = "2s" },
            { kind = "reset-link", name = "edge-server", link = "edge", direction = "to-server", at = "3500ms" },
            { kind = "reset-link", name = "up-client", link = "upstream", node = "n2", direction = "to-client", at = "5s" },
            { kind = "reset-link", name = "up-server", link = "upstream", node = "n1", direction = "to-server", at = "6500ms" },
            { kind = "half-close", name = "half-edge", link = "edge", direction = "to-client", at = "8s" },
            { kind = "half-close", name = "half-up", link = "upstream", node = "n2", direction = "to-server", at = "9500ms" },
        ]
        [topology]
        nodes = 2
        "#,
    );
    left.passes();
    assert_eq!(
        left.storm("edge-client")["cut"],
        serde_json::json!({"reset": 200})
    );
    for (name, node) in [
        ("edge-server", None),
        ("up-client", Some("n2")),
        ("up-server", Some("n1")),
        ("half-edge", None),
        ("half-up", Some("n2")),
    ] {
        let storm = left.storm(name);
        assert_fin(storm);
        for (held_by, held) in storm["nodes_before"].as_object().unwrap() {
            let is_hit = node.is_none_or(|node| node == held_by);
            let expected = if is_hit { held.as_u64() } else { Some(0) };
            let cut = storm["cut_by_node"][held_by].as_u64();
            assert_eq!(cut, expected, "{name}: {storm}");
        }
        let last = measure(storm, "detection.max");
        assert!(last < 0.5, "{name}: {last}");
    }
    // Only nginx's own log tells the two resets that it got from the ends that it got.
    let clients = left.errors_with(&["[info]", RESET, "client:"]);
    let nodes = left.errors_with(&["[error]", RESET, "upstream:"]);
    let hit = |name: &str| left.storm(name)["clients_cut"].as_u64().unwrap();
    assert_eq!(
        (clients, nodes),
        (hit("edge-server"), hit("up-client")),
        "{}",
        left.errors
    );
}

#[test]
fn slow_links_slow_what_goes_their_way_as_much_as_they_say_and_a_closed_door_has_nginx_go_elsewhere()
 {
    let left = play(
        r#"
        duration = "18s"
        objectives = [
            "disconnects == 200", "disconnects.local_fin == 200", "never_recovered == 0", "messages.lost <= 200",
            "handshake.success == 100% in one-door", "handshake.failed.status_502 >= 50 in no-door",
        ]
        phases = [
            { name = "clear", from = "1s" },
            { name = "late", from = "2s" }, { name = "late-upstream", from = "4s" },
            { name = "slow", from = "6s" }, { name = "drain", from = "8s" },
            { name = "pieces", from = "10s" }, { name = "one-door", from = "12s" }, { name = "no-door", from = "15s" },
        ]
        faults = [
            { kind = "latency", name = "late", link = "edge", direction = "to-server", delay = "100ms", jitter = "80ms",
              at = "1900ms", for = "2s" },
            { kind = "latency", name = "late-upstream", link = "upstream", delay = "50ms", at = "3900ms", for = "2s" },
            { kind = "bandwidth", name = "slow", link = "upstream", direction = "to-server", rate = "1KiB/s",
              at = "6s", for = "2s" },
            { kind = "slice", name = "pieces", link = "edge", direction = "to-client", size = "100B", gap = "10ms",
              at = "9900ms", for = "2s" },
            { kind = "refuse-link", name = "one-door", link = "upstream", node = "n1", at = "12500ms", for = "2s" },
            { kind = "mass-disconnect", name = "flap", share = "50%", how = "fin", at = "12700ms" },
            { kind = "refuse-link", name = "no-door", link = "upstream", at = "15s", for = "1s" },
            { kind = "mass-disconnect", name = "flap-again", share = "50%", how = "fin", at = "15100ms" },
        ]
        [topology]
        nodes = 2
        [topology.nginx]
        max_fails = 0
        [traffic]
        rate = "5/s"
        size = "512B"
        "#,
    );
    left.passes();
    slow_links(&left);
    // Nobody who comes back finds n1: nginx is refused and asks n2, within the same attempt.
    let storm = left.storm("flap");
    assert_eq!(storm["failures"], serde_json::json!({}));
    let n1 = |when: &str| storm[when]["n1"].as_u64().unwrap();
    assert!((40..=60).contains(&n1("nodes_after")), "{storm}");
    assert_eq!(n1("nodes_before"), 100);
    let cut = storm["cut_by_node"]["n1"].as_u64().unwrap();
    assert_eq!(n1("nodes_before") - n1("nodes_after"), cut, "{storm}");
    // With no node to go to there is an answer, at once.
    let storm = left.storm("flap-again");
    let causes = storm["failures"].as_object().unwrap();
    assert_eq!(causes.keys().collect::<Vec<_>>(), ["status_502"]);
    assert!(left.errors_with(&["connect() failed (111: Connection refused)"]) > 0);
}

/// Round trips are as late as the link says, each way that it says.
fn slow_links(left: &Left) {
    let rtt = |phase: &str, quantile: &str| left.during(phase, &format!("rtt.{quantile}"));
    // What the machine adds is what it takes without a fault; a loaded one has stalls, so the highest are left out.
    let clear = rtt("clear", "p99");
    assert!(clear < 0.05, "{clear}");
    let within = |phase: &str, quantile: &str, from_s: f64, to_s: f64| {
        let rtt = rtt(phase, quantile);
        let range = from_s..to_s + clear;
        assert!(range.contains(&rtt), "{phase} {quantile}: {rtt}, {range:?}");
    };
    // One way of 100 ms ± 80 ms, evenly: nine tenths are within 164 ms, all within 180 ms.
    within("late", "p50", 0.09, 0.11);
    within("late", "p90", 0.15, 0.18);
    within("late", "p99", 0.17, 0.18);
    // Both ways of 50 ms, and nothing more or less.
    within("late-upstream", "p50", 0.099, 0.105);
    within("late-upstream", "p90", 0.099, 0.11);
    // 516 bytes of an echo are six pieces, so the last leaves after five gaps.
    within("pieces", "p50", 0.05, 0.06);
    // A request has 520 bytes. 102 bytes at once and 1,024 a second let three or four of ten pass within two seconds.
    let echoed = left.during("slow", "messages.echoed") / 200.0;
    assert!((3.0..=4.5).contains(&echoed), "{echoed}");
    assert_eq!(left.during("slow", "disconnects"), 0.0);
}
