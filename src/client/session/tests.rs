//! Sessions over an in-memory pipe under paused time: what is sent when, and how ends are told apart.

use std::net::SocketAddr;

use futures::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;
use crate::client::schedule::Quiet;
use crate::client::settings::Settings;
use crate::client::transport::Target;
use crate::plan::LoadProfile;
use crate::record::interval::{Counts, Interval};

impl Transport for DuplexStream {}

const SECOND_US: u64 = 1_000_000;

type Peer = WebSocketStream<DuplexStream>;

fn shard(change: impl FnOnce(&mut Settings)) -> Shard {
    let text = "duration = \"1h\"\n[clients]\ncount = 1\nramp = \"1s\"\n";
    let scenario = crate::scenario::load("x.toml".as_ref(), text, &[]).unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut settings = Settings {
        seed: 1,
        target: Target {
            addr,
            host: "x".into(),
            path: "/".into(),
        },
        sources: Vec::new(),
        handshake_timeout: Duration::from_secs(1),
        reconnect: scenario.reconnect,
        message_interval_us: None,
        message_size: 64,
        resend: false,
        ping_interval_us: None,
        pong_timeout_us: SECOND_US,
        load: LoadProfile::new(&scenario, &[]),
        nodes: 1,
    };
    change(&mut settings);
    Shard::new(settings, 1, Instant::now())
}

/// Runs one session of at most `leave_us` against a peer, and returns its end and everything recorded.
async fn run_against<F: Future<Output = ()>>(
    shard: &Shard,
    leave_us: u64,
    peer: impl FnOnce(Peer) -> F,
) -> (Ended, Counts) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let client = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let server = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
    let mut memory = Memory::new(shard, 0, 0);
    shard.recorder.borrow_mut().opened(0, 0, None, 1, 1);
    let (ended, ()) = tokio::join!(run(shard, &mut memory, client, 0, leave_us), peer(server));
    let closed = shard.recorder.borrow_mut().finish(shard.now_us());
    let mut sum = Interval::new(0, 1);
    closed
        .intervals
        .iter()
        .for_each(|interval| sum.merge(interval));
    (ended, sum.counts)
}

/// Reads until the other side is gone, handing every message to `each`, which may answer.
async fn answer(mut peer: Peer, mut each: impl FnMut(&Message) -> Vec<Message>) {
    while let Some(Ok(message)) = peer.next().await {
        for answer in each(&message) {
            if peer.send(answer).await.is_err() {
                return;
            }
        }
    }
}

fn echo(kind: FrameKind, message: &Message) -> Option<Message> {
    let Message::Binary(payload) = message else {
        return None;
    };
    let frame = Frame::decode(payload)?;
    Some(Message::Binary(
        Frame { kind, ..frame }.encode().to_vec().into(),
    ))
}

#[tokio::test(start_paused = true)]
async fn an_idle_client_sends_no_frames() {
    let shard = shard(|_| {});
    let (ended, counts) = run_against(&shard, 600 * SECOND_US, |peer| {
        answer(peer, |message| {
            assert!(message.is_close(), "{message:?}");
            Vec::new()
        })
    })
    .await;
    assert_eq!(ended.end, SessionEnd::Local);
    assert_eq!((counts.sent, counts.pings), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn messages_leave_on_the_grid_and_their_echoes_are_counted() {
    let shard = shard(|settings| settings.message_interval_us = Some(SECOND_US));
    let (ended, counts) = run_against(&shard, 10 * SECOND_US, |peer| {
        answer(peer, |message| {
            echo(FrameKind::Echo, message).into_iter().collect()
        })
    })
    .await;
    assert_eq!(ended.end, SessionEnd::Local);
    assert_eq!((counts.sent, counts.echoed, counts.duplicated), (10, 10, 0));
}

#[tokio::test(start_paused = true)]
async fn echoes_that_skip_or_repeat_are_told_apart() {
    let shard = shard(|settings| settings.message_interval_us = Some(SECOND_US));
    let mut seen = 0;
    let (_, counts) = run_against(&shard, 6 * SECOND_US, |peer| {
        answer(peer, move |message| {
            let Some(echoed) = echo(FrameKind::Echo, message) else {
                return Vec::new();
            };
            seen += 1;
            match seen {
                2 => Vec::new(),
                4 => vec![echoed.clone(), echoed],
                5 => echo(FrameKind::EchoDuplicate, message)
                    .into_iter()
                    .collect(),
                _ => vec![echoed],
            }
        })
    })
    .await;
    assert_eq!(
        (
            counts.sent,
            counts.echoed,
            counts.skipped,
            counts.duplicated
        ),
        (6, 5, 1, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_quiet_window_stops_messages_and_pings_and_leaves_the_grid_alone() {
    let shard = shard(|settings| {
        settings.message_interval_us = Some(SECOND_US);
        settings.ping_interval_us = Some(SECOND_US);
    });
    shard.recorder.borrow_mut().quiet.push(Quiet {
        from_us: 2 * SECOND_US,
        until_us: 7 * SECOND_US,
        keep_heartbeat: false,
    });
    let (_, counts) = run_against(&shard, 10 * SECOND_US, |peer| {
        answer(peer, |message| {
            echo(FrameKind::Echo, message).into_iter().collect()
        })
    })
    .await;
    assert_eq!(counts.sent, 5);
    // Due at 1 … 9 s; those of 2 to 6 s fall into the window.
    assert_eq!((counts.pings, counts.pongs), (4, 4));
}

#[tokio::test(start_paused = true)]
async fn a_ping_without_a_pong_ends_the_session() {
    let shard = shard(|settings| settings.ping_interval_us = Some(3 * SECOND_US));
    let (ended, counts) = run_against(&shard, 60 * SECOND_US, |peer| async move {
        // Holds the connection without ever reading, as a hung node does.
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(peer);
    })
    .await;
    assert_eq!(ended.end, SessionEnd::PongTimeout);
    assert!(
        (4_000_000..4_100_000).contains(&ended.at_us),
        "{}",
        ended.at_us
    );
    assert_eq!(counts.pings, 1);
}

#[tokio::test(start_paused = true)]
async fn close_codes_and_a_bare_end_are_told_apart() {
    for (code, end) in [
        (1001, SessionEnd::Close1001),
        (1012, SessionEnd::Close1012),
        (4000, SessionEnd::CloseOther),
    ] {
        let shard = shard(|_| {});
        let (ended, _) = run_against(&shard, 60 * SECOND_US, |mut peer| async move {
            let frame = CloseFrame {
                code: code.into(),
                reason: "".into(),
            };
            peer.close(Some(frame)).await.unwrap();
        })
        .await;
        assert_eq!(ended.end, end);
    }
    let shard = shard(|_| {});
    let (ended, _) = run_against(&shard, 60 * SECOND_US, |peer| async move { drop(peer) }).await;
    assert_eq!(ended.end, SessionEnd::Eof);
}

#[tokio::test(start_paused = true)]
async fn silence_counts_from_the_last_byte_either_way() {
    let shard = shard(|_| {});
    let (ended, _) = run_against(&shard, 60 * SECOND_US, |mut peer| async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        peer.send(Message::Text("hi".into())).await.unwrap();
        tokio::time::sleep(Duration::from_secs(7)).await;
    })
    .await;
    let silence_us = ended.at_us - ended.last_byte_us;
    assert!((7_000_000..7_010_000).contains(&silence_us), "{silence_us}");
}
