//! When: `for`, `spread`, `every` and `until`, and whether it all happens within the run.

use std::time::Duration;

use super::Draft;
use super::kinds::{Kind, Lasts};
use crate::scenario::kind;
use crate::scenario::problem::{Place, Problem};
use crate::scenario::reader::{Field, Log, Reader};
use crate::units::show_duration;

/// Most occurrences of all faults of a run: far beyond any timeline that a reader could follow.
const MOST_OCCURRENCES: usize = 1000;

pub(super) fn lasts(table: &mut Reader<'_>, kind: &Kind) -> Field<Duration> {
    let window = kind::duration_in(Duration::from_millis(1), crate::units::MAX_DURATION);
    match kind.lasts {
        Lasts::Needed => table.need("for", window, "for = \"10s\"", Duration::from_secs(1)),
        Lasts::Default(time) => table.get("for", window).or(time),
        Lasts::Moment(why, help) => {
            if let Some(place) = table.misplaced("for") {
                table.log().add(
                    Problem::new(format!("`for` makes no sense for {}", kind.word))
                        .mark(Some(&place), why)
                        .help(help),
                );
            }
            Field {
                value: Duration::ZERO,
                place: None,
                is_sound: true,
                key: String::new(),
            }
        }
    }
}

/// How much later than due the fault may begin; zero, so that a flag can switch it off.
pub(super) fn spread(table: &mut Reader<'_>) -> Field<Duration> {
    let span = kind::duration_in(Duration::ZERO, crate::units::MAX_DURATION);
    table.get("spread", span).or(Duration::ZERO)
}

/// `every` and `until`, as given.
#[derive(Debug)]
pub(super) struct Repeat {
    every: Field<Option<Duration>>,
    until: Field<Option<Duration>>,
}

pub(super) fn repeat(table: &mut Reader<'_>) -> Repeat {
    let span = kind::duration_in(Duration::from_millis(1), crate::units::MAX_DURATION);
    let repeat = Repeat {
        every: table.get("every", span),
        until: table.get("until", kind::offset),
    };
    if repeat.until.is_given() && !repeat.every.is_given() {
        table.log().add(
            Problem::new(format!("`{}` has no effect", repeat.until.key))
                .mark(repeat.until.place.as_ref(), "ends a repetition")
                .help("add every = \"60s\", or remove it; `for` is how long a fault lasts"),
        );
    }
    repeat
}

/// Works out how often the fault happens; what does not end within the run is left out, but for the first time.
pub(super) fn resolve(draft: &mut Draft, repeat: &Repeat, duration: &Field<Duration>, log: &Log) {
    let Some(every) = repeat.every.value else {
        return;
    };
    let fault = &draft.fault;
    let room = fault.room();
    let is_sound = draft.lasts.is_sound && draft.spread.is_sound;
    if is_sound && every < room {
        let may = if fault.spread.is_zero() {
            "begins"
        } else {
            "may begin"
        };
        let problem = Problem::new(format!(
            "fault `{}` {may} again before it is over",
            fault.name
        ))
        .mark(
            repeat.every.place.as_ref(),
            format!("{may} again after {}", show_duration(every)),
        )
        .mark(
            draft.lasts.place.as_ref(),
            format!("it takes {} in all", show_duration(fault.length())),
        );
        let help = format!(
            "write every = \"{}\" or more",
            crate::units::exact_duration(room)
        );
        log.add(mark_spread(problem, draft).help(help).derived());
        return;
    }
    if !duration.is_sound || !repeat.until.is_sound {
        return;
    }
    // The last time must end within the run and begin by `until`, however late it is drawn.
    let last = duration.value.saturating_sub(room);
    let until = repeat
        .until
        .value
        .map(|until| until.saturating_sub(fault.spread));
    let last = until.map_or(last, |until| last.min(until));
    let times = 1 + last.saturating_sub(fault.at).as_nanos() / every.as_nanos().max(1);
    draft.fault.every = every;
    // Far too many are reported by `check_count`.
    draft.fault.times = u16::try_from(times).unwrap_or(u16::MAX);
}

/// Points at the spread, if the fault has one.
fn mark_spread(problem: Problem, draft: &Draft) -> Problem {
    if draft.fault.spread.is_zero() {
        return problem;
    }
    let late = show_duration(draft.fault.spread);
    problem.mark(
        draft.spread.place.as_ref(),
        format!("it may begin {late} late"),
    )
}

/// Reports a run with more occurrences than anybody could follow.
pub(super) fn check_count(drafts: &[Draft], log: &Log) -> bool {
    let mut count = 0;
    for draft in drafts {
        count += usize::from(draft.fault.times);
        if count > MOST_OCCURRENCES {
            log.add(
                Problem::new(format!("faults happen more than {MOST_OCCURRENCES} times"))
                    .mark(draft.at.place.as_ref(), "with the repetitions of this one")
                    .help("repeat it less often")
                    .derived(),
            );
            return false;
        }
    }
    true
}

/// The first time must lie within the run.
pub(super) fn check_window(draft: &Draft, duration: &Field<Duration>, log: &Log) {
    let (fault, at, lasts) = (&draft.fault, &draft.at, &draft.lasts);
    if !duration.is_sound || !at.is_sound {
        return;
    }
    let run = show_duration(duration.value);
    let ends = fault.at + fault.room();
    if at.value >= duration.value {
        log.add(
            Problem::new(format!("fault `{}` begins after the run ends", fault.name))
                .mark(
                    at.place.as_ref(),
                    format!("begins at {}", show_duration(at.value)),
                )
                .mark(duration.place.as_ref(), format!("the run lasts {run}"))
                .help(format!(
                    "lengthen `duration`, or move the fault before {run}"
                ))
                .derived(),
        );
    } else if draft.has_times() && ends > duration.value {
        let main: &Option<Place> = if lasts.is_given() {
            &lasts.place
        } else {
            &at.place
        };
        let help = match duration.value.checked_sub(fault.room()) {
            Some(latest) => format!(
                "lengthen `duration`, move the fault to {} or earlier, or shorten it",
                show_duration(latest)
            ),
            None => format!("shorten the fault: it is longer than the whole run of {run}"),
        };
        let may = if fault.spread.is_zero() { "" } else { "may " };
        let verb = if fault.spread.is_zero() {
            "ends"
        } else {
            "end"
        };
        let problem = Problem::new(format!("fault `{}` {may}{verb} after the run", fault.name))
            .mark(
                main.as_ref(),
                format!("{may}{verb} at {}", show_duration(ends)),
            )
            .mark(duration.place.as_ref(), format!("the run lasts {run}"));
        log.add(mark_spread(problem, draft).help(help).derived());
    }
}
