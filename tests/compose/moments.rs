//! Whatever goes on when a run of containers is ended by a signal, no container, network, process or file of it is left.
//!
//! A moment is one signal sent at something that was seen to be so. The runs go side by side, since none is measured.

use std::collections::BTreeSet;
use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::kinds::{Fault, Stage, all_on, covered, held, last_is, moment, toml};
use crate::stand::{alone, docker, images, left, project, run};
use crate::support::{Finished, Place, announce, finish, is_empty, send, side_by_side, wait_for};

const PATIENCE: Duration = Duration::from_secs(90);
/// After a SIGKILL of the harness.
const GONE: Duration = Duration::from_secs(10);
const AT_A_TIME: usize = 4;

const ARGS: [&str; 7] = [
    "--quiet",
    "--topology=compose",
    "--clients=30",
    "--duration=30s",
    "--set=clients.ramp=200ms",
    "--set=phases=[]",
    "--set=objectives=[]",
];

/// What there is to see at a moment.
type Seen = fn(&Place) -> bool;

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

/// The moments of a run whose node is killed and comes back.
const COURSE: [(&str, Seen); 7] = [
    ("journal opened", |place| project(place).is_some()),
    ("configuration written", |place| {
        place.out().join("nginx.conf").exists()
    }),
    ("network made", |place| has(place, &["network", "ls", "-q"])),
    ("container made", |place| has(place, &["ps", "-aq"])),
    ("fleet running", |place| {
        place.out().join("intervals.jsonl").exists()
    }),
    ("node paused by somebody else", |place| {
        says(place, "faults.jsonl", "is reaped") && {
            let name = format!("{}_n1_1", project(place).unwrap_or_default());
            docker(&["pause", &name]).0 || docker(&["pause", &name.replace('_', "-")]).0
        }
    }),
    ("fault healed", |place| {
        says(place, "faults.jsonl", "healthy again")
    }),
];

const KILLED_AND_BACK: &[Fault] = &[held("kill-node", "target='n2', for='1s'")];

/// Faults that are on together when the signal comes: every kind, and those of links on both. The last one
/// begins after the others; where it is a moment, the signal comes right with it.
const TOGETHER: &[&[Fault]] = &[
    &[
        held("idle-gap", ""),
        held("kill-node", "target='n1'"),
        held("pause-node", "target='n2'"),
        held("blackhole", ""),
        held("latency", "link='upstream', delay='20ms'"),
        held("restart-proxy", ""),
    ],
    &[
        held("vanish", "share='50%'"),
        held("stop-node", "target='n1', grace='2s'"),
        held("refuse-upgrades", "target='n2'"),
        held("latency", "delay='20ms', jitter='5ms'"),
        held("bandwidth", "link='upstream', rate='16KiB/s'"),
        held("quit-proxy", ""),
    ],
    &[
        held("slow-reader", "share='50%'"),
        held("slow-handshake", "target='n1', delay='9s'"),
        held("stop-reading", "target='n2'"),
        held("bandwidth", "rate='16KiB/s'"),
        held("slice", "link='upstream', size='10B'"),
        held("kill-proxy", ""),
    ],
    &[
        held("surge", "clients=20"),
        held("no-pong", "target='n1'"),
        held("pause-node", "target='n2'"),
        held("slice", "size='10B'"),
        held("refuse-link", "link='upstream'"),
        held("reconfigure-proxy", "set={proxy_read_timeout='5s'}"),
    ],
    &[
        held("pause-node", "target='all'"),
        held("blackhole", "link='upstream'"),
        held("refuse-link", ""),
        held("exhaust-connections", "worker_connections=16"),
    ],
    &[
        held("kill-node", "target='n1'"),
        moment("mass-disconnect", "share='50%'"),
    ],
    &[
        held("quit-proxy", ""),
        held("pause-node", "target='n1'"),
        moment("restart-node", "target='n2'"),
    ],
    &[
        held("stop-reading", "target='all'"),
        moment("reload-proxy", ""),
    ],
    &[
        moment("reset-link", "link='upstream'"),
        moment("reset-link", ""),
    ],
    &[
        moment("half-close", "link='upstream'"),
        moment("half-close", ""),
    ],
];

