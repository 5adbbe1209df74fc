//! `[clients]`.

use std::time::Duration;

use crate::scenario::Clients;
use crate::scenario::kind;
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Field, Reader};
use crate::units::show_duration;

/// Most clients of a run.
pub(super) const MOST_CLIENTS: u32 = 1_000_000;

/// What was read.
#[derive(Debug)]
pub(in crate::scenario) struct Read {
    pub(in crate::scenario) value: Clients,
    pub(in crate::scenario) ramp: Field<Duration>,
}

pub(in crate::scenario) fn read(top: &mut Reader<'_>, duration: &Field<Duration>) -> Read {
    let mut table = top.table("clients");
    let count = table
        .need("count", kind::count_in(1, MOST_CLIENTS), "count = 2000", 1)
        .value;
    let ramp = table.get("ramp", kind::offset).or(Duration::from_secs(5));
    let handshake_timeout = table
        .get("handshake_timeout", kind::timeout)
        .or(Duration::from_secs(10))
        .value;
    if ramp.is_sound && duration.is_sound && ramp.value >= duration.value {
        let default = if ramp.is_given() { "" } else { " by default" };
        table.log().add(
            Problem::new("the ramp does not fit into the run")
                .mark(
                    ramp.place.as_ref(),
                    format!("the ramp takes {}{default}", show_duration(ramp.value)),
                )
                .mark(
                    duration.place.as_ref(),
                    format!("the run lasts {}", show_duration(duration.value)),
                )
                .help("shorten `clients.ramp` or lengthen `duration`")
                .derived(),
        );
    }
    Read {
        value: Clients {
            count,
            ramp: ramp.value,
            handshake_timeout,
        },
        ramp,
    }
}
