//! One session: from the 101 to its end. Sends what is due, checks what comes back, pings, and says how it ended.
//!
//! A client waits for four things at once (a frame, its one timer, room to flush, a change of the shard's mode) in one
//! poll function, so that an idle session holds one timer and nothing else. It never waits for a send: a tunnel that
//! takes no bytes must not keep the client from seeing its end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures::{FutureExt, Sink, SinkExt, Stream, StreamExt};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::classify;
use super::life::Memory;
use super::roll::{Deed, Present};
use super::schedule::heartbeat_allowed;
use super::shard::{Mode, Shard};
use crate::cause::SessionEnd;
use crate::wire::{Frame, FrameKind, Hello};

mod socket;

pub use socket::Transport;

/// How long a client that leaves waits for the answer to its close frame.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// "No deadline": far beyond any run.
const NEVER_US: u64 = u64::MAX;

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How it looked to the client.
    pub end: SessionEnd,
    /// When, in µs since the start of the run.
    pub at_us: u64,
    /// Time of the last byte either way, in µs since the start of the run.
    pub last_byte_us: u64,
}

enum Event {
    Frame(Option<Result<Message, Error>>),
    FlushFailed(Error),
    Timer,
    Wake,
}

struct Session<'a, S> {
    shard: &'a Shard,
    memory: &'a mut Memory,
    stream: WebSocketStream<S>,
    flush_pending: bool,
    last_byte_us: u64,
    next_ping_us: u64,
    pong_due_us: u64,
    greeted: bool,
    /// A fault may have it read nothing.
    reads: bool,
    /// `None` once it takes leave.
    present: Option<Present<'a>>,
}

/// Lives through one session that opened at `opened_us`, until it ends or the client leaves at `leave_us`.
///
/// Not an `async fn`: that would keep its arguments beside the session made of them, and a fleet has as many as clients.
pub fn run<'a, S: Transport>(
    shard: &'a Shard,
    memory: &'a mut Memory,
    stream: WebSocketStream<S>,
    opened_us: u64,
    leave_us: u64,
) -> impl Future<Output = Ended> {
    let present = Present::new(&shard.roll, memory.client);
    let mut session = Session {
        reads: present.reads(),
        present: Some(present),
        shard,
        memory,
        stream,
        flush_pending: false,
        last_byte_us: opened_us,
        next_ping_us: shard
            .settings
            .ping_interval_us
            .map_or(NEVER_US, |interval_us| opened_us + interval_us),
        pong_due_us: NEVER_US,
        greeted: false,
    };
    async move {
        let ended = session.live(opened_us, leave_us).await;
        socket::part(session.stream, ended.end, &shard.roll);
        ended
    }
}

