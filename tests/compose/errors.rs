//! Whatever keeps containers from coming up has a sentence of its own, and exit code 4.

use std::process::Command;

use crate::stand::{beside_others, images, left, run};
use crate::support::{Place, complete};

const SCENARIO: &str = "scenarios/proxy-restart.toml";

/// Runs; asserts the sentence, and that nothing is left.
fn refuses(name: &str, args: &[&str], change: impl FnOnce(&mut Command), sentences: &[&str]) {
    refuses_of(SCENARIO, name, args, change, sentences);
}

fn refuses_of(
    scenario: &str,
    name: &str,
    args: &[&str],
    change: impl FnOnce(&mut Command),
    sentences: &[&str],
) {
    let Some(images) = images() else { return };
    let place = Place::new();
    let few = ["--topology=compose", "--clients=10"];
    let mut command = run(&place, images, scenario, &few);
    command.args(args);
    change(&mut command);
    let finished = complete(&mut command);
    assert_eq!(
        finished.code, 4,
        "{name}: {}{}",
        finished.stdout, finished.stderr
    );
    for sentence in sentences {
        assert!(
            finished.stderr.contains(sentence),
            "{name}: {}",
            finished.stderr
        );
    }
    assert_eq!(place.processes(&[]), [] as [String; 0], "{name}");
    let journals = std::fs::read_dir(place.state().join("wssoak"));
    assert_eq!(
        journals.map_or(0, Iterator::count),
        0,
        "{name}: its journal is left"
    );
}

/// `--set` for a file under `tests/data/bad-compose`.
fn file(name: &str) -> [String; 3] {
    [
        format!("--set=topology.compose.file=tests/data/bad-compose/{name}"),
        "--set=topology.compose.proxies=[\"proxy\"]".into(),
        "--set=topology.compose.nodes=[\"node\"]".into(),
    ]
}

#[test]
fn what_is_missing_is_named() {
    let _beside = beside_others();
    refuses(
        "no engine",
        &[],
        |command| {
            command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        },
        &[
            "no Docker engine answers on /nowhere/docker.sock",
            "systemctl start docker",
        ],
    );
    refuses(
        "no socket",
        &[],
        |command| {
            command.env("DOCKER_HOST", "tcp://127.0.0.1:1");
        },
        &["DOCKER_HOST is tcp://127.0.0.1:1"],
    );
    refuses(
        "no tool",
        &[],
        |command| {
            command.env("PATH", "/nowhere");
        },
        &["neither `docker compose` nor `docker-compose`"],
    );
    refuses(
        "no image",
        &[],
        |command| {
            command.env("WSSOAK_NGINX_IMAGE", "wssoak-stand-in/missing:1");
        },
        &[
            "an image is not here and could not be pulled",
            "WSSOAK_NGINX_IMAGE",
        ],
    );
    refuses(
        "no file",
        &["--set=topology.compose.file=nowhere.yml"],
        |_| {},
        &["there is no compose file nowhere.yml"],
    );
    refuses(
        "no service",
        &["--set=topology.compose.proxies=[\"haproxy\"]"],
        |_| {},
        &["docker-compose.yml has no service `haproxy`; it has n1, n2, n3, nginx, outer"],
    );
}

#[test]
fn a_relay_that_nobody_would_reach_is_refused() {
    let _beside = beside_others();
    let upstream = |path: &str, name: &str, sentences: &[&str]| {
        let place = Place::new();
        let scenario = place.tmp().join("links.toml");
        let text = format!(
            "duration = '9s'\n[topology]\nkind = 'compose'\n[topology.compose]\nfile = {path:?}\nproxies = ['proxy']\n\
             nodes = ['node']\n[clients]\ncount = 10\n[[faults]]\nname = 'cut'\nkind = 'reset-link'\nlink = 'upstream'\n\
             at = '6s'\n"
        );
        std::fs::write(&scenario, text).unwrap();
        refuses_of(scenario.to_str().unwrap(), name, &[], |_| {}, sentences);
    };
    let root = env!("CARGO_MANIFEST_DIR");
    upstream(
        &format!("{root}/tests/data/bad-compose/port.yml"),
        "a configuration that is not ours",
        &[
            "port.yml runs with a configuration of its own",
            "mount ${WSSOAK_RESULTS}/nginx.conf",
            "link = \"edge\"",
        ],
    );
    upstream(
        &format!("{root}/tests/data/bad-compose/gateway.yml"),
        "another gateway",
        &[
            ".1, the gateway of the run's own network, and that is no address of this machine",
            "Docker Desktop",
        ],
    );
}

#[test]
fn what_does_not_come_up_has_the_last_word() {
    let _beside = beside_others();
    let with = |name: &str, change: &dyn Fn(&mut Command), sentences: &[&str]| {
        let args = file(name);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        refuses(name, &args, |command| change(command), sentences);
    };
    with(
        "invalid.yml",
        &|_| {},
        &["invalid.yml is not valid", "imagine"],
    );
    with(
        "ends.yml",
        &|_| {},
        &[
            "node did not start: its container ended with exit code 2",
            "unexpected argument '--no-such-flag'",
        ],
    );
    with(
        "unhealthy.yml",
        &|_| {},
        &["node was not healthy", "n1 listening on 127.0.0.1"],
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    with(
        "port.yml",
        &|command| {
            command.env("TAKEN", &port);
        },
        &["a port that the compose file publishes is taken"],
    );
}

#[test]
fn flags_of_another_topology_are_refused() {
    let place = Place::new();
    for args in [
        ["--keep", "--quiet"],
        ["--topology=compose", "--nginx=/bin/true"],
    ] {
        let finished = complete(&mut place.run_command(SCENARIO, &args));
        assert_eq!(finished.code, 2, "{args:?}: {}", finished.stderr);
        assert!(!place.out().exists());
    }
    assert_eq!(left("wssoak-of-nobody"), "");
}
