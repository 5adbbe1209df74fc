//! Every setting of a scenario as the user would write it.
//!
//! Pure. The keys are those of the file, so that a value can be found there and in `--set`.

use std::path::Path;
use std::time::Duration;

use crate::scenario::{Balance, Compose, HttpVersion, Jitter, Nginx, Policy, Scenario};
use crate::units::{exact_duration, show_count};

/// A dotted key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) shown: String,
}

/// In the order of the file format.
pub(super) fn settings(scenario: &Scenario) -> Vec<Setting> {
    let (topology, clients) = (&scenario.topology, &scenario.clients);
    let mut list = List(Vec::new());
    list.add("seed", scenario.seed.to_string());
    list.add("duration", exact_duration(scenario.duration));
    if let Some(compose) = &topology.compose {
        self::compose(&mut list, compose);
    } else {
        list.add("topology.kind", "bundled");
        list.add("topology.nodes", topology.nodes.to_string());
    }
    list.add("topology.session_ttl", exact_duration(topology.session_ttl));
    nginx(&mut list, &topology.nginx);
    list.add("clients.count", show_count(clients.count.into()));
    list.add("clients.ramp", exact_duration(clients.ramp));
    list.add(
        "clients.handshake_timeout",
        exact_duration(clients.handshake_timeout),
    );
    let traffic = &scenario.traffic;
    list.add(
        "traffic.source",
        senders(traffic.from_clients, traffic.from_nodes),
    );
    if traffic.from_clients || traffic.from_nodes {
        list.add("traffic.rate", rate(traffic.interval));
        list.add("traffic.size", format!("{}B", traffic.size));
    }
    if traffic.from_clients {
        list.add("traffic.resend", traffic.resend.to_string());
    }
    let heartbeat = &scenario.heartbeat;
    list.add(
        "heartbeat.from",
        senders(heartbeat.from_clients, heartbeat.from_nodes),
    );
    if heartbeat.from_clients || heartbeat.from_nodes {
        list.add("heartbeat.interval", exact_duration(heartbeat.interval));
        list.add(
            "heartbeat.pong_timeout",
            exact_duration(heartbeat.pong_timeout),
        );
    }
    reconnect(&mut list, scenario);
    list.add("record.detail", bytes(scenario.record.detail));
    list.0
}

/// The settings of nginx that differ in `other`, as the user would write them there.
pub(super) fn changed(one: &Nginx, other: &Nginx) -> Vec<String> {
    let all = |settings: &Nginx| {
        let mut list = List(Vec::new());
        nginx(&mut list, settings);
        list.0
    };
    let (before, after) = (all(one), all(other));
    let differ = before
        .iter()
        .zip(&after)
        .filter(|(one, other)| one != other);
    let shown = differ.map(|(_, setting)| {
        let key = setting.key.rsplit('.').next().unwrap_or_default();
        format!("{key} = {}", setting.shown)
    });
    shown.collect()
}

struct List(Vec<Setting>);

impl List {
    fn add(&mut self, key: &str, shown: impl Into<String>) {
        self.0.push(Setting {
            key: key.to_owned(),
            shown: shown.into(),
        });
    }
}

fn compose(list: &mut List, compose: &Compose) {
    list.add("topology.kind", "compose");
    let mut add = |key: &str, shown: String| list.add(&format!("topology.compose.{key}"), shown);
    let file = compose.file.as_deref();
    let file = file.unwrap_or(Path::new("docker-compose.yml"));
    add("file", file.display().to_string());
    add("proxies", compose.proxies.join(", "));
    add("nodes", compose.nodes.join(", "));
    add("port", compose.port.to_string());
    add("node_port", compose.node_port.to_string());
    let status = compose.status_port;
    add(
        "status_port",
        status.map_or("as rendered".into(), |port| port.to_string()),
    );
    add("path", compose.path.clone());
}

