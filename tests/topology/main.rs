//! The bundled topology against a real nginx: up, faults, down, and every way to die.
//!
//! Nodes are stand-ins: this test program run once more (see `stand_in_node`), behind a script that passes every other
//! subcommand on to the real `wssoak`. So these tests hold whatever a node does.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows test functions, not their helpers"
)]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wssoak::scenario::NodeId;
use wssoak::topology::{Bundled, BundledSpec, TopologyError, Up, group};
use wssoak::wire::Behaviour;

use support::{DEADLINE, gone, group_of, is_open, scratch, spec, tunnel};

const HARNESS: &str = "WSSOAK_TEST_HARNESS";

/// The harness may exit right after it: whatever is still there then is left over.
#[tokio::test]
async fn an_interrupted_bring_up_returns_when_nothing_is_left() {
    for millis in [0, 1, 3, 10, 20, 30, 50, 80] {
        let folder = tempfile::tempdir().unwrap();
        let moment = tokio::time::sleep(Duration::from_millis(millis));
        let up = Bundled::up_unless(spec(folder.path()), moment)
            .await
            .unwrap();
        let warden = std::fs::read_to_string(folder.path().join("warden")).unwrap();
        let members = || group::members(warden.trim().parse().unwrap());
        match up {
            Up::Interrupted(()) => assert_eq!(members(), [], "after {millis} ms"),
            Up::Ready(bundled) => {
                bundled.abort().await;
                assert_eq!(members(), [], "after {millis} ms");
            }
        }
    }
}

#[tokio::test]
async fn a_tunnel_is_carried_logged_and_counted_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = Bundled::up(spec(folder.path())).await.unwrap();
    let (group_id, scratch) = (group_of(&bundled), scratch(&bundled));
    let mut stream = tunnel(bundled.endpoint());
    assert!(is_open(&mut stream));
    let sample = bundled.proxy_status().await.unwrap();
    assert_eq!((sample.client_requests(), sample.status.active), (1, 2));
    assert_eq!(sample.polls_undecided, 0);
    drop(stream);
    let accepted: u64 = [NodeId(0), NodeId(1)]
        .into_iter()
        .flat_map(|node| bundled.node_ledgers(node))
        .map(|ledger| ledger.accepted)
        .sum();
    assert_eq!(accepted, 1);
    let ports = [bundled.node_addresses(), vec![bundled.endpoint()]].concat();

    let teardown = bundled.down().await;
    assert!(
        teardown.forced.is_empty() && teardown.swept == 0,
        "{teardown:?}"
    );
    assert!(gone(group_id));
    assert!(!scratch.exists());
    for port in ports {
        TcpListener::bind(port).unwrap();
    }
    let log = std::fs::read_to_string(bundled.access_log()).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.trim()).unwrap();
    assert_eq!(
        (&line["status"], &line["client"]),
        (&"101".into(), &"7".into())
    );
    assert_eq!(bundled.node_ledgers(NodeId(0)).len(), 1);
}

#[tokio::test]
async fn a_stopped_nginx_cuts_tunnels_and_comes_back_on_its_port() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = Bundled::up(spec(folder.path())).await.unwrap();
    let endpoint = bundled.endpoint();
    let mut stream = tunnel(endpoint);
    let before = bundled.processes().len();
    bundled.stop_proxy().await.unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    // Master and two workers; the warden and the nodes stay.
    assert_eq!(bundled.processes().len(), before - 3);
    assert!(TcpStream::connect(endpoint).is_err());
    assert!(bundled.proxy_status().await.is_none());
    assert!(matches!(
        bundled.stop_proxy().await,
        Err(TopologyError::State { .. })
    ));

    bundled.start_proxy().await.unwrap();
    tunnel(endpoint);
    let lives = bundled.proxy_incarnations();
    assert_eq!(
        lives.iter().map(|life| life.is_running).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(lives[0].last.unwrap().client_requests(), 1);
    bundled.down().await;
}

