//! Hostile servers on loopback: each misbehaviour has its cause. Real sockets, so no exact times.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener as StdListener, TcpStream as StdStream};
use std::thread::JoinHandle;

use futures::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::cause::SessionEnd;

/// Serves one connection with `behave`, which gets the request's head as text.
fn server(behave: impl FnOnce(StdStream, String) + Send + 'static) -> (Target, JoinHandle<()>) {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let target = target(listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).unwrap_or(0) == 0 {
                break;
            }
            head.push(byte[0]);
        }
        behave(stream, String::from_utf8(head).unwrap());
    });
    (target, thread)
}

fn target(addr: SocketAddr) -> Target {
    Target {
        addr,
        host: "soak.test".into(),
        path: "/ws".into(),
    }
}

fn attempt(target: &Target) -> Attempt<'_> {
    Attempt {
        target,
        source: Some(Ipv4Addr::new(127, 0, 0, 7)),
        client: 12,
        attempt: 3,
        resume: Some(Token(0xab)),
        timeout: Duration::from_secs(5),
    }
}

/// A right answer to the request `head`, without the blank line.
fn switching(head: &str) -> String {
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap();
    let accept = http1::accept_for(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nX-Wssoak-Node: n2\r\n\
         Sec-WebSocket-Accept: {}\r\n",
        std::str::from_utf8(&accept).unwrap()
    )
}

fn reset(stream: StdStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

async fn failure(behave: impl FnOnce(StdStream, String) + Send + 'static) -> Failed {
    let (target, thread) = server(behave);
    let failed = connect(attempt(&target)).await.unwrap_err();
    thread.join().unwrap();
    failed
}

async fn answer(text: &'static str) -> Failed {
    failure(|mut stream, _| stream.write_all(text.as_bytes()).unwrap()).await
}

#[tokio::test]
async fn hello_in_the_packet_of_the_101_is_received() {
    let (sent, seen) = std::sync::mpsc::channel();
    let (target, thread) = server(move |mut stream, head| {
        let mut bytes = format!("{}\r\n", switching(&head)).into_bytes();
        bytes.extend_from_slice(b"\x81\x05hello");
        stream.write_all(&bytes).unwrap();
        sent.send((head, stream.peer_addr().unwrap())).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let mut connected = connect(attempt(&target)).await.unwrap();
    let (head, peer) = seen.recv().unwrap();
    assert!(head.starts_with(
        "GET /ws?client=12&attempt=3&resume=00000000000000ab HTTP/1.1\r\nHost: soak.test\r\n"
    ));
    assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 7));
    assert_eq!(connected.node, Some(NodeId(1)));
    let hello = connected.stream.next().await.unwrap().unwrap();
    assert_eq!(hello, Message::text("hello"));
    drop(connected);
    thread.join().unwrap();
}

#[tokio::test]
async fn slow_bytes_are_put_together() {
    let (target, thread) = server(|mut stream, head| {
        for byte in format!("{}\r\n", switching(&head)).bytes() {
            stream.write_all(&[byte]).unwrap();
        }
    });
    let mut connected = connect(attempt(&target)).await.unwrap();
    let error = connected.stream.next().await.unwrap().unwrap_err();
    assert_eq!(classify::session_end(&error), SessionEnd::Eof);
    thread.join().unwrap();
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let addr = StdListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let target = target(addr);
    let failed = connect(attempt(&target)).await.unwrap_err();
    assert_eq!(failed.cause, ConnectFailure::Refused);
    assert!(!failed.request_sent && failed.connect.is_none() && failed.example.is_none());
}

#[tokio::test]
async fn a_full_accept_queue_is_a_connect_timeout() {
    // A backlog of 0 holds one connection; further SYNs are dropped.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let target = target(listener.local_addr().unwrap());
    let _held: Vec<_> = (0..2).map(|_| socket2_connect(target.addr)).collect();
    let attempt = Attempt {
        timeout: Duration::from_millis(200),
        ..attempt(&target)
    };
    let failed = connect(attempt).await.unwrap_err();
    assert_eq!(failed.cause, ConnectFailure::ConnectTimeout);
    assert!(failed.elapsed >= Duration::from_millis(200));
}

fn socket2_connect(addr: SocketAddr) -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let _ = socket.connect_timeout(&addr.into(), Duration::from_millis(50));
    socket
}

