//! The text and the JSON of `wssoak plan`: the timeline, every value with where it comes from, and the objectives.
//!
//! Pure.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{OccurrenceId, Plan, PlannedFault, What};
use crate::scenario::measure::Unit;
use crate::scenario::{Given, Objective, Scope};
use crate::units::{show_count, show_duration, show_share};

mod faults;
mod settings;

use faults::{after, effect};
use settings::{Setting, settings};

/// The plan to read before running.
pub fn human(plan: &Plan) -> String {
    let scenario = &plan.scenario;
    let mut text = format!(
        "{}: {} clients, {} node{}, {} from ramp to drain, seed {}\n",
        scenario.name,
        show_count(plan.load.most().into()),
        scenario.topology.nodes,
        if scenario.topology.nodes == 1 {
            ""
        } else {
            "s"
        },
        show_duration(scenario.duration),
        scenario.seed,
    );
    if !scenario.description.is_empty() {
        let _ = writeln!(text, "{}", scenario.description);
    }
    text.push_str("\nTimeline\n");
    let rows = plan.timeline.points().iter();
    table(
        &mut text,
        rows.map(|point| {
            let (what, detail) = describe(plan, point.what);
            [show_duration(point.at), what, detail]
        }),
    );
    text.push_str("\nSettings (· marks a default)\n");
    table(
        &mut text,
        settings(scenario).into_iter().map(|setting| {
            let (mark, remark) = match scenario.given.get(&setting.key) {
                None => ("·", String::new()),
                Some(Given::File) => (" ", String::new()),
                Some(Given::Override(origin)) => (" ", format!("from {origin}")),
            };
            [format!("{mark} {}", setting.key), setting.shown, remark]
        }),
    );
    text.push_str("\nObjectives\n");
    if scenario.objectives.is_empty() {
        text.push_str("  none: the run passes when its books balance\n");
    }
    table(
        &mut text,
        scenario.objectives.iter().map(|objective| {
            let must = format!("{} {}", objective.comparison, bound(objective));
            [objective.measure.to_string(), must, window(plan, objective)]
        }),
    );
    if !scenario.abort_when.is_empty() {
        text.push_str("\nAborted when\n");
    }
    table(
        &mut text,
        scenario.abort_when.iter().map(|condition| {
            let bound = shown(condition.live.unit(), condition.bound);
            let must = format!("{} {bound}", condition.comparison);
            let time = Duration::from_secs(condition.seconds.into());
            let held = format!("in every second for {}", show_duration(time));
            [condition.live.to_string(), must, held]
        }),
    );
    text
}

/// The same as data: offsets and durations in seconds, settings as text with their source.
pub fn json(plan: &Plan) -> Value {
    let scenario = &plan.scenario;
    let phases = plan.phases.iter().map(|phase| {
        json!({
            "name": phase.name,
            "from_s": phase.from.as_secs_f64(),
            "to_s": phase.to.as_secs_f64(),
            "clients_at_end": plan.load.wanted(phase.to),
        })
    });
    let faults = plan.faults.iter().map(|fault| {
        json!({
            "name": fault.name,
            "kind": fault.kind.name(),
            "from_s": fault.at.as_secs_f64(),
            "to_s": fault.until.as_secs_f64(),
            "targets": fault.targets(),
            "effect": effect(fault, &scenario.topology.nginx),
        })
    });
    let objectives = scenario.objectives.iter().map(|objective| {
        json!({
            "text": objective.text,
            "measure": objective.measure.to_string(),
            "comparison": objective.comparison.sign(),
            "bound": objective.bound,
            "window": window(plan, objective),
        })
    });
    let abort_when = scenario.abort_when.iter().map(|condition| {
        json!({
            "text": condition.text,
            "live": condition.live.to_string(),
            "comparison": condition.comparison.sign(),
            "bound": condition.bound,
            "for_s": condition.seconds,
        })
    });
    let settings: serde_json::Map<String, Value> = settings(scenario)
        .into_iter()
        .map(|Setting { key, shown }| {
            let source = match scenario.given.get(&key) {
                None => "default",
                Some(Given::File) => "file",
                Some(Given::Override(origin)) => origin,
            };
            let value = json!({ "value": shown, "source": source });
            (key, value)
        })
        .collect();
    json!({
        "schema_version": 1,
        "name": scenario.name,
        "description": scenario.description,
        "seed": scenario.seed,
        "duration_s": scenario.duration.as_secs_f64(),
        "most_clients": plan.load.most(),
        "client_seconds": plan.load.wanted_seconds(Duration::ZERO, scenario.duration),
        "phases": phases.collect::<Vec<_>>(),
        "faults": faults.collect::<Vec<_>>(),
        "objectives": objectives.collect::<Vec<_>>(),
        "abort_when": abort_when.collect::<Vec<_>>(),
        "settings": settings,
    })
}