#[tokio::test]
async fn a_reload_brings_new_workers_and_keeps_tunnels_and_counters() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = Bundled::up(spec(folder.path())).await.unwrap();
    let mut stream = tunnel(bundled.endpoint());
    let seen = bundled.reload_proxy().await.unwrap();
    assert_eq!(seen.old_workers.len(), 2);
    assert!(!seen.new_workers.is_empty());
    assert!(is_open(&mut stream));
    assert_eq!(bundled.proxy_status().await.unwrap().client_requests(), 1);
    std::fs::write(bundled.conf_path(), "nonsense;").unwrap();
    // An open tunnel never lets a graceful stop finish, so the fast one must follow.
    let start = Instant::now();
    let teardown = bundled.down().await;
    assert!(teardown.forced.is_empty(), "{teardown:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_killed_node_comes_back_as_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = Bundled::up(spec(folder.path())).await.unwrap();
    let n2 = NodeId(1);
    let quiet = Behaviour {
        quiet: true,
        no_heartbeat: true,
        ..Behaviour::default()
    };
    let first = bundled.node_stats(n2).await.unwrap().remove(0);
    bundled.kill_node(n2).await.unwrap();
    assert!(bundled.node_stats(n2).await.is_none());
    bundled.set_behaviour(quiet).await.unwrap();
    bundled.start_node(n2).await.unwrap();
    let second = bundled.node_stats(n2).await.unwrap().remove(0);
    assert_ne!(first.pid, second.pid);
    // The stand-in counts behaviours taken as pings.
    assert_eq!(second.pings, 1);
    assert_eq!(bundled.node_ledgers(n2).len(), 2);

    // That was planned. This is not:
    group::signal(second.pid, Signal::KILL);
    let exit = tokio::time::timeout(DEADLINE, bundled.unexpected_exit())
        .await
        .unwrap();
    assert_eq!(exit.name, "n2");
    assert!(exit.status.contains("SIGKILL"), "{exit}");
    bundled.down().await;
}

/// Two faults may begin together: whoever is told how to behave may die, or be stopped, of the other.
#[tokio::test]
async fn a_node_that_dies_or_is_stopped_while_it_is_told_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = Bundled::up(spec(folder.path())).await.unwrap();
    let (n1, n2) = (NodeId(0), NodeId(1));
    for quiet in [true, false, true, false, true, false] {
        let told = Behaviour {
            quiet,
            ..Behaviour::default()
        };
        let (killed, stopped, told) = tokio::join!(
            bundled.kill_node(n2),
            bundled.pause_node(n1),
            bundled.set_behaviour(told)
        );
        killed.unwrap();
        stopped.unwrap();
        told.unwrap();
        bundled.resume_node(n1).await.unwrap();
        bundled.start_node(n2).await.unwrap();
    }
    bundled.down().await;
}

#[tokio::test]
async fn without_its_warden_the_harness_cleans_up_itself() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = Bundled::up(spec(folder.path())).await.unwrap();
    let (group_id, scratch) = (group_of(&bundled), scratch(&bundled));
    for polite in [Signal::INT, Signal::TERM, Signal::HUP] {
        group::signal(group_id, polite);
    }
    group::signal(group_id, Signal::KILL);
    let exit = tokio::time::timeout(DEADLINE, bundled.unexpected_exit())
        .await
        .unwrap();
    assert_eq!(
        (exit.name.as_str(), exit.status.contains("SIGKILL")),
        ("warden", true)
    );
    bundled.down().await;
    assert!(gone(group_id));
    assert!(!scratch.exists());
}

#[tokio::test]
async fn what_nginx_says_about_a_template_reaches_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("mine.conf");
    let whole = "{{user}}\npid {{pid}};\nerror_log {{error_log}} info;\nevents {}\nhttp {\n{{log_format}}\n\
        access_log {{access_log}} ws;\nclient_body_temp_path {{scratch}}/body;\nupstream n { {{balance}} {{upstream_servers}} }\n\
        server { listen {{listen}}; location / { proxy_pass http://n; } }\n\
        server { listen {{status_listen}}; location / { stub_status; } }\n}\n";
    let mut spec = spec(folder.path());
    spec.topology.nginx.template = Some(template.clone());

    std::fs::write(&template, whole.replace("events {}", "evens {}")).unwrap();
    let error = Bundled::up(spec.clone()).await.unwrap_err().to_string();
    assert!(error.contains("unknown directive \"evens\""), "{error}");

    std::fs::write(&template, whole.replace("{{pid}}", "{{pit}}")).unwrap();
    let error = Bundled::up(spec.clone()).await.unwrap_err().to_string();
    assert!(
        error.ends_with("mine.conf:2:5: `{{pit}}` is no placeholder; did you mean `{{pid}}`?"),
        "{error}"
    );

    std::fs::write(&template, whole).unwrap();
    let bundled = Bundled::up(spec).await.unwrap();
    assert!(bundled.proxy_status().await.is_some());
    bundled.down().await;
}

