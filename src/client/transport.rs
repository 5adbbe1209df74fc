//! One attempt: TCP connect, HTTP/1.1 upgrade, timed in parts.
//!
//! Knows nothing of sessions, schedules or counts. What the target does is an outcome ([`Failed`]), never an error that
//! ends a run. The upgrade is written and read here rather than by tungstenite, since its handshake buffer (4 KiB)
//! would stay with the connection, and its error would not say how far the attempt got.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::classify;
use crate::cause::ConnectFailure;
use crate::http1::{self, HeadError, Key, Response};
use crate::scenario::NodeId;

mod token;

pub use token::Token;

/// Largest message sent or received, in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;

/// Where to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The socket address.
    pub addr: SocketAddr,
    /// Value of the `Host` header.
    pub host: String,
    /// Path of the request, such as `/ws`; a query of its own is kept.
    pub path: String,
}

/// What one attempt is.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Where to.
    pub target: &'a Target,
    /// Source address; `None` leaves it to the kernel. One source address has about 28,000 ports for all targets
    /// together, since a socket bound to it holds its port alone; so spread clients over many.
    pub source: Option<Ipv4Addr>,
    /// Number of the client.
    pub client: u32,
    /// Number of the attempt of this client, from 1.
    pub attempt: u32,
    /// Session to resume.
    pub resume: Option<Token>,
    /// Time for connect and upgrade together.
    pub timeout: Duration,
}

/// How long the parts of a successful attempt took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From the start to the TCP connection.
    pub connect: Duration,
    /// From the TCP connection to the end of the response head.
    pub upgrade: Duration,
}

/// An attempt that became a session.
#[derive(Debug)]
pub struct Connected {
    /// The session; what followed the response head is its first input.
    pub stream: WebSocketStream<TcpStream>,
    /// The node that the response named, when it is one of ours.
    pub node: Option<NodeId>,
    /// How long it took.
    pub timing: Timing,
}

/// An attempt that did not.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub cause: ConnectFailure,
    /// Time to the TCP connection; `None` when there was none.
    pub connect: Option<Duration>,
    /// Time from the start to the failure.
    pub elapsed: Duration,
    /// Was the whole request handed to the kernel?
    pub request_sent: bool,
    /// What an unusual answer or error said, at most 160 bytes; `None` for causes that say it all.
    pub example: Option<Box<str>>,
    /// How long a 429 or 503 asked to stay away (`Retry-After`); zero when nothing did.
    pub retry_after: Duration,
}

/// The WebSocket settings of clients and nodes, in one place.
///
/// tungstenite's defaults are for throughput: a read buffer of 128 KiB makes an idle client 60 times heavier. Messages
/// leave at once and a peer that does not read is noticed after two of the largest messages.
pub fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(256)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * (MAX_MESSAGE + 64))
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}

/// Connects and upgrades. Dropping the future closes the socket.
///
/// # Errors
/// [`Failed`], which is data: it says why and how far the attempt got.
pub async fn connect(attempt: Attempt<'_>) -> Result<Connected, Failed> {
    let mut progress = Progress {
        start: Instant::now(),
        connect: None,
        request_sent: false,
    };
    // Boxed, since its state is several times that of an idle client, and the task that awaits it lives on.
    match Box::pin(run(attempt, &mut progress)).await {
        Ok(connected) => Ok(connected),
        Err(Reason {
            cause,
            example,
            retry_after,
        }) => Err(Failed {
            cause,
            connect: progress.connect,
            elapsed: progress.start.elapsed(),
            request_sent: progress.request_sent,
            example,
            retry_after,
        }),
    }
}

struct Progress {
    start: Instant,
    connect: Option<Duration>,
    request_sent: bool,
}

struct Reason {
    cause: ConnectFailure,
    example: Option<Box<str>>,
    retry_after: Duration,
}

impl Reason {
    fn unusual(cause: ConnectFailure, text: impl std::fmt::Display) -> Self {
        let mut example = text.to_string();
        example.truncate(example.floor_char_boundary(160));
        Self {
            example: Some(example.into()),
            ..cause.into()
        }
    }
}

impl From<ConnectFailure> for Reason {
    fn from(cause: ConnectFailure) -> Self {
        Self {
            cause,
            example: None,
            retry_after: Duration::ZERO,
        }
    }
}

impl From<std::io::Error> for Reason {
    fn from(error: std::io::Error) -> Self {
        match classify::connect_failure(&error) {
            cause @ ConnectFailure::Other => Self::unusual(cause, error),
            cause => cause.into(),
        }
    }
}

