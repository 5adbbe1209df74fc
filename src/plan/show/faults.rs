//! What a fault does, and what its end does, in a sentence for the timeline.
//!
//! Pure.

use super::settings::changed;
use crate::plan::PlannedFault;
use crate::relay::order::Way;
use crate::scenario::{
    ClientFault, Cut, FaultKind, Goodbye, Link, LinkFault, Nginx, NodeFault, ProxyFault, Trouble,
};
use crate::units::{show_count, show_duration, show_share};

/// `nginx` is what the scenario says of it.
pub(super) fn effect(fault: &PlannedFault, nginx: &Nginx) -> String {
    let takes = show_duration(fault.lasts);
    match &fault.kind {
        FaultKind::Client(ClientFault::IdleGap { keep_heartbeat }) => match keep_heartbeat {
            true => format!("no traffic for {takes}; pings go on"),
            false => format!("no traffic and no pings for {takes}"),
        },
        FaultKind::Client(ClientFault::MassDisconnect { share, how }) => {
            let how = match how {
                Cut::Rst => "a RST",
                Cut::Fin => "a FIN",
            };
            format!(
                "{} of the clients drop their sessions with {how}",
                show_share(*share)
            )
        }
        FaultKind::Client(ClientFault::Vanish { share }) => {
            let share = show_share(*share);
            format!("{share} of the clients are gone without a FIN; old sockets stay for {takes}")
        }
        FaultKind::Client(ClientFault::SlowReader { share }) => {
            format!(
                "{} of the clients read nothing for {takes}",
                show_share(*share)
            )
        }
        FaultKind::Client(ClientFault::Surge { clients }) => {
            format!("{} more clients for {takes}", show_count((*clients).into()))
        }
        FaultKind::Link(LinkFault { link, trouble }) => {
            let link = match link {
                Link::Edge => "between clients and nginx".to_owned(),
                Link::Upstream => format!("between nginx and {}", targets(fault)),
            };
            trouble_of(trouble, &link, &takes)
        }
        FaultKind::Node(kind) => node(kind, &targets(fault), &takes) + &rolling(fault),
        FaultKind::Proxy(kind) => proxy(kind, &takes, nginx),
    }
}

fn node(kind: &NodeFault, whom: &str, takes: &str) -> String {
    let goodbye = |goodbye: &Goodbye| format!("{whom} closed with {} and stopped", goodbye.code);
    match kind {
        NodeFault::Kill => format!("SIGKILL to {whom}, away for {takes}"),
        NodeFault::Stop(how) => format!("{} (SIGTERM), away for {takes}", goodbye(how)),
        NodeFault::Pause => format!("SIGSTOP to {whom} for {takes}"),
        NodeFault::Restart(how) => format!("{} (SIGTERM), started again at once", goodbye(how)),
        NodeFault::RefuseUpgrades { retry_after_s } => match retry_after_s {
            Some(time) => format!("503 with Retry-After {time} from {whom} for {takes}"),
            None => format!("503 from {whom} for {takes}"),
        },
        NodeFault::SlowHandshake { delay } => {
            let delay = show_duration(*delay);
            format!("{delay} before every 101 of {whom} for {takes}")
        }
        NodeFault::StopReading => format!("nothing is read by {whom} for {takes}"),
        NodeFault::NoPong => format!("no pongs from {whom} for {takes}"),
    }
}

fn proxy(kind: &ProxyFault, takes: &str, nginx: &Nginx) -> String {
    match kind {
        ProxyFault::Restart => format!("nginx is stopped and stays away for {takes}"),
        ProxyFault::Reload => "nginx reads its configuration anew (SIGHUP)".into(),
        ProxyFault::Quit => {
            format!("nginx takes no new connections (SIGQUIT) and lingers for {takes}")
        }
        ProxyFault::Kill => format!("SIGKILL to all of nginx, away for {takes}"),
        ProxyFault::KillWorker => "SIGKILL to the busiest worker of nginx".into(),
        ProxyFault::PauseWorker => format!("SIGSTOP to the busiest worker of nginx for {takes}"),
        ProxyFault::Reconfigure(set) => {
            let changes = changed(nginx, set).join(", ");
            format!("nginx is reloaded with {changes} for {takes}")
        }
        ProxyFault::ExhaustConnections { worker_connections } => format!(
            "nginx is reloaded with {} connections a worker for {takes}",
            show_count((*worker_connections).into())
        ),
    }
}

fn trouble_of(trouble: &Trouble, link: &str, takes: &str) -> String {
    let going = |way: &Way| match way {
        Way::Both => "both ways",
        Way::ToServer => "to the server",
        Way::ToClient => "to the client",
    };
    match trouble {
        Trouble::Blackhole(way) => {
            format!("nothing comes through {link} ({}) for {takes}", going(way))
        }
        Trouble::Reset(way) => format!("every tunnel {link} ends with a RST ({})", going(way)),
        Trouble::HalfClose(way) => format!("every tunnel {link} gets a FIN ({})", going(way)),
        Trouble::Latency { way, delay, jitter } => format!(
            "bytes {link} take {} ± {} longer ({}) for {takes}",
            show_duration(*delay),
            show_duration(*jitter),
            going(way)
        ),
        Trouble::Bandwidth { way, rate } => format!(
            "each tunnel {link} passes {} bytes/s ({}) for {takes}",
            show_count(*rate),
            going(way)
        ),
        Trouble::Slice { way, size, gap } => format!(
            "bytes {link} come {} at a time, {} apart ({}) for {takes}",
            show_count((*size).into()),
            show_duration(*gap),
            going(way)
        ),
        Trouble::Refuse => format!("no new connection {link} for {takes}"),
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
        FaultKind::Client(ClientFault::MassDisconnect { .. }) => String::new(),
        FaultKind::Client(ClientFault::Vanish { .. }) => "the old sockets are closed".into(),
        FaultKind::Client(ClientFault::SlowReader { .. }) => "all read again".into(),
        FaultKind::Client(ClientFault::Surge { .. }) => "they leave".into(),
        FaultKind::Link(_) => "the link is clear again".into(),
        FaultKind::Node(kind) => match kind {
            NodeFault::Kill | NodeFault::Stop(_) => format!("{last} {is} started again"),
            NodeFault::Restart(_) => format!("{last} {is} back"),
            NodeFault::Pause => format!("SIGCONT to {last}"),
            NodeFault::RefuseUpgrades { .. }
            | NodeFault::SlowHandshake { .. }
            | NodeFault::StopReading
            | NodeFault::NoPong => format!("{last} {is} as before"),
        },
        FaultKind::Proxy(kind) => match kind {
            ProxyFault::Restart | ProxyFault::Kill => "nginx is started again".into(),
            ProxyFault::Quit => "what lingers is killed, and nginx started again".into(),
            ProxyFault::PauseWorker => "SIGCONT to the worker".into(),
            ProxyFault::Reconfigure(_) | ProxyFault::ExhaustConnections { .. } => {
                "nginx is reloaded as it was".into()
            }
            ProxyFault::Reload | ProxyFault::KillWorker => String::new(),
        },
    }
}

fn rolling(fault: &PlannedFault) -> String {
    match fault.pause {
        Some(pause) => format!("; one after the other, {} apart", show_duration(pause)),
        None => String::new(),
    }
}

fn targets(fault: &PlannedFault) -> String {
    fault.targets().join(", ")
}
