//! Renders the nginx configuration: a production baseline for WebSockets, every value from the scenario. Pure.
//!
//! Users read the result (it is kept with the results), so its comments say why. A user's own configuration goes
//! through [`super::template`] instead.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sizing::Sizing;
use crate::scenario::{Balance, HttpVersion, Nginx};

/// Response header of the status server that names the answering worker's process id, so that an answer from another
/// nginx on the same port is not taken for ours.
pub const WORKER_HEADER: &str = "X-Wssoak-Worker";

/// Fields of the access log `ws`: name in the JSON, nginx variable. A line is written when a tunnel ends.
const LOG_FIELDS: &[(&str, &str)] = &[
    ("msec", "msec"),
    ("pid", "pid"),
    ("connection", "connection"),
    ("remote_addr", "remote_addr"),
    ("client", "arg_client"),
    ("attempt", "arg_attempt"),
    ("resume", "arg_resume"),
    ("node", "sent_http_x_wssoak_node"),
    ("status", "status"),
    ("upstream_status", "upstream_status"),
    ("upstream_addr", "upstream_addr"),
    ("request_time", "request_time"),
    ("upstream_connect_time", "upstream_connect_time"),
    ("upstream_header_time", "upstream_header_time"),
    ("bytes_sent", "bytes_sent"),
    ("request_length", "request_length"),
    ("upstream_bytes_sent", "upstream_bytes_sent"),
    ("upstream_bytes_received", "upstream_bytes_received"),
    ("request_completion", "request_completion"),
];

/// Everything a configuration is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfInput {
    /// The scenario's settings.
    pub nginx: Nginx,
    /// Worker count and sizes.
    pub sizing: Sizing,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where the status server listens.
    pub status_listen: SocketAddr,
    /// The nodes, in order.
    pub nodes: Vec<SocketAddr>,
    /// Access log, absolute.
    pub access_log: PathBuf,
    /// Error log, absolute.
    pub error_log: PathBuf,
    /// Folder for the pid file and temporary files, absolute.
    pub scratch: PathBuf,
    /// Is the effective user root?
    pub as_root: bool,
}

impl ConfInput {
    /// The pid file.
    pub fn pid_file(&self) -> PathBuf {
        self.scratch.join("nginx.pid")
    }
}

/// The whole configuration.
pub fn render(input: &ConfInput) -> String {
    let ConfInput {
        nginx,
        sizing,
        listen,
        status_listen,
        ..
    } = input;
    let user = user_directive(input);
    let workers = sizing.worker_processes;
    let connections = sizing.worker_connections;
    let descriptors = sizing.worker_rlimit_nofile;
    let shutdown = shutdown_directive(nginx);
    let pid = quoted(&input.pid_file());
    let error_log = quoted(&input.error_log);
    let access_log = quoted(&input.access_log);
    let temp = temp_paths(&input.scratch);
    let log_format = log_format();
    let balance = balance_directive(nginx.balance);
    let servers = upstream_servers(input);
    let version = match nginx.proxy_http_version {
        HttpVersion::V10 => "1.0",
        HttpVersion::V11 => "1.1",
    };
    let upgrade = upgrade_directives(nginx.upgrade_headers);
    let connect = millis(nginx.proxy_connect_timeout);
    let send = millis(nginx.proxy_send_timeout);
    let read = millis(nginx.proxy_read_timeout);
    format!(
        r#"# nginx configuration of a wssoak run, rendered from its scenario.
{user}
worker_processes {workers};
# Two descriptors per tunnel. One worker may accept nearly all of them, so each has room for the whole fleet.
worker_rlimit_nofile {descriptors};
{shutdown}
pid {pid};
# nginx reports the idle timeout of a WebSocket at level info and at no other.
error_log {error_log} info;

events {{
    # Counts both sides: two per tunnel.
    worker_connections {connections};
}}

http {{
{temp}
    # One JSON object per line, written when a tunnel ends; its status is 101 whatever the reason. Tunnels cut by a
    # stop or by SIGKILL leave no line at all.
{log_format}
    access_log {access_log} ws;

    # Upgrade and Connection are hop-by-hop: nginx forwards them only when told to. Requests without Upgrade get "close".
    map $http_upgrade $connection_upgrade {{
        default upgrade;
        ''      close;
    }}

    # The zone shares balancing state among the workers; without it each worker counts for itself.
    upstream wssoak_nodes {{
        zone wssoak_nodes 256k;
{balance}{servers}
    }}

    server {{
        listen {listen};

        # Neither touches a tunnel after its 101; both matter to HTTP streaming beside it.
        proxy_buffering off;
        gzip off;

        location / {{
            proxy_pass http://wssoak_nodes;
            proxy_http_version {version};
            # One proxy_set_header on a level hides all of the levels above it, so they stand together.
{upgrade}            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;

            proxy_connect_timeout {connect};
            proxy_send_timeout {send};
            # Before the 101: time to answer. After: silence in both directions that ends the tunnel.
            proxy_read_timeout {read};
        }}
    }}

    # Counters for the harness, on a port of their own so that a full listen queue above does not hide them.
    server {{
        listen {status_listen};
        access_log off;

        location / {{
            stub_status;
            add_header {WORKER_HEADER} $pid;
        }}
    }}
}}
"#
    )
}