fn nginx(list: &mut List, nginx: &Nginx) {
    let path = |path: &Option<_>, absent: &str| match path {
        Some(path) => <std::path::PathBuf as AsRef<Path>>::as_ref(path)
            .display()
            .to_string(),
        None => absent.to_owned(),
    };
    let auto =
        |count: Option<u32>| count.map_or("auto".to_owned(), |count| show_count(count.into()));
    let mut add = |key: &str, shown: String| list.add(&format!("topology.nginx.{key}"), shown);
    add("binary", path(&nginx.binary, "the bundled one"));
    add("template", path(&nginx.template, "the built-in one"));
    add(
        "balance",
        match nginx.balance {
            Balance::RoundRobin => "round-robin",
            Balance::LeastConn => "least-conn",
            Balance::IpHash => "ip-hash",
            Balance::HashClient => "hash-client",
        }
        .into(),
    );
    add("max_fails", nginx.max_fails.to_string());
    add("fail_timeout", exact_duration(nginx.fail_timeout));
    add(
        "proxy_connect_timeout",
        exact_duration(nginx.proxy_connect_timeout),
    );
    add(
        "proxy_send_timeout",
        exact_duration(nginx.proxy_send_timeout),
    );
    add(
        "proxy_read_timeout",
        exact_duration(nginx.proxy_read_timeout),
    );
    add(
        "proxy_http_version",
        match nginx.proxy_http_version {
            HttpVersion::V10 => "1.0".into(),
            HttpVersion::V11 => "1.1".into(),
        },
    );
    add("upgrade_headers", nginx.upgrade_headers.to_string());
    add("worker_processes", auto(nginx.worker_processes));
    add("worker_connections", auto(nginx.worker_connections));
    add(
        "worker_shutdown_timeout",
        nginx
            .worker_shutdown_timeout
            .map_or("never".into(), exact_duration),
    );
}

fn reconnect(list: &mut List, scenario: &Scenario) {
    let reconnect = &scenario.reconnect;
    let policy = match reconnect.policy {
        Policy::None => "none",
        Policy::Constant => "constant",
        Policy::Exponential => "exponential",
    };
    list.add("reconnect.policy", policy);
    if reconnect.policy == Policy::None {
        return;
    }
    let jitter = match reconnect.jitter {
        Jitter::None => "none",
        Jitter::Full => "full",
        Jitter::Equal => "equal",
        Jitter::Decorrelated => "decorrelated",
    };
    list.add("reconnect.jitter", jitter);
    list.add("reconnect.base", exact_duration(reconnect.base));
    if reconnect.policy == Policy::Exponential || reconnect.jitter == Jitter::Decorrelated {
        list.add("reconnect.cap", exact_duration(reconnect.cap));
    }
    let attempts = reconnect
        .attempts
        .map_or("without end".into(), |most| show_count(most.into()));
    list.add("reconnect.attempts", attempts);
    list.add("reconnect.retry_after", reconnect.retry_after.to_string());
}

/// As it would be written in the file.
fn bytes(bytes: u32) -> String {
    match (bytes % (1 << 20), bytes % (1 << 10)) {
        (0, _) => format!("{}MiB", bytes >> 20),
        (_, 0) => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes}B"),
    }
}

fn senders(clients: bool, nodes: bool) -> &'static str {
    match (clients, nodes) {
        (true, true) => "both",
        (true, false) => "clients",
        (false, true) => "nodes",
        (false, false) => "none",
    }
}

/// From the time between two messages back to a rate, in the unit that keeps it at or above one.
fn rate(interval: Duration) -> String {
    let per_second = 1.0 / interval.as_secs_f64();
    let (number, unit) = match per_second {
        rate if rate >= 0.9999 => (rate, "s"),
        rate if rate * 60.0 >= 0.9999 => (rate * 60.0, "m"),
        rate => (rate * 3600.0, "h"),
    };
    let number = format!("{number:.2}");
    format!(
        "{}/{unit}",
        number.trim_end_matches('0').trim_end_matches('.')
    )
}