#[tokio::test]
async fn silence_after_the_request_is_an_upgrade_timeout() {
    let (target, thread) = server(|mut stream, _| {
        stream.write_all(b"HTTP/1.1 101").unwrap();
        let _ = stream.read(&mut [0]);
    });
    let attempt = Attempt {
        timeout: Duration::from_millis(200),
        ..attempt(&target)
    };
    let failed = connect(attempt).await.unwrap_err();
    // Joins only because the failed attempt has closed its socket.
    thread.join().unwrap();
    assert_eq!(failed.cause, ConnectFailure::UpgradeTimeout);
    assert!(failed.request_sent && failed.connect.is_some());
}

#[tokio::test]
async fn dropping_an_attempt_closes_its_socket() {
    let (target, thread) = server(|mut stream, _| {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    });
    let patience = Duration::from_millis(200);
    assert!(
        tokio::time::timeout(patience, connect(attempt(&target)))
            .await
            .is_err()
    );
    thread.join().unwrap();
}

#[tokio::test]
async fn closing_and_resetting_are_told_apart() {
    let eof = failure(|stream, _| drop(stream)).await;
    assert_eq!((eof.cause, eof.request_sent), (ConnectFailure::Eof, true));
    let reset = failure(|stream, _| reset(stream)).await;
    assert_eq!(
        (reset.cause, reset.request_sent),
        (ConnectFailure::Reset, true)
    );
    let part = answer("HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs").await;
    assert_eq!(part.cause, ConnectFailure::Eof);
}

#[tokio::test]
async fn a_status_is_its_own_cause() {
    let page = answer(
        "HTTP/1.1 502 Bad Gateway\r\nServer: nginx/1.28.0\r\nContent-Length: 15\r\n\r\n<html>502</html>",
    )
    .await;
    assert_eq!(page.cause, ConnectFailure::Status502);
    assert_eq!(page.example, None);
    let odd = answer("HTTP/1.1 418 I'm a teapot\r\nServer: kettle\r\n\r\n").await;
    assert_eq!(odd.cause, ConnectFailure::StatusOther);
    assert_eq!(
        odd.example.as_deref(),
        Some("status 418 from server kettle")
    );
}

#[tokio::test]
async fn only_a_429_or_503_asks_to_stay_away() {
    for (text, cause, seconds) in [
        (
            "HTTP/1.1 503 S\r\nRetry-After: 7\r\n\r\n",
            ConnectFailure::Status503,
            7,
        ),
        (
            "HTTP/1.1 429 T\r\nretry-after: 3\r\n\r\n",
            ConnectFailure::Status429,
            3,
        ),
        ("HTTP/1.1 503 S\r\n\r\n", ConnectFailure::Status503, 0),
        (
            "HTTP/1.1 502 B\r\nRetry-After: 7\r\n\r\n",
            ConnectFailure::Status502,
            0,
        ),
    ] {
        let failed = answer(text).await;
        assert_eq!(
            (failed.cause, failed.retry_after),
            (cause, Duration::from_secs(seconds)),
            "{text}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_no_upgrade_is_protocol() {
    for text in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    ] {
        let failed = answer(text).await;
        assert_eq!(failed.cause, ConnectFailure::Protocol, "{text}");
        assert!(failed.example.is_some());
    }
    let extras = failure(|mut stream, head| {
        let text = format!("{}Sec-WebSocket-Protocol: chat\r\n\r\n", switching(&head));
        stream.write_all(text.as_bytes()).unwrap();
    });
    assert_eq!(extras.await.cause, ConnectFailure::Protocol);
}

#[tokio::test]
async fn a_reset_session_is_told_from_an_ended_and_a_garbled_one() {
    for (tail, want) in [
        (&b""[..], SessionEnd::Reset),
        (&[0xff; 16][..], SessionEnd::Protocol),
    ] {
        let (target, thread) = server(move |mut stream, head| {
            stream
                .write_all(format!("{}\r\n", switching(&head)).as_bytes())
                .unwrap();
            // The client's message says that it has read the head, which a RST would destroy. It is read whole (2 + 4
            // + 1 bytes), since unread input would turn the close into a RST.
            stream.read_exact(&mut [0; 7]).unwrap();
            match tail {
                b"" => reset(stream),
                garbage => stream.write_all(garbage).unwrap(),
            }
        });
        let mut connected = connect(attempt(&target)).await.unwrap();
        connected.stream.send(Message::text("x")).await.unwrap();
        let error = connected.stream.next().await.unwrap().unwrap_err();
        assert_eq!(classify::session_end(&error), want, "{error}");
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn only_our_node_names_are_nodes() {
    assert_eq!(node_id("n1"), Some(NodeId(0)));
    for other in ["n0", "n", "1", "n70000", "backend-7", "n-1"] {
        assert_eq!(node_id(other), None, "{other}");
    }
}