impl<S: Transport> Session<'_, S> {
    async fn live(&mut self, opened_us: u64, leave_us: u64) -> Ended {
        let ended = match self.resend(opened_us) {
            Ok(()) => self.serve(leave_us).await,
            Err(error) => Some(classify::session_end(&error)),
        };
        let end = match ended {
            Some(end) => end,
            None => {
                self.present = None;
                // Boxed, since an idle client must not carry what only its farewell needs.
                Box::pin(self.leave()).await;
                SessionEnd::Local
            }
        };
        Ended {
            end,
            at_us: self.shard.now_us(),
            last_byte_us: self.last_byte_us,
        }
    }

    /// Until the session ends (how), or the client is to leave (`None`).
    async fn serve(&mut self, leave_us: u64) -> Option<SessionEnd> {
        let mut timer = pin!(tokio::time::sleep_until(self.shard.instant(leave_us)));
        loop {
            // Created before the mode is read: a change in between would otherwise be slept through.
            let mut wake = pin!(self.shard.wake.notified());
            let now_us = self.shard.now_us();
            if self.shard.mode.get() != Mode::Run || now_us >= leave_us {
                return None;
            }
            if let Some(end) = self.hear() {
                return Some(end);
            }
            if now_us >= self.pong_due_us {
                return Some(SessionEnd::PongTimeout);
            }
            let deadline_us = match self.act(now_us) {
                Ok(deadline_us) => deadline_us.min(leave_us).min(self.pong_due_us),
                Err(error) => return Some(classify::session_end(&error)),
            };
            let deadline = self.shard.instant(deadline_us);
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            match self.next_event(timer.as_mut(), wake.as_mut()).await {
                Event::Timer | Event::Wake => {}
                Event::FlushFailed(error) => return Some(classify::session_end(&error)),
                Event::Frame(Some(Ok(message))) => {
                    if let Some(end) = self.receive(message) {
                        return Some(end);
                    }
                }
                Event::Frame(Some(Err(error))) => return Some(classify::session_end(&error)),
                Event::Frame(None) => return Some(SessionEnd::Eof),
            }
        }
    }

    async fn next_event(
        &mut self,
        mut timer: Pin<&mut Sleep>,
        mut wake: Pin<&mut impl Future<Output = ()>>,
    ) -> Event {
        let stream = &mut self.stream;
        let flush_pending = &mut self.flush_pending;
        let reads = self.reads;
        poll_fn(|cx| {
            if *flush_pending {
                match Pin::new(&mut *stream).poll_flush(cx) {
                    Poll::Ready(Ok(())) => *flush_pending = false,
                    Poll::Ready(Err(error)) => return Poll::Ready(Event::FlushFailed(error)),
                    Poll::Pending => {}
                }
            }
            if reads && let Poll::Ready(frame) = Pin::new(&mut *stream).poll_next(cx) {
                return Poll::Ready(Event::Frame(frame));
            }
            if timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::Timer);
            }
            wake.as_mut().poll(cx).map(|()| Event::Wake)
        })
        .await
    }

    /// Does everything that is due and returns when something is due next.
    fn act(&mut self, now_us: u64) -> Result<u64, Error> {
        let mut deadline_us = NEVER_US;
        if let Some(grid) = self.memory.grid {
            loop {
                let next =
                    grid.next_due(self.memory.due_from_us, &self.shard.recorder.borrow().quiet);
                let Some(due_us) = next else { break };
                if due_us > now_us {
                    deadline_us = due_us;
                    break;
                }
                self.memory.due_from_us = due_us + 1;
                self.send_message(now_us, due_us)?;
            }
        }
        if self.next_ping_us <= now_us {
            // A ping that falls into a quiet window is left out, not made up for.
            self.next_ping_us = now_us
                + self
                    .shard
                    .settings
                    .ping_interval_us
                    .unwrap_or(NEVER_US - now_us);
            let is_allowed = heartbeat_allowed(now_us, &self.shard.recorder.borrow().quiet);
            if is_allowed && self.send(Message::Ping(Bytes::new()))? {
                self.last_byte_us = now_us;
                self.shard.recorder.borrow_mut().counts(now_us).pings += 1;
                // Who does not read cannot miss a pong.
                if self.reads {
                    let due_us = now_us + self.shard.settings.pong_timeout_us;
                    self.pong_due_us = self.pong_due_us.min(due_us);
                }
            }
        }
        Ok(deadline_us.min(self.next_ping_us))
    }

    fn send_message(&mut self, now_us: u64, due_us: u64) -> Result<(), Error> {
        let message = self.shard.message(Frame {
            kind: FrameKind::Request,
            seq: self.memory.next_seq,
            due_us,
        });
        if self.send(message)? {
            self.memory.next_seq += 1;
            self.last_byte_us = now_us;
            self.shard
                .recorder
                .borrow_mut()
                .sent(self.memory.slot, now_us, now_us - due_us);
        } else {
            self.shard.recorder.borrow_mut().counts(now_us).missed += 1;
        }
        Ok(())
    }

    /// After a reconnect under `resend`, sends what was not echoed once more, untimed.
    fn resend(&mut self, now_us: u64) -> Result<(), Error> {
        for seq in self.memory.acked + 1..self.memory.next_seq {
            let message = self.shard.message(Frame {
                kind: FrameKind::Request,
                seq,
                due_us: 0,
            });
            if self.send(message)? {
                self.last_byte_us = now_us;
                self.shard.recorder.borrow_mut().counts(now_us).resent += 1;
            }
        }
        Ok(())
    }

    /// Hands a message to the stream without waiting; `false` when its buffer has no room.
    fn send(&mut self, message: Message) -> Result<bool, Error> {
        match self.stream.feed(message).now_or_never() {
            Some(Ok(())) => {
                self.flush_pending = true;
                Ok(true)
            }
            None | Some(Err(Error::WriteBufferFull(_))) => Ok(false),
            Some(Err(error)) => Err(error),
        }
    }

    /// Takes one message in; `Some` when it ends the session.
    fn receive(&mut self, message: Message) -> Option<SessionEnd> {
        let now_us = self.shard.now_us();
        self.last_byte_us = now_us;
        match message {
            Message::Binary(payload) => self.receive_frame(now_us, &payload),
            Message::Text(text) if !self.greeted => {
                self.greeted = true;
                self.receive_hello(now_us, text.as_str());
            }
            Message::Pong(_) => {
                self.pong_due_us = NEVER_US;
                self.shard.recorder.borrow_mut().counts(now_us).pongs += 1;
            }
            // tungstenite has queued the pong already; flushing sends it.
            Message::Ping(_) => self.flush_pending = true,
            Message::Close(frame) => {
                // The answer is queued; one try to send it is enough, the peer has made up its mind.
                let _ = self.stream.flush().now_or_never();
                return Some(SessionEnd::from_close_code(
                    frame.map(|frame| frame.code.into()),
                ));
            }
            Message::Text(_) | Message::Frame(_) => {}
        }
        None
    }

    fn receive_frame(&mut self, now_us: u64, payload: &[u8]) {
        let Some(frame) = Frame::decode(payload) else {
            return;
        };
        let mut recorder = self.shard.recorder.borrow_mut();
        match frame.kind {
            FrameKind::Push => recorder.counts(now_us).pushed += 1,
            FrameKind::Echo | FrameKind::EchoDuplicate => {
                let expected = self.memory.acked + 1;
                if frame.kind == FrameKind::EchoDuplicate || frame.seq < expected {
                    recorder.counts(now_us).duplicated += 1;
                }
                if (expected..self.memory.next_seq).contains(&frame.seq) {
                    let skipped = u32::try_from(frame.seq - expected).unwrap_or(u32::MAX);
                    self.memory.acked = frame.seq;
                    let rtt_us = (frame.due_us != 0).then(|| now_us.saturating_sub(frame.due_us));
                    recorder.echoed(self.memory.slot, now_us, rtt_us, skipped);
                }
            }
            FrameKind::Request => {}
        }
    }

    fn receive_hello(&mut self, now_us: u64, text: &str) {
        // A service that is not our node may start with any text; then nothing is known of its sessions.
        let Ok(hello) = serde_json::from_str::<Hello>(text) else {
            return;
        };
        if self.memory.token.is_some() {
            let mut recorder = self.shard.recorder.borrow_mut();
            let counts = recorder.counts(now_us);
            if hello.resumed {
                counts.resumed += 1;
            } else {
                counts.forgotten += 1;
            }
        }
        self.memory.token = hello.session.parse().ok();
    }

    /// Does what a fault says; `Some` when that ends the session.
    fn hear(&mut self) -> Option<SessionEnd> {
        match self.present.as_mut()?.hear()? {
            Deed::Reset => Some(SessionEnd::LocalReset),
            Deed::Finish => Some(SessionEnd::LocalFin),
            Deed::Vanish => Some(SessionEnd::LocalVanish),
            Deed::StopReading => {
                self.reads = false;
                self.pong_due_us = NEVER_US;
                socket::limit_reads(self.stream.get_ref());
                None
            }
            Deed::Recover if !self.reads => {
                self.reads = true;
                socket::allow_reads(self.stream.get_ref());
                None
            }
            Deed::Recover => None,
        }
    }

    /// Closes in order: close frame 1000, then the peer's answer, for a while.
    async fn leave(&mut self) {
        if self.shard.mode.get() == Mode::Abort {
            return;
        }
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        let farewell = async {
            self.stream.close(Some(frame)).await?;
            while let Some(message) = self.stream.next().await {
                if let Message::Binary(payload) = message? {
                    self.receive_frame(self.shard.now_us(), &payload);
                }
            }
            Ok::<(), Error>(())
        };
        let _ = tokio::time::timeout_at(Instant::now() + CLOSE_PATIENCE, farewell).await;
    }
}

#[cfg(test)]
mod tests;
