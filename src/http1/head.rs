//! From the bytes of a head to the few facts an upgrade needs. Pure.

use super::{HeadError, MAX_HEADERS};

/// The methods that a node tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `PUT`.
    Put,
    /// Any other.
    Other,
}

/// What a request said, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Path and query as sent.
    pub target: Box<str>,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// Is there a `Host`?
    pub has_host: bool,
    /// Does `Upgrade` list `websocket`?
    pub upgrade: bool,
    /// Does `Connection` list `upgrade`?
    pub connection_upgrade: bool,
    /// Is `Sec-WebSocket-Version` 13?
    pub version_13: bool,
    /// The only `Sec-WebSocket-Key`, unchecked; `None` when there is none or more than one.
    pub key: Option<Box<[u8]>>,
    /// `Content-Length`; 0 without one, `None` when it is no number.
    pub content_length: Option<u64>,
}

/// What a response said, as far as it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status, 100 to 999.
    pub status: u16,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// Does `Upgrade` list `websocket`?
    pub upgrade: bool,
    /// Does `Connection` list `upgrade`?
    pub connection_upgrade: bool,
    /// The only `Sec-WebSocket-Accept`; `None` when there is none or more than one.
    pub accept: Option<Box<[u8]>>,
    /// Was an extension or subprotocol agreed? Nobody here asks for one.
    pub has_extras: bool,
    /// `X-Wssoak-Node`.
    pub node: Option<Box<str>>,
    /// `Server`, which tells a proxy's own error pages from a node's.
    pub server: Option<Box<str>>,
    /// `Retry-After` in seconds; `None` when there is none, or a date, which says nothing on a clock that is not ours.
    pub retry_after_s: Option<u32>,
}

/// A head and its length in bytes.
pub type Parsed<T> = (T, usize);

impl Request {
    /// Reads a request head from the start of `bytes`; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] or [`HeadError::TooManyHeaders`].
    pub fn parse(bytes: &[u8]) -> Result<Option<Parsed<Self>>, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut raw = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(length) = raw.parse(bytes).map_err(head_error)? else {
            return Ok(None);
        };
        let mut request = Self {
            method: match raw.method {
                Some("GET") => Method::Get,
                Some("PUT") => Method::Put,
                _ => Method::Other,
            },
            target: raw.path.unwrap_or("/").into(),
            minor_version: raw.version.unwrap_or(0),
            has_host: false,
            upgrade: false,
            connection_upgrade: false,
            version_13: false,
            key: None,
            content_length: Some(0),
        };
        let mut keys = 0;
        for header in raw.headers.iter() {
            let value = header.value.trim_ascii();
            match () {
                () if named(header, "host") => request.has_host = true,
                () if named(header, "upgrade") => request.upgrade |= lists(value, "websocket"),
                () if named(header, "connection") => {
                    request.connection_upgrade |= lists(value, "upgrade");
                }
                () if named(header, "sec-websocket-version") => request.version_13 = value == b"13",
                () if named(header, "sec-websocket-key") => {
                    keys += 1;
                    request.key = Some(value.into());
                }
                () if named(header, "content-length") => {
                    request.content_length = std::str::from_utf8(value)
                        .ok()
                        .and_then(|text| text.parse().ok());
                }
                () => {}
            }
        }
        if keys > 1 {
            request.key = None;
        }
        Ok(Some((request, length)))
    }

    /// The target without its query.
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(&*self.target, |(path, _)| path)
    }

    /// The first value of a query argument, not decoded.
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}

impl Response {
    /// Reads a response head from the start of `bytes`; `None` while it is incomplete.
    ///
    /// # Errors
    /// [`HeadError::Malformed`] or [`HeadError::TooManyHeaders`].
    pub fn parse(bytes: &[u8]) -> Result<Option<Parsed<Self>>, HeadError> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut raw = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = raw.parse(bytes).map_err(head_error)? else {
            return Ok(None);
        };
        let mut response = Self {
            status: raw.code.unwrap_or(0),
            minor_version: raw.version.unwrap_or(0),
            upgrade: false,
            connection_upgrade: false,
            accept: None,
            has_extras: false,
            node: None,
            server: None,
            retry_after_s: None,
        };
        let mut accepts = 0;
        for header in raw.headers.iter() {
            let value = header.value.trim_ascii();
            match () {
                () if named(header, "upgrade") => response.upgrade |= lists(value, "websocket"),
                () if named(header, "connection") => {
                    response.connection_upgrade |= lists(value, "upgrade");
                }
                () if named(header, "sec-websocket-accept") => {
                    accepts += 1;
                    response.accept = Some(value.into());
                }
                () if named(header, "sec-websocket-extensions")
                    || named(header, "sec-websocket-protocol") =>
                {
                    response.has_extras = true;
                }
                () if named(header, crate::wire::NODE_HEADER) => response.node = text(value),
                () if named(header, "server") => response.server = text(value),
                () if named(header, "retry-after") => response.retry_after_s = seconds(value),
                () => {}
            }
        }
        if accepts > 1 {
            response.accept = None;
        }
        Ok(Some((response, length)))
    }
}

fn named(header: &httparse::Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

/// Is `token` an element of the comma-separated list `value`?
fn lists(value: &[u8], token: &str) -> bool {
    value
        .split(|byte| *byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Digits and nothing else (RFC 9110 section 10.2.3); more than fit are as many as fit.
fn seconds(value: &[u8]) -> Option<u32> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = value.iter().map(|digit| u32::from(digit - b'0'));
    Some(digits.fold(0, |sum: u32, digit| {
        sum.saturating_mul(10).saturating_add(digit)
    }))
}

fn text(value: &[u8]) -> Option<Box<str>> {
    std::str::from_utf8(value).ok().map(Into::into)
}

fn head_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyHeaders,
        _ => HeadError::Malformed,
    }
}
