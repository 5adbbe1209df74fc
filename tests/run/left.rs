//! What a run left: the report, each single cut, nginx's logs. Shared with the tests of the compose topology.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::{Finished, Place, result};

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

/// Asserts the verdict and shows the whole report when it is another.
pub(crate) fn assert_verdict(finished: &Finished, result: &Value, verdict: &str, code: i32) {
    assert_eq!(
        result["judgement"]["verdict"], verdict,
        "{}\n{}",
        finished.stdout, finished.stderr
    );
    assert_eq!(finished.code, code, "{}", finished.stderr);
}

/// Everybody was cut by a FIN, but for who had just sent something that nginx did not read any more: that makes it a RST.
pub(crate) fn assert_fin(storm: &Value) {
    let cut = |cause: &str| storm["cut"][cause].as_u64().unwrap_or(0);
    let all = storm["cut"].as_object().unwrap().values();
    let all: u64 = all.map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(cut("eof") + cut("reset"), all, "{storm}");
    assert!(cut("eof") >= all - all / 10, "{storm}");
}

pub(crate) fn measure(part: &Value, name: &str) -> f64 {
    part["measures"][name]
        .as_f64()
        .unwrap_or_else(|| panic!("no {name} in {part}"))
}

/// A file that a proxy of somebody else's may not write.
fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// Each line of a file as JSON.
fn documents(file: &Path) -> Vec<Value> {
    let text = read(file);
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

impl Left {
    pub(crate) fn of(place: &Place, finished: Finished) -> Self {
        let out = &place.out();
        assert!(out.join("result.json").exists(), "{}", finished.stderr);
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
            errors: read(&out.join("logs/nginx-error.log")),
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
        self.assert_node_cut_by(fault, node, [cause, cause], after_s);
    }

    /// As [`Self::assert_node_cut`], but that one in twenty may have met the other cause.
    pub(crate) fn assert_node_cut_by(
        &self,
        fault: &str,
        node: u64,
        [cause, rare]: [&str; 2],
        after_s: std::ops::Range<f64>,
    ) {
        let began = self.at(fault, "began_us");
        let storm = self.storm(fault);
        let cuts = storm["cut"].as_object().unwrap();
        assert!(
            cuts.keys().all(|met| [cause, rare].contains(&met.as_str())),
            "{fault}: {storm}"
        );
        let all: u64 = cuts.values().map(|count| count.as_u64().unwrap()).sum();
        let before = storm["nodes_before"][format!("n{node}")].as_u64().unwrap();
        assert_eq!(all, before, "{fault}: all of n{node}, once: {storm}");
        assert!(cuts[cause].as_u64().unwrap() * 20 >= before * 19, "{storm}");
        assert!(before >= 60, "{fault}: n{node} has its share");
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