#[tokio::test]
async fn a_node_that_dies_at_once_is_named_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = spec(folder.path());
    let script = folder.path().join("broken");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = node ] && {{ echo out of cheese >&2; exit 3; }}\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_wssoak")
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    spec.wssoak_exe = script;
    let error = Bundled::up(spec).await.unwrap_err().to_string();
    assert!(
        error.contains("did not start: it ended (exit status: 3)"),
        "{error}"
    );
    assert!(error.contains("out of cheese"), "{error}");
}

#[tokio::test]
async fn two_runs_side_by_side_do_not_meet() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    // Spaces and quotes in the results' path must reach nginx whole.
    let odd = folders[1].path().join("it's \"odd\"; {really}");
    std::fs::create_dir(&odd).unwrap();
    let (first, second) = (spec(folders[0].path()), spec(folders[1].path()));
    let second = BundledSpec {
        results: odd,
        ..second
    };
    let (first, second) = tokio::join!(Bundled::up(first), Bundled::up(second));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.endpoint(), second.endpoint());
    tunnel(first.endpoint());
    first.down().await;
    tunnel(second.endpoint());
    assert_eq!(second.proxy_status().await.unwrap().client_requests(), 1);
    second.down().await;
}

#[test]
fn a_harness_that_is_killed_leaves_nothing() {
    // While nodes start, and when all is up. A stopped process must go as well. Without a warden the parent-death
    // signals still take everything but the scratch folder, which is for `wssoak clean`.
    for moment in ["warden", "up", "stopped", "unguarded"] {
        let folder = tempfile::tempdir().unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let mut harness = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "stand_in_harness", "--nocapture"])
            .env(HARNESS, folder.path())
            .env("TMPDIR", temporary.path())
            .env("XDG_STATE_HOME", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let scratch_folders = || std::fs::read_dir(temporary.path()).unwrap().count();
        let group_id = if moment == "warden" {
            let start = Instant::now();
            while scratch_folders() == 0 && start.elapsed() < DEADLINE {
                std::thread::sleep(Duration::from_millis(1));
            }
            group::children(harness.id())[0]
        } else {
            let lines = BufReader::new(harness.stdout.take().unwrap()).lines();
            let mut ids = lines.map_while(Result::ok).filter_map(|line| {
                line.split_once("group ")
                    .and_then(|(_, id)| id.trim().parse().ok())
            });
            ids.next().unwrap()
        };
        if moment == "stopped" {
            for member in group::members(group_id)
                .iter()
                .filter(|m| m.pid != group_id)
            {
                group::signal(member.pid, Signal::STOP);
            }
        }
        if moment == "unguarded" {
            group::signal(group_id, Signal::KILL);
        }
        harness.kill().unwrap();
        harness.wait().unwrap();
        assert!(gone(group_id), "{moment}: {:?}", group::members(group_id));
        let left = usize::from(moment == "unguarded");
        assert_eq!(scratch_folders(), left, "{moment}");
    }
}

/// Not a test of its own: the harness that [`a_harness_that_is_killed_leaves_nothing`] kills.
#[test]
fn stand_in_harness() {
    let Some(folder) = std::env::var_os(HARNESS) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bundled = Bundled::up(spec(Path::new(&folder))).await.unwrap();
        println!("group {}", group_of(&bundled));
        std::future::pending::<()>().await;
    });
}

/// Not a test of its own: the node that the script of [`spec`] starts.
#[test]
fn stand_in_node() {
    support::stand_in_node();
}
