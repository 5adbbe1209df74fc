//! What a node does when it is told to misbehave, and that it stops when it is told to stop.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures::SinkExt as _;
use tokio_tungstenite::tungstenite::Message;
use wssoak::cause::SessionEnd;
use wssoak::wire::FrameKind;

use crate::support::{TestNode, options};

const UPGRADE: &str = "GET /ws?client=1&attempt=1 HTTP/1.1\r\nHost: n\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn a_node_that_refuses_says_503_and_when_to_come_again() {
    let node = TestNode::start(options());
    node.behave(r#"{"refuse":{"retry_after_s":7}}"#);
    let answer = node.raw(UPGRADE);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 7\r\n"), "{answer}");
    node.behave(r#"{"refuse":{"retry_after_s":null}}"#);
    assert!(!node.raw(UPGRADE).contains("Retry-After"));
    let stats = node.stats();
    assert_eq!((stats.rejected, stats.accepted), (2, 0));
    node.behave("{}");
    let (mut client, _) = node.join(None).await;
    assert_eq!(client.ask(1).await, FrameKind::Echo);
}

#[tokio::test]
async fn a_slow_node_holds_the_101_back_and_counts_nobody_who_has_left() {
    let node = TestNode::start(options());
    node.behave(r#"{"handshake_delay_ms":300}"#);
    let start = Instant::now();
    let (client, _) = node.join(None).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
    let mut impatient = TcpStream::connect(node.addr).unwrap();
    impatient.write_all(UPGRADE.as_bytes()).unwrap();
    drop(impatient);
    // Its 101 is due before that of this one.
    let (_later, _) = node.join(None).await;
    assert_eq!(node.stats().accepted, 2);
    drop(client);
}

#[tokio::test]
async fn a_node_that_does_not_read_goes_on_where_it_stopped() {
    let node = TestNode::start(options());
    let (mut client, _) = node.join(None).await;
    assert_eq!(client.ask(1).await, FrameKind::Echo);
    node.behave(r#"{"stop_reading":true}"#);
    client.0.send(Message::Ping("p".into())).await.unwrap();
    let silent = tokio::time::timeout(Duration::from_millis(200), client.next()).await;
    assert!(silent.is_err(), "{silent:?}");
    node.behave("{}");
    assert_eq!(client.next().await, Message::Pong("p".into()));
    assert_eq!(client.ask(2).await, FrameKind::Echo);
}

#[tokio::test]
async fn a_node_without_pongs_still_echoes() {
    let node = TestNode::start(options());
    let (mut client, _) = node.join(None).await;
    node.behave(r#"{"no_pong":true}"#);
    client.0.send(Message::Ping("lost".into())).await.unwrap();
    // An echo comes after the pong would have.
    assert_eq!(client.ask(1).await, FrameKind::Echo);
    node.behave("{}");
    client.0.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await, Message::Pong("p".into()));
}

#[tokio::test]
async fn a_node_says_goodbye_with_the_code_it_was_told() {
    for (told, want) in [
        ("{}", SessionEnd::Close1001),
        (r#"{"close_code":1012}"#, SessionEnd::Close1012),
    ] {
        let node = TestNode::start(options());
        let (client, _) = node.join(None).await;
        node.behave(told);
        let stopped = tokio::task::spawn_blocking(|| node.stop());
        assert_eq!(client.end().await, want, "{told}");
        assert_eq!(stopped.await.unwrap().closed, 1);
    }
}