fn describe(plan: &Plan, what: What) -> (String, String) {
    let nginx = &plan.scenario.topology.nginx;
    let fault = |id: OccurrenceId| plan.faults.get(usize::from(id.0));
    match what {
        What::PhaseBegin(index) => match plan.phases.get(index) {
            Some(phase) => (
                format!("phase {}", phase.name),
                load(plan, phase.from, phase.to),
            ),
            None => Default::default(),
        },
        What::FaultBegin(id) => match fault(id) {
            Some(fault) => {
                let begins = if fault.is_moment() { "" } else { " begins" };
                let detail = effect(fault, nginx) + &drawn(plan, fault);
                (format!("fault {}{begins}", fault.name), detail)
            }
            None => Default::default(),
        },
        What::FaultEnd(id) => match fault(id) {
            Some(fault) => (format!("fault {} ends", fault.name), after(fault)),
            None => Default::default(),
        },
        What::Drain => (
            "drain".into(),
            "clients close; sessions, logs and books are settled".into(),
        ),
    }
}

/// From where to where the beginning of a fault was drawn.
fn drawn(plan: &Plan, fault: &PlannedFault) -> String {
    let spread = match plan.scenario.faults.get(usize::from(fault.fault.0)) {
        Some(one) if !one.spread.is_zero() => one.spread,
        _ => return String::new(),
    };
    format!(
        "; drawn from {} to {}",
        show_duration(fault.due),
        show_duration(fault.due + spread)
    )
}

/// What becomes of the number of clients from one offset to another.
fn load(plan: &Plan, from: Duration, to: Duration) -> String {
    let count = |at| show_count(plan.load.wanted(at).into());
    // At offset zero the first client is there already; the ramp still begins with none.
    let before = if from.is_zero() && !plan.scenario.clients.ramp.is_zero() {
        "0".into()
    } else {
        count(from)
    };
    let (after, takes) = (count(to), show_duration(to - from));
    if before == after {
        return format!("{takes} with {before} clients");
    }
    format!("{takes}, from {before} to {after} clients")
}

fn bound(objective: &Objective) -> String {
    shown(objective.measure.unit(), objective.bound)
}

/// A bound in its unit.
fn shown(unit: Unit, bound: f64) -> String {
    match unit {
        Unit::Share => show_share(bound),
        Unit::Seconds => show_duration(Duration::try_from_secs_f64(bound).unwrap_or(Duration::MAX)),
        Unit::PerSecond => format!("{bound}/s"),
        Unit::Count | Unit::Factor => format!("{bound}"),
    }
}

fn window(plan: &Plan, objective: &Objective) -> String {
    let span = |from, to| format!("{} to {}", show_duration(from), show_duration(to));
    let after = |fault: &PlannedFault| {
        let end = plan.next_after(fault).unwrap_or(plan.scenario.duration);
        format!("after {}, {}", fault.name, span(fault.at, end))
    };
    match objective.scope {
        Scope::Run if objective.measure.needs_fault() => match plan.faults.as_slice() {
            [only] => after(only),
            _ => "after each fault, the worst counts".into(),
        },
        Scope::Run => "whole run".into(),
        Scope::Phase(index) => match plan.phases.get(index) {
            Some(phase) => format!("in {}, {}", phase.name, span(phase.from, phase.to)),
            None => String::new(),
        },
        Scope::After(id) => {
            let times: Vec<_> = plan
                .faults
                .iter()
                .filter(|fault| fault.fault == id)
                .collect();
            match times.as_slice() {
                [] => String::new(),
                [once] => after(once),
                [first, ..] => format!("after each of {} times {}", times.len(), first.name),
            }
        }
    }
}

/// Three columns, the first two padded to the widest.
fn table(text: &mut String, rows: impl Iterator<Item = [String; 3]>) {
    let rows: Vec<[String; 3]> = rows.collect();
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    for [a, b, c] in &rows {
        let line = format!("  {a:first$}  {b:second$}  {c}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}
