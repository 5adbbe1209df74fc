//! What comes before a WebSocket, or instead of one: the request, its route, the answer.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::connection;
use super::socket::Socket;
use super::state::{Node, Open, count};
use super::upgrade;
use crate::client::transport::websocket_config;
use crate::http1::{self, HeadError, Method, Request};
use crate::wire;

/// From the accept to the end of the answer. Frees what slow or silent peers hold.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest body of a `PUT`, in bytes.
const MAX_BODY: u64 = 4096;

/// An answer that ends its connection.
struct Answer {
    status: &'static str,
    headers: Cow<'static, str>,
    body: String,
}

impl Answer {
    fn text(status: &'static str, body: &str) -> Self {
        Self {
            status,
            headers: "Content-Type: text/plain\r\nConnection: close\r\n".into(),
            body: format!("{body}\n"),
        }
    }

    fn json(body: &impl serde::Serialize) -> Self {
        match serde_json::to_string(body) {
            Ok(body) => Self {
                status: "200 OK",
                headers: "Content-Type: application/json\r\nConnection: close\r\n".into(),
                body,
            },
            Err(error) => Self::text("500 Internal Server Error", &error.to_string()),
        }
    }
}

/// Serves one accepted connection to its end.
pub(super) async fn handle(stream: TcpStream, node: Rc<Node>) {
    // Boxed, since the handshake needs several times the memory of the connection that stays.
    let deadline = DEADLINE + delay(&node);
    let upgraded = Box::pin(timeout(deadline, respond(stream, &node))).await;
    drop(node);
    if let Ok(Some((socket, open))) = upgraded {
        connection::serve(socket, open).await;
    }
}

async fn respond(
    mut stream: TcpStream,
    node: &Rc<Node>,
) -> Option<(WebSocketStream<Socket>, Open)> {
    let answer = match http1::read_request(&mut stream).await {
        Ok((request, rest)) if is_upgrade(&request) && !node.is_stopping.get() => {
            match upgrade::check(&request) {
                Ok(key) => match node.behaviour.get().refuse {
                    None => return switch(stream, node, &request, key, rest).await,
                    Some(refuse) => {
                        count(&node.counters.rejected);
                        unavailable(refuse)
                    }
                },
                Err(refusal) => {
                    count(&node.counters.rejected);
                    refused(refusal)
                }
            }
        }
        Ok((request, rest)) => route(&mut stream, node, &request, rest).await?,
        Err(HeadError::Malformed) => Answer::text("400 Bad Request", "this is no HTTP/1 request."),
        Err(HeadError::TooLong | HeadError::TooManyHeaders) => Answer::text(
            "431 Request Header Fields Too Large",
            "the request's head is too long.",
        ),
        Err(HeadError::Eof | HeadError::Io(_)) => return None,
    };
    write(&mut stream, node, answer).await;
    None
}

fn is_upgrade(request: &Request) -> bool {
    request.path() == wire::WS_PATH && request.method == Method::Get
}

async fn switch(
    mut stream: TcpStream,
    node: &Rc<Node>,
    request: &Request,
    key: &[u8],
    rest: Vec<u8>,
) -> Option<(WebSocketStream<Socket>, Open)> {
    tokio::time::sleep(delay(node)).await;
    if is_gone(&stream) {
        return None;
    }
    let accept = http1::accept_for(key);
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{}: {}\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        wire::NODE_HEADER,
        node.options.name,
        String::from_utf8_lossy(&accept),
    );
    // Counted before it is written: no client can hold a 101 that the ledger does not know.
    let open = node.accept(request.query("resume"));
    stream.write_all(head.as_bytes()).await.ok()?;
    let stream = Socket::new(stream, node);
    let config = Some(websocket_config());
    let socket = if rest.is_empty() {
        WebSocketStream::from_raw_socket(stream, Role::Server, config).await
    } else {
        WebSocketStream::from_partially_read(stream, rest, Role::Server, config).await
    };
    Some((socket, open))
}

/// How long a 101 is held back.
fn delay(node: &Node) -> Duration {
    Duration::from_millis(node.behaviour.get().handshake_delay_ms)
}

/// Has the peer closed the connection? After a pause (a delay, a SIGSTOP) it may have tried elsewhere, and an upgrade
/// that is accepted for nobody would be counted.
fn is_gone(stream: &TcpStream) -> bool {
    let mut byte = [std::mem::MaybeUninit::uninit()];
    match socket2::SockRef::from(stream).peek(&mut byte) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}

