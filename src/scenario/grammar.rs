//! Reads objectives and abort conditions, word by word, so that a problem points at the word that is wrong.
//!
//! Pure.

use std::ops::Range;
use std::time::Duration;

use super::nearest::nearest;
use super::problem::{Place, Problem};
use super::reader::{Field, Log, shortened};
use super::tree::{Item, Value};
use super::{AbortCondition, FaultId, Measure, Objective, Scope, section};
use word::{
    CONDITION, FORM, Fall, Kind, OBJECTIVE, Word, bound, check_sense, comparison, fall, measure,
    missing, words,
};

mod condition;
mod word;

/// Longest sentence, in bytes.
const LONGEST: usize = 300;

pub(super) fn read(
    items: &[Item],
    phases: &section::phases::Read,
    faults: &section::faults::Read,
    log: &Log,
) -> Vec<Objective> {
    let scopes = Scopes { phases, faults };
    sentences(items, &OBJECTIVE, log, |text| scopes.parse(text))
}

/// Reads the abort conditions of a run of this length.
pub(super) fn read_conditions(
    items: &[Item],
    duration: &Field<Duration>,
    log: &Log,
) -> Vec<AbortCondition> {
    // A flag that shortens the run leaves the file's conditions idle on purpose.
    let is_flag = matches!(duration.place, Some(Place::Flag { .. }));
    let most = (duration.is_sound && !is_flag).then_some(duration.value);
    sentences(items, &CONDITION, log, |text| {
        condition::parse(text, most).map(Some)
    })
}

/// Reads each item as a sentence; `None` is one that depends on something that has a problem of its own.
fn sentences<T>(
    items: &[Item],
    kind: &Kind,
    log: &Log,
    parse: impl Fn(&str) -> Result<Option<T>, Fall>,
) -> Vec<T> {
    let mut read = Vec::new();
    for item in items {
        let Value::String(text) = &item.value else {
            log.add(
                Problem::new(format!("{} must be a string", kind.one))
                    .mark(Some(&item.place), format!("this is {}", item.value.what()))
                    .help(format!("write it like {}", kind.example)),
            );
            continue;
        };
        let parsed = match text.len() > LONGEST {
            true => Err(Fall {
                title: format!("{} is longer than {LONGEST} bytes", kind.one),
                span: 0..text.len(),
                label: "too long".into(),
                help: kind.form.into(),
            }),
            false => parse(text),
        };
        match parsed {
            Ok(one) => read.extend(one),
            Err(fall) => {
                let place = within(&item.place, text, fall.span);
                log.add(
                    Problem::new(fall.title)
                        .mark(Some(&place), fall.label)
                        .help(fall.help),
                );
            }
        }
    }
    read
}

/// The place of some bytes of a string: behind its opening quote, provided that it has no escapes before them.
fn within(place: &Place, text: &str, span: Range<usize>) -> Place {
    match place {
        // Two more bytes than the value: plain quotes and nothing escaped.
        Place::File(outer) if outer.len() == text.len() + 2 => {
            Place::File(outer.start + 1 + span.start..outer.start + 1 + span.end)
        }
        other => other.clone(),
    }
}

#[derive(Debug, Clone, Copy)]
struct Scopes<'a> {
    phases: &'a section::phases::Read,
    faults: &'a section::faults::Read,
}

