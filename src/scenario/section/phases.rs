//! `[[phases]]`, and the phases of a scenario that names none.

use std::time::Duration;

use super::clients::MOST_CLIENTS;
use super::faults;
use crate::scenario::kind;
use crate::scenario::overrides::element_names;
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Field, Reader, shortened};
use crate::scenario::tree::Item;
use crate::scenario::{Fault, Phase};
use crate::units::show_duration;

/// Most phases of a run.
const MOST_PHASES: usize = 1000;

/// What was read.
#[derive(Debug)]
pub(in crate::scenario) struct Read {
    pub(in crate::scenario) value: Vec<Phase>,
    /// Whether all names are there, so that a name that is not among them is wrong.
    pub(in crate::scenario) is_sound: bool,
}

#[derive(Debug)]
struct Draft {
    phase: Phase,
    from: Field<Duration>,
    clients: Field<Option<u32>>,
}

pub(in crate::scenario) fn read(
    top: &mut Reader<'_>,
    duration: &Field<Duration>,
    ramp: &Field<Duration>,
    faults: &faults::Read,
) -> Read {
    let items = top.list("phases", "write each phase below a line `[[phases]]`");
    if items.is_empty() {
        return Read {
            value: default_phases(duration.value, ramp.value, &faults.value),
            is_sound: duration.is_sound && ramp.is_sound && faults.is_sound,
        };
    }
    if let Some(extra) = items.get(MOST_PHASES) {
        let problem = Problem::new(format!("there are more than {MOST_PHASES} phases"));
        top.log()
            .add(problem.mark(Some(&extra.place), "the first one too many"));
    }
    let items = &items[..items.len().min(MOST_PHASES)];
    let mut is_sound = true;
    let mut drafts: Vec<Draft> = Vec::new();
    for (item, label) in items.iter().zip(element_names(items)) {
        let draft = draft(top, item, &label);
        is_sound &= draft.is_some();
        let Some(draft) = draft else { continue };
        check(top, &draft, drafts.last(), duration, ramp);
        if let Some(first) = drafts
            .iter()
            .find(|other| other.phase.name == draft.phase.name)
        {
            top.log().add(
                Problem::new(format!("two phases are named `{}`", draft.phase.name))
                    .mark(Some(&item.place), "the second one")
                    .mark(first.from.place.as_ref(), "the first one begins here")
                    .help("give one of them another `name`"),
            );
        }
        drafts.push(draft);
    }
    let mut phases: Vec<Phase> = drafts.into_iter().map(|draft| draft.phase).collect();
    cover_the_beginning(&mut phases);
    Read {
        value: phases,
        is_sound,
    }
}

fn draft(top: &Reader<'_>, item: &Item, label: &str) -> Option<Draft> {
    let mut table = top.element("phases", &shortened(label), item)?;
    let name = table.need("name", kind::name, "name = \"steady\"", String::new());
    let from = table.need("from", kind::offset, "from = \"5s\"", Duration::ZERO);
    let clients = table.get("clients", kind::count_in(0, MOST_CLIENTS));
    name.is_sound.then_some(Draft {
        phase: Phase {
            name: name.value,
            from: from.value,
            clients: clients.value,
        },
        from,
        clients,
    })
}

fn check(
    top: &Reader<'_>,
    draft: &Draft,
    previous: Option<&Draft>,
    duration: &Field<Duration>,
    ramp: &Field<Duration>,
) {
    let (name, from) = (&draft.phase.name, &draft.from);
    if !from.is_sound {
        return;
    }
    let begins = format!("begins at {}", show_duration(from.value));
    if duration.is_sound && from.value >= duration.value {
        top.log().add(
            Problem::new(format!("phase `{name}` begins after the run ends"))
                .mark(from.place.as_ref(), &begins)
                .mark(
                    duration.place.as_ref(),
                    format!("the run lasts {}", show_duration(duration.value)),
                )
                .help("lengthen `duration`, or move or remove the phase")
                .derived(),
        );
    }
    if let Some(previous) =
        previous.filter(|other| other.from.is_sound && other.from.value >= from.value)
    {
        top.log().add(
            Problem::new(format!(
                "phase `{name}` does not begin after `{}`",
                previous.phase.name
            ))
            .mark(from.place.as_ref(), &begins)
            .mark(
                previous.from.place.as_ref(),
                format!(
                    "`{}` begins at {}",
                    previous.phase.name,
                    show_duration(previous.from.value)
                ),
            )
            .help("put the phases in order of `from`; each ends where the next one begins")
            .derived(),
        );
    }
    if draft.clients.is_given() && ramp.is_sound && from.value < ramp.value {
        top.log().add(
            Problem::new(format!(
                "phase `{name}` changes the fleet before the ramp is over"
            ))
            .mark(draft.clients.place.as_ref(), format!("the phase {begins}"))
            .mark(
                ramp.place.as_ref(),
                format!("the ramp takes {}", show_duration(ramp.value)),
            )
            .help(format!(
                "begin the phase at {} or later",
                show_duration(ramp.value)
            ))
            .derived(),
        );
    }
}

/// The first phase starts at zero: what comes before the first one that is named is the ramp.
fn cover_the_beginning(phases: &mut Vec<Phase>) {
    if phases.first().is_some_and(|first| first.from.is_zero()) {
        return;
    }
    let taken = |name: &str| phases.iter().any(|phase| phase.name == name);
    let name = ["ramp", "start", "begin"]
        .into_iter()
        .find(|name| !taken(name))
        .unwrap_or("before");
    let ramp = Phase {
        name: name.to_owned(),
        from: Duration::ZERO,
        clients: None,
    };
    phases.insert(0, ramp);
}

/// `ramp`, `steady` until the first fault, `faults` until the planned end of the last, and `recovery`; none is empty.
fn default_phases(duration: Duration, ramp: Duration, faults: &[Fault]) -> Vec<Phase> {
    let first = faults.first().map(|fault| fault.at);
    let last = faults.iter().map(Fault::until).max();
    // A fault may begin before the ramp is over; then there is no steady phase, and the ramp ends with the fault.
    let ramp_ends = first.map_or(ramp, |first| ramp.min(first));
    let mut starts = vec![("ramp", Duration::ZERO, ramp_ends)];
    starts.push(("steady", ramp_ends, first.unwrap_or(duration)));
    if let (Some(first), Some(last)) = (first, last) {
        starts.push(("faults", first, last));
        starts.push(("recovery", last, duration));
    }
    let mut phases: Vec<Phase> = starts
        .into_iter()
        .filter(|(_, from, to)| from < to)
        .map(|(name, from, _)| Phase {
            name: name.to_owned(),
            from,
            clients: None,
        })
        .collect();
    if phases.is_empty() {
        cover_the_beginning(&mut phases);
    }
    phases
}
