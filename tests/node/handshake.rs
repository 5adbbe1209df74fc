//! The upgrade, to the letter, and the other paths.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{PATIENCE, TestNode, options};

const GOOD: &[&str] = &[
    "GET /ws HTTP/1.1",
    "Host: n",
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

/// The good request with one line left out or replaced.
fn request(line: usize, instead: Option<&str>) -> String {
    let mut lines = GOOD.to_vec();
    match instead {
        Some(text) => lines[line] = text,
        None => drop(lines.remove(line)),
    }
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

#[test]
fn the_handshake_is_strict() {
    let node = TestNode::start(options());
    for (line, instead, status, reason) in [
        (0, Some("GET /ws HTTP/1.0"), "426", "HTTP/1.1"),
        (0, Some("POST /ws HTTP/1.1"), "405", "another method"),
        (0, Some("GET /other HTTP/1.1"), "404", "/ws"),
        (0, Some("hello"), "400", "no HTTP/1 request"),
        (1, None, "400", "Host"),
        (2, None, "426", "Upgrade: websocket"),
        (2, Some("Upgrade: h2c"), "426", "Upgrade: websocket"),
        (3, None, "426", "Connection"),
        (3, Some("Connection: close"), "426", "Connection"),
        (4, None, "426", "Sec-WebSocket-Version"),
        (
            4,
            Some("Sec-WebSocket-Version: 8"),
            "426",
            "Sec-WebSocket-Version",
        ),
        (5, None, "400", "Sec-WebSocket-Key"),
        (
            5,
            Some("Sec-WebSocket-Key: SGVsbG9Xb3JsZDEyMw=="),
            "400",
            "16 bytes",
        ),
        (
            5,
            Some("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ"),
            "400",
            "16 bytes",
        ),
    ] {
        let answer = node.raw(&request(line, instead));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{line} {instead:?}: {answer}"
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body.contains(reason), "{line} {instead:?}: {answer}");
        assert_eq!(body.lines().count(), 1);
        let names_the_version = head.contains("Sec-WebSocket-Version: 13\r\n");
        assert_eq!(
            names_the_version && head.contains("Upgrade: websocket"),
            status == "426"
        );
    }
    let stats = node.stop();
    assert_eq!((stats.rejected, stats.accepted), (11, 0));
}

#[tokio::test]
async fn what_is_sent_with_the_request_is_echoed() {
    let node = TestNode::start(options());
    let mut stream = TcpStream::connect(node.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut bytes = format!("{}\r\n\r\n", GOOD.join("\r\n")).into_bytes();
    // "Hi", masked with zeros.
    bytes.extend_from_slice(b"\x81\x82\0\0\0\0Hi");
    stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x81\x02Hi") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
        "{text}"
    );
    assert!(text.contains("X-Wssoak-Node: n1\r\n"), "{text}");
    drop(stream);
    node.until(|stats| stats.open == 0).await;
}

#[test]
fn health_and_unknown_paths_answer() {
    let node = TestNode::start(options());
    let health = node.raw("GET /wssoak/health HTTP/1.1\r\nHost: n\r\n\r\n");
    assert!(
        health.ends_with(r#"{"node":"n1","status":"ok"}"#),
        "{health}"
    );
    let wrong = node.raw("DELETE /wssoak/stats HTTP/1.1\r\nHost: n\r\n\r\n");
    assert!(
        wrong.starts_with("HTTP/1.1 405 ") && wrong.contains("Allow: GET\r\n"),
        "{wrong}"
    );
    let put = node.raw("PUT /wssoak/behaviour HTTP/1.1\r\nContent-Length: 5000\r\n\r\n");
    assert!(put.starts_with("HTTP/1.1 413 "), "{put}");
    assert_eq!(node.stats().pid, std::process::id());
}
