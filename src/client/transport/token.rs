//! The name of a session: 64 random bits, on the wire 16 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

/// With it a client asks a node to continue its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// The text is no 16 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session token is 16 lower-case hex digits")]
pub struct NotAToken;

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        // from_str_radix alone would take "+00…" and upper case: two names for one session.
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(is_hex) {
            return Err(NotAToken);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| NotAToken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tokens_read_back(bits: u64) {
            prop_assert_eq!(Token(bits).to_string().parse(), Ok(Token(bits)));
        }

        #[test]
        fn a_text_has_one_token_or_none(text in "\\PC{0,20}") {
            if let Ok(token) = text.parse::<Token>() {
                prop_assert_eq!(token.to_string(), text);
            }
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for bad in [
            "",
            "+000000000000001",
            "00000000000000AF",
            "123",
            "00000000000000000",
        ] {
            assert_eq!(bad.parse::<Token>(), Err(NotAToken), "{bad}");
        }
    }
}
