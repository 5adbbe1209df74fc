//! One direction of one tunnel: from one socket to the other, by the shape in force.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::net::TcpStream;

use super::link::Link;
use super::order::{Shape, Way};
use super::shaper::Shaper;

/// The socket that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Source,
    Sink,
}

#[derive(Debug)]
pub(super) struct Pipe {
    /// To the server or to the client.
    way: Way,
    shaper: Shaper,
    /// The source has sent its FIN.
    is_read: bool,
    /// The sink was sent a FIN.
    is_shut: bool,
    /// The source is known to have sent a RST, though what it sent before may still have to be read.
    is_lost: bool,
}

impl Pipe {
    pub(super) fn new(way: Way) -> Self {
        Self {
            way,
            shaper: Shaper::default(),
            is_read: false,
            is_shut: false,
            is_lost: false,
        }
    }

    /// Has it passed on everything, the end included?
    pub(super) fn is_done(&self) -> bool {
        self.is_read && self.is_shut
    }

    pub(super) fn reshape(&mut self, now_us: u64, shape: &Shape) {
        self.shaper.reshape(now_us, shape);
    }

    /// Sends a FIN now; whatever else comes is thrown away.
    pub(super) fn half_close(&mut self, to: &TcpStream, link: &Link) {
        self.hold(link, |shaper| shaper.clear());
        self.shut(to);
    }

    /// The source has sent a RST, which the other pipe has met: its end will not be passed on as a FIN.
    pub(super) fn lose_source(&mut self) {
        self.is_lost = true;
    }

    /// Moves what can be moved now. Returns when to look again, beside when a socket is ready.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        to: &TcpStream,
        shape: &Shape,
        link: &Link,
    ) -> Result<Option<u64>, Broken> {
        if shape.hole {
            return Ok(None);
        }
        let now_us = link.now_us();
        let mut is_blocked = self.write(cx, now_us, to, shape, link)?;
        while self.read(cx, now_us, from, to, shape, link)? {
            is_blocked = self.write(cx, now_us, to, shape, link)?;
        }
        if self.is_read && self.shaper.held() == 0 && !self.is_shut {
            if self.is_lost {
                return Err(Broken::Source);
            }
            self.shut(to);
        }
        Ok(self.shaper.wakes_us(now_us, shape).filter(|_| !is_blocked))
    }

    /// Writes what may leave; says whether the socket was in the way.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        now_us: u64,
        to: &TcpStream,
        shape: &Shape,
        link: &Link,
    ) -> Result<bool, Broken> {
        loop {
            let most = self.shaper.leaves(now_us, shape);
            if most == 0 {
                return Ok(false);
            }
            match to.poll_write_ready(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(Err(_)) => return Err(Broken::Sink),
                Poll::Ready(Ok(())) => {}
            }
            let count = written(to, self.shaper.front(most))?;
            self.hold(link, |shaper| shaper.gone(count, now_us, shape));
            self.passed(link, count);
        }
    }

    /// Reads once; says whether that was worth another try.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        now_us: u64,
        from: &TcpStream,
        to: &TcpStream,
        shape: &Shape,
        link: &Link,
    ) -> Result<bool, Broken> {
        let room = self.shaper.room();
        if self.is_read || room == 0 {
            return Ok(false);
        }
        match from.poll_read_ready(cx) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(_)) => return Err(Broken::Source),
            Poll::Ready(Ok(())) => {}
        }
        let mut scratch = link.scratch.borrow_mut();
        let most = room.min(scratch.len());
        let mut bytes = match from.try_read(&mut scratch[..most]) {
            Ok(0) => {
                self.is_read = true;
                return Ok(false);
            }
            Ok(count) => &scratch[..count],
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(_) => return Err(Broken::Source),
        };
        if self.is_shut {
            return Ok(true);
        }
        // Mostly nothing is in the way, and nothing needs to be kept.
        if shape.is_clear() && self.shaper.held() == 0 {
            let count = written(to, bytes)?;
            self.passed(link, count);
            bytes = &bytes[count..];
        }
        if !bytes.is_empty() {
            let mut rng = link.rng.borrow_mut();
            self.hold(link, |shaper| shaper.take(now_us, bytes, shape, &mut *rng));
        }
        Ok(true)
    }

    fn shut(&mut self, to: &TcpStream) {
        self.is_shut = true;
        // Fails when the other side is gone, which its socket says as well.
        let _ = SockRef::from(to).shutdown(Shutdown::Write);
    }

    /// Changes what is held and keeps the gauge.
    fn hold(&mut self, link: &Link, change: impl FnOnce(&mut Shaper)) {
        let before = self.shaper.held() as u64;
        change(&mut self.shaper);
        link.count(|stats| stats.held = stats.held + self.shaper.held() as u64 - before);
    }

    /// What is held goes with the tunnel.
    pub(super) fn drop_held(&mut self, link: &Link) {
        self.hold(link, Shaper::clear);
    }

    fn passed(&self, link: &Link, count: usize) {
        link.count(|stats| match self.way {
            Way::ToServer => stats.bytes_to_server += count as u64,
            Way::ToClient | Way::Both => stats.bytes_to_client += count as u64,
        });
    }
}

/// Bytes that the socket took; none when it has no room.
fn written(to: &TcpStream, bytes: &[u8]) -> Result<usize, Broken> {
    match to.try_write(bytes) {
        Ok(count) => Ok(count),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Err(_) => Err(Broken::Sink),
    }
}
