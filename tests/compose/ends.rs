//! Every way a run of containers can end leaves no container, network, process or file of it behind.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::stand::{beside_others, command, docker, images, left, project, run, state};
use crate::support::{Place, complete, finish, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);
/// After the harness is gone.
const GONE: Duration = Duration::from_secs(10);

const ARGS: [&str; 5] = [
    "--topology=compose",
    "--clients=50",
    "--duration=5s",
    "--set=clients.ramp=300ms",
    "--set=objectives=[]",
];
/// A node is killed while relays are at work in every link.
const SCENARIO: &str = "tests/data/ends.toml";

/// A moment of a run, recognised by what there is to see.
type Moment = (&'static str, fn(&Place) -> bool);

fn has(place: &Place, kind: &[&str]) -> bool {
    project(place).is_some_and(|project| {
        let label = format!("label=com.docker.compose.project={project}");
        let found = docker(&[kind, &["--filter", &label]].concat());
        !found.1.is_empty()
    })
}

fn says(place: &Place, file: &str, word: &str) -> bool {
    std::fs::read_to_string(place.out().join(file)).is_ok_and(|text| text.contains(word))
}

const MOMENTS: [Moment; 7] = [
    ("journal opened", |place| project(place).is_some()),
    ("configuration written", |place| {
        place.out().join("nginx.conf").exists()
    }),
    ("network made", |place| has(place, &["network", "ls", "-q"])),
    ("container made", |place| has(place, &["ps", "-aq"])),
    ("fleet running", |place| {
        place.out().join("intervals.jsonl").exists()
    }),
    ("fault on", |place| says(place, "faults.jsonl", "is reaped")),
    ("node paused", |place| {
        says(place, "faults.jsonl", "is reaped") && {
            let name = format!("{}_n1_1", project(place).unwrap_or_default());
            docker(&["pause", &name]).0 || docker(&["pause", &name.replace('_', "-")]).0
        }
    }),
];

fn send(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// Starts a run and waits for the moment; returns it with its project and process group.
fn until(place: &Place, images: &[(String, String)], moment: &Moment) -> (Child, String, Vec<u32>) {
    let (name, reached) = moment;
    let mut child = run(place, images, SCENARIO, &ARGS).spawn().unwrap();
    wait_for(name, PATIENCE, || {
        assert!(
            child.try_wait().unwrap().is_none(),
            "{name}: the run ended before its moment came"
        );
        reached(place)
    });
    (child, project(place).unwrap(), place.groups())
}

fn assert_nothing_left(
    place: &Place,
    name: &str,
    project: &str,
    groups: &[u32],
    patience: Duration,
) {
    let what = format!("{name}: the end of {project}");
    wait_for(&what, patience, || {
        left(project).is_empty() && place.processes(groups).is_empty()
    });
    let is_empty = |folder: std::path::PathBuf| {
        std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
    };
    wait_for(&format!("{name}: no journal, no scratch"), patience, || {
        is_empty(state(place).join("wssoak")) && is_empty(place.tmp())
    });
}

#[expect(
    clippy::print_stderr,
    reason = "the count of moments is part of the result"
)]
fn every_moment(signal: Signal) {
    let Some(images) = images() else { return };
    let _beside = beside_others();
    for moment in &MOMENTS {
        let place = Place::new();
        let (child, project, groups) = until(&place, images, moment);
        send(child.id(), signal);
        let finished = finish(child, PATIENCE);
        if signal == Signal::KILL {
            assert_eq!(finished.code, -9, "{}", moment.0);
            assert_nothing_left(&place, moment.0, &project, &groups, GONE);
        } else {
            assert_eq!(finished.code, 130, "{}: {}", moment.0, finished.stderr);
            assert_nothing_left(&place, moment.0, &project, &groups, Duration::ZERO);
        }
    }
    eprintln!("{signal:?}: nothing was left at {} moments", MOMENTS.len());
}

#[test]
fn sigkill_leaves_no_container() {
    every_moment(Signal::KILL);
}

#[test]
fn sigint_leaves_no_container() {
    every_moment(Signal::INT);
}

#[test]
fn sigterm_leaves_no_container() {
    every_moment(Signal::TERM);
}

#[test]
fn what_is_left_when_the_warden_dies_too_goes_with_clean() {
    let Some(images) = images() else { return };
    let _beside = beside_others();
    let place = Place::new();
    let (child, project, groups) = until(&place, images, &MOMENTS[4]);
    let living = Place::new();
    let (other, other_project, other_groups) = until(&living, images, &MOMENTS[4]);
    groups.iter().for_each(|warden| send(*warden, Signal::KILL));
    send(child.id(), Signal::KILL);
    finish(child, PATIENCE);
    assert_ne!(left(&project), "", "nobody was there to remove it");
    // A run that lives is not cleaned away, though its journal lies beside.
    let name = format!("{other_project}.jsonl");
    let folder = |place: &Place| state(place).join("wssoak");
    std::fs::copy(folder(&living).join(&name), folder(&place).join(&name)).unwrap();
    let cleaned = complete(&mut command(&place, images, &["clean"]));
    assert_eq!(cleaned.code, 0, "{}", cleaned.stderr);
    assert_eq!(cleaned.stdout, "removed what 1 runs had left behind\n");
    assert_eq!(left(&project), "");
    assert_ne!(left(&other_project), "");
    send(other.id(), Signal::TERM);
    assert_eq!(finish(other, PATIENCE).code, 130);
    assert_nothing_left(
        &living,
        "the other",
        &other_project,
        &other_groups,
        Duration::ZERO,
    );
}
