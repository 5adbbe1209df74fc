//! Link and client faults against the real nginx: who was cut, how it looked and when.

use serde_json::{Value, json};

use crate::left::{assert_fin, assert_verdict, measure};
use crate::scenarios::run;

/// The named quantile of a storm's detection times, in seconds.
fn detection(storm: &Value, quantile: &str) -> f64 {
    measure(storm, &format!("detection.{quantile}"))
}

/// Runs a scenario that is no shipped one: 200 clients that reconnect at once, and these faults.
fn run_faults(head: &str, faults: &str) -> Value {
    let text = format!(
        "{head}\n[clients]\ncount = 200\n[reconnect]\npolicy = \"constant\"\njitter = \"full\"\nbase = \"300ms\"\n{faults}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faults.toml");
    std::fs::write(&path, text).unwrap();
    let (finished, result) = run(path.to_str().unwrap(), &[]);
    assert_verdict(&finished, &result, "pass", 0);
    result
}

#[test]
fn a_blackhole_is_found_by_pings_alone_and_new_connections_wait_in_vain() {
    let (finished, result) = run(
        "scenarios/blackhole.toml",
        &[
            "--duration=11s",
            "--set=faults.hole.at=2s",
            "--set=faults.hole.for=4s",
            "--set=heartbeat.interval=1s",
            "--set=heartbeat.pong_timeout=1s",
            "--set=clients.handshake_timeout=1s",
            "--set=reconnect.cap=1s",
            "--set=objectives=[\"disconnects.share == 100% after hole\", \"never_recovered == 0\"]",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let storm = &result["storms"][0];
    assert_eq!(storm["cut"], json!({"pong_timeout": 200}));
    let (first, last) = (detection(storm, "p50"), detection(storm, "max"));
    assert!((1.0..2.3).contains(&first) && last < 2.6, "{first} {last}");
    let failures = storm["failures"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["upgrade_timeout"]);
    assert!(measure(storm, "fleet_recovery") > 4.0);
    assert!(
        finished.stdout.contains("edge-relay stood in the way"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_node_in_a_blackhole_is_found_by_nginx_when_nobody_speaks_and_only_its_sessions_are_cut() {
    // The nodes ping; pings of n2 are lost, those of n1 keep its tunnels.
    let result = run_faults(
        "duration = \"9s\"\n[topology]\nnodes = 2\n[topology.nginx]\nproxy_read_timeout = \"2s\"\n[traffic]\n\
         source = \"none\"\n[heartbeat]\nfrom = \"nodes\"\ninterval = \"500ms\"\npong_timeout = \"500ms\"\n",
        "[[faults]]\nname = \"hole\"\nkind = \"blackhole\"\nlink = \"upstream\"\nnode = \"n2\"\n\
         at = \"2s\"\nfor = \"4s\"\n",
    );
    let storm = &result["storms"][0];
    assert_eq!(storm["cut_by_node"], json!({"n1": 0, "n2": 100}));
    assert_eq!(storm["cut"], json!({"eof": 100}));
    assert_eq!(storm["idle_timeouts"], 100);
    let silence = measure(storm, "silence.p50");
    assert!((1.6..3.0).contains(&silence), "{silence}");
}

#[test]
fn a_reset_shows_on_its_own_side_of_nginx_only_and_a_half_close_ends_the_tunnel() {
    let result = run_faults(
        "duration = \"11s\"\nobjectives = [\"fleet_recovery < 2s\", \"handshake.success == 100%\"]\n[topology]\nnodes = 2\n",
        "[[faults]]\nname = \"edge\"\nkind = \"reset-link\"\nat = \"2s\"\n\
         [[faults]]\nname = \"node\"\nkind = \"reset-link\"\nlink = \"upstream\"\nnode = \"n2\"\nat = \"4s\"\n\
         [[faults]]\nname = \"half\"\nkind = \"half-close\"\nlink = \"edge\"\ndirection = \"to-server\"\nat = \"6s\"\n\
         [[faults]]\nname = \"half-up\"\nkind = \"half-close\"\nlink = \"upstream\"\nnode = \"n1\"\n\
         direction = \"to-client\"\nat = \"8s\"\n",
    );
    let storms = result["storms"].as_array().unwrap();
    assert_eq!(storms[0]["cut"], json!({"reset": 200}));
    // A RST of the node is a FIN to the client, and nobody of the other node is cut.
    assert_eq!(storms[1]["cut_by_node"]["n1"], 0);
    assert_fin(&storms[1]);
    // nginx knows no half-open tunnels: it closes both sides.
    assert_eq!(storms[2]["clients_cut"], 200);
    assert_fin(&storms[2]);
    assert_eq!(storms[3]["cut_by_node"]["n2"], 0);
    assert_fin(&storms[3]);
    for storm in storms {
        assert!(storm["clients_cut"].as_u64().unwrap() >= 60, "{storm}");
        let last = detection(storm, "max");
        assert!(last < 0.5, "{last}");
    }
}

#[test]
fn latency_bandwidth_and_slices_slow_what_is_said_and_cut_nobody_and_a_closed_door_keeps_newcomers_out()
 {
    let result = run_faults(
        "duration = \"10s\"\nobjectives = [\"disconnects == 100\", \"messages.lost <= 100\", \
         \"handshake.failed.refused > 50\", \"never_recovered == 0\"]\n\
         [topology]\nnodes = 2\n[traffic]\nrate = \"5/s\"\nsize = \"512B\"\n",
        "[[phases]]\nname = \"before\"\nfrom = \"0s\"\n[[phases]]\nname = \"late\"\nfrom = \"2s\"\n\
         [[phases]]\nname = \"slow\"\nfrom = \"4s\"\n[[phases]]\nname = \"pieces\"\nfrom = \"6s\"\n\
         [[phases]]\nname = \"closed\"\nfrom = \"7500ms\"\n\
         [[faults]]\nname = \"late\"\nkind = \"latency\"\ndelay = \"100ms\"\njitter = \"20ms\"\nat = \"2s\"\nfor = \"1900ms\"\n\
         [[faults]]\nname = \"slow\"\nkind = \"bandwidth\"\nrate = \"4KiB/s\"\ndirection = \"to-client\"\nat = \"4s\"\n\
         for = \"1900ms\"\n\
         [[faults]]\nname = \"pieces\"\nkind = \"slice\"\nlink = \"upstream\"\nsize = \"100B\"\ngap = \"10ms\"\nat = \"6s\"\n\
         for = \"1400ms\"\n\
         [[faults]]\nname = \"closed\"\nkind = \"refuse-link\"\nat = \"7600ms\"\nfor = \"1s\"\n\
         [[faults]]\nname = \"flap\"\nkind = \"mass-disconnect\"\nshare = \"50%\"\nhow = \"fin\"\nat = \"7700ms\"\n",
    );
    let rtt = |phase: usize| measure(&result["phases"][phase], "rtt.p50");
    assert!(rtt(0) < 0.05, "{}", rtt(0));
    // Each way takes 100 ms ± 20 ms.
    assert!((0.15..0.26).contains(&rtt(1)), "{}", rtt(1));
    // 538 bytes of an echo in six pieces, 10 ms apart, each way.
    assert!((0.08..0.25).contains(&rtt(3)), "{}", rtt(3));
    assert_eq!(result["ends"]["local_fin"], 100);
}

#[test]
fn a_mass_disconnect_hits_exactly_its_share_over_all_agents_and_they_come_back_at_once() {
    let (finished, result) = run(
        "scenarios/mass-disconnect.toml",
        &[
            "--agents=2",
            "--duration=7s",
            "--set=faults.flap.at=3s",
            "--set=reconnect.base=500ms",
            "--set=objectives=[\"disconnects.share == 30% after flap\", \"amplification == 1 after flap\", \
             \"never_recovered == 0\"]",
        ],
    );
    assert_verdict(&finished, &result, "pass", 0);
    let storm = &result["storms"][0];
    assert_eq!(storm["cut"], json!({"local_reset": 60}));
    assert_eq!(storm["fault"]["observed"], "60 clients left with a RST");
    assert!(detection(storm, "max") < 0.5);
}

#[test]
fn vanished_clients_leave_their_tunnels_to_nginx_deaf_ones_are_dropped_by_nodes_and_a_surge_comes_and_goes()
 {
    let result = run_faults(
        "duration = \"13s\"\nobjectives = [\"never_recovered == 0\"]\n[topology]\nnodes = 2\n[topology.nginx]\n\
         balance = \"hash-client\"\n[traffic]\nsource = \"none\"\n[heartbeat]\nfrom = \"nodes\"\ninterval = \"500ms\"\n\
         pong_timeout = \"500ms\"\n",
        "[[faults]]\nname = \"gone\"\nkind = \"vanish\"\nshare = \"20%\"\nat = \"2s\"\nfor = \"2s\"\n\
         [[faults]]\nname = \"deaf\"\nkind = \"slow-reader\"\nshare = \"25%\"\nat = \"5s\"\nfor = \"2s\"\n\
         [[faults]]\nname = \"rush\"\nkind = \"surge\"\nclients = 40\nat = \"9s\"\nfor = \"2s\"\n",
    );
    let storms = &result["storms"];
    assert_eq!(storms[0]["cut"], json!({"local_vanish": 40}));
    // Who does not read sends no pong; the node closes, and the client finds the end when it reads again.
    assert_eq!(storms[1]["cut"], json!({"eof": 50}));
    let first = detection(&storms[1], "p50");
    assert!((2.0..3.0).contains(&first), "{first}");
    assert_eq!(storms[2]["clients_cut"], 0);
    // 200 at the start, 40 and 50 again, 40 newcomers.
    assert_eq!(measure(&result["run"], "sessions.opened"), 330.0);
    assert_eq!(result["ends"]["local"], 40, "the surge left as planned");
}
