//! Did you mean …?
//!
//! Pure.

/// Longest word that is compared: the distance costs the product of the lengths.
const LONGEST: usize = 60;

/// The candidate that `word` is most likely a slip of the finger for.
pub(super) fn nearest<S: AsRef<str>>(
    word: &str,
    candidates: impl IntoIterator<Item = S>,
) -> Option<S> {
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.as_ref().to_lowercase();
            let distance = strsim::damerau_levenshtein(&word, &other);
            // `keepalive` for `keep_alive`, `handshake.sucess` for `handshake.success`: a third of the letters may be off.
            let allowed = (word.chars().count().min(other.chars().count()) / 3).max(1);
            (distance <= allowed).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let keys = ["count", "ramp", "handshake_timeout"];
        assert_eq!(nearest("cuont", keys), Some("count"));
        assert_eq!(nearest("handshakeTimeout", keys), Some("handshake_timeout"));
        assert_eq!(nearest("rmap", keys), Some("ramp"));
        assert_eq!(nearest("objectives", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(nearest(&"count".repeat(1000), keys), None);
    }
}
