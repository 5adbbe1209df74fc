//! Every way a run can end leaves nothing behind: no process, no listener, no temporary file.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use wssoak::topology::group;

use crate::support::{Place, finish, lines, result, turn, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);

/// A moment of a run, recognised by what is on disk.
type Moment = (&'static str, fn(&Path) -> bool);

/// 3 s: ramp, steady, one fault of 1 s that needs healing, recovery, drain.
const ARGS: [&str; 7] = [
    "--clients=100",
    "--duration=3s",
    "--set=clients.ramp=300ms",
    "--set=faults.kill-n2.at=1s",
    "--set=faults.kill-n2.for=1s",
    "--set=phases=[]",
    "--set=objectives=[\"never_recovered == 0\"]",
];

fn has(out: &Path, file: &str, word: &str) -> bool {
    std::fs::read_to_string(out.join(file)).is_ok_and(|text| text.contains(word))
}

const MOMENTS: [Moment; 8] = [
    ("at once", |_| true),
    ("folder made", |out| out.join("scenario.toml").exists()),
    ("nodes starting", |out| out.join("logs/n1.log").exists()),
    ("nginx starting", |out| out.join("nginx.conf").exists()),
    ("fleet running", |out| out.join("intervals.jsonl").exists()),
    ("first second", |out| {
        lines(&out.join("intervals.jsonl")) >= 1
    }),
    ("fault on", |out| has(out, "faults.jsonl", "is reaped")),
    ("fault healed", |out| {
        has(out, "faults.jsonl", "healthy again")
    }),
];

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Starts a run, waits for the moment, sends the signal, and asserts that nothing is left.
fn end(signal: Signal, moment: &Moment) {
    end_of(signal, moment, &ARGS);
}

fn end_of(signal: Signal, moment: &Moment, args: &[&str]) {
    let (name, reached) = moment;
    let place = Place::new();
    let mut child = place
        .run_command("scenarios/node-kill.toml", args)
        .spawn()
        .unwrap();
    let mut groups = Vec::new();
    wait_for(name, PATIENCE, || {
        groups.extend(place.groups());
        assert!(
            child.try_wait().unwrap().is_none(),
            "{name}: the run ended before its moment came"
        );
        reached(&place.out())
    });
    groups.extend(place.groups());
    groups.sort_unstable();
    groups.dedup();
    send(&child, signal);
    let finished = finish(child, PATIENCE);
    if signal == Signal::KILL {
        assert_eq!(finished.code, -9, "{name}");
    } else if place.out().join("scenario.toml").exists() {
        assert_eq!(finished.code, 130, "{name}: {}", finished.stderr);
        let result = result(&place.out());
        assert_eq!(result["judgement"]["verdict"], "interrupted", "{name}");
        assert!(
            finished.stdout.starts_with("INTERRUPTED"),
            "{name}: {}",
            finished.stdout
        );
        assert_eq!(
            place.processes(&groups),
            [] as [String; 0],
            "{name}: left at exit"
        );
    }
    let what = format!("{name}: the end of {:?}", place.processes(&groups));
    wait_for(&what, PATIENCE, || place.processes(&groups).is_empty());
    wait_for(&format!("{name}: empty scratch"), PATIENCE, || {
        std::fs::read_dir(place.tmp()).unwrap().next().is_none()
    });
    assert_ports_free(&place.out());
}

/// Every port that the rendered configuration names can be bound again.
fn assert_ports_free(out: &Path) {
    let conf = std::fs::read_to_string(out.join("nginx.conf")).unwrap_or_default();
    for (index, _) in conf.match_indices("127.0.0.1:") {
        let port: String = conf[index + 10..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        let address = format!("127.0.0.1:{port}");
        // Sockets of the run may be in TIME_WAIT, which SO_REUSEADDR, set by std on Unix, allows for.
        assert!(
            std::net::TcpListener::bind(&address).is_ok(),
            "{address} is still taken"
        );
    }
}

#[test]
fn sigint_leaves_nothing_but_a_partial_report() {
    let _turn = turn();
    MOMENTS.iter().for_each(|moment| end(Signal::INT, moment));
}

#[test]
fn sigterm_leaves_nothing_but_a_partial_report() {
    let _turn = turn();
    MOMENTS.iter().for_each(|moment| end(Signal::TERM, moment));
}

#[test]
fn sigkill_leaves_nothing() {
    let _turn = turn();
    MOMENTS.iter().for_each(|moment| end(Signal::KILL, moment));
}

/// Faults that hold processes still, keep old ones around or change files, several at once, and what shows that they are on.
const HELD: [(&str, Moment); 3] = [
    (
        "--set=faults=[{name='a', kind='pause-node', target='all', at='1s', for='9s'}, \
         {name='b', kind='pause-worker', at='1100ms', for='8s'}]",
        ("node and worker stopped", |out| {
            has(out, "faults.jsonl", "n1 and n2 are stopped") && has(out, "faults.jsonl", "worker ")
        }),
    ),
    (
        "--set=faults=[{name='a', kind='quit-proxy', at='1s', for='9s'}, \
         {name='b', kind='slow-handshake', target='one', delay='5s', at='1s', for='8s'}]",
        ("nginx lingers", |out| {
            has(out, "faults.jsonl", "nobody listens")
        }),
    ),
    (
        "--set=faults=[{name='a', kind='exhaust-connections', worker_connections=16, at='1s', for='9s'}, \
         {name='b', kind='stop-reading', target='n1', at='1s', for='9s'}]",
        ("nginx reconfigured", |out| {
            has(out, "faults.jsonl", "16 connections a worker")
        }),
    ),
];

#[test]
fn whatever_fault_is_on_nothing_is_left() {
    let _turn = turn();
    for (faults, moment) in &HELD {
        let mut args = ARGS.to_vec();
        args.retain(|arg| !arg.starts_with("--set=faults") && !arg.starts_with("--duration"));
        args.extend(["--duration=12s", faults]);
        for signal in [Signal::INT, Signal::KILL] {
            end_of(signal, moment, &args);
        }
    }
}

#[test]
fn a_second_signal_skips_the_waiting_and_not_the_cleaning_up() {
    let _turn = turn();
    let place = Place::new();
    let mut child = place
        .run_command("scenarios/node-kill.toml", &ARGS)
        .spawn()
        .unwrap();
    wait_for("the fault", PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none());
        has(&place.out(), "faults.jsonl", "is reaped")
    });
    let groups = place.groups();
    assert_eq!(groups.len(), 1);
    send(&child, Signal::INT);
    std::thread::sleep(Duration::from_millis(20));
    send(&child, Signal::INT);
    let finished = finish(child, PATIENCE);
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    assert_eq!(place.processes(&groups), [] as [String; 0]);
}

