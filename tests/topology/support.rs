//! What the topology's tests share: the spec, a tunnel, and the stand-ins for node and harness.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wssoak::scenario::{Balance, Heartbeat, HttpVersion, Nginx, Topology, Traffic};
use wssoak::topology::{Bundled, BundledSpec, group, tether};
use wssoak::wire::{Ledger, NodeStats};

/// Set for the stand-in node; its command line.
const NODE: &str = "WSSOAK_TEST_NODE";
/// Nothing takes this long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(15);

pub(crate) fn spec(folder: &Path) -> BundledSpec {
    let script = folder.join("wssoak");
    let text = format!(
        "#!/bin/sh\nif [ \"$1\" = node ]; then {NODE}=\"$*\" exec '{}' --exact stand_in_node --nocapture; fi\n\
         if [ \"$1\" = warden ]; then echo $$ >'{}/warden'; fi\nexec '{}' \"$@\"\n",
        std::env::current_exe().unwrap().display(),
        folder.display(),
        env!("CARGO_BIN_EXE_wssoak"),
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let second = Duration::from_secs(1);
    BundledSpec {
        topology: Topology {
            compose: None,
            nodes: 2,
            session_ttl: 60 * second,
            nginx: Nginx {
                binary: None,
                template: None,
                balance: Balance::RoundRobin,
                max_fails: 0,
                fail_timeout: 10 * second,
                proxy_connect_timeout: 5 * second,
                proxy_send_timeout: 60 * second,
                proxy_read_timeout: 60 * second,
                proxy_http_version: HttpVersion::V11,
                upgrade_headers: true,
                worker_processes: Some(2),
                worker_connections: None,
                worker_shutdown_timeout: None,
            },
        },
        traffic: Traffic {
            from_clients: true,
            from_nodes: true,
            interval: second,
            size: 128,
            resend: false,
        },
        heartbeat: Heartbeat {
            from_clients: false,
            from_nodes: true,
            interval: 20 * second,
            pong_timeout: 10 * second,
        },
        most_clients: 100,
        results: folder.to_owned(),
        nginx_override: None,
        wssoak_exe: script,
        relays: wssoak::topology::Relays::default(),
    }
}

/// Opens a tunnel through nginx; returns once the 101 is there.
pub(crate) fn tunnel(endpoint: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(endpoint).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
        .write_all(b"GET /ws?client=7&attempt=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        .unwrap();
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 101 "),
        "{}",
        String::from_utf8_lossy(&head)
    );
    stream
}

pub(crate) fn is_open(stream: &mut TcpStream) -> bool {
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut [0]).is_ok()
}

pub(crate) fn gone(group_id: u32) -> bool {
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        if group::members(group_id).is_empty() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// The scratch folder, as the rendered configuration names it.
pub(crate) fn scratch(bundled: &Bundled) -> PathBuf {
    let conf = std::fs::read_to_string(bundled.conf_path()).unwrap();
    let pid = conf
        .lines()
        .find_map(|line| line.strip_prefix("pid "))
        .unwrap();
    Path::new(pid.trim_end_matches(';'))
        .parent()
        .unwrap()
        .to_owned()
}

pub(crate) fn group_of(bundled: &Bundled) -> u32 {
    let any = bundled.processes()[0];
    group::ProcStat::of(any).unwrap().group
}

/// A node that answers what the topology asks and echoes bytes after an upgrade.
pub(crate) fn stand_in_node() {
    let Ok(arguments) = std::env::var(NODE) else {
        return;
    };
    let words: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let option = |name: &str| {
        let at = words.iter().position(|word| word == name).unwrap();
        words[at + 1].clone()
    };
    tether::tie(option("--parent").parse().unwrap(), Signal::KILL).unwrap();
    let ledger = PathBuf::from(option("--ledger"));
    let node = option("--name");
    let stats: &'static Mutex<NodeStats> = Box::leak(Box::new(Mutex::new(NodeStats {
        node,
        pid: std::process::id(),
        ..NodeStats::default()
    })));
    let listener = TcpListener::bind(option("--listen")).unwrap();
    for stream in listener.incoming() {
        let ledger = ledger.clone();
        std::thread::spawn(move || answer(stream.unwrap(), &ledger, stats));
    }
}

fn answer(stream: TcpStream, ledger: &Path, stats: &Mutex<NodeStats>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    let mut line = String::new();
    let mut head = String::new();
    while reader.read_line(&mut line).unwrap() > 2 {
        head.push_str(&line);
        line.clear();
    }
    let reply = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let text = if head.starts_with("GET /wssoak/health") {
        reply("200 OK", "{}")
    } else if head.starts_with("GET /wssoak/stats") {
        reply(
            "200 OK",
            &serde_json::to_string(&*stats.lock().unwrap()).unwrap(),
        )
    } else if head.starts_with("PUT /wssoak/behaviour") {
        stats.lock().unwrap().pings += 1;
        reply("204 No Content", "")
    } else {
        let mut stats = stats.lock().unwrap();
        stats.accepted += 1;
        let book = Ledger {
            accepted: stats.accepted,
            closed: 0,
        };
        std::fs::write(ledger, book.encode()).unwrap();
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            .into()
    };
    writer.write_all(text.as_bytes()).unwrap();
    if text.contains(" 101 ") {
        let _ = std::io::copy(&mut reader, &mut writer);
    }
}
