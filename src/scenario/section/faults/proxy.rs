//! What is done to the proxy.

use std::time::Duration;

use super::kinds::{Case, Kind, Lasts};
use crate::scenario::problem::Problem;
use crate::scenario::reader::{Reader, shortened};
use crate::scenario::section::topology;
use crate::scenario::{FaultKind, ProxyFault};

pub(super) const KINDS: &[Kind] = &[
    Kind {
        word: "restart-proxy",
        lasts: Lasts::Default(Duration::from_secs(1)),
        keys: &[],
        read: |_, _| FaultKind::Proxy(ProxyFault::Restart),
    },
    Kind {
        word: "reload-proxy",
        lasts: Lasts::Moment(
            "a reload is a moment, not a window",
            "remove it; `topology.nginx.worker_shutdown_timeout` bounds how long old workers live",
        ),
        keys: &[],
        read: |_, _| FaultKind::Proxy(ProxyFault::Reload),
    },
    Kind {
        word: "quit-proxy",
        lasts: Lasts::Needed,
        keys: &[],
        read: |_, _| FaultKind::Proxy(ProxyFault::Quit),
    },
    Kind {
        word: "kill-proxy",
        lasts: Lasts::Default(Duration::from_secs(1)),
        keys: &[],
        read: |_, _| FaultKind::Proxy(ProxyFault::Kill),
    },
    Kind {
        word: "kill-worker",
        lasts: Lasts::Moment(
            "the master starts another worker at once",
            "remove it; `pause-worker` lasts",
        ),
        keys: &[],
        read: |_, _| FaultKind::Proxy(ProxyFault::KillWorker),
    },
    Kind {
        word: "pause-worker",
        lasts: Lasts::Needed,
        keys: &[],
        read: |_, _| FaultKind::Proxy(ProxyFault::PauseWorker),
    },
    Kind {
        word: "reconfigure-proxy",
        lasts: Lasts::Needed,
        keys: &["set"],
        read: reconfigure,
    },
    Kind {
        word: "exhaust-connections",
        lasts: Lasts::Needed,
        keys: &["worker_connections"],
        read: exhaust,
    },
];

fn reconfigure(table: &mut Reader<'_>, case: &Case<'_>) -> FaultKind {
    let before = case.world.nginx;
    let problems = table.log().count();
    let set = topology::settings(&mut table.table("set"), before);
    if set == *before && table.log().count() == problems {
        table.log().add(
            Problem::new(format!("fault `{}` changes nothing", shortened(case.name)))
                .mark(case.kind, "needs another setting than [topology.nginx]")
                .help("add set = { proxy_read_timeout = \"5s\" }")
                .derived(),
        );
    }
    FaultKind::Proxy(ProxyFault::Reconfigure(Box::new(set)))
}

fn exhaust(table: &mut Reader<'_>, _: &Case<'_>) -> FaultKind {
    let connections = table.need(
        "worker_connections",
        topology::worker_connections,
        "worker_connections = 64",
        64,
    );
    FaultKind::Proxy(ProxyFault::ExhaustConnections {
        worker_connections: connections.value,
    })
}
