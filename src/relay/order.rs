//! What a relay is told, and what it answers: one JSON document a line, either way. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::{show_count, show_duration};

/// Printed once the relay accepts connections.
pub const READY: &str = "ready";

/// A direction of a link, or both. The server is what the relay connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// Either.
    Both,
    /// From those that connect to the relay.
    ToServer,
    /// To those that connect to the relay.
    ToClient,
}

impl Way {
    /// Does it include `other`?
    pub const fn covers(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Both, _) | (Self::ToServer, Self::ToServer) | (Self::ToClient, Self::ToClient)
        )
    }
}

/// What becomes of the bytes of one direction of each tunnel. The default lets them pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Nothing is read and nothing is written, not even the end.
    pub hole: bool,
    /// How long each byte is held, in µs.
    pub delay_us: u64,
    /// Each piece is held up to this much longer or shorter, in µs; order is kept.
    pub jitter_us: u64,
    /// Bytes per second; `None`: as many as there are.
    pub rate: Option<u64>,
    /// Most bytes of one write; `None`: as many as there are.
    pub slice: Option<u32>,
    /// Pause after each such write, in µs.
    pub pause_us: u64,
}

impl Shape {
    /// Does it let everything pass at once?
    pub fn is_clear(&self) -> bool {
        *self == Self::default()
    }
}

/// What is in force on a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Towards the server.
    pub to_server: Shape,
    /// Towards the client.
    pub to_client: Shape,
    /// Nobody listens: new connections are refused, open ones go on.
    pub refuse: bool,
}

impl Rules {
    /// One shape on one direction or both.
    pub fn shaped(way: Way, shape: Shape) -> Self {
        let side = |side| match way.covers(side) {
            true => shape,
            false => Shape::default(),
        };
        Self {
            to_server: side(Way::ToServer),
            to_client: side(Way::ToClient),
            refuse: false,
        }
    }
}

/// What is done once to every tunnel that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strike {
    /// Ends with a RST towards one side or both; a side that is not named gets a FIN.
    Reset(Way),
    /// A FIN in one direction or both; what still comes that way is thrown away.
    HalfClose(Way),
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// These rules are in force from now on.
    Set(Rules),
    /// Done once, now.
    Strike(Strike),
    /// Just answer.
    Count,
}

/// The answer to each order, once every open tunnel follows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Open tunnels that follow the order.
    pub applied: u64,
    /// Why the order is not in force; `None`: it is.
    pub error: Option<String>,
    /// The counters.
    pub stats: Stats,
}

/// Counters of a relay. `accepted` = `open` + the sum of all ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// Connections accepted.
    pub accepted: u64,
    /// Those not yet ended, with or without a connection to the server.
    pub open: u64,
    /// Ended by both sides, each with a FIN.
    pub ended: u64,
    /// Ended by a RST of the client or the server.
    pub reset: u64,
    /// Ended by a strike.
    pub struck: u64,
    /// Ended since the server took no connection.
    pub unreachable: u64,
    /// The client left before the blackhole that held its connection was over.
    pub gave_up: u64,
    /// Bytes written to servers.
    pub bytes_to_server: u64,
    /// Bytes written to clients.
    pub bytes_to_client: u64,
    /// Bytes held now.
    pub held: u64,
    /// Connects to the server took this long, in µs; the median. `None`: there were none.
    pub connect_p50_us: Option<u64>,
    /// The same at p99.
    pub connect_p99_us: Option<u64>,
    /// Processor time of the process, in ms.
    pub cpu_ms: u64,
}

impl Stats {
    /// What the relay of this name cost, in a sentence.
    pub fn cost(&self, name: &str) -> String {
        let time = |us: Option<u64>| {
            us.map_or_else(|| "–".into(), |us| show_duration(Duration::from_micros(us)))
        };
        format!(
            "{name} stood in the way: {} tunnels, {} bytes up and {} down, {} processor time; its own connects took p50 {} \
             and p99 {}, which is part of every handshake",
            show_count(self.accepted),
            show_count(self.bytes_to_server),
            show_count(self.bytes_to_client),
            show_duration(Duration::from_millis(self.cpu_ms)),
            time(self.connect_p50_us),
            time(self.connect_p99_us),
        )
    }
}

impl std::ops::Add for Stats {
    type Output = Self;

    /// Of two processes of one link; of times the longer one.
    fn add(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            open: self.open + other.open,
            ended: self.ended + other.ended,
            reset: self.reset + other.reset,
            struck: self.struck + other.struck,
            unreachable: self.unreachable + other.unreachable,
            gave_up: self.gave_up + other.gave_up,
            bytes_to_server: self.bytes_to_server + other.bytes_to_server,
            bytes_to_client: self.bytes_to_client + other.bytes_to_client,
            held: self.held + other.held,
            connect_p50_us: self.connect_p50_us.max(other.connect_p50_us),
            connect_p99_us: self.connect_p99_us.max(other.connect_p99_us),
            cpu_ms: self.cpu_ms + other.cpu_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_read_back() {
        let hole = Shape {
            hole: true,
            ..Shape::default()
        };
        for order in [
            Order::Set(Rules::shaped(Way::ToClient, hole)),
            Order::Strike(Strike::Reset(Way::Both)),
            Order::Count,
        ] {
            let line = serde_json::to_string(&order).unwrap();
            assert_eq!(
                serde_json::from_str::<Order>(&line).unwrap(),
                order,
                "{line}"
            );
        }
        let line = serde_json::to_string(&Answer::default()).unwrap();
        assert_eq!(
            serde_json::from_str::<Answer>(&line).unwrap(),
            Answer::default()
        );
    }

    #[test]
    fn a_shape_is_put_on_the_directions_named() {
        let hole = Shape {
            hole: true,
            ..Shape::default()
        };
        for (way, to_server, to_client) in [
            (Way::Both, true, true),
            (Way::ToServer, true, false),
            (Way::ToClient, false, true),
        ] {
            let rules = Rules::shaped(way, hole);
            assert_eq!(
                (rules.to_server.hole, rules.to_client.hole),
                (to_server, to_client)
            );
        }
    }
}
