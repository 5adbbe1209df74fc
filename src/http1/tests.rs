//! Any bytes, cut anywhere: no panic, and the same result as in one piece.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::executor::block_on;
use proptest::prelude::*;
use tokio::io::{AsyncRead, ReadBuf};

use super::*;

/// Gives `bytes` in pieces of the sizes `cuts`, over and over, then EOF.
struct Pieces<'a> {
    bytes: &'a [u8],
    cuts: &'a [usize],
    turn: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let cut = self.cuts[self.turn % self.cuts.len()];
        self.turn += 1;
        let (piece, rest) = self
            .bytes
            .split_at(cut.min(self.bytes.len()).min(into.remaining()));
        into.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

/// The outcome as text: `HeadError` is not comparable. What follows the head is completed from the reader, since how
/// much of it was read along is the network's choice.
fn request(bytes: &[u8], cuts: &[usize]) -> String {
    let mut pieces = Pieces {
        bytes,
        cuts,
        turn: 0,
    };
    let result = block_on(read_request(&mut pieces)).map(|(head, mut rest)| {
        rest.extend_from_slice(pieces.bytes);
        (head, rest)
    });
    format!("{result:?}")
}

fn response(bytes: &[u8], cuts: &[usize]) -> String {
    let mut pieces = Pieces {
        bytes,
        cuts,
        turn: 0,
    };
    let result = block_on(read_response(&mut pieces)).map(|(head, mut rest)| {
        rest.extend_from_slice(pieces.bytes);
        (head, rest)
    });
    format!("{result:?}")
}

const UPGRADE: &[u8] = b"GET /ws?client=7&resume=00ff HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nrest";

const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nConnection: upgrade\r\n\
Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Wssoak-Node: n2\r\n\r\n\x81\x02{}";

#[test]
fn an_upgrade_request_is_read() {
    let (head, length) = Request::parse(UPGRADE).unwrap().unwrap();
    assert_eq!(&UPGRADE[length..], b"rest");
    assert_eq!((head.method, head.path()), (Method::Get, "/ws"));
    assert_eq!(
        (head.query("client"), head.query("resume")),
        (Some("7"), Some("00ff"))
    );
    assert_eq!(head.query("attempt"), None);
    assert!(head.has_host && head.upgrade && head.connection_upgrade && head.version_13);
    assert!(is_key(&head.key.unwrap()));
}

#[test]
fn a_switching_response_is_read() {
    let (head, length) = Response::parse(SWITCHING).unwrap().unwrap();
    assert_eq!(&SWITCHING[length..], b"\x81\x02{}");
    assert_eq!((head.status, head.minor_version), (101, 1));
    assert!(head.upgrade && head.connection_upgrade && !head.has_extras);
    assert_eq!(
        head.accept.as_deref(),
        Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..])
    );
    assert_eq!(head.node.as_deref(), Some("n2"));
}

#[test]
fn a_retry_after_is_seconds_or_nothing() {
    for (value, want) in [
        ("7", Some(7)),
        (" 120 ", Some(120)),
        ("0", Some(0)),
        ("99999999999", Some(u32::MAX)),
        ("", None),
        ("+5", None),
        ("-5", None),
        ("1.5", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
    ] {
        let text = format!("HTTP/1.1 503 Service Unavailable\r\nretry-after:{value}\r\n\r\n");
        let (head, _) = Response::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(head.retry_after_s, want, "{value:?}");
    }
}

#[test]
fn two_keys_are_none() {
    let text = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Key: b\r\n\r\n";
    assert_eq!(Request::parse(text).unwrap().unwrap().0.key, None);
}

#[test]
fn heads_are_bounded() {
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    assert_eq!(request(long.as_bytes(), &[100_000]), "Err(TooLong)");
    assert_eq!(request(long.as_bytes(), &[999]), "Err(TooLong)");
    let many = format!(
        "GET / HTTP/1.1\r\n{}\r\n",
        "X: y\r\n".repeat(MAX_HEADERS + 1)
    );
    assert_eq!(request(many.as_bytes(), &[100_000]), "Err(TooManyHeaders)");
    let exact = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS));
    assert!(request(exact.as_bytes(), &[7]).starts_with("Ok"));
}

#[test]
fn an_early_end_is_eof_and_garbage_is_malformed() {
    assert_eq!(request(&UPGRADE[..40], &[7]), "Err(Eof)");
    assert_eq!(response(b"", &[1]), "Err(Eof)");
    assert_eq!(response(b"SSH-2.0-OpenSSH_9.6\r\n", &[5]), "Err(Malformed)");
}

/// A valid head with a few bytes overwritten, inserted or cut off: closer to the parser's edges than noise.
fn mutated(head: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..4);
    edits.prop_map(move |edits| {
        let mut bytes = head.to_vec();
        for (index, byte, kind) in edits {
            let at = index.index(bytes.len().max(1)).min(bytes.len());
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_read_the_same_in_any_pieces(bytes: Vec<u8>, cuts in prop::collection::vec(1..40usize, 1..6)) {
        prop_assert_eq!(request(&bytes, &[usize::MAX]), request(&bytes, &cuts));
        prop_assert_eq!(response(&bytes, &[usize::MAX]), response(&bytes, &cuts));
    }

    #[test]
    fn near_heads_read_the_same_in_any_pieces(
        asked in mutated(UPGRADE), said in mutated(SWITCHING), cuts in prop::collection::vec(1..40usize, 1..6),
    ) {
        prop_assert_eq!(request(&asked, &[usize::MAX]), request(&asked, &cuts));
        prop_assert_eq!(response(&said, &[usize::MAX]), response(&said, &cuts));
    }
}
