//! Echoes, sessions and what is kept of them.

use std::time::Duration;

use futures::SinkExt as _;
use tokio_tungstenite::tungstenite::Message;
use wssoak::cause::SessionEnd;
use wssoak::node::NodeOptions;
use wssoak::wire::{Frame, FrameKind};

use crate::support::{TestNode, options, token};

#[tokio::test]
async fn requests_come_back_as_echoes_and_other_messages_unchanged() {
    let node = TestNode::start(options());
    let (mut client, hello) = node.join(None).await;
    assert_eq!(
        (hello.node.as_str(), hello.resumed, hello.received),
        ("n1", false, 0)
    );
    assert_eq!(client.ask(1).await, FrameKind::Echo);
    assert_eq!(client.ask(5).await, FrameKind::Echo);
    assert_eq!(client.ask(5).await, FrameKind::EchoDuplicate);
    assert_eq!(client.ask(4).await, FrameKind::EchoDuplicate);
    assert_eq!(client.ask(6).await, FrameKind::Echo);
    let push = Frame {
        kind: FrameKind::Push,
        seq: 1,
        due_us: 1,
    };
    for other in [
        Message::text("grüße"),
        Message::binary(vec![1, 2, 3]),
        Message::binary(push.encode().to_vec()),
        Message::binary(vec![9; 300_000]),
    ] {
        client.0.send(other.clone()).await.unwrap();
        assert_eq!(client.next().await, other);
    }
    client.0.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(client.next().await, Message::Pong("p".into()));
    let stats = node.stats();
    assert_eq!((stats.received, stats.echoed, stats.duplicates), (9, 9, 2));
}

#[tokio::test]
async fn a_session_is_resumed_until_it_is_forgotten() {
    let node = TestNode::start(NodeOptions {
        session_ttl: Duration::from_millis(300),
        ..options()
    });
    let (mut client, first) = node.join(None).await;
    client.ask(3).await;
    drop(client);
    node.until(|stats| stats.closed == 1).await;
    let (mut client, second) = node.join(token(&first)).await;
    assert_eq!(
        (second.resumed, second.received, &second.session),
        (true, 3, &first.session)
    );
    assert_eq!(client.ask(3).await, FrameKind::EchoDuplicate);
    drop(client);
    node.until(|stats| stats.closed == 2).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let (_client, third) = node.join(token(&first)).await;
    assert_eq!((third.resumed, third.received), (false, 0));
    assert_ne!(third.session, first.session);
    let stats = node.stats();
    let counts = (
        stats.sessions_created,
        stats.sessions_resumed,
        stats.sessions_unknown,
    );
    assert_eq!(counts, (2, 1, 1));
}

#[tokio::test]
async fn resuming_takes_a_half_open_connection_over() {
    let node = TestNode::start(options());
    let (mut old, first) = node.join(None).await;
    old.ask(2).await;
    let (mut new, second) = node.join(token(&first)).await;
    assert_eq!((second.resumed, second.received), (true, 2));
    assert_eq!(old.end().await, SessionEnd::Eof);
    assert_eq!(new.ask(3).await, FrameKind::Echo);
    let stats = node.until(|stats| stats.open == 1).await;
    assert_eq!((stats.accepted, stats.closed), (2, 1));
}
