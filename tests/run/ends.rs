//! How runs end when something else does first: a signal, a process, a second signal. What is left is in `moments`.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use wssoak::topology::group;

use crate::support::{Place, finish, lines, send, turn, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);

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
    send(child.id(), Signal::INT);
    std::thread::sleep(Duration::from_millis(20));
    send(child.id(), Signal::INT);
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
    send(child.id(), Signal::KILL);
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
    send(child.id(), Signal::STOP);
    std::thread::sleep(Duration::from_secs(1));
    send(child.id(), Signal::CONT);
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
