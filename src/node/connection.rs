//! One WebSocket connection from its 101 to its end: hello, echoes, pushes, pings, close.
//!
//! One event at a time: the end of the connection from outside, then what is due, then a message. While output is
//! stuck nothing is read, so a client that does not read costs one message of memory, not all it asks for.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::{Sink as _, SinkExt as _, StreamExt as _};
use rand::RngExt as _;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};

use super::session::Stop;
use super::socket::Socket;
use super::state::{Open, count};
use crate::units::micros;
use crate::wire::{Frame, FrameKind, Hello};

enum Event {
    Stop(Stop),
    Due,
    Message(Message),
    End(Option<Error>),
}

/// Is the connection over?
enum Next {
    Go,
    End,
}

struct Connection {
    socket: WebSocketStream<Socket>,
    open: Open,
    next_push: Option<Instant>,
    next_ping: Option<Instant>,
    pong_until: Option<Instant>,
    is_blocked: bool,
    is_closing: bool,
}

/// Serves one upgraded connection until it ends. Dropping the future drops the connection.
pub(super) async fn serve(socket: WebSocketStream<Socket>, open: Open) {
    let options = &open.node.options;
    let now = Instant::now();
    // A phase of its own for each connection, or all would send in the same millisecond.
    let first = |interval: Duration| now + interval.mul_f64(rand::rng().random::<f64>());
    let mut connection = Connection {
        next_push: options.push.map(|push| first(push.interval)),
        next_ping: options.ping.map(|ping| first(ping.interval)),
        pong_until: None,
        is_blocked: false,
        is_closing: false,
        socket,
        open,
    };
    // Not in the timer wheel until it is polled, which a node without pushes and pings never does.
    let mut timer = pin!(sleep_until(connection.due().unwrap_or(now)));
    let mut next = connection.hello();
    while let Next::Go = next {
        let event = poll_fn(|cx| connection.poll(cx, timer.as_mut())).await;
        next = match event {
            Event::Stop(stop) => connection.stop(stop),
            Event::Due => {
                let next = connection.send_due(Instant::now());
                if let Some(due) = connection.due() {
                    timer.as_mut().reset(due);
                }
                next
            }
            Event::Message(message) => connection.answer(message),
            Event::End(error) => {
                connection.end(error);
                Next::End
            }
        };
    }
}

impl Connection {
    fn poll(&mut self, cx: &mut Context<'_>, timer: Pin<&mut Sleep>) -> Poll<Event> {
        if !self.is_closing
            && let Poll::Ready(stop) = self.open.signal.poll(cx)
        {
            return Poll::Ready(Event::Stop(stop));
        }
        self.is_blocked = match self.socket.poll_ready_unpin(cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => false,
            Poll::Ready(Err(error)) => return Poll::Ready(Event::End(Some(error))),
        };
        if self.due().is_some() && timer.poll(cx).is_ready() {
            return Poll::Ready(Event::Due);
        }
        // The answer to our own close frame is read whatever happens.
        let is_deaf = self.open.node.behaviour.get().stop_reading && !self.is_closing;
        if self.is_blocked || is_deaf {
            return Poll::Pending;
        }
        // A pong that tungstenite has queued is written by the next read, which follows at once.
        self.socket.poll_next_unpin(cx).map(|item| match item {
            Some(Ok(message)) => Event::Message(message),
            Some(Err(error)) => Event::End(Some(error)),
            None => Event::End(None),
        })
    }

