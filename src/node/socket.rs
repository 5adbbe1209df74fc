//! The socket below a WebSocket: passes everything on, but for the pongs of a node that is told to send none.
//!
//! tungstenite answers pings by itself and has no way to be kept from it, so its pongs are taken out here. It hands over
//! whole frames, from the first byte of one to the last byte of the last.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::state::Node;

/// RFC 6455 section 5.2: FIN and opcode 10.
const PONG: u8 = 0x8a;

#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    node: Rc<Node>,
    /// Bytes that are left to write of the present frame; 0 at a frame's beginning.
    left: usize,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, node: &Rc<Node>) -> Self {
        Self {
            stream,
            node: Rc::clone(node),
            left: 0,
        }
    }
}

/// Bytes of the frame that begins here, its head included. A server's frames are not masked.
fn frame_size(bytes: &[u8]) -> usize {
    let (head, payload) = match bytes {
        [_, 126, a, b, ..] => (4, u64::from(u16::from_be_bytes([*a, *b]))),
        [_, 127, rest @ ..] if rest.len() >= 8 => {
            let size = rest.first_chunk().copied().map(u64::from_be_bytes);
            (10, size.unwrap_or_default())
        }
        [_, short, ..] => (2, u64::from(*short)),
        _ => (bytes.len(), 0),
    };
    head + usize::try_from(payload).unwrap_or(usize::MAX - head)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.left == 0 {
            let size = frame_size(buf);
            if buf.first() == Some(&PONG) && this.node.behaviour.get().no_pong {
                return Poll::Ready(Ok(size.min(buf.len())));
            }
            this.left = size;
        }
        let part = &buf[..this.left.min(buf.len())];
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, part))?;
        this.left -= written;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_long_as_its_head_says() {
        assert_eq!(frame_size(&[PONG, 0]), 2);
        assert_eq!(frame_size(&[PONG, 125, 1, 2]), 127);
        assert_eq!(frame_size(&[0x82, 126, 1, 0]), 260);
        assert_eq!(frame_size(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), 65_546);
        assert_eq!(frame_size(&[PONG]), 1);
    }
}
