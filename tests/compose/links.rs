//! Faults of links against containers: relays of this machine stand before the first proxy, and before the nodes.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::faults::play;
use crate::left::measure;
use crate::stand::{beside_others, docker, images, left, run};
use crate::support::{Place, complete, result, wait_for};

#[test]
fn a_reset_a_half_close_and_a_blackhole_cut_whom_they_should_on_the_edge_and_upstream() {
    let Some((left, _)) = play(
        r#"
        duration = "18500ms"
        objectives = ["never_recovered == 0", "fleet_recovery < 6s"]
        [topology]
        nodes = 2
        [topology.nginx]
        proxy_read_timeout = "1s"
        [traffic]
        rate = "2/s"
        [heartbeat]
        from = "clients"
        interval = "1s"
        pong_timeout = "1s"
        [[faults]]
        name = "edge"
        kind = "reset-link"
        at = "2s"
        [[faults]]
        name = "node"
        kind = "reset-link"
        link = "upstream"
        node = "n2"
        at = "3500ms"
        [[faults]]
        name = "half"
        kind = "half-close"
        direction = "to-server"
        at = "5s"
        [[faults]]
        name = "half-up"
        kind = "half-close"
        link = "upstream"
        node = "n1"
        direction = "to-client"
        at = "6500ms"
        [[faults]]
        name = "hole-up"
        kind = "blackhole"
        link = "upstream"
        node = "n2"
        at = "8s"
        for = "2600ms"
        [[faults]]
        name = "hole"
        kind = "blackhole"
        at = "12500ms"
        for = "3500ms"
        "#,
    ) else {
        return;
    };
    assert_eq!(left.storm("edge")["cut"], json!({"reset": 200}));
    // A RST of the node is a FIN to the client, and nobody of the other node is cut.
    assert_eq!(left.storm("node")["cut_by_node"]["n1"], 0);
    assert_closed(left.storm("node"));
    // nginx knows no half-open tunnels: it closes both sides.
    assert_eq!(left.storm("half")["clients_cut"], 200);
    assert_closed(left.storm("half"));
    assert_eq!(left.storm("half-up")["cut_by_node"]["n2"], 0);
    assert_closed(left.storm("half-up"));
    for name in ["edge", "node", "half", "half-up"] {
        let storm = left.storm(name);
        assert!(storm["clients_cut"].as_u64().unwrap() >= 60, "{storm}");
        let last = measure(storm, "detection.max");
        assert!(last < 0.5, "{name}: {last}");
    }
    // Pings hide the dead link from nginx, and only missing pongs tell. Half of those that n1 lost have joined n2.
    for (name, cut) in [("hole-up", 140..=160), ("hole", 200..=200)] {
        let storm = left.storm(name);
        let count = storm["clients_cut"].as_u64().unwrap();
        assert!(cut.contains(&count), "{name}: {count}");
        assert_eq!(storm["cut"], json!({"pong_timeout": count}), "{name}");
        let last = measure(storm, "detection.max");
        assert!((1.0..2.6).contains(&last), "{name}: {last}");
    }
    assert_eq!(left.storm("hole-up")["cut_by_node"]["n1"], 0);
    // The kernel completes connects into a blackhole; nothing answers them.
    let failures = left.storm("hole")["failures"].as_object().unwrap();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["upgrade_timeout"]);
    for relay in ["edge-relay", "n1-relay", "n2-relay"] {
        let words = format!("{relay} stood in the way");
        assert!(left.finished.stdout.contains(&words), "{relay}");
    }
}

