//! What is done to nodes.

use super::kinds::{Kind, Lasts};
use crate::scenario::{FaultKind, NodeFault};

pub(super) const KINDS: &[Kind] = &[Kind {
    word: "kill-node",
    lasts: Lasts::Needed,
    keys: &["node", "target", "pause"],
    read: |_, _| FaultKind::Node(NodeFault::Kill),
}];
