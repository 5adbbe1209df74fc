//! From text to a [`Scenario`], or to everything that is wrong with it.
//!
//! Pure: the file has been read already, and no path in it is looked at.

use std::path::Path;
use std::time::Duration;

use super::overrides::{self, Override};
use super::problem::{Problem, Problems};
use super::reader::{Log, Reader};
use super::tree::{self, Table};
use super::{Scenario, grammar, kind, section};
use crate::units;

/// Reads the scenario in `text`, with `overrides` laid over it. `path` is shown in problems, gives the default name,
/// and its folder is where relative paths in the file start. Relative paths in overrides stay as they are.
///
/// # Errors
/// All problems together. When `text` is no TOML, only those that cannot be an echo of that.
pub fn load(path: &Path, text: &str, overrides: &[Override]) -> Result<Scenario, Problems> {
    let flags: Vec<String> = overrides.iter().map(|one| one.origin.clone()).collect();
    let log = Log::new(flags.clone());
    let (mut root, syntax) = tree::parse(text);
    for problem in overrides::apply(&mut root, overrides) {
        log.add(problem);
    }
    let mut scenario = read(&root, path, &log);
    let (mut problems, given) = log.into_parts();
    if !syntax.is_empty() {
        problems.retain(|problem| !is_echo(problem, &syntax));
        problems.extend(syntax);
    }
    if problems.is_empty() {
        scenario.given = given;
        return Ok(scenario);
    }
    Err(Problems::new(
        path.display().to_string(),
        text,
        flags,
        problems,
    ))
}

/// Where the TOML is broken, what follows may have been read wrongly; what stands before has not.
fn is_echo(problem: &Problem, syntax: &[Problem]) -> bool {
    let first = syntax.iter().map(Problem::order).min();
    problem.is_derived()
        || problem.is_about_nothing()
        || first.is_some_and(|first| problem.order() >= first)
}

fn read(root: &Table, path: &Path, log: &Log) -> Scenario {
    let mut top = Reader::top(root, log);
    let name = top.get("name", kind::name).or(default_name(path));
    let description = top.get("description", kind::line).or(String::new());
    let seed = top.get("seed", kind::seed).or(1);
    let duration = top.need(
        "duration",
        kind::duration_in(Duration::from_secs(1), units::MAX_DURATION),
        "duration = \"60s\"",
        Duration::from_secs(60),
    );
    // Asked for here and read last, since objectives name phases and faults.
    let texts = top.list(
        "objectives",
        "write it like objectives = [\"never_recovered == 0\"]",
    );
    let conditions = top.list(
        "abort_when",
        "write it like abort_when = [\"connected < 10% for 10s\"]",
    );
    let abort_when = grammar::read_conditions(conditions, &duration, log);
    let topology = section::topology::read(&mut top, path.parent());
    let clients = section::clients::read(&mut top, &duration);
    let (traffic, heartbeat) = section::talk::read(&mut top);
    let reconnect = section::reconnect::read(&mut top);
    let record = section::record::read(&mut top);
    let world = section::faults::World {
        duration: &duration,
        nodes: &topology.nodes,
        nginx: &topology.value.nginx,
        traffic: &traffic,
        heartbeat: &heartbeat,
    };
    let faults = section::faults::read(&mut top, &world);
    let phases = section::phases::read(&mut top, &duration, &clients.ramp, &faults);
    let objectives = grammar::read(texts, &phases, &faults, log);
    Scenario {
        name: name.value,
        description: description.value,
        seed: seed.value,
        duration: duration.value,
        topology: topology.value,
        clients: clients.value,
        traffic: traffic.value,
        heartbeat: heartbeat.value,
        reconnect,
        record,
        phases: phases.value,
        faults: faults.value,
        objectives,
        abort_when,
        given: Default::default(),
    }
}

/// The file's stem, with everything that is no part of a name replaced.
fn default_name(path: &Path) -> String {
    let stem = path
        .file_stem()
        .map(|stem| stem.to_string_lossy())
        .unwrap_or_default();
    let name: String = stem
        .chars()
        .take(60)
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    if name.is_empty() {
        "scenario".into()
    } else {
        name
    }
}