    /// When something is due next.
    fn due(&self) -> Option<Instant> {
        if self.is_closing {
            return None;
        }
        [self.next_push, self.next_ping, self.pong_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// Writes a message, or queues it when the socket is full; what is queued leaves through [`Self::poll`].
    fn send(&mut self, message: Message) -> Next {
        match Pin::new(&mut self.socket).start_send(message) {
            Ok(()) => Next::Go,
            Err(_) => Next::End,
        }
    }

    fn hello(&mut self) -> Next {
        let hello = Hello {
            node: self.open.node.options.name.clone(),
            session: self.open.session.token.to_string(),
            resumed: self.open.is_resumed,
            received: self.open.session.received.get(),
        };
        match serde_json::to_string(&hello) {
            Ok(text) => self.send(Message::text(text)),
            Err(_) => Next::End,
        }
    }

    fn answer(&mut self, message: Message) -> Next {
        match message {
            // After our close frame nothing may be sent (RFC 6455 section 5.5.1).
            Message::Text(_) | Message::Binary(_) if self.is_closing => Next::Go,
            Message::Binary(bytes) => {
                count(&self.open.node.counters.received);
                match Frame::decode(&bytes) {
                    Some(frame) if frame.kind == FrameKind::Request => {
                        let kind = self.receive(frame.seq);
                        let echo = self.open.node.echo(&bytes, kind);
                        // The request's memory is free for the next read before the echo is written.
                        drop(bytes);
                        self.echo(Message::Binary(echo))
                    }
                    _ => self.echo(Message::Binary(bytes)),
                }
            }
            text @ Message::Text(_) => {
                count(&self.open.node.counters.received);
                self.echo(text)
            }
            Message::Pong(_) => {
                self.pong_until = None;
                Next::Go
            }
            // tungstenite answers both itself; after a close frame the next read says that the connection has ended.
            Message::Ping(_) | Message::Close(_) | Message::Frame(_) => Next::Go,
        }
    }

    /// Notes a request's number in the session.
    fn receive(&self, seq: u64) -> FrameKind {
        let received = &self.open.session.received;
        if seq <= received.get() {
            count(&self.open.node.counters.duplicates);
            return FrameKind::EchoDuplicate;
        }
        received.set(seq);
        FrameKind::Echo
    }

    fn echo(&mut self, message: Message) -> Next {
        let next = self.send(message);
        if let Next::Go = next {
            count(&self.open.node.counters.echoed);
        }
        next
    }

    fn send_due(&mut self, now: Instant) -> Next {
        if self.pong_until.is_some_and(|until| until <= now) {
            count(&self.open.node.counters.pong_timeouts);
            // No close frame: it could not arrive either.
            return Next::End;
        }
        let behaviour = self.open.node.behaviour.get();
        if let (Some(push), Some(due)) = (self.open.node.options.push, self.next_push)
            && due <= now
        {
            self.next_push = Some(following(due, push.interval, now));
            // A push that cannot leave now is left out: it would be stale, and pile up.
            if !behaviour.quiet && !self.is_blocked {
                count(&self.open.session.pushed);
                let seq = self.open.session.pushed.get();
                let message = self.open.node.push(push, seq, wall_us(due, now));
                count(&self.open.node.counters.pushed);
                if let Next::End = self.send(Message::Binary(message)) {
                    return Next::End;
                }
            }
        }
        if let (Some(ping), Some(due)) = (self.open.node.options.ping, self.next_ping)
            && due <= now
        {
            self.next_ping = Some(following(due, ping.interval, now));
            let is_silent = behaviour.quiet && behaviour.no_heartbeat;
            if !is_silent && self.pong_until.is_none() {
                self.pong_until = Some(now + ping.pong_timeout);
                count(&self.open.node.counters.pings);
                return self.send(Message::Ping(bytes::Bytes::new()));
            }
        }
        Next::Go
    }

    fn stop(&mut self, stop: Stop) -> Next {
        match stop {
            // The client holds this connection for dead; it would not read a close frame.
            Stop::TakenOver => Next::End,
            Stop::GoingAway => {
                self.is_closing = true;
                let code = self.open.node.behaviour.get().close_code;
                let code = code.map_or(CloseCode::Away, CloseCode::from);
                self.send(close(code, "the node shuts down"))
            }
        }
    }

    /// Tells a peer that broke the protocol so, as far as it still listens.
    fn end(&mut self, error: Option<Error>) {
        let code = match &error {
            Some(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return,
            Some(Error::Protocol(_)) => CloseCode::Protocol,
            Some(Error::Capacity(_)) => CloseCode::Size,
            Some(Error::Utf8(_)) => CloseCode::Invalid,
            _ => return,
        };
        tracing::debug!(?error, "a client broke the protocol");
        let _ = self.send(close(code, ""));
    }
}

fn close(code: CloseCode, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}

/// The next turn after `due`, which keeps its phase unless whole turns were missed.
fn following(due: Instant, interval: Duration, now: Instant) -> Instant {
    let next = due + interval;
    if next > now { next } else { now + interval }
}

/// `due` as µs since the Unix epoch.
fn wall_us(due: Instant, now: Instant) -> u64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    micros(since_epoch.saturating_sub(now - due))
}
