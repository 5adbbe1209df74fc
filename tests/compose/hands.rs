//! What can be done to containers, without a run around it: each effect is seen by the engine's own client too.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::Duration;

use wssoak::scenario::{self, Nginx, NodeId};
use wssoak::topology::{Compose, ComposeSpec, Relays, TopologyError, Up, group};

use crate::stand::{beside_others, docker, images, left};
use crate::support::{Place, wait_for};

const N1: NodeId = NodeId(0);
const N2: NodeId = NodeId(1);

/// The compose file at the root with the stand-in images written into it: a test cannot set variables of its own process.
fn file(place: &Place, images: &[(String, String)]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(root.join("docker-compose.yml")).unwrap();
    for (name, image) in images {
        let start = text.find(&format!("${{{name}:-")).unwrap();
        let end = start + text[start..].find('}').unwrap() + 1;
        text.replace_range(start..end, image);
    }
    std::fs::create_dir(place.out()).unwrap();
    let path = place.out().join("stack.yml");
    std::fs::write(&path, text).unwrap();
    path
}

fn spec(place: &Place, images: &[(String, String)]) -> ComposeSpec {
    let text = format!(
        "duration = \"10s\"\n[clients]\ncount = 10\n[topology]\nkind = \"compose\"\n[topology.compose]\n\
         file = {:?}\nnodes = [\"n1\", \"n2\"]\n",
        file(place, images)
    );
    let scenario = scenario::load(Path::new("hands.toml"), &text, &[]).unwrap();
    ComposeSpec {
        services: scenario.topology.compose.clone().unwrap(),
        most_clients: scenario.most_clients(),
        topology: scenario.topology,
        traffic: scenario.traffic,
        heartbeat: scenario.heartbeat,
        results: place.out(),
        keep: false,
        wssoak_exe: env!("CARGO_BIN_EXE_wssoak").into(),
        relays: Relays::default(),
    }
}

/// What the engine says of a service: `running`, `paused`, `exited`.
fn status(project: &str, service: &str) -> String {
    let of_project = format!("label=com.docker.compose.project={project}");
    let of_service = format!("label=com.docker.compose.service={service}");
    let filters = ["--filter", &of_project, "--filter", &of_service];
    docker(&[&["ps", "-a", "--format", "{{.State}}"][..], &filters].concat()).1
}

async fn every_hand_on_workers(compose: &Compose) {
    let few = Nginx {
        worker_processes: Some(3),
        ..compose.settings().clone()
    };
    assert_eq!(
        compose
            .reconfigure_proxy(&few)
            .await
            .unwrap()
            .new_workers
            .len(),
        3
    );
    if !rustix::process::geteuid().is_root() {
        let refused = compose.kill_worker().await.unwrap_err().to_string();
        assert!(refused.contains("need root"), "{refused}");
        return;
    }
    let killed = compose.kill_worker().await.unwrap();
    assert!(!Path::new(&format!("/proc/{}", killed.pid)).exists());
    let paused = compose.pause_worker().await.unwrap();
    assert!(group::is_stopped(paused.pid));
    assert_eq!(compose.resume_workers().await.unwrap(), 1);
    assert!(!group::is_stopped(paused.pid));
    let usual = compose.settings().clone();
    compose.reconfigure_proxy(&usual).await.unwrap();
}

async fn every_hand(compose: &Compose, project: &str) {
    compose.pause_node(N1).await.unwrap();
    assert_eq!(status(project, "n1"), "paused");
    let twice = compose.kill_node(N1).await;
    assert!(
        matches!(twice, Err(TopologyError::State { .. })),
        "{twice:?}"
    );
    compose.resume_node(N1).await.unwrap();
    assert_eq!(status(project, "n1"), "running");
    assert_eq!(compose.node_stats(N1).await.unwrap().len(), 1);

    let was_forced = compose.stop_node(N2, Duration::from_secs(8), 1012).await;
    assert!(!was_forced.unwrap());
    assert_eq!(status(project, "n2"), "exited");
    assert_eq!(compose.node_stats(N2).await, None);
    compose.start_node(N2).await.unwrap();
    assert!(compose.node_stats(N2).await.is_some());

    let seen = compose.reload_proxy().await.unwrap();
    assert!(
        !seen.new_workers.is_empty() && !seen.old_workers.is_empty(),
        "{seen:?}"
    );
    every_hand_on_workers(compose).await;
    // Without a tunnel nothing lingers for long.
    compose.quit_proxy().await.unwrap();
    wait_for("nginx to have quit", Duration::from_secs(10), || {
        status(project, "nginx") == "exited"
    });
    assert_eq!(compose.kill_proxy().await.unwrap(), 0);
    compose.start_proxy().await.unwrap();
    assert!(compose.kill_proxy().await.unwrap() >= 2);
    assert_eq!(status(project, "nginx"), "exited");
    assert_eq!(compose.proxy_status().await, None);
    compose.start_proxy().await.unwrap();
    let lives = compose.proxy_incarnations();
    assert_eq!(
        lives.iter().map(|life| life.is_running).collect::<Vec<_>>(),
        [false, false, true]
    );
    assert!(lives[0].last.is_some(), "counted before it was killed");

    let usage = compose.usage().await;
    assert!(
        usage["n1"].memory_bytes > 0 && usage.contains_key("nginx"),
        "{usage:?}"
    );

    // None of the above was unexpected; this is.
    let id = docker(&["ps", "-q", "--filter", &format!("name={project}.n1")]).1;
    assert!(docker(&["kill", &id]).0);
    let exit = tokio::time::timeout(Duration::from_secs(10), compose.unexpected_exit()).await;
    assert_eq!(exit.unwrap().name, "n1");
}

#[test]
fn each_hand_on_a_container_takes_effect_before_it_returns() {
    let Some(images) = images() else { return };
    let _beside = beside_others();
    let place = Place::new();
    let spec = spec(&place, images);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let all = Box::pin(async move {
        let up = Box::pin(Compose::up_unless(spec, pending::<()>()))
            .await
            .unwrap();
        let Up::Ready(compose) = up else {
            panic!("nothing interrupts it")
        };
        let described = compose.describe();
        let project = described.rsplit(' ').next().unwrap().to_owned();
        every_hand(&compose, &project).await;
        compose.down().await;
        assert_eq!(left(&project), "");
        let ledgers = compose.node_ledgers(N2).unwrap();
        assert_eq!(ledgers.len(), 2, "one of each life");
    });
    tokio::task::LocalSet::new().block_on(&runtime, all);
}
