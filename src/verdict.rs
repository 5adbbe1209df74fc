//! The verdict: objectives against measures, and whether the measures can be trusted at all.
//!
//! Pure. Order matters and is deliberate: a run that cannot be trusted is inconclusive whatever its objectives say; a
//! trusted run that was aborted fails; so does one with a missed objective, even if another objective has no data; a
//! trusted run with an objective without data is inconclusive; no data is never a pass.

use serde::{Deserialize, Serialize};

use crate::analyze::{Summary, Value};
use crate::fault::FaultRecord;
use crate::record::collector::Outcome;
use crate::scenario::{Objective, Scenario};
use crate::units::{micros, show_count};

/// Share of the wanted clients that must be connected before the first fault.
const STEADY_SHARE: f64 = 0.99;

/// How one objective came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// It held.
    Yes,
    /// It did not.
    No,
    /// There was nothing to judge it by.
    NoData,
}

/// One objective with its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// As the scenario states it.
    pub objective: String,
    /// What was measured, in the measure's base unit; `None` without data.
    pub actual: Option<Value>,
    /// The same for people.
    pub shown: String,
    /// How it came out.
    pub held: Held,
}

/// Pass, fail or inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every objective held, and the measures can be trusted.
    Pass,
    /// An objective did not hold or an abort condition did, and the measures can be trusted.
    Fail,
    /// The measures cannot be trusted, or there were none.
    Inconclusive,
    /// The run was interrupted; what there is, is partial.
    Interrupted,
}

/// A verdict with its reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why the run is inconclusive, aborted or partial, one sentence each.
    pub reasons: Vec<String>,
    /// Each objective.
    pub objectives: Vec<Judged>,
}

/// Judges a run.
pub fn judge(scenario: &Scenario, summary: &Summary) -> Judgement {
    let objectives: Vec<Judged> = scenario
        .objectives
        .iter()
        .map(|objective| evaluate(objective, summary))
        .collect();
    let mut reasons = distrust(summary);
    reasons.extend(unsteady(scenario, summary));
    let outcome = summary.end.as_ref().map(|end| &end.outcome);
    let interrupted = matches!(outcome, Some(Outcome::Interrupted(_)));
    let aborted = match outcome {
        Some(Outcome::Aborted(abort)) => Some(abort.sentence()),
        _ => None,
    };
    let is_aborted = aborted.is_some();
    let is_trusted = reasons.is_empty();
    reasons.extend(aborted);
    let verdict = if interrupted {
        Verdict::Interrupted
    } else if !is_trusted {
        Verdict::Inconclusive
    } else if is_aborted || objectives.iter().any(|judged| judged.held == Held::No) {
        Verdict::Fail
    } else if objectives.iter().any(|judged| judged.held == Held::NoData) {
        let missing = objectives
            .iter()
            .filter(|judged| judged.held == Held::NoData);
        reasons.extend(missing.map(|judged| format!("no data for `{}`", judged.objective)));
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    };
    Judgement {
        verdict,
        reasons,
        objectives,
    }
}

/// One objective against the measures.
pub fn evaluate(objective: &Objective, summary: &Summary) -> Judged {
    let values = summary.values(objective.measure, &objective.scope);
    let holds = |value: &Value| objective.comparison.holds(value.as_f64(), objective.bound);
    // Of a fault that happened several times, the first time that misses decides.
    let missed = values.iter().flatten().copied().find(|value| !holds(value));
    let actual = missed.or_else(|| values.into_iter().flatten().reduce(Value::worse));
    let held = match (actual, missed) {
        (None, _) => Held::NoData,
        (_, Some(_)) => Held::No,
        _ => Held::Yes,
    };
    Judged {
        objective: objective.text.clone(),
        actual,
        shown: actual.map_or_else(
            || "no data".into(),
            |value| value.show(objective.measure.unit()),
        ),
        held,
    }
}

/// Before the first fault all must be well, or what it did cannot be told from what was wrong already. A fault within
/// the ramp is meant for the ramp.
fn unsteady(scenario: &Scenario, summary: &Summary) -> Option<String> {
    let happened = summary.faults.iter().zip(&summary.storms);
    let (fault, storm) = happened
        .filter(|(fault, storm)| fault.began_us.is_some() && storm.has_data())
        .min_by_key(|(fault, _)| fault.began_us)?;
    let (connected, wanted) = storm.steady;
    let is_steady = connected as f64 >= STEADY_SHARE * f64::from(wanted);
    // The second of the ramp's end tells nothing of the time after it.
    let ramp_us = micros(scenario.clients.ramp).next_multiple_of(1_000_000);
    let is_ramp = fault.planned_begin_us < ramp_us;
    (!is_steady && !is_ramp).then(|| {
        format!(
            "there was no steady state before the first fault, `{}`: {} of {} wanted clients were connected",
            fault.name,
            show_count(connected),
            show_count(wanted.into())
        )
    })
}

/// Every reason not to trust the measures.
fn distrust(summary: &Summary) -> Vec<String> {
    let mut reasons = Vec::new();
    match summary.end.as_ref() {
        None => reasons.push(
            "the record breaks off, since the harness was killed or could not write: this is a partial report".into(),
        ),
        Some(end) => {
            match &end.outcome {
                // That a run was aborted is no reason to distrust it.
                Outcome::Finished | Outcome::Aborted(_) => {}
                Outcome::Interrupted(why) => {
                    reasons.push(format!("the run was interrupted ({why})"))
                }
                Outcome::Broken(why) => reasons.push(why.clone()),
            }
            reasons.extend(end.health.complaints());
        }
    }
    if summary.cut_off && summary.end.is_some() {
        reasons.push("the last line of a file of the result folder is cut off".into());
    }
    let outcome = summary.end.as_ref().map(|end| &end.outcome);
    let is_aborted = matches!(outcome, Some(Outcome::Aborted(_)));
    // What an aborted run did not come to is no fault that failed.
    let not_due = |fault: &FaultRecord| is_aborted && fault.began_us.is_none() && !fault.failed;
    let faults = summary.faults.iter();
    for fault in faults.filter(|fault| !fault.was_effective() && !not_due(fault)) {
        let how = match (fault.began_us, fault.confirmed_us) {
            (None, _) => "did not happen",
            (_, None) => "did not take effect",
            _ => "took effect but was not healed",
        };
        let seen = if fault.observed.is_empty() {
            String::new()
        } else {
            format!(": {}", fault.observed)
        };
        reasons.push(format!("fault `{}` {how}{seen}", fault.name));
    }
    for entry in summary.books.iter().filter(|entry| !entry.balances()) {
        reasons.push(format!("the books do not balance: {}", entry.sentence()));
    }
    reasons
}

#[cfg(test)]
mod tests;