#[test]
fn a_slow_link_before_another_proxy_cuts_nobody_and_a_closed_door_keeps_newcomers_out() {
    let Some((left, place)) = play(
        r#"
        duration = "11s"
        objectives = [
            "disconnects == 100",
            "messages.lost <= 100",
            "handshake.failed.refused > 50",
            "never_recovered == 0",
            "disconnects == 0 in reload",
        ]
        [topology]
        nodes = 2
        [topology.compose]
        proxies = ["outer", "nginx"]
        [traffic]
        rate = "5/s"
        size = "512B"
        [[phases]]
        name = "before"
        from = "0s"
        [[phases]]
        name = "late"
        from = "2s"
        [[phases]]
        name = "slow"
        from = "4s"
        [[phases]]
        name = "pieces"
        from = "6s"
        [[phases]]
        name = "closed"
        from = "7500ms"
        [[phases]]
        name = "reload"
        from = "9500ms"
        [[faults]]
        name = "late"
        kind = "latency"
        delay = "100ms"
        jitter = "20ms"
        at = "2s"
        for = "1900ms"
        [[faults]]
        name = "slow"
        kind = "bandwidth"
        rate = "4KiB/s"
        direction = "to-client"
        at = "4s"
        for = "1900ms"
        [[faults]]
        name = "pieces"
        kind = "slice"
        link = "upstream"
        size = "100B"
        gap = "10ms"
        at = "6s"
        for = "1400ms"
        [[faults]]
        name = "closed"
        kind = "refuse-link"
        at = "7600ms"
        for = "1s"
        [[faults]]
        name = "flap"
        kind = "mass-disconnect"
        share = "50%"
        how = "fin"
        at = "7700ms"
        [[faults]]
        name = "reload"
        kind = "reload-proxy"
        at = "9600ms"
        "#,
    ) else {
        return;
    };
    let rtt = |phase: usize| measure(&left.result["phases"][phase], "rtt.p50");
    assert!(rtt(0) < 0.05, "{}", rtt(0));
    // Each way takes 100 ms ± 20 ms.
    assert!((0.15..0.3).contains(&rtt(1)), "{}", rtt(1));
    // 538 bytes of an echo in six pieces, 10 ms apart, each way.
    assert!((0.08..0.3).contains(&rtt(3)), "{}", rtt(3));
    assert_eq!(left.result["ends"]["local_fin"], 100);
    let seen = left.fault("reload")["observed"].as_str().unwrap();
    assert!(seen.contains("new workers"), "{seen}");
    assert!(left.result["containers"]["outer"].is_object());
    // The relay is before the first proxy: nginx sees none but that.
    let log = std::fs::read_to_string(place.out().join("logs/nginx-access.log")).unwrap();
    let clients = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    for line in clients.filter(|line| line["client"] != "") {
        let from = line["remote_addr"].as_str().unwrap();
        assert!(from.ends_with(".9"), "{line}");
    }
}

#[test]
fn kept_containers_work_without_the_relays_and_stay_until_they_are_removed_by_hand() {
    let Some(images) = images() else { return };
    let _turn = beside_others();
    let place = Place::new();
    let args = [
        "--topology=compose",
        "--keep",
        "--clients=10",
        "--duration=2s",
        "--set=clients.ramp=100ms",
        "--set=faults.edge.at=500ms",
        "--set=faults.upstream.at=1s",
        "--set=objectives=[]",
    ];
    let finished = complete(&mut run(&place, images, "scenarios/reset.toml", &args));
    assert_eq!(finished.code, 0, "{}\n{}", finished.stdout, finished.stderr);
    let (_, by_hand) = finished.stdout.split_once("they go with: ").unwrap();
    let by_hand = by_hand.lines().next().unwrap();
    let result = result(&place.out());
    let info = result["info"]["nginx"].as_str().unwrap();
    let project = info.rsplit(' ').next().unwrap().to_owned();
    assert_ne!(left(&project), "");
    assert_eq!(place.processes(&[]), [] as [String; 0], "the relays went");
    assert!(conf(&place).contains(".11:9000 "), "{}", conf(&place));
    assert!(is_served(&project), "nginx reaches a node");
    assert!(
        Command::new("sh")
            .args(["-c", by_hand])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    wait_for("removal by hand", Duration::from_secs(10), || {
        left(&project).is_empty()
    });
}

/// Cut by nginx: with a FIN, or with a RST where it had not read what the client had sent, which is seldom.
fn assert_closed(storm: &Value) {
    let cut = |cause: &str| storm["cut"][cause].as_u64().unwrap_or(0);
    let all = storm["clients_cut"].as_u64().unwrap();
    assert_eq!(cut("eof") + cut("reset"), all, "{storm}");
    assert!(cut("eof") > cut("reset"), "{storm}");
}

fn conf(place: &Place) -> String {
    std::fs::read_to_string(place.out().join("nginx.conf")).unwrap()
}

/// Does the nginx of a project hand a request on to a node that answers?
fn is_served(project: &str) -> bool {
    use std::io::{Read, Write};
    let of_project = format!("label=com.docker.compose.project={project}");
    let of_service = "label=com.docker.compose.service=nginx";
    let id = docker(&["ps", "-q", "--filter", &of_project, "--filter", of_service]).1;
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "-f", format, &id]).1;
    let mut stream = std::net::TcpStream::connect(format!("{address}:8080")).unwrap();
    stream
        .write_all(b"GET /wssoak/health HTTP/1.0\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.contains("\"node\"")
}