/// The engine offers no signal to single processes, so these need root on its machine.
const OF_WORKERS: &[&[Fault]] = &[
    &[held("pause-node", "target='n1'"), held("pause-worker", "")],
    &[
        held("slow-reader", "share='100%'"),
        moment("kill-worker", ""),
    ],
];

/// A fault that takes its time, n1 paused behind the harness's back in the first stage, and the stage of the signal.
const SLOW: &[(&[Fault], Option<Stage>, Stage)] = &[
    (
        &[held("refuse-upgrades", "target='n1', for='1s'")],
        Some(Stage::On),
        Stage::Healing,
    ),
    // One node is back, the other's turn is yet to come.
    (
        &[held(
            "kill-node",
            "target=['n1', 'n2'], for='300ms', pause='20s'",
        )],
        None,
        Stage::Healing,
    ),
    (
        &[
            // No client answers the node's close frames, and it waits for them.
            held("slow-reader", "share='100%'"),
            held("stop-node", "target='n1', grace='9s'"),
        ],
        None,
        Stage::Begun,
    ),
];

/// What a run does until the signal comes.
#[derive(Clone, Copy)]
enum Until {
    Course(&'static str, Seen),
    Together(&'static [Fault]),
    Slow(&'static [Fault], Option<Stage>, Stage),
}

impl Until {
    fn faults(&self) -> &'static [Fault] {
        match self {
            Self::Course(..) => KILLED_AND_BACK,
            Self::Together(faults) | Self::Slow(faults, ..) => faults,
        }
    }

    fn name(&self) -> String {
        let kinds: Vec<&str> = self.faults().iter().map(|fault| fault.kind).collect();
        match self {
            Self::Course(name, _) => (*name).to_owned(),
            Self::Together(_) => format!("{} on", kinds.join(", ")),
            Self::Slow(.., stage) => format!("{} {stage:?}", kinds.join(", ")),
        }
    }

    /// Waits until it is so.
    fn wait(&self, place: &Place, child: &mut Child) {
        let (name, out) = (self.name(), place.out());
        let mut wait = |seen: &dyn Fn() -> bool| {
            wait_for(&name, PATIENCE, || {
                if child.try_wait().unwrap().is_some() {
                    let mut stderr = String::new();
                    let mut pipe = child.stderr.take().unwrap();
                    std::io::Read::read_to_string(&mut pipe, &mut stderr).unwrap();
                    panic!("{name}: the run ended before its moment came\n{stderr}");
                }
                seen()
            });
        };
        match self {
            Self::Course(_, seen) => wait(&|| seen(place)),
            Self::Together(faults) => wait(&|| all_on(&out, faults)),
            Self::Slow(faults, freeze, until) => {
                if let Some(stage) = freeze {
                    wait(&|| last_is(&out, faults, *stage));
                    let id = container(&project(place).unwrap(), "n1");
                    assert!(docker(&["pause", &id]).0);
                }
                wait(&|| last_is(&out, faults, *until));
            }
        }
    }
}

/// The id of a service's container.
fn container(project: &str, service: &str) -> String {
    let of_project = format!("label=com.docker.compose.project={project}");
    let of_service = format!("label=com.docker.compose.service={service}");
    docker(&["ps", "-q", "--filter", &of_project, "--filter", &of_service]).1
}

/// Processes of containers, by their control group; empty where the engine's are not ours to see.
fn inmates(containers: &[String]) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let group = std::fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        if containers.iter().any(|id| group.contains(id.as_str())) {
            found.extend(entry.file_name().to_string_lossy().parse::<u32>());
        }
    }
    found
}

pub(crate) fn containers(project: &str) -> Vec<String> {
    let label = format!("label=com.docker.compose.project={project}");
    let ids = docker(&["ps", "-aq", "--no-trunc", "--filter", &label]).1;
    ids.lines().map(str::to_owned).collect()
}