impl Scopes<'_> {
    /// `None` when it names something that has a problem of its own.
    fn parse(&self, text: &str) -> Result<Option<Objective>, Fall> {
        let words = words(text);
        let mut rest = words.iter();
        let end = text.trim_end().len();
        let missing = |what: &str| missing(&OBJECTIVE, what, end);
        let word = rest.next().ok_or_else(|| missing("measure"))?;
        let measure = measure(word)?;
        let comparison = comparison(rest.next().ok_or_else(|| missing("comparison"))?)?;
        let value = rest.next().ok_or_else(|| missing("value"))?;
        let subject = (word.text, measure.unit());
        let bound = bound(subject, value, rest.clone().next(), FORM)?;
        let span = word.span.start..value.span.end;
        check_sense(&OBJECTIVE, subject, comparison, bound, span)?;
        let scope = self.scope(measure, word, rest.as_slice(), end)?;
        Ok(scope.map(|scope| Objective {
            text: text.to_owned(),
            measure,
            comparison,
            bound,
            scope,
        }))
    }

    fn scope(
        &self,
        measure: Measure,
        word: &Word<'_>,
        rest: &[Word<'_>],
        end: usize,
    ) -> Result<Option<Scope>, Fall> {
        let no_faults = self.faults.value.is_empty() && self.faults.is_sound;
        let (link, name) = match rest {
            [] if measure.needs_fault() && no_faults => {
                return Err(fall(
                    word,
                    format!("`{measure}` needs a fault"),
                    "is about what a fault does",
                    "add [[faults]], or remove the objective",
                ));
            }
            [] => return Ok(Some(Scope::Run)),
            [link, ..] if link.text != "in" && link.text != "after" => {
                let near = nearest(link.text, ["in", "after"]);
                return Err(fall(
                    link,
                    "the objective goes on after its value".into(),
                    "`in PHASE`, `after FAULT` or nothing expected",
                    near.map_or_else(|| FORM.to_owned(), |near| format!("did you mean `{near}`?")),
                ));
            }
            [link] => {
                let what = if link.text == "in" { "phase" } else { "fault" };
                return Err(Fall {
                    title: format!("the objective names no {what}"),
                    span: end..end,
                    label: format!("name of a {what} expected here"),
                    help: FORM.into(),
                });
            }
            [link, name] => (link, name),
            [_, _, extra, ..] => {
                return Err(fall(
                    extra,
                    "the objective goes on after its end".into(),
                    "nothing expected here",
                    FORM,
                ));
            }
        };
        match link.text {
            "in" if measure.needs_fault() => Err(fall(
                link,
                format!("`{measure}` is about a fault, not a phase"),
                "a phase is named here",
                "write `after FAULT`, or nothing for the worst over all faults",
            )),
            "in" => self.phase(name),
            _ => self.fault(name),
        }
    }

    fn phase(&self, name: &Word<'_>) -> Result<Option<Scope>, Fall> {
        let phases = &self.phases.value;
        match phases.iter().position(|phase| phase.name == name.text) {
            Some(index) => Ok(Some(Scope::Phase(index))),
            None if !self.phases.is_sound => Ok(None),
            None => {
                let names = || phases.iter().map(|phase| phase.name.as_str());
                let help = match (
                    nearest(name.text, names()),
                    self.faults.value.iter().any(|f| f.name == name.text),
                ) {
                    (_, true) => format!("`{}` is a fault: write `after {}`", name.text, name.text),
                    (Some(near), _) => format!("did you mean `{near}`?"),
                    _ => format!("the phases are {}", names().collect::<Vec<_>>().join(", ")),
                };
                Err(fall(
                    name,
                    format!("there is no phase `{}`", shortened(name.text)),
                    "unknown phase",
                    help,
                ))
            }
        }
    }

    fn fault(&self, name: &Word<'_>) -> Result<Option<Scope>, Fall> {
        let faults = &self.faults.value;
        let found = faults.iter().position(|fault| fault.name == name.text);
        match found.and_then(|index| u16::try_from(index).ok()) {
            Some(index) => Ok(Some(Scope::After(FaultId(index)))),
            None if !self.faults.is_sound => Ok(None),
            None => {
                let names = || faults.iter().map(|fault| fault.name.as_str());
                let help = match (
                    nearest(name.text, names()),
                    self.phases.value.iter().any(|p| p.name == name.text),
                ) {
                    (_, true) => format!("`{}` is a phase: write `in {}`", name.text, name.text),
                    (Some(near), _) => format!("did you mean `{near}`?"),
                    _ if faults.is_empty() => "the scenario has no faults".to_owned(),
                    _ => format!("the faults are {}", names().collect::<Vec<_>>().join(", ")),
                };
                Err(fall(
                    name,
                    format!("there is no fault `{}`", shortened(name.text)),
                    "unknown fault",
                    help,
                ))
            }
        }
    }
}
