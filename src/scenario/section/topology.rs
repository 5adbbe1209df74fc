//! `[topology]` and `[topology.nginx]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::compose;
use crate::scenario::kind::{self, Complaint};
use crate::scenario::problem::Place;
use crate::scenario::reader::{Field, Reader};
use crate::scenario::tree::Item;
use crate::scenario::{Balance, HttpVersion, Kind, Nginx, Topology};
use crate::units;

/// What was read.
#[derive(Debug)]
pub(in crate::scenario) struct Read {
    pub(in crate::scenario) value: Topology,
    pub(in crate::scenario) nodes: Field<u16>,
}

/// Relative paths in the file start at `folder`.
pub(in crate::scenario) fn read(top: &mut Reader<'_>, folder: Option<&Path>) -> Read {
    let mut table = top.table("topology");
    let kind = table
        .get(
            "kind",
            kind::one_of(&[("bundled", Kind::Bundled), ("compose", Kind::Compose)]),
        )
        .or(Kind::Bundled);
    let nodes = table
        .get("nodes", |item| kind::count_in(1, compose::MOST_NODES)(item))
        .map(|nodes| nodes.and_then(|nodes| u16::try_from(nodes).ok()));
    let mut nodes = nodes.or(2);
    let session_ttl = table
        .get("session_ttl", kind::offset)
        .or(Duration::from_secs(60))
        .value;
    let nginx = nginx(&mut table.table("nginx"), folder);
    let compose = compose::read(&mut table.table("compose"), &kind, &mut nodes, folder);
    Read {
        value: Topology {
            nodes: nodes.value,
            session_ttl,
            nginx,
            compose,
        },
        nodes,
    }
}

fn nginx(table: &mut Reader<'_>, folder: Option<&Path>) -> Nginx {
    let seconds = Duration::from_secs;
    let defaults = Nginx {
        binary: table.get("binary", |item| path(item, folder)).value,
        template: table.get("template", |item| path(item, folder)).value,
        balance: Balance::RoundRobin,
        max_fails: 1,
        fail_timeout: seconds(10),
        proxy_connect_timeout: seconds(5),
        proxy_send_timeout: seconds(60),
        proxy_read_timeout: seconds(60),
        proxy_http_version: HttpVersion::V11,
        upgrade_headers: true,
        worker_processes: None,
        worker_connections: None,
        worker_shutdown_timeout: None,
    };
    settings(table, &defaults)
}

/// What a reload can change, over what it was before.
pub(super) fn settings(table: &mut Reader<'_>, before: &Nginx) -> Nginx {
    const BALANCES: &[(&str, Balance)] = &[
        ("round-robin", Balance::RoundRobin),
        ("least-conn", Balance::LeastConn),
        ("ip-hash", Balance::IpHash),
        ("hash-client", Balance::HashClient),
    ];
    const VERSIONS: &[(&str, HttpVersion)] =
        &[("1.1", HttpVersion::V11), ("1.0", HttpVersion::V10)];
    let mut nginx = before.clone();
    let mut change = |into: &mut Duration, key, kind: fn(&Item) -> Result<Duration, Complaint>| {
        *into = table.get(key, kind).or(*into).value;
    };
    change(&mut nginx.fail_timeout, "fail_timeout", whole_seconds);
    for (into, key) in [
        (&mut nginx.proxy_connect_timeout, "proxy_connect_timeout"),
        (&mut nginx.proxy_send_timeout, "proxy_send_timeout"),
        (&mut nginx.proxy_read_timeout, "proxy_read_timeout"),
    ] {
        change(into, key, millis);
    }
    let balance = table.get("balance", kind::one_of(BALANCES));
    let version = table.get("proxy_http_version", kind::one_of(VERSIONS));
    let fails = table.get("max_fails", kind::count_in(0, 1000));
    let upgrade = table.get("upgrade_headers", kind::switch);
    let workers = table.get("worker_processes", kind::count_in(1, 256));
    let connections = table.get("worker_connections", worker_connections);
    let shutdown = table.get("worker_shutdown_timeout", millis);
    Nginx {
        balance: balance.or(nginx.balance).value,
        max_fails: fails.or(nginx.max_fails).value,
        proxy_http_version: version.or(nginx.proxy_http_version).value,
        upgrade_headers: upgrade.or(nginx.upgrade_headers).value,
        worker_processes: workers.value.or(nginx.worker_processes),
        worker_connections: connections.value.or(nginx.worker_connections),
        worker_shutdown_timeout: shutdown.value.or(nginx.worker_shutdown_timeout),
        ..nginx
    }
}

pub(super) fn worker_connections(item: &Item) -> Result<u32, Complaint> {
    kind::count_in(4, 1_000_000)(item)
}

/// nginx reads most times to the millisecond.
fn millis(item: &Item) -> Result<Duration, Complaint> {
    let duration = kind::timeout(item)?;
    whole(
        duration,
        1_000_000,
        "must be whole milliseconds: nginx takes no finer time",
    )
}

/// nginx reads `fail_timeout` in whole seconds (`ngx_http_upstream_server`, `ngx_parse_time` with `is_sec`).
fn whole_seconds(item: &Item) -> Result<Duration, Complaint> {
    let duration = kind::duration_in(Duration::from_secs(1), Duration::from_secs(86_400))(item)?;
    whole(
        duration,
        1_000_000_000,
        "must be whole seconds: nginx takes no finer `fail_timeout`",
    )
}

fn whole(duration: Duration, unit_ns: u128, must: &str) -> Result<Duration, Complaint> {
    if duration.as_nanos().is_multiple_of(unit_ns) {
        return Ok(duration);
    }
    let rest = (duration.as_nanos() % unit_ns) as u64;
    let lower = duration.saturating_sub(Duration::from_nanos(rest));
    let upper = Duration::from_nanos(u64::try_from(lower.as_nanos() + unit_ns).unwrap_or(u64::MAX));
    Err(
        Complaint::new(must, format!("{} is not", units::exact_duration(duration)))
            .help(format!("write \"{}\"", units::exact_duration(upper))),
    )
}

/// A path in the file is relative to the file, one in a flag to where the user is.
pub(super) fn path(item: &Item, folder: Option<&Path>) -> Result<PathBuf, Complaint> {
    let text = kind::line(item)?;
    if text.is_empty() {
        return Err(Complaint::new("must be a path", "this is empty")
            .help("leave the key out for the default"));
    }
    let path = PathBuf::from(text);
    match (&item.place, folder) {
        (Place::File(_), Some(folder)) => Ok(folder.join(path)),
        _ => Ok(path),
    }
}