#[test]
fn a_run_whose_harness_was_killed_still_has_a_report() {
    let _turn = turn();
    let place = Place::new();
    let mut child = place
        .run_command("scenarios/node-kill.toml", &ARGS)
        .spawn()
        .unwrap();
    wait_for("two seconds of record", PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none());
        lines(&place.out().join("intervals.jsonl")) >= 2
    });
    send(&child, Signal::KILL);
    finish(child, PATIENCE);
    let out = place.out();
    let report = finish(
        place
            .command(&["report", out.to_str().unwrap()])
            .spawn()
            .unwrap(),
        PATIENCE,
    );
    assert_eq!(report.code, 3, "{}", report.stderr);
    assert!(
        report.stdout.contains("the record breaks off"),
        "{}",
        report.stdout
    );
}

#[test]
fn a_node_that_dies_on_its_own_makes_the_run_inconclusive() {
    let _turn = turn();
    let place = Place::new();
    let args = [
        "--clients=50",
        "--duration=20s",
        "--set=faults.reload.at=15s",
    ];
    let mut child = place
        .run_command("scenarios/proxy-reload.toml", &args)
        .spawn()
        .unwrap();
    wait_for("the first second", PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none());
        lines(&place.out().join("intervals.jsonl")) >= 1
    });
    let node = place
        .processes(&[])
        .into_iter()
        .find(|line| line.contains("--name n1"))
        .unwrap();
    let pid: i32 = node.split(' ').next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let finished = finish(child, PATIENCE);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(
        finished.stdout.contains("n1 ended on its own"),
        "{}",
        finished.stdout
    );
}

#[test]
fn an_agent_that_dies_makes_the_run_inconclusive_and_is_named() {
    let _turn = turn();
    let place = Place::new();
    let args = [
        "--agents=3",
        "--clients=90",
        "--duration=20s",
        "--set=faults.reload.at=15s",
    ];
    let mut child = place
        .run_command("scenarios/proxy-reload.toml", &args)
        .spawn()
        .unwrap();
    wait_for("the first second", PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none());
        lines(&place.out().join("intervals.jsonl")) >= 1
    });
    let agents: Vec<String> = place
        .processes(&[])
        .into_iter()
        .filter(|line| line.contains(" agent "))
        .collect();
    assert_eq!(agents.len(), 3, "{agents:?}");
    let pid: i32 = agents[1].split(' ').next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let finished = finish(child, PATIENCE);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(
        finished.stdout.contains("of 3 ended on its own (signal: 9"),
        "{}",
        finished.stdout
    );
    assert_eq!(place.processes(&[]), [] as [String; 0]);
}

#[test]
fn a_harness_that_was_stopped_for_a_while_says_so_even_without_traffic() {
    let _turn = turn();
    let place = Place::new();
    let mut args = ARGS.to_vec();
    args.retain(|arg| !arg.starts_with("--duration"));
    args.extend(["--set=traffic.source=none", "--duration=5s"]);
    let mut child = place
        .run_command("scenarios/node-kill.toml", &args)
        .spawn()
        .unwrap();
    wait_for("the first second", PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none());
        lines(&place.out().join("intervals.jsonl")) >= 1
    });
    send(&child, Signal::STOP);
    std::thread::sleep(Duration::from_secs(1));
    send(&child, Signal::CONT);
    let finished = finish(child, PATIENCE);
    assert_eq!(finished.code, 3, "{}", finished.stdout);
    assert!(
        finished.stdout.contains("the harness was the bottleneck"),
        "{}",
        finished.stdout
    );
}

#[test]
fn a_worker_that_is_killed_unbalances_the_books() {
    let _turn = turn();
    let place = Place::new();
    let args = [
        "--clients=100",
        "--duration=5s",
        "--set=faults.reload.at=4s",
    ];
    let mut child = place
        .run_command("scenarios/proxy-reload.toml", &args)
        .spawn()
        .unwrap();
    wait_for("all to be connected", PATIENCE, || {
        assert!(child.try_wait().unwrap().is_none());
        lines(&place.out().join("intervals.jsonl")) >= 2
    });
    let groups = place.groups();
    let members = group::members(groups[0]);
    let comm =
        |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let worker = members
        .iter()
        .find(|stat| comm(stat.pid).contains("worker process"))
        .unwrap();
    kill_process(
        Pid::from_raw(i32::try_from(worker.pid).unwrap()).unwrap(),
        Signal::KILL,
    )
    .unwrap();
    let finished = finish(child, PATIENCE);
    assert_eq!(finished.code, 3, "{}", finished.stdout);
    assert!(
        finished
            .stdout
            .contains("the books do not balance: tunnels ended"),
        "{}",
        finished.stdout
    );
}
