//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 sections 4.1 and 4.2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Length of 16 bytes, and of a SHA-1, in base64.
const KEY_LEN: usize = 24;
const ACCEPT_LEN: usize = 28;

/// A `Sec-WebSocket-Key`: 16 random bytes in base64. Lives on the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key([u8; KEY_LEN]);

impl Key {
    /// A fresh key.
    pub fn random(rng: &mut impl rand::Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let mut text = [0; KEY_LEN];
        // Invariant: 16 bytes are 24 base64 characters, so the slice is always filled exactly.
        let _ = STANDARD.encode_slice(bytes, &mut text);
        Self(text)
    }

    /// The header's value.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The `Sec-WebSocket-Accept` that answers `key` (as sent, without the spaces around it).
pub fn accept_for(key: &[u8]) -> [u8; ACCEPT_LEN] {
    let mut sha = Sha1::new();
    sha.update(key);
    sha.update(GUID);
    let mut text = [0; ACCEPT_LEN];
    // Invariant: 20 bytes are 28 base64 characters.
    let _ = STANDARD.encode_slice(sha.finalize(), &mut text);
    text
}

/// Is it base64 of exactly 16 bytes?
pub fn is_key(text: &[u8]) -> bool {
    let mut bytes = [0; 18];
    text.len() == KEY_LEN && STANDARD.decode_slice(text, &mut bytes) == Ok(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_is_answered() {
        assert_eq!(
            &accept_for(b"dGhlIHNhbXBsZSBub25jZQ=="),
            b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn only_sixteen_bytes_are_a_key() {
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        for bad in [
            &b""[..],
            b"SGVsbG9Xb3JsZDEyMw==",
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZTE=",
            b"!!!!IHNhbXBsZSBub25jZQ==",
            b"dGhlIHNhbXBsZSBub25jZTEy",
        ] {
            assert!(!is_key(bad), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn random_keys_are_keys_and_differ() {
        let (a, b) = (Key::random(&mut rand::rng()), Key::random(&mut rand::rng()));
        assert!(is_key(a.as_bytes()));
        assert_ne!(a, b);
    }
}
