//! The stream below a session: what a fault does to it, and how it is let go of.

use std::net::Shutdown;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;

use crate::cause::SessionEnd;
use crate::client::roll::Roll;

/// Receive buffer of a client that does not read: the least that the kernel gives.
const LEAST_BUFFER: usize = 1;
/// And of one that reads again; the kernel no longer sizes it by itself then.
const BUFFER: usize = 128 << 10;

/// What a session needs of the stream below it; tests use an in-memory one.
pub trait Transport: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Sized {
    /// The socket, if it is one.
    fn socket(&self) -> Option<SockRef<'_>> {
        None
    }

    /// The connection, if it is one.
    fn connection(self) -> Option<TcpStream> {
        None
    }
}

impl Transport for TcpStream {
    fn socket(&self) -> Option<SockRef<'_>> {
        Some(SockRef::from(self))
    }

    fn connection(self) -> Option<TcpStream> {
        Some(self)
    }
}

/// The kernel shall keep as little as it can for a client that does not read.
pub(super) fn limit_reads(stream: &impl Transport) {
    set_buffer(stream, LEAST_BUFFER);
}

/// And keep more again.
pub(super) fn allow_reads(stream: &impl Transport) {
    set_buffer(stream, BUFFER);
}

fn set_buffer(stream: &impl Transport, bytes: usize) {
    if let Some(socket) = stream.socket() {
        // A socket that is gone needs none.
        let _ = socket.set_recv_buffer_size(bytes);
    }
}

/// Lets go of a stream in the way that the end asks for.
pub(super) fn part<S: Transport>(stream: WebSocketStream<S>, end: SessionEnd, roll: &Roll) {
    match (end, stream.get_ref().socket()) {
        (SessionEnd::LocalReset, Some(socket)) => {
            // Fails when the peer was faster; then there is nothing left to reset.
            let _ = socket.set_linger(Some(Duration::ZERO));
        }
        // Before the close, which would send a RST if bytes were unread.
        (SessionEnd::LocalFin, Some(socket)) => {
            let _ = socket.shutdown(Shutdown::Write);
        }
        (SessionEnd::LocalVanish, Some(_)) => {
            if let Some(connection) = stream.into_inner().connection() {
                roll.haunt(connection);
            }
        }
        _ => {}
    }
}
