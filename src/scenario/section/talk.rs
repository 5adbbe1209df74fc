//! `[traffic]` and `[heartbeat]`: who says what, how often.

use std::time::Duration;

use super::no_effect;
use crate::scenario::kind;
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Field, Reader};
use crate::scenario::{Heartbeat, Traffic};
use crate::units::show_duration;
use crate::wire::Frame;

/// Largest message: clients and nodes refuse longer ones (`client::transport::MAX_MESSAGE`, held equal by a test).
const MOST_BYTES: u32 = 1 << 20;

/// (from clients, from nodes)
type Senders = (bool, bool);

const SENDERS: &[(&str, Senders)] = &[
    ("clients", (true, false)),
    ("nodes", (false, true)),
    ("both", (true, true)),
    ("none", (false, false)),
];

pub(in crate::scenario) fn read(top: &mut Reader<'_>) -> (Field<Traffic>, Field<Heartbeat>) {
    (
        traffic(&mut top.table("traffic")),
        heartbeat(&mut top.table("heartbeat")),
    )
}

fn traffic(table: &mut Reader<'_>) -> Field<Traffic> {
    let source = table.get("source", kind::one_of(SENDERS)).or((true, false));
    let interval = table.get("rate", kind::interval).or(Duration::from_secs(1));
    let size = table
        .get(
            "size",
            kind::size_in(
                Frame::SIZE as u32,
                MOST_BYTES,
                "the head of a message alone takes 24 bytes",
            ),
        )
        .or(128);
    let resend = table.get("resend", kind::switch).or(false);
    if source.value == (false, false) {
        let help = "remove it, or name a source";
        no_effect(table.log(), &interval, &source, "nobody sends", help);
        no_effect(table.log(), &size, &source, "nobody sends", help);
    }
    if !source.value.0 && resend.value {
        no_effect(
            table.log(),
            &resend,
            &source,
            "no client sends",
            "only clients resend; remove it",
        );
    }
    source.map(|(from_clients, from_nodes)| Traffic {
        from_clients,
        from_nodes,
        interval: interval.value,
        size: size.value,
        resend: resend.value,
    })
}

fn heartbeat(table: &mut Reader<'_>) -> Field<Heartbeat> {
    let from = table.get("from", kind::one_of(SENDERS)).or((false, false));
    let least = Duration::from_millis(100);
    let interval = table
        .get(
            "interval",
            kind::duration_in(least, Duration::from_secs(86_400)),
        )
        .or(Duration::from_secs(20));
    let pong_timeout = table
        .get("pong_timeout", kind::timeout)
        .or(Duration::from_secs(10));
    if from.value == (false, false) {
        let help = "write from = \"clients\", \"nodes\" or \"both\", or remove it";
        no_effect(table.log(), &interval, &from, "nobody pings", help);
        no_effect(table.log(), &pong_timeout, &from, "nobody pings", help);
    } else if interval.is_sound && pong_timeout.is_sound && pong_timeout.value > interval.value {
        let of = |field: &Field<Duration>| {
            let default = if field.is_given() { "" } else { " (default)" };
            format!("`{}` is {}{default}", field.key, show_duration(field.value))
        };
        // With two pings under way, it would depend on the pong's payload which of them was answered in time.
        table.log().add(
            Problem::new("the pong may take longer than the next ping")
                .mark(pong_timeout.place.as_ref(), of(&pong_timeout))
                .mark(interval.place.as_ref(), of(&interval))
                .help("make `pong_timeout` at most `interval`")
                .derived(),
        );
    }
    from.map(|(from_clients, from_nodes)| Heartbeat {
        from_clients,
        from_nodes,
        interval: interval.value,
        pong_timeout: pong_timeout.value,
    })
}

// What is said of messages that are too small.
const _: () = assert!(Frame::SIZE == 24);

#[cfg(test)]
mod tests {
    #[test]
    fn the_largest_message_is_what_clients_and_nodes_take() {
        assert_eq!(
            super::MOST_BYTES as usize,
            crate::client::transport::MAX_MESSAGE
        );
    }
}
