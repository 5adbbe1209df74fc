//! What a run left: its result, and every cut of it. Shared with the tests of the compose topology.

use std::collections::{BTreeMap, BTreeSet};

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

impl Left {
    pub(crate) fn of(place: &Place, finished: Finished) -> Self {
        assert!(
            place.out().join("result.json").exists(),
            "{}",
            finished.stderr
        );
        let events = std::fs::read_to_string(place.out().join("outages.jsonl")).unwrap();
        let cuts = events
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|event| event["what"] == "cut")
            .map(|event| Cut {
                at_s: event["at_us"].as_f64().unwrap() / 1e6,
                client: event["client"].as_u64().unwrap(),
                node: event["node"].as_u64().unwrap() + 1,
                cause: event["cause"].as_str().unwrap().into(),
            })
            .collect();
        Self {
            result: result(&place.out()),
            finished,
            cuts,
        }
    }

    pub(crate) fn passes(&self) {
        assert_verdict(&self.finished, &self.result, "pass", 0);
    }

    pub(crate) fn storm(&self, name: &str) -> &Value {
        let storms = self.result["storms"].as_array().unwrap();
        let storm = storms.iter().find(|storm| storm["fault"]["name"] == name);
        storm.unwrap_or_else(|| panic!("no {name}"))
    }

    pub(crate) fn fault(&self, name: &str) -> &Value {
        &self.storm(name)["fault"]
    }

    /// When something of a fault happened, in seconds.
    pub(crate) fn at(&self, name: &str, what: &str) -> f64 {
        let fault = self.fault(name);
        let us = fault[what].as_f64();
        us.unwrap_or_else(|| panic!("no {what} in {fault}")) / 1e6
    }

    pub(crate) fn between(&self, from_s: f64, to_s: f64) -> Vec<&Cut> {
        let cuts = self.cuts.iter();
        cuts.filter(|cut| (from_s..to_s).contains(&cut.at_s))
            .collect()
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
