//! One HTTP request to a node or to nginx's status server, with a deadline and `Connection: close`.
//!
//! Not for the fleet: this is for a handful of small requests a second, and it reads the answer to the end of stream.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More than any answer we ask for; what sends more is not ours.
const MOST_BYTES: u64 = 1 << 20;

/// A complete answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names as sent, and values; values that are not UTF-8 are left out.
    pub headers: Vec<(String, String)>,
    /// Body as text.
    pub body: String,
}

impl Response {
    /// First header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Reads a whole answer. `None` when it is cut short or no HTTP/1 answer.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(size) = head.parse(bytes).ok()? else {
            return None;
        };
        let status = head.code?;
        let headers: Vec<(String, String)> = head
            .headers
            .iter()
            .filter_map(|h| Some((h.name.to_owned(), std::str::from_utf8(h.value).ok()?.into())))
            .collect();
        let mut response = Self {
            status,
            headers,
            body: String::new(),
        };
        let rest = bytes.get(size..)?;
        let length = match response.header("content-length") {
            Some(length) => length.trim().parse().ok()?,
            None => rest.len(),
        };
        response.body = std::str::from_utf8(rest.get(..length)?).ok()?.to_owned();
        Some(response)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request was not sent: nobody counted it.
    #[error("connecting to {address}")]
    Connect {
        /// Whom.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The request was sent, at least in part, and may have been counted.
    #[error("{address} gave no complete HTTP answer")]
    NoAnswer {
        /// Who.
        address: SocketAddr,
        /// Why, unless the answer was just malformed.
        #[source]
        source: Option<std::io::Error>,
    },
}

/// Sends one request and reads the answer, all within `deadline`.
///
/// # Errors
/// [`HttpError`]; it tells whether the request may have arrived.
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: &str,
    deadline: Duration,
) -> Result<Response, HttpError> {
    let started = tokio::time::Instant::now();
    let late = || std::io::Error::from(std::io::ErrorKind::TimedOut);
    let connected = timeout(deadline, TcpStream::connect(address)).await;
    let mut stream = connected
        .map_err(|_| late())
        .and_then(|result| result)
        .map_err(|source| HttpError::Connect { address, source })?;
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        stream.write_all(text.as_bytes()).await?;
        let mut bytes = Vec::new();
        (&mut stream)
            .take(MOST_BYTES)
            .read_to_end(&mut bytes)
            .await?;
        Ok(bytes)
    };
    let bytes = timeout(deadline.saturating_sub(started.elapsed()), exchange)
        .await
        .map_err(|_| late())
        .and_then(|result| result)
        .map_err(|source| HttpError::NoAnswer {
            address,
            source: Some(source),
        })?;
    Response::parse(&bytes).ok_or(HttpError::NoAnswer {
        address,
        source: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_read_and_a_short_one_refused() {
        let bytes = b"HTTP/1.1 200 OK\r\nX-Pid: 7\r\nContent-Length: 2\r\n\r\nok";
        let response = Response::parse(bytes).unwrap();
        assert_eq!((response.status, response.body.as_str()), (200, "ok"));
        assert_eq!(response.header("x-pid"), Some("7"));
        assert_eq!(Response::parse(&bytes[..bytes.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Response::parse(&bytes);
        }
    }
}
