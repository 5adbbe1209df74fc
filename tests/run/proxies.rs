//! What is done to nginx shows on the sessions that it concerns, and on no others.

use crate::play::{play, play_with};

#[test]
fn a_stopped_worker_keeps_its_share_waiting_and_other_settings_meet_newcomers_only() {
    let left = play(
        r#"
        duration = "11s"
        objectives = [
            "never_recovered == 0", "disconnects.share == 25% after flap", "disconnects.local_reset == 50 after flap",
        ]
        faults = [
            { kind = "pause-worker", name = "paused", at = "2s", for = "2500ms" },
            { kind = "reconfigure-proxy", name = "other", set = { upgrade_headers = false }, at = "7s", for = "1500ms" },
            { kind = "mass-disconnect", name = "flap", share = "25%", how = "rst", at = "7300ms" },
        ]
        [topology]
        nodes = 2
        [topology.nginx]
        worker_processes = 2
        [heartbeat]
        from = "clients"
        interval = "500ms"
        pong_timeout = "500ms"
        "#,
    );
    left.passes();
    let storm = left.storm("paused");
    let cut = storm["clients_cut"].as_u64().unwrap();
    assert_eq!(storm["cut"], serde_json::json!({ "pong_timeout": cut }));
    let observed = left.observed("paused");
    let files: u64 = observed.split(' ').nth(3).unwrap().parse().unwrap();
    // Two files a tunnel, and a few for listeners, logs and epoll.
    assert!(
        (2 * cut..2 * cut + 20).contains(&files),
        "{cut} cut: {observed}"
    );
    assert!((100..200).contains(&cut), "the busier one of two: {cut}");
    let began = left.at("paused", "began_us");
    for cut in left.between(began, 7.0) {
        let after = cut.at_s - began;
        assert!((0.4..1.3).contains(&after), "{cut:?}");
    }
    // Those who had a session keep it; who comes now is not upgraded, until the settings are as before.
    let storm = left.storm("flap");
    let causes = storm["failures"].as_object().unwrap();
    assert_eq!(causes.keys().collect::<Vec<_>>(), ["status_426"]);
    assert!(causes["status_426"].as_u64().unwrap() >= 50, "{storm}");
}

/// As rendered by wssoak, with a `send_timeout`, which no scenario sets.
const IMPATIENT: &str = r"{{user}}
pid {{pid}};
error_log {{error_log}} info;
worker_processes {{worker_processes}};
events { worker_connections {{worker_connections}}; }
http {
    {{log_format}}
    access_log {{access_log}} ws;
    client_body_temp_path {{scratch}}/body;
    send_timeout 1s;
    upstream nodes { zone nodes 256k; {{balance}} {{upstream_servers}} }
    server {
        listen {{listen}};
        location / {
            proxy_pass http://nodes;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }
    }
    server { listen {{status_listen}}; access_log off; location / { stub_status; } }
}
";

#[test]
fn clients_that_do_not_read_what_is_pushed_are_dropped_after_the_send_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("impatient.conf");
    std::fs::write(&template, IMPATIENT).unwrap();
    let head = format!(
        "[topology.nginx]\ntemplate = {template:?}\n[clients]\ncount = 8\nramp = \"500ms\"\n\
         [reconnect]\nbase = \"200ms\"\ncap = \"1s\"\n"
    );
    let left = play_with(
        &head,
        r#"
        duration = "10s"
        objectives = ["never_recovered == 0"]
        faults = [{ kind = "slow-reader", name = "full", share = "25%", at = "2s", for = "5s" }]
        [traffic]
        source = "nodes"
        rate = "50/s"
        size = "32KiB"
        "#,
    );
    left.passes();
    assert_eq!(left.storm("full")["cut"], serde_json::json!({"eof": 2}));
    let told = left.errors_with(&["[info]", "client timed out (110: Connection timed out)"]);
    assert_eq!(told, 2, "{}", left.errors);
    // nginx gives them up while they do not read: all have come within half a second, and the fault is on from 2 s to 7 s.
    let dropped = left.requests.iter();
    let dropped = dropped.filter(|line| line["request_completion"] == "" && line["attempt"] == "1");
    let lived = dropped.map(|line| line["request_time"].as_str().unwrap().parse().unwrap());
    let lived: Vec<f64> = lived.collect();
    let during = lived.iter().filter(|lived| (2.5..7.0).contains(*lived));
    assert_eq!(during.count(), 2, "{lived:?}");
    // They notice when they read again, at the end of what was on its way to them.
    let reading = left.at("full", "ended_us");
    assert!(
        left.cuts.iter().all(|cut| cut.at_s > reading),
        "{:?}",
        left.cuts
    );
}
