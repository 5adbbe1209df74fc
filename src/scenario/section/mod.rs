//! One module per part of a scenario file: its keys, their defaults, and what must hold between them.
//!
//! Pure. Each returns usable values even when there were problems, so that all of them are found in one go.

use super::problem::Place;
use super::problem::Problem;
use super::reader::{Field, Log};

pub(super) mod clients;
mod compose;
pub(super) mod faults;
pub(super) mod phases;
pub(super) mod reconnect;
pub(super) mod record;
pub(super) mod talk;
pub(super) mod topology;

/// Reports `field` as without effect because of `switch`. An override that throws the switch leaves the file's other
/// values standing idle on purpose, so that is no problem.
fn no_effect<T, S>(log: &Log, field: &Field<T>, switch: &Field<S>, why: &str, help: &str) {
    let Some(place) = &field.place else { return };
    let overridden =
        matches!(switch.place, Some(Place::Flag { .. })) && matches!(place, Place::File(_));
    if !switch.is_sound || overridden {
        return;
    }
    let why = match switch.is_given() {
        true => why.to_owned(),
        false => format!("{why}: `{}` is not set", switch.key),
    };
    log.add(
        Problem::new(format!("`{}` has no effect", field.key))
            .mark(Some(place), "nothing uses it")
            .mark(switch.place.as_ref(), why)
            .help(help)
            .derived(),
    );
}
