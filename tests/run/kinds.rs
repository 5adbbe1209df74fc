//! Faults for the tests of how runs end: which kinds there are, which are on together, and how far each has come.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wssoak::fault::FaultRecord;
use wssoak::scenario::{self, Fault as Read, FaultKind, Scenario};

/// A fault as the scenario has it, but for its name and its times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: &'static str,
    keys: &'static str,
    is_moment: bool,
}

/// A fault that stays on until the run ends.
pub(crate) const fn held(kind: &'static str, keys: &'static str) -> Fault {
    let is_moment = false;
    Fault {
        kind,
        keys,
        is_moment,
    }
}

/// A fault that is a moment.
pub(crate) const fn moment(kind: &'static str, keys: &'static str) -> Fault {
    let is_moment = true;
    Fault {
        kind,
        keys,
        is_moment,
    }
}

/// The faults as the value of a key, named `f0` and so on. They begin together, and the last one when the others have
/// taken effect.
pub(crate) fn toml(faults: &[Fault]) -> String {
    let last = faults.len() - 1;
    let one = |(index, fault): (usize, &Fault)| {
        let at = if index == last { 1_200 } else { 500 };
        let lasts = match fault.is_moment || fault.keys.contains("for=") {
            true => "",
            false => ", for='28s'",
        };
        let keys = match fault.keys {
            "" => String::new(),
            keys => format!(", {keys}"),
        };
        let kind = fault.kind;
        format!("{{name='f{index}', kind='{kind}', at='{at}ms'{lasts}{keys}}}")
    };
    let all: Vec<String> = faults.iter().enumerate().map(one).collect();
    format!("[{}]", all.join(", "))
}

/// The last record of each fault of a run, by name.
fn records(out: &Path) -> BTreeMap<String, FaultRecord> {
    let text = std::fs::read_to_string(out.join("faults.jsonl")).unwrap_or_default();
    let whole = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    whole
        .map(|record: FaultRecord| (record.name.clone(), record))
        .collect()
}

/// Has every fault been seen to take effect, and is every one on that is no moment?
pub(crate) fn all_on(out: &Path, faults: &[Fault]) -> bool {
    let records = records(out);
    faults.iter().enumerate().all(|(index, fault)| {
        records.get(&format!("f{index}")).is_some_and(|record| {
            assert!(!record.failed, "{}: {}", record.kind, record.observed);
            record.confirmed_us.is_some() && (fault.is_moment || record.healing_us.is_none())
        })
    })
}

/// How far a fault has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Begun, and not yet seen to have taken effect.
    Begun,
    /// Seen to have taken effect.
    On,
    /// Being healed, and not yet seen to be over; or between two nodes of a rolling one.
    Healing,
}

/// Is the last of these faults there?
pub(crate) fn last_is(out: &Path, faults: &[Fault], stage: Stage) -> bool {
    let records = records(out);
    let last = records.get(&format!("f{}", faults.len() - 1));
    last.is_some_and(|record| {
        let now = match (record.began_us, record.confirmed_us, record.healing_us) {
            _ if record.ended_us.is_some() => None,
            (_, _, Some(_)) => Some(Stage::Healing),
            (_, Some(_), None) => Some(Stage::On),
            (Some(_), None, None) => Some(Stage::Begun),
            (None, None, None) => None,
        };
        now == Some(stage)
    })
}

/// A scenario with these faults; `Err` with all problems.
fn load(faults: &str, topology: &str) -> Result<Scenario, String> {
    let text = format!(
        "duration = '30s'\nfaults = {faults}\n[clients]\ncount = 10\n[topology]\n{topology}\n"
    );
    scenario::load(Path::new("kinds.toml"), &text, &[]).map_err(|problems| problems.to_string())
}

/// Which kinds these faults are; those of links on which link. Panics if the scenario has a kind that is none of them.
pub(crate) fn covered(cases: &[&[Fault]], topology: &str) -> BTreeSet<String> {
    let scenarios = cases.iter().map(|faults| load(&toml(faults), topology));
    let faults: Vec<Read> = scenarios
        .flat_map(|scenario| scenario.unwrap().faults)
        .collect();
    let name = |fault: &Read| match &fault.kind {
        FaultKind::Link(link) => format!("{} {:?}", link.trouble.name(), link.link),
        other => other.name().to_owned(),
    };
    let covered: BTreeSet<String> = faults.iter().map(name).collect();
    let links: BTreeSet<&str> = faults
        .iter()
        .filter(|fault| matches!(fault.kind, FaultKind::Link(_)))
        .map(|fault| fault.kind.name())
        .collect();
    for word in FaultKind::words().map(str::to_owned) {
        let wanted = match links.contains(word.as_str()) {
            true => vec![format!("{word} Edge"), format!("{word} Upstream")],
            false => vec![word],
        };
        for word in wanted {
            assert!(
                covered.contains(&word),
                "`{word}` is in no case: whether anything of it is left after a signal is not tested"
            );
        }
    }
    covered
}
