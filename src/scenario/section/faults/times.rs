//! When: `for`, `every` and `until`, and whether it all happens within the run.

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
    let fault = &mut draft.fault;
    let length = fault.length();
    if draft.lasts.is_sound && every < length {
        log.add(
            Problem::new(format!(
                "fault `{}` begins again before it is over",
                fault.name
            ))
            .mark(
                repeat.every.place.as_ref(),
                format!("begins again after {}", show_duration(every)),
            )
            .mark(
                draft.lasts.place.as_ref(),
                format!("it takes {} in all", show_duration(length)),
            )
            .help(format!(
                "write every = \"{}\" or more",
                crate::units::exact_duration(length)
            ))
            .derived(),
        );
        return;
    }
    if !duration.is_sound || !repeat.until.is_sound {
        return;
    }
    let last = duration.value.checked_sub(length).unwrap_or_default();
    let last = repeat.until.value.map_or(last, |until| last.min(until));
    let room = last.checked_sub(fault.at).unwrap_or_default();
    let times = 1 + room.as_nanos() / every.as_nanos().max(1);
    fault.every = every;
    // Far too many are reported by `check_count`.
    fault.times = u16::try_from(times).unwrap_or(u16::MAX);
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
    let ends = fault.at + fault.length();
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
    } else if lasts.is_sound && ends > duration.value {
        let main: &Option<Place> = if lasts.is_given() {
            &lasts.place
        } else {
            &at.place
        };
        let help = match duration.value.checked_sub(fault.length()) {
            Some(latest) => format!(
                "lengthen `duration`, move the fault to {} or earlier, or shorten it",
                show_duration(latest)
            ),
            None => format!("shorten the fault: it is longer than the whole run of {run}"),
        };
        log.add(
            Problem::new(format!("fault `{}` ends after the run", fault.name))
                .mark(main.as_ref(), format!("ends at {}", show_duration(ends)))
                .mark(duration.place.as_ref(), format!("the run lasts {run}"))
                .help(help)
                .derived(),
        );
    }
}
