//! What is left when the harness is killed together with its warden goes with `wssoak clean`, and with the next run.

use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::kinds::{Fault, all_on, held, toml};
use crate::moments::assert_nothing_left;
use crate::support::{Place, complete, finish, is_empty, send, turn, wait_for};

const PATIENCE: Duration = Duration::from_secs(30);

const ARGS: [&str; 6] = [
    "--quiet",
    "--clients=40",
    "--duration=30s",
    "--set=clients.ramp=200ms",
    "--set=phases=[]",
    "--set=objectives=[]",
];

const FAULTS: &[Fault] = &[
    held("pause-node", "target='n1'"),
    held("slow-handshake", "target='n2', delay='9s'"),
    held("pause-worker", ""),
];

/// Two places, one for the run that is killed and one for another, and between them one folder of journals.
struct Places {
    killed: Place,
    living: Place,
    journals: Place,
}

impl Places {
    fn new() -> Self {
        Self {
            killed: Place::new(),
            living: Place::new(),
            journals: Place::new(),
        }
    }

    fn start(&self, place: &Place, faults: &str) -> Child {
        let mut command = place.run_command("scenarios/node-kill.toml", &ARGS);
        command.env("XDG_STATE_HOME", self.journals.state());
        let faults = format!("--set=faults={faults}");
        command.arg(faults).spawn().unwrap()
    }

    /// Kills a harness, its warden and nginx's master in one instant, so that what they leave is nobody's.
    fn orphan(&self) -> Vec<u32> {
        let place = &self.killed;
        let mut child = self.start(place, &toml(FAULTS));
        wait_for("the faults", PATIENCE, || {
            assert!(child.try_wait().unwrap().is_none());
            all_on(&place.out(), FAULTS)
        });
        let groups = place.groups();
        let master = place.process("nginx: master").unwrap();
        send(child.id(), Signal::STOP);
        for pid in [groups[0], master, child.id()] {
            send(pid, Signal::KILL);
        }
        finish(child, PATIENCE);
        assert!(!is_empty(&place.tmp()), "nobody was there to remove it");
        // A parent-death signal would have reached the master, which would have ended its workers.
        let left = place.processes(&groups).join("\n");
        assert!(left.contains("of group"), "nobody was there to end it");
        groups
    }

    /// A run that is up.
    fn another(&self) -> (Child, Vec<u32>) {
        let mut child = self.start(&self.living, "[]");
        wait_for("the other run", PATIENCE, || {
            assert!(child.try_wait().unwrap().is_none());
            self.living.out().join("intervals.jsonl").exists()
        });
        (child, self.living.groups())
    }

    /// What was nobody's is gone, the other run is not, and goes when it is told to.
    fn assert_cleaned(&self, groups: &[u32], other: Child, others: &[u32]) {
        assert_eq!(self.killed.processes(groups), [] as [String; 0]);
        assert!(is_empty(&self.killed.tmp()));
        assert_eq!(self.living.groups(), others);
        send(other.id(), Signal::INT);
        let finished = finish(other, PATIENCE);
        assert_eq!(finished.code, 130, "{}", finished.stderr);
        assert_nothing_left("the other", &self.living, others);
        assert!(is_empty(&self.journals.state().join("wssoak")));
    }
}

#[test]
fn what_is_left_when_the_warden_dies_too_goes_with_clean() {
    let _turn = turn();
    let places = Places::new();
    // A run that lives is not cleaned away, though its journal lies beside.
    let (other, others) = places.another();
    let groups = places.orphan();
    let mut clean = places.journals.command(&["clean"]);
    let cleaned = complete(&mut clean);
    assert_eq!(cleaned.code, 0, "{}", cleaned.stderr);
    assert_eq!(cleaned.stdout, "removed what 1 runs had left behind\n");
    places.assert_cleaned(&groups, other, &others);
}

#[test]
fn what_is_left_when_the_warden_dies_too_goes_with_the_next_run() {
    let _turn = turn();
    let places = Places::new();
    let groups = places.orphan();
    let (other, others) = places.another();
    places.assert_cleaned(&groups, other, &others);
}
