//! Heads from a socket, however they are cut into packets.

use bytes::BufMut as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{HeadError, MAX_HEAD, Parsed, Request, Response};

/// First size of the read buffer; the head of a usual upgrade fits. It is freed with the head, but a storm holds one
/// for every client at once.
const FIRST_READ: usize = 512;

/// Reads a request head. Returns it with the bytes that followed it.
///
/// # Errors
/// See [`HeadError`]; of the socket's errors only [`HeadError::Io`] has a source.
pub async fn read_request<R: AsyncRead + Unpin>(
    reader: &mut R,
) -> Result<(Request, Vec<u8>), HeadError> {
    read_head(reader, Request::parse).await
}

/// Reads a response head. Returns it with the bytes that followed it.
///
/// # Errors
/// See [`HeadError`]; of the socket's errors only [`HeadError::Io`] has a source.
pub async fn read_response<R: AsyncRead + Unpin>(
    reader: &mut R,
) -> Result<(Response, Vec<u8>), HeadError> {
    read_head(reader, Response::parse).await
}

async fn read_head<R: AsyncRead + Unpin, T>(
    reader: &mut R,
    parse: impl Fn(&[u8]) -> Result<Option<Parsed<T>>, HeadError>,
) -> Result<(T, Vec<u8>), HeadError> {
    let mut bytes = Vec::with_capacity(FIRST_READ);
    loop {
        let before = bytes.len();
        // Invariant: never more than MAX_HEAD bytes, so that the verdict on a long head is the same in one packet as
        // in many.
        let mut room = (&mut bytes).limit(MAX_HEAD - before);
        let count = reader.read_buf(&mut room).await.map_err(HeadError::Io)?;
        let (ended, full) = (count == 0, bytes.len() == MAX_HEAD);
        // Parsing starts over each time. Only a line's end can complete a head, so a peer that sends single bytes
        // costs one pass a line, not one a byte; the first packet is looked at anyway, to know garbage at once.
        let may_be_complete = before == 0 || ended || full || bytes[before..].contains(&b'\n');
        if may_be_complete && let Some((head, length)) = parse(&bytes)? {
            bytes.drain(..length);
            bytes.shrink_to_fit();
            return Ok((head, bytes));
        }
        if ended {
            return Err(HeadError::Eof);
        }
        if full {
            return Err(HeadError::TooLong);
        }
    }
}