fn unavailable(refuse: wire::Refuse) -> Answer {
    let retry = refuse.retry_after_s;
    let retry = retry.map_or(String::new(), |seconds| {
        format!("Retry-After: {seconds}\r\n")
    });
    Answer {
        headers: format!("{retry}Content-Type: text/plain\r\nConnection: close\r\n").into(),
        ..Answer::text("503 Service Unavailable", "the node takes no new sessions.")
    }
}

/// `None` when the connection broke while the body was read.
async fn route(
    stream: &mut TcpStream,
    node: &Node,
    request: &Request,
    rest: Vec<u8>,
) -> Option<Answer> {
    let wrong_method = |headers: &'static str| Answer {
        headers: headers.into(),
        ..Answer::text("405 Method Not Allowed", "this path has another method.")
    };
    let answer = match (request.path(), request.method) {
        (wire::WS_PATH, Method::Get) => {
            Answer::text("503 Service Unavailable", "the node shuts down.")
        }
        (wire::STATS_PATH, Method::Get) => Answer::json(&node.stats()),
        (wire::HEALTH_PATH, Method::Get) => {
            Answer::json(&serde_json::json!({"status": "ok", "node": node.options.name}))
        }
        (wire::BEHAVIOUR_PATH, Method::Put) => match request.content_length {
            Some(length) if length <= MAX_BODY => {
                let body = body(stream, rest, length).await?;
                behave(node, &body)
            }
            _ => Answer::text("413 Content Too Large", "a behaviour is short."),
        },
        (wire::WS_PATH | wire::STATS_PATH | wire::HEALTH_PATH, _) => {
            wrong_method("Allow: GET\r\nContent-Type: text/plain\r\nConnection: close\r\n")
        }
        (wire::BEHAVIOUR_PATH, _) => {
            wrong_method("Allow: PUT\r\nContent-Type: text/plain\r\nConnection: close\r\n")
        }
        _ => Answer::text("404 Not Found", "a node serves /ws and /wssoak/…"),
    };
    Some(answer)
}

async fn body(stream: &mut TcpStream, mut rest: Vec<u8>, length: u64) -> Option<Vec<u8>> {
    let missing = length.saturating_sub(rest.len() as u64);
    let read = stream.take(missing).read_to_end(&mut rest).await.ok()?;
    (read as u64 == missing).then_some(rest)
}

fn behave(node: &Node, body: &[u8]) -> Answer {
    match serde_json::from_slice(body) {
        Ok(behaviour) => {
            tracing::info!(node = node.options.name, ?behaviour, "behaviour");
            node.behave(behaviour);
            Answer {
                status: "204 No Content",
                headers: "Connection: close\r\n".into(),
                body: String::new(),
            }
        }
        Err(error) => Answer::text(
            "400 Bad Request",
            &format!("this is no behaviour: {error}."),
        ),
    }
}

fn refused(refusal: upgrade::Refusal) -> Answer {
    if refusal.status == 400 {
        return Answer::text("400 Bad Request", refusal.reason);
    }
    // RFC 9110 section 15.5.22 and RFC 6455 section 4.4: say what would have been right.
    Answer {
        headers:
            "Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n\
                  Content-Type: text/plain\r\n"
                .into(),
        ..Answer::text("426 Upgrade Required", refusal.reason)
    }
}

async fn write(stream: &mut TcpStream, node: &Node, answer: Answer) {
    // RFC 9110 section 8.6: a 204 has no Content-Length.
    let length = match answer.body.len() {
        0 => String::new(),
        length => format!("Content-Length: {length}\r\n"),
    };
    let text = format!(
        "HTTP/1.1 {}\r\n{}: {}\r\n{}{length}\r\n{}",
        answer.status,
        wire::NODE_HEADER,
        node.options.name,
        answer.headers,
        answer.body
    );
    if stream.write_all(text.as_bytes()).await.is_err() || stream.shutdown().await.is_err() {
        return;
    }
    // Closing with unread input sends a RST, which can overtake the answer; so wait for the peer, within bounds.
    let mut left = stream.take(64 * 1024);
    let mut nowhere = tokio::io::sink();
    let drain = tokio::io::copy(&mut left, &mut nowhere);
    let _ = timeout(Duration::from_secs(1), drain).await;
}
