//! What a node sends on its own account, and clients that do not play along.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wssoak::cause::SessionEnd;
use wssoak::node::{NodeOptions, Ping, Push};
use wssoak::wire::{Frame, FrameKind};

use crate::support::{TestNode, options};

#[tokio::test]
async fn pushes_count_up_and_quiet_stops_them_at_once() {
    let push = Push {
        interval: Duration::from_millis(20),
        size: 64,
    };
    let node = TestNode::start(NodeOptions {
        push: Some(push),
        ..options()
    });
    let (mut client, _) = node.join(None).await;
    for seq in 1..4 {
        let bytes = client.next().await.into_data();
        let frame = Frame::decode(&bytes).unwrap();
        assert_eq!(
            (frame.kind, frame.seq, bytes.len()),
            (FrameKind::Push, seq, 64)
        );
        // After 2020, that is: it is the wall clock.
        assert!(frame.due_us > 1_577_836_800_000_000);
    }
    assert!(
        node.behave(r#"{"quiet":true}"#)
            .starts_with("HTTP/1.1 204 ")
    );
    let before = node.stats().pushed;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.stats().pushed, before);
    assert!(node.behave("{}").starts_with("HTTP/1.1 204 "));
    node.until(|stats| stats.pushed > before).await;
    assert!(node.behave(r#"{"loud":true}"#).starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_client_that_answers_pings_stays_and_a_mute_one_is_dropped() {
    let ping = Ping {
        interval: Duration::from_millis(50),
        pong_timeout: Duration::from_millis(250),
    };
    let node = TestNode::start(NodeOptions {
        ping: Some(ping),
        ..options()
    });
    let (mut alive, _) = node.join(None).await;
    let alive = tokio::spawn(async move { while alive.0.next().await.is_some() {} });
    // It reads nothing, so tungstenite answers nothing.
    let (mute, _) = node.join(None).await;
    let stats = node.until(|stats| stats.pong_timeouts == 1).await;
    assert!(stats.pings > 2);
    assert_eq!(node.until(|stats| stats.closed == 1).await.open, 1);
    assert_eq!(mute.end().await, SessionEnd::Eof);
    alive.abort();
    assert!(
        node.behave(r#"{"quiet":true,"no_heartbeat":true}"#)
            .starts_with("HTTP/1.1 204 ")
    );
    let before = node.stats().pings;
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(node.stats().pings, before);
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_one_message() {
    let node = TestNode::start(options());
    let (mut client, _) = node.join(None).await;
    let flood = async {
        loop {
            client
                .0
                .send(Message::binary(vec![9; 500_000]))
                .await
                .unwrap();
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(1), flood)
            .await
            .is_err()
    );
    let before = node.stats().received;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(node.stats().received, before, "the node still reads");
    drop(client);
    node.until(|stats| stats.open == 0).await;
}

#[tokio::test]
async fn breaking_the_protocol_is_answered_with_its_code() {
    let node = TestNode::start(options());
    let (mut client, _) = node.join(None).await;
    // A text frame without a mask.
    client.0.get_mut().write_all(b"\x81\x01x").await.unwrap();
    let Message::Close(Some(frame)) = client.next().await else {
        panic!("no close frame")
    };
    assert_eq!(frame.code, CloseCode::Protocol);
    node.until(|stats| stats.open == 0).await;
}
