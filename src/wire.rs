//! What clients and nodes say to each other: paths, header names, the first message, message frames, counters.
//!
//! Pure. Any service can be put behind wssoak with `echo` traffic; what is here beyond that is what lets our own node
//! account for sessions and messages. Frames are binary, little-endian; see [`Frame`].

use serde::{Deserialize, Serialize};

/// Path of the WebSocket endpoint. Query: `client` (decimal), `attempt` (decimal), `resume` (token, optional).
pub const WS_PATH: &str = "/ws";
/// `GET`: [`NodeStats`] as JSON.
pub const STATS_PATH: &str = "/wssoak/stats";
/// `GET`: 200 once the node serves, body `{"status":"ok","node":"n1"}`.
pub const HEALTH_PATH: &str = "/wssoak/health";
/// `PUT` with a [`Behaviour`] as JSON body: 204 once it is in force.
pub const BEHAVIOUR_PATH: &str = "/wssoak/behaviour";
/// Response header of the 101 that names the node.
pub const NODE_HEADER: &str = "X-Wssoak-Node";

/// The node's first message on every session, a text frame of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The node's name, as in [`NODE_HEADER`].
    pub node: String,
    /// Token with which the session can be resumed on this node, 16 lower-case hex digits.
    pub session: String,
    /// Was the session named by `resume` found in this node's memory and continued?
    pub resumed: bool,
    /// Highest message sequence number the node had received from this client in the resumed session; 0 if none.
    pub received: u64,
}

/// What a node does besides its duty; faults change it while the node runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// Send nothing on its own: no pushes. Echoes still answer.
    pub quiet: bool,
    /// With `quiet`: send no pings either.
    pub no_heartbeat: bool,
    /// Refuse upgrades.
    pub refuse: Option<Refuse>,
    /// Time between an upgrade request and its 101.
    pub handshake_delay_ms: u64,
    /// Read nothing from WebSocket connections. They stay open, and what the node sends on its own goes on.
    pub stop_reading: bool,
    /// Leave pings unanswered.
    pub no_pong: bool,
    /// Close code of a shutdown; `None`: 1001, going away.
    pub close_code: Option<u16>,
}

/// How upgrades are refused: with 503.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refuse {
    /// Value of `Retry-After` in seconds; `None`: no such header.
    pub retry_after_s: Option<u32>,
}

impl Behaviour {
    /// Both at once.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            quiet: self.quiet || other.quiet,
            no_heartbeat: self.no_heartbeat || other.no_heartbeat,
            refuse: self.refuse.or(other.refuse),
            handshake_delay_ms: self.handshake_delay_ms.max(other.handshake_delay_ms),
            stop_reading: self.stop_reading || other.stop_reading,
            no_pong: self.no_pong || other.no_pong,
            close_code: self.close_code.or(other.close_code),
        }
    }
}

/// A node's counters since its process started. All are totals except `open`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeStats {
    /// The node's name.
    pub node: String,
    /// Its process id, which tells incarnations apart.
    pub pid: u32,
    /// Upgrades answered with 101.
    pub accepted: u64,
    /// Upgrade requests refused with 4xx or 503.
    pub rejected: u64,
    /// WebSocket connections open now.
    pub open: u64,
    /// WebSocket connections that ended.
    pub closed: u64,
    /// Sessions created (no token given, or the token was unknown).
    pub sessions_created: u64,
    /// Sessions continued by token.
    pub sessions_resumed: u64,
    /// Tokens that were offered but unknown: the session was lost.
    pub sessions_unknown: u64,
    /// Messages received from clients.
    pub received: u64,
    /// Messages echoed (written to the socket).
    pub echoed: u64,
    /// Received messages whose sequence number the session had seen before.
    pub duplicates: u64,
    /// Messages pushed on the node's own account.
    pub pushed: u64,
    /// Pings sent by the node.
    pub pings: u64,
    /// Connections the node closed because its ping was not answered in time.
    pub pong_timeouts: u64,
}

/// The upgrade and close totals that a node writes to its ledger file at each change, so that they outlive SIGKILL.
///
/// The file holds 16 bytes: `accepted` then `closed`, both `u64` little-endian, rewritten in place by one `pwrite`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Upgrades for which a 101 was about to be written.
    pub accepted: u64,
    /// WebSocket connections that ended.
    pub closed: u64,
}

impl Ledger {
    /// Size of the file in bytes.
    pub const SIZE: usize = 16;

    /// The bytes of the file.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&self.accepted.to_le_bytes());
        bytes[8..].copy_from_slice(&self.closed.to_le_bytes());
        bytes
    }

    /// Reads the bytes of the file; `None` when there are fewer than 16.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let accepted = bytes.get(..8)?.try_into().ok().map(u64::from_le_bytes)?;
        let closed = bytes.get(8..16)?.try_into().ok().map(u64::from_le_bytes)?;
        Some(Self { accepted, closed })
    }
}

/// What a binary message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// Client to node: please echo.
    Request = 1,
    /// Node to client: the request came back unchanged but for this byte.
    Echo = 2,
    /// Node to client: the request came back, and its sequence number had been seen in this session before.
    EchoDuplicate = 3,
    /// Node to client, unasked: sequence number counts the node's pushes in this session from 1.
    Push = 4,
}

/// The head of every binary message; the rest of the message is padding up to its size.
///
/// Layout: kind `u8`, 7 zero bytes, sequence number `u64`, due time `u64` (µs since the sender's start of run; for
/// pushes µs since the Unix epoch when due).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// Sequence number, from 1, per client over all its sessions (requests) or per session (pushes).
    pub seq: u64,
    /// When the message was due, in µs.
    pub due_us: u64,
}

impl Frame {
    /// Bytes of the head, and so the smallest message.
    pub const SIZE: usize = 24;

    /// The head's bytes.
    pub fn encode(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[0] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.due_us.to_le_bytes());
        bytes
    }

    /// Reads the head of a message; `None` when it is too short or of no known kind.
    pub fn decode(message: &[u8]) -> Option<Self> {
        let kind = match message.first()? {
            1 => FrameKind::Request,
            2 => FrameKind::Echo,
            3 => FrameKind::EchoDuplicate,
            4 => FrameKind::Push,
            _ => return None,
        };
        let seq = message
            .get(8..16)?
            .try_into()
            .ok()
            .map(u64::from_le_bytes)?;
        let due_us = message
            .get(16..24)?
            .try_into()
            .ok()
            .map(u64::from_le_bytes)?;
        Some(Self { kind, seq, due_us })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn frames_read_back(seq: u64, due_us: u64) {
            let frame = Frame { kind: FrameKind::Push, seq, due_us };
            prop_assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        }

        #[test]
        fn ledgers_read_back(accepted: u64, closed: u64) {
            let ledger = Ledger { accepted, closed };
            prop_assert_eq!(Ledger::decode(&ledger.encode()), Some(ledger));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = (Frame::decode(&bytes), Ledger::decode(&bytes));
        }
    }
}