/// `log_format ws …;`, for our configuration and for templates.
pub(super) fn log_format() -> String {
    let fields: Vec<String> = LOG_FIELDS
        .iter()
        .map(|(name, variable)| format!("\"{name}\":\"${variable}\""))
        .collect();
    let mut text = String::from("    log_format ws escape=json\n        '{");
    for (i, field) in fields.iter().enumerate() {
        text.push_str(field);
        text.push_str(if i + 1 == fields.len() {
            "}';"
        } else if i % 3 == 2 {
            ",'\n        '"
        } else {
            ","
        });
    }
    text
}

/// The `server …;` lines of an upstream.
pub(super) fn upstream_servers(input: &ConfInput) -> String {
    let fails = input.nginx.max_fails;
    let window = seconds(input.nginx.fail_timeout);
    let lines: Vec<String> = input
        .nodes
        .iter()
        .map(|node| format!("        server {node} max_fails={fails} fail_timeout={window};"))
        .collect();
    lines.join("\n")
}

/// `user root;` for root, a comment for everyone else.
pub(super) fn user_directive(input: &ConfInput) -> &'static str {
    if input.as_root {
        // Otherwise workers become "nobody", who may neither exist nor reach the logs.
        "# Started by root: workers keep that user, since the logs and the scratch folder are root's.\nuser root;"
    } else {
        "# Not started by root: there is no other user to become."
    }
}

pub(super) fn balance_directive(balance: Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "        # Round robin: nginx's default, no directive.\n",
        Balance::LeastConn => "        least_conn;\n",
        Balance::IpHash => {
            "        # By the first three octets of the client's address.\n        ip_hash;\n"
        }
        Balance::HashClient => "        hash $arg_client consistent;\n",
    }
}

fn upgrade_directives(upgrade: bool) -> &'static str {
    if upgrade {
        "            proxy_set_header Upgrade $http_upgrade;\n            proxy_set_header Connection $connection_upgrade;\n"
    } else {
        "            # Upgrade and Connection are not forwarded: the scenario says upgrade_headers = false.\n"
    }
}

fn shutdown_directive(nginx: &Nginx) -> String {
    match nginx.worker_shutdown_timeout {
        Some(time) => format!(
            "# After a reload old workers keep their tunnels this long, then cut them all at once.\n\
             worker_shutdown_timeout {};",
            millis(time)
        ),
        None => "# No worker_shutdown_timeout: after a reload old workers keep their tunnels until they end.".into(),
    }
}

fn temp_paths(scratch: &Path) -> String {
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("    {name}_temp_path {};", quoted(&scratch.join(name))))
        .join("\n")
        + "\n"
}

/// A duration as nginx reads it where milliseconds are allowed.
fn millis(duration: Duration) -> String {
    // Zero would mean something else than "at once" to several directives.
    format!("{}ms", duration.as_millis().max(1))
}

/// A duration as nginx reads it where only whole seconds are allowed (`fail_timeout`): rounded up.
fn seconds(duration: Duration) -> String {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    format!("{}s", whole.max(1))
}

/// A path as one nginx token, whatever is in it but `$`, which nginx has no way to escape.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn nginx() -> Nginx {
        Nginx {
            binary: None,
            template: None,
            balance: Balance::LeastConn,
            max_fails: 3,
            fail_timeout: Duration::from_secs(30),
            proxy_connect_timeout: Duration::from_secs(5),
            proxy_send_timeout: Duration::from_secs(60),
            proxy_read_timeout: Duration::from_secs(10),
            proxy_http_version: HttpVersion::V11,
            upgrade_headers: true,
            worker_processes: None,
            worker_connections: None,
            worker_shutdown_timeout: None,
        }
    }

    pub(crate) fn input() -> ConfInput {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        ConfInput {
            sizing: Sizing::new(&nginx(), 2_000, 20_000, 2),
            nginx: nginx(),
            listen: at(18_080),
            status_listen: at(18_081),
            nodes: vec![at(19_001), at(19_002)],
            access_log: "/results/logs/nginx-access.log".into(),
            error_log: "/results/logs/nginx-error.log".into(),
            scratch: "/tmp/wssoak-0".into(),
            as_root: false,
        }
    }

    #[test]
    fn the_default_configuration() {
        insta::assert_snapshot!(render(&input()));
    }

    #[test]
    fn every_setting_shows() {
        let mut input = input();
        input.as_root = true;
        input.nginx.balance = Balance::HashClient;
        input.nginx.max_fails = 0;
        input.nginx.fail_timeout = Duration::from_millis(1_500);
        input.nginx.proxy_connect_timeout = Duration::from_millis(1);
        input.nginx.proxy_send_timeout = Duration::from_secs(2);
        input.nginx.proxy_read_timeout = Duration::from_millis(2_500);
        input.nginx.proxy_http_version = HttpVersion::V10;
        input.nginx.upgrade_headers = false;
        input.nginx.worker_shutdown_timeout = Some(Duration::from_secs(4));
        let text = render(&input);
        for line in [
            "user root;",
            "hash $arg_client consistent;",
            "server 127.0.0.1:19002 max_fails=0 fail_timeout=2s;",
            "proxy_connect_timeout 1ms;",
            "proxy_send_timeout 2000ms;",
            "proxy_read_timeout 2500ms;",
            "proxy_http_version 1.0;",
            "worker_shutdown_timeout 4000ms;",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("$http_upgrade;"), "{text}");
    }

    #[test]
    fn unusual_paths_are_quoted() {
        assert_eq!(quoted(Path::new("/a/b-c_d.1")), "/a/b-c_d.1");
        assert_eq!(quoted(Path::new("/a b;/\"c\"")), "\"/a b;/\\\"c\\\"\"");
    }
}
