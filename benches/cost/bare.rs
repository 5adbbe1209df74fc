//! What the fleet is compared with: the least code on the same libraries that does the same on the wire.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use wssoak::client::transport::websocket_config;
use wssoak::wire::{Frame, FrameKind};

/// Connects and upgrades, checking nothing but that the head came.
pub(crate) async fn connect(
    addr: SocketAddr,
    source: std::net::Ipv4Addr,
) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    let mut stream = socket.connect(addr).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!(
        "GET /ws?client=1&attempt=1 HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 1024];
    let mut filled = 0;
    let rest = loop {
        filled += stream.read(&mut head[filled..]).await.unwrap();
        if let Some(end) = head[..filled]
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
        {
            break head[end + 4..filled].to_vec();
        }
    };
    WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(websocket_config())).await
}

/// Connects `count` clients, evenly over `ramp`, and keeps them.
pub(crate) async fn connect_all(
    addr: SocketAddr,
    count: u32,
    ramp: Duration,
) -> Vec<WebSocketStream<TcpStream>> {
    let sources = wssoak::preflight::source_addresses(count);
    let start = Instant::now();
    let mut connecting = JoinSet::new();
    for client in 0..count {
        let source = sources[client as usize % sources.len()];
        connecting.spawn(async move {
            sleep_until(start + ramp * client / count).await;
            connect(addr, source).await
        });
    }
    connecting.join_all().await
}

/// Each stream sends `each` messages of `size` bytes, one every `interval`, and reads each echo.
pub(crate) async fn echo_all(
    streams: Vec<WebSocketStream<TcpStream>>,
    each: u32,
    interval: Duration,
    size: usize,
) {
    let start = Instant::now() + Duration::from_millis(50);
    let count = u32::try_from(streams.len()).unwrap();
    let mut talking = JoinSet::new();
    for (client, mut stream) in (0u32..).zip(streams) {
        talking.spawn(async move {
            let mut due = interval_at(start + interval * client / count, interval);
            due.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for seq in 1..=u64::from(each) {
                due.tick().await;
                let mut payload = vec![0; size];
                payload[..Frame::SIZE].copy_from_slice(
                    &Frame {
                        kind: FrameKind::Request,
                        seq,
                        due_us: 0,
                    }
                    .encode(),
                );
                stream.send(Message::Binary(payload.into())).await.unwrap();
                while !stream.next().await.unwrap().unwrap().is_binary() {}
            }
        });
    }
    talking.join_all().await;
}
