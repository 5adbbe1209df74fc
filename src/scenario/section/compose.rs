//! `[topology.compose]`: which services of a compose file are what.

use std::path::Path;

use super::no_effect;
use super::topology::path;
use crate::scenario::kind::{self, Complaint};
use crate::scenario::problem::{Place, Problem};
use crate::scenario::reader::{Field, Log, Reader, shortened};
use crate::scenario::tree::{Item, Value};
use crate::scenario::{Compose, Kind};
use crate::wire::WS_PATH;

/// Nodes in the compose file at the root.
const SHIPPED_NODES: u16 = 3;
/// Most nodes of a run.
pub(super) const MOST_NODES: u32 = 64;
const HELP: &str = "write kind = \"compose\" in [topology], or run with --topology compose";

/// Reads the table; `nodes` becomes the number of services listed. `None` when another kind of topology is wanted.
pub(super) fn read(
    table: &mut Reader<'_>,
    kind: &Field<Kind>,
    nodes: &mut Field<u16>,
    folder: Option<&Path>,
) -> Option<Compose> {
    let log = table.log();
    let file = table.get("file", |item| path(item, folder));
    let proxies = table.get("proxies", services);
    let listed = table.get("nodes", services);
    let port = table.get("port", port);
    let node_port = table.get("node_port", self::port);
    let status_port = table.get("status_port", self::port);
    let ws_path = table.get("path", request_path);
    if kind.value != Kind::Compose {
        let why = "nothing is brought up with docker-compose";
        no_effect(log, &file, kind, why, HELP);
        no_effect(log, &proxies, kind, why, HELP);
        no_effect(log, &listed, kind, why, HELP);
        no_effect(log, &port, kind, why, HELP);
        no_effect(log, &node_port, kind, why, HELP);
        no_effect(log, &status_port, kind, why, HELP);
        no_effect(log, &ws_path, kind, why, HELP);
        return None;
    }
    if let Some(services) = &listed.value {
        count_twice(log, nodes, &listed);
        nodes.value = u16::try_from(services.len()).unwrap_or(1);
    } else if file.value.is_none() {
        too_few(log, nodes);
    }
    Some(Compose {
        file: file.value,
        proxies: proxies.or(vec!["nginx".into()]).value,
        nodes: listed
            .value
            .unwrap_or_else(|| (1..=nodes.value).map(|n| format!("n{n}")).collect()),
        port: port.or(8080).value,
        node_port: node_port.or(9000).value,
        status_port: status_port.value,
        path: ws_path.or(WS_PATH.into()).value,
    })
}

fn count_twice(log: &Log, nodes: &Field<u16>, listed: &Field<Option<Vec<String>>>) {
    // A flag that lists nodes leaves the file's number standing idle on purpose.
    let is_flag = matches!(listed.place, Some(Place::Flag { .. }))
        && matches!(nodes.place, Some(Place::File(_)));
    if nodes.is_given() && nodes.is_sound && !is_flag {
        log.add(
            Problem::new(format!("`{}` and `{}` say the same", nodes.key, listed.key))
                .mark(nodes.place.as_ref(), "a number of nodes")
                .mark(listed.place.as_ref(), "the nodes")
                .help("remove `topology.nodes`; the list says how many there are"),
        );
    }
}

fn too_few(log: &Log, nodes: &Field<u16>) {
    if nodes.is_sound && nodes.value > SHIPPED_NODES {
        log.add(
            Problem::new(format!(
                "docker-compose.yml has {SHIPPED_NODES} nodes, n1 to n{SHIPPED_NODES}"
            ))
            .mark(
                nodes.place.as_ref(),
                format!("{} are asked for", nodes.value),
            )
            .help(
                "name a compose file of your own with `topology.compose.file`, and its services with `nodes`",
            ),
        );
    }
}

/// Names of services, at least one, each once.
fn services(item: &Item) -> Result<Vec<String>, Complaint> {
    const MUST: &str = "must be a list of services";
    let example = "write it like [\"web\", \"web2\"]";
    let Value::Array(items) = &item.value else {
        let label = format!("this is {}", item.value.what());
        return Err(Complaint::new(MUST, label).help(example));
    };
    let mut names = Vec::new();
    for item in items {
        let name = kind::line(item)?;
        let is_service = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(is_service) {
            let label = format!("`{}` is no name of a service", shortened(&name));
            return Err(Complaint::new(MUST, label).help(example));
        }
        if names.contains(&name) {
            let label = format!("`{}` is there twice", shortened(&name));
            return Err(Complaint::new(MUST, label).help("name each service once"));
        }
        names.push(name);
    }
    match names.len() {
        0 => Err(Complaint::new(MUST, "this is empty").help(example)),
        count if count > MOST_NODES as usize => {
            Err(Complaint::new(MUST, format!("{count} are too many"))
                .help(format!("at most {MOST_NODES}")))
        }
        _ => Ok(names),
    }
}

fn port(item: &Item) -> Result<u16, Complaint> {
    let port = kind::count_in(1, 65_535)(item)?;
    Ok(u16::try_from(port).unwrap_or_default())
}

fn request_path(item: &Item) -> Result<String, Complaint> {
    let text = kind::line(item)?;
    let is_plain = |c: char| c.is_ascii_graphic() && c != '#';
    if text.starts_with('/') && text.chars().all(is_plain) {
        return Ok(text);
    }
    Err(Complaint::new(
        "must be the path of the WebSocket",
        format!("`{}` is none", shortened(&text)),
    )
    .help("write it like \"/socket\""))
}
