//! Is this an upgrade request as RFC 6455 section 4.2.1 wants it? Pure.
//!
//! Strict on purpose: a lenient node would hide a proxy that forgets a header.

use crate::http1::{self, Request};

/// Why an upgrade is refused: a status and one sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    /// 400 or 426.
    pub(super) status: u16,
    /// The body of the answer.
    pub(super) reason: &'static str,
}

const fn upgrade_required(reason: &'static str) -> Refusal {
    Refusal {
        status: 426,
        reason,
    }
}

const fn bad_request(reason: &'static str) -> Refusal {
    Refusal {
        status: 400,
        reason,
    }
}

/// The key to answer, if the request is right in every respect. The first fault found is the one named.
pub(super) fn check(request: &Request) -> Result<&[u8], Refusal> {
    if request.minor_version != 1 {
        return Err(upgrade_required(
            "a WebSocket needs HTTP/1.1, the request is HTTP/1.0 (behind nginx: set proxy_http_version 1.1).",
        ));
    }
    if !request.upgrade {
        return Err(upgrade_required(
            "the request has no header \"Upgrade: websocket\" (behind nginx: proxy_set_header Upgrade $http_upgrade).",
        ));
    }
    if !request.connection_upgrade {
        return Err(upgrade_required(
            "the header Connection does not list \"Upgrade\" (behind nginx: proxy_set_header Connection \"upgrade\").",
        ));
    }
    if !request.version_13 {
        return Err(upgrade_required(
            "the header Sec-WebSocket-Version is not 13.",
        ));
    }
    if !request.has_host {
        return Err(bad_request("the request has no Host."));
    }
    let Some(key) = request.key.as_deref() else {
        return Err(bad_request(
            "the request has no header Sec-WebSocket-Key, or several.",
        ));
    };
    if !http1::is_key(key) {
        return Err(bad_request(
            "the Sec-WebSocket-Key is not the base64 of 16 bytes.",
        ));
    }
    Ok(key)
}
