//! A whole run for a test, and all that it left: the report, each single cut, nginx's logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::scenarios::{assert_verdict, measure};
use crate::support::{Finished, Place, complete, result, turn};

/// 200 clients from the first half second on, who come back within a second.
const HEAD: &str =
    "[clients]\ncount = 200\nramp = \"500ms\"\n[reconnect]\nbase = \"200ms\"\ncap = \"1s\"\n";

/// One client that lost its session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cut {
    pub(crate) at_s: f64,
    pub(crate) client: u64,
    pub(crate) node: u64,
    pub(crate) cause: String,
}

/// What a run left.
pub(crate) struct Left {
    pub(crate) finished: Finished,
    pub(crate) result: Value,
    pub(crate) cuts: Vec<Cut>,
    /// nginx's error log.
    pub(crate) errors: String,
    /// nginx's access log: a line for each request that has ended.
    pub(crate) requests: Vec<Value>,
}

/// Plays these faults with 200 clients.
pub(crate) fn play(text: &str) -> Left {
    play_with(HEAD, text)
}

/// Plays these faults with these clients.
pub(crate) fn play_with(head: &str, text: &str) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.toml");
    std::fs::write(&file, format!("{text}\n{head}")).unwrap();
    play_file(file.to_str().unwrap(), &[])
}

/// Plays a scenario file.
pub(crate) fn play_file(file: &str, args: &[&str]) -> Left {
    let _turn = turn();
    let place = Place::new();
    let finished = complete(&mut place.run_command(file, args));
    assert!(
        place.out().join("result.json").exists(),
        "{}",
        finished.stderr
    );
    assert_eq!(place.processes(&[]), [] as [String; 0]);
    Left::read(&place.out(), finished)
}

/// Each line of a file as JSON.
fn documents(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Left {
    fn read(out: &Path, finished: Finished) -> Self {
        let events = documents(&out.join("outages.jsonl"));
        let cuts = events.iter().filter(|event| event["what"] == "cut");
        Self {
            result: result(out),
            cuts: cuts
                .map(|event| Cut {
                    at_s: event["at_us"].as_f64().unwrap() / 1e6,
                    client: event["client"].as_u64().unwrap(),
                    node: event["node"].as_u64().unwrap() + 1,
                    cause: event["cause"].as_str().unwrap().into(),
                })
                .collect(),
            errors: std::fs::read_to_string(out.join("logs/nginx-error.log")).unwrap(),
            requests: documents(&out.join("logs/nginx-access.log")),
            finished,
        }
    }

    pub(crate) fn passes(&self) {
        assert_verdict(&self.finished, &self.result, "pass", 0);
    }

    /// The storm of a fault, by its name.
    pub(crate) fn storm(&self, name: &str) -> &Value {
        let storms = self.result["storms"].as_array().unwrap();
        let storm = storms.iter().find(|storm| storm["fault"]["name"] == name);
        storm.unwrap_or_else(|| panic!("no {name}"))
    }

    pub(crate) fn fault(&self, name: &str) -> &Value {
        &self.storm(name)["fault"]
    }

    /// What was seen of a fault.
    pub(crate) fn observed(&self, name: &str) -> &str {
        self.fault(name)["observed"].as_str().unwrap()
    }

    /// When something of a fault happened, in seconds.
    pub(crate) fn at(&self, name: &str, what: &str) -> f64 {
        let fault = self.fault(name);
        let us = fault[what].as_f64();
        us.unwrap_or_else(|| panic!("no {what} in {fault}")) / 1e6
    }

    /// A measure of a phase.
    pub(crate) fn during(&self, phase: &str, name: &str) -> f64 {
        let phases = self.result["phases"].as_array().unwrap();
        let part = phases.iter().find(|part| part["name"] == phase);
        measure(part.unwrap_or_else(|| panic!("no {phase}")), name)
    }

    pub(crate) fn between(&self, from_s: f64, to_s: f64) -> Vec<&Cut> {
        let cuts = self.cuts.iter();
        cuts.filter(|cut| (from_s..to_s).contains(&cut.at_s))
            .collect()
    }

    /// Asserts that a fault cut exactly the sessions of `node`, each for the first time, by `cause` and so many seconds
    /// after it began.
    pub(crate) fn assert_node_cut(
        &self,
        fault: &str,
        node: u64,
        cause: &str,
        after_s: std::ops::Range<f64>,
    ) {
        let began = self.at(fault, "began_us");
        let storm = self.storm(fault);
        let cuts = &storm["cut"];
        assert_eq!(cuts.as_object().unwrap().len(), 1, "{fault}: {cuts}");
        let count = cuts[cause].as_u64();
        let before = storm["nodes_before"][format!("n{node}")].as_u64();
        assert_eq!(count, before, "{fault}: all of n{node}, once: {storm}");
        assert!(before >= Some(60), "{fault}: n{node} has its share");
        let by_node = storm["cut_by_node"].as_object().unwrap();
        for (name, cut) in by_node {
            let is_its = *name == format!("n{node}");
            assert_eq!(is_its, cut != 0, "{fault}: {storm}");
        }
        for cut in self.between(began, began + after_s.end + 1.0) {
            assert!(
                after_s.contains(&(cut.at_s - began)),
                "{fault} at {began}: {cut:?}"
            );
        }
    }

    /// How many lines of nginx's error log say all of this.
    pub(crate) fn errors_with(&self, words: &[&str]) -> u64 {
        let lines = self.errors.lines();
        lines
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count() as u64
    }

    /// The first cut of each client, by the node that it was on.
    pub(crate) fn first_by_node(&self) -> BTreeMap<u64, Vec<&Cut>> {
        let mut seen = BTreeSet::new();
        let mut by_node: BTreeMap<u64, Vec<&Cut>> = BTreeMap::new();
        for cut in &self.cuts {
            if seen.insert(cut.client) {
                by_node.entry(cut.node).or_default().push(cut);
            }
        }
        by_node
    }
}
