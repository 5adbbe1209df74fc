//! What a fault does, and what its end does, in a sentence for the timeline.
//!
//! Pure.

use crate::plan::PlannedFault;
use crate::scenario::{ClientFault, FaultKind, NodeFault, ProxyFault};
use crate::units::show_duration;

pub(super) fn effect(fault: &PlannedFault) -> String {
    let takes = show_duration(fault.lasts);
    match &fault.kind {
        FaultKind::Client(ClientFault::IdleGap { keep_heartbeat }) => match keep_heartbeat {
            true => format!("no traffic for {takes}; pings go on"),
            false => format!("no traffic and no pings for {takes}"),
        },
        FaultKind::Node(kind) => node(kind, &targets(fault), &takes) + &rolling(fault),
        FaultKind::Proxy(ProxyFault::Restart) => {
            format!("nginx is stopped and stays away for {takes}")
        }
        FaultKind::Proxy(ProxyFault::Reload) => {
            "nginx reads its configuration anew (SIGHUP)".into()
        }
    }
}

fn node(kind: &NodeFault, whom: &str, takes: &str) -> String {
    match kind {
        NodeFault::Kill => format!("SIGKILL to {whom}, away for {takes}"),
    }
}

pub(super) fn after(fault: &PlannedFault) -> String {
    let whom = targets(fault);
    let (is, last) = match (fault.nodes.len(), fault.pause) {
        (2.., None) => ("are", whom.as_str()),
        _ => ("is", whom.rsplit(", ").next().unwrap_or_default()),
    };
    match &fault.kind {
        FaultKind::Client(ClientFault::IdleGap { .. }) => "traffic goes on".into(),
        FaultKind::Node(NodeFault::Kill) => format!("{last} {is} started again"),
        FaultKind::Proxy(ProxyFault::Restart) => "nginx is started again".into(),
        FaultKind::Proxy(ProxyFault::Reload) => String::new(),
    }
}

fn rolling(fault: &PlannedFault) -> String {
    match fault.pause {
        Some(pause) => format!(" each, one after the other, {} apart", show_duration(pause)),
        None => String::new(),
    }
}

fn targets(fault: &PlannedFault) -> String {
    fault.targets().join(", ")
}