async fn run(attempt: Attempt<'_>, progress: &mut Progress) -> Result<Connected, Reason> {
    let deadline = progress.start + attempt.timeout;
    let stream = timeout_at(deadline, open(&attempt))
        .await
        .map_err(|_| ConnectFailure::ConnectTimeout)??;
    let connect = progress.start.elapsed();
    progress.connect = Some(connect);
    timeout_at(deadline, upgrade(&attempt, stream, progress, connect))
        .await
        .map_err(|_| ConnectFailure::UpgradeTimeout)?
}

async fn open(attempt: &Attempt<'_>) -> std::io::Result<TcpStream> {
    let socket = match attempt.target.addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    if let Some(source) = attempt.source {
        // IP_BIND_ADDRESS_NO_PORT would let one port serve several targets, but no safe wrapper sets it.
        socket.bind(SocketAddr::new(source.into(), 0))?;
    }
    socket.connect(attempt.target.addr).await
}

async fn upgrade(
    attempt: &Attempt<'_>,
    mut stream: TcpStream,
    progress: &mut Progress,
    connect: Duration,
) -> Result<Connected, Reason> {
    // The key is no choice of the run (it decides nothing), so it need not come from the seed.
    let key = Key::random(&mut rand::rng());
    stream.write_all(&request(attempt, &key)).await?;
    progress.request_sent = true;
    let (response, rest) = match http1::read_response(&mut stream).await {
        Ok(read) => read,
        Err(HeadError::Io(error)) => return Err(error.into()),
        Err(HeadError::Eof) => return Err(ConnectFailure::Eof.into()),
        Err(error) => return Err(Reason::unusual(ConnectFailure::Protocol, error)),
    };
    let upgrade = progress.start.elapsed() - connect;
    if let Err(reason) = check(&response, &key) {
        // Closing with unread input would send a RST; an error page is short and mostly there already.
        let _ = stream.try_read(&mut [0; 2048]);
        return Err(reason);
    }
    let config = Some(websocket_config());
    let stream = if rest.is_empty() {
        WebSocketStream::from_raw_socket(stream, Role::Client, config).await
    } else {
        WebSocketStream::from_partially_read(stream, rest, Role::Client, config).await
    };
    Ok(Connected {
        stream,
        node: response.node.as_deref().and_then(node_id),
        timing: Timing { connect, upgrade },
    })
}

/// The whole request, so that it leaves in one write and, being short, in one packet.
fn request(attempt: &Attempt<'_>, key: &Key) -> Vec<u8> {
    let target = attempt.target;
    let mut bytes = Vec::with_capacity(256 + target.path.len() + target.host.len());
    let joint = if target.path.contains('?') { '&' } else { '?' };
    // Invariant: writing to a Vec does not fail.
    let _ = write!(
        bytes,
        "GET {}{joint}client={}&attempt={}",
        target.path, attempt.client, attempt.attempt
    );
    if let Some(token) = attempt.resume {
        let _ = write!(bytes, "&resume={token}");
    }
    let _ = write!(
        bytes,
        " HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: ",
        target.host
    );
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes
}

/// RFC 6455 section 4.1: what a client must check before it trusts a 101.
fn check(response: &Response, key: &Key) -> Result<(), Reason> {
    let wrong = |text: &str| Err(Reason::unusual(ConnectFailure::Protocol, text));
    if response.status != 101 {
        let cause = ConnectFailure::from_status(response.status);
        // Elsewhere the header means something else, or nothing.
        if let (429 | 503, Some(seconds)) = (response.status, response.retry_after_s) {
            return Err(Reason {
                retry_after: Duration::from_secs(seconds.into()),
                ..cause.into()
            });
        }
        if cause != ConnectFailure::StatusOther {
            return Err(cause.into());
        }
        let server = response.server.as_deref().unwrap_or("unnamed");
        let text = format!("status {} from server {server}", response.status);
        return Err(Reason::unusual(cause, text));
    }
    if response.minor_version != 1 {
        return wrong("101 in HTTP/1.0");
    }
    if !response.upgrade || !response.connection_upgrade {
        return wrong("101 without `Upgrade: websocket` and `Connection: Upgrade`");
    }
    if response.accept.as_deref() != Some(&http1::accept_for(key.as_bytes())[..]) {
        return wrong("101 with a missing or wrong Sec-WebSocket-Accept");
    }
    if response.has_extras {
        return wrong("101 with an extension or subprotocol that was not asked for");
    }
    Ok(())
}

/// `n1` is node 0.
fn node_id(name: &str) -> Option<NodeId> {
    let number: u16 = name.strip_prefix('n')?.parse().ok()?;
    number.checked_sub(1).map(NodeId)
}

#[cfg(test)]
mod tests;
