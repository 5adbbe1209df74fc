//! What is done to the proxy.

use std::time::Duration;

use super::kinds::{Kind, Lasts};
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
];
