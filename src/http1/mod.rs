//! HTTP/1 heads, read and written by hand because the upgrade must be timed and seen in parts.
//!
//! Knows nothing of sessions or causes; from wssoak it takes only the name of the node header. Heads are bounded ([`MAX_HEAD`], [`MAX_HEADERS`]), what follows a head
//! is kept, and the result never depends on how the bytes were cut into packets.

mod head;
mod key;
mod read;

pub use head::{Method, Parsed, Request, Response};
pub use key::{Key, accept_for, is_key};
pub use read::{read_request, read_response};

/// Longest head accepted, in bytes, its final blank line included.
pub const MAX_HEAD: usize = 16 * 1024;
/// Most header lines accepted in one head.
pub const MAX_HEADERS: usize = 64;

/// Why no head came of a connection.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The peer closed (FIN) before the head was complete.
    #[error("the connection ended before the head did")]
    Eof,
    /// These bytes are no HTTP/1 head.
    #[error("no HTTP/1 head")]
    Malformed,
    /// Longer than [`MAX_HEAD`].
    #[error("a head of more than {MAX_HEAD} bytes")]
    TooLong,
    /// More header lines than [`MAX_HEADERS`].
    #[error("a head of more than {MAX_HEADERS} header lines")]
    TooManyHeaders,
    /// The socket failed.
    #[error("cannot read the head")]
    Io(#[source] std::io::Error),
}

#[cfg(test)]
mod tests;