/// Starts a run and waits until it is so; returns it with its project and process groups.
fn until(place: &Place, images: &[(String, String)], until: &Until) -> (Child, String, Vec<u32>) {
    let faults = format!("--set=faults={}", toml(until.faults()));
    let mut command = run(place, images, "scenarios/node-kill.toml", &ARGS);
    let mut child = command.arg(faults).spawn().unwrap();
    until.wait(place, &mut child);
    (child, project(place).unwrap(), place.groups())
}

/// Starts a run, waits for the moment, sends the signal, and asserts that nothing is left.
fn end(images: &[(String, String)], moment: &Until, signal: Signal) {
    let name = format!("{signal:?}, {}", moment.name());
    let place = Place::new();
    let (child, project, groups) = until(&place, images, moment);
    let containers = match moment {
        Until::Course(..) => Vec::new(),
        _ => containers(&project),
    };
    send(child.id(), signal);
    let finished = finish(child, PATIENCE);
    let patience = match signal {
        Signal::KILL => GONE,
        _ => Duration::ZERO,
    };
    assert_ended(&name, &finished, signal);
    assert_nothing_left(&name, &place, &project, &groups, patience);
    assert_eq!(inmates(&containers), BTreeSet::new(), "{name}");
}

fn assert_ended(name: &str, finished: &Finished, signal: Signal) {
    let code = match signal {
        Signal::KILL => -9,
        _ => 130,
    };
    assert_eq!(finished.code, code, "{name}: {}", finished.stderr);
}

pub(crate) fn assert_nothing_left(
    name: &str,
    place: &Place,
    project: &str,
    groups: &[u32],
    patience: Duration,
) {
    let what = format!("{name}: the end of {project} {:?}", place.processes(groups));
    wait_for(&what, patience, || {
        left(project).is_empty()
            && place.processes(groups).is_empty()
            && is_empty(&place.state().join("wssoak"))
            && is_empty(&place.tmp())
    });
}

#[test]
fn a_signal_at_any_moment_leaves_no_container() {
    let Some(images) = images() else { return };
    let _alone = alone();
    let is_root = rustix::process::geteuid().is_root();
    let mut cases = TOGETHER.to_vec();
    cases.extend(OF_WORKERS);
    let mut kinds = covered(&cases, "kind = 'compose'\nnodes = 2");
    if !is_root {
        kinds.retain(|kind| !kind.ends_with("-worker"));
        announce("SKIPPED: faults of single workers in containers, which need root");
        cases.truncate(TOGETHER.len());
    }
    let signals = [Signal::INT, Signal::KILL];
    let slow = SLOW.iter().map(|case| Until::Slow(case.0, case.1, case.2));
    let held = slow.chain(cases.iter().map(|faults| Until::Together(faults)));
    let course = COURSE.iter().map(|(name, seen)| Until::Course(name, *seen));
    // SIGTERM goes the way of SIGINT, which is tried on processes.
    let jobs: Vec<(Until, Signal)> = held
        .chain(course)
        .flat_map(|until| signals.map(|signal| (until, signal)))
        .collect();
    side_by_side(&jobs, AT_A_TIME, |(until, signal)| {
        end(images, until, *signal)
    });
    let count = jobs.len();
    announce(&format!(
        "containers: nothing was left after a signal at {count} moments; on were {}",
        Vec::from_iter(kinds).join(", ")
    ));
    assert!(count >= 40 || !is_root, "{count}");
}

/// Starts a run whose node is paused, as is a worker of nginx where that can be done.
pub(crate) fn paused(place: &Place, images: &[(String, String)]) -> (Child, String, Vec<u32>) {
    let faults = match rustix::process::geteuid().is_root() {
        true => OF_WORKERS[0],
        false => TOGETHER[4],
    };
    until(place, images, &Until::Together(faults))
}

/// Starts a run on which no fault is.
pub(crate) fn calm(place: &Place, images: &[(String, String)]) -> (Child, String, Vec<u32>) {
    until(place, images, &Until::Course(COURSE[4].0, COURSE[4].1))
}

/// Whether processes of these containers are left.
pub(crate) fn live(containers: &[String]) -> bool {
    !inmates(containers).is_empty()
}
