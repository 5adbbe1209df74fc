//! Outages: the one thing recorded singly. A cut when a session is taken from a client, a return when it is back.
//!
//! Two records instead of one, so that a harness that dies mid-storm has lost neither. The file holds them in order
//! of time; a client has at most one open cut.

use serde::{Deserialize, Serialize};

use crate::cause::SessionEnd;
use crate::scenario::NodeId;

/// What happened to one client, and when (µs since the start of the run).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageEvent {
    /// When.
    pub at_us: u64,
    /// To whom.
    pub client: u32,
    /// What.
    #[serde(flatten)]
    pub what: Change,
}

/// A session was taken, or the client is back, or it was still out when the run stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Change {
    /// The session ended, and not by the client's own will.
    Cut {
        /// How it looked.
        cause: SessionEnd,
        /// On which node it was.
        node: Option<NodeId>,
        /// µs since the last byte either way.
        silence_us: u64,
        /// µs since its upgrade.
        age_us: u64,
    },
    /// The next upgrade succeeded.
    Back {
        /// On which node.
        node: Option<NodeId>,
        /// Attempts since the cut, this one included.
        attempts: u32,
    },
    /// The run stopped, or the policy gave up, before the client was back.
    Out {
        /// Attempts since the cut.
        attempts: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_format_is_stable() {
        let event = OutageEvent {
            at_us: 1_500_000,
            client: 7,
            what: Change::Cut {
                cause: SessionEnd::Eof,
                node: Some(NodeId(0)),
                silence_us: 5,
                age_us: 9,
            },
        };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(
            line,
            r#"{"at_us":1500000,"client":7,"what":"cut","cause":"eof","node":0,"silence_us":5,"age_us":9}"#
        );
        assert_eq!(serde_json::from_str::<OutageEvent>(&line).unwrap(), event);
    }
}
