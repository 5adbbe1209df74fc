//! Distributions of times: HDR histograms with bounds that all of them share. Pure.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::units::micros;

/// The longest time a histogram tells apart; longer ones count as this.
const LONGEST_US: u64 = 3_600_000_000;

/// A histogram of times in µs, 1 µs to 1 h, two significant digits (1 %), made on first use.
///
/// Two digits keep it at 13 KB instead of 100; 1 % is far below the noise of any run. Longer times are clipped to
/// 1 h, never refused: one outlier must not end a soak.
#[derive(Debug, Clone, Default)]
pub struct Times(Option<Box<Histogram<u64>>>);

impl Times {
    /// Counts one time.
    pub fn record(&mut self, time: Duration) {
        self.record_us(micros(time));
    }

    /// Counts one time given in µs.
    pub fn record_us(&mut self, us: u64) {
        self.histogram().saturating_record(us.max(1));
    }

    /// The histogram, made if need be.
    pub fn histogram(&mut self) -> &mut Histogram<u64> {
        self.0.get_or_insert_with(|| Box::new(Self::empty()))
    }

    /// The histogram, if anything was recorded.
    pub fn get(&self) -> Option<&Histogram<u64>> {
        self.0.as_deref().filter(|h| !h.is_empty())
    }

    /// An empty histogram with the bounds that all of them share.
    pub fn empty() -> Histogram<u64> {
        Histogram::new_with_bounds(1, LONGEST_US, 2)
            .expect("1 µs to 1 h at two digits are valid bounds")
    }

    /// How many times were recorded.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |h| h.len())
    }

    /// The value at a quantile in µs; `None` without data. A fraction of 1 gives the largest.
    pub fn quantile_us(&self, fraction: f64) -> Option<u64> {
        self.get().map(|h| {
            if fraction >= 1.0 {
                h.max()
            } else {
                h.value_at_quantile(fraction)
            }
        })
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        if let Some(theirs) = other.get() {
            self.merge_histogram(theirs);
        }
    }

    /// Adds a histogram, for example one read from disk.
    pub fn merge_histogram(&mut self, theirs: &Histogram<u64>) {
        let mine = self.histogram();
        // Both have the same bounds; a foreign one with wider bounds is clipped value by value.
        if mine.add(theirs).is_err() {
            for value in theirs.iter_recorded() {
                mine.saturating_record_n(value.value_iterated_to(), value.count_at_value());
            }
        }
    }
}

/// In the encoding of the HDR log, base64; empty without data.
impl serde::Serialize for Times {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        if let Some(histogram) = self.get() {
            V2DeflateSerializer::new()
                .serialize(histogram, &mut bytes)
                .map_err(|error| serde::ser::Error::custom(format!("{error:?}")))?;
        }
        serializer.serialize_str(&STANDARD.encode(bytes))
    }
}

impl<'de> serde::Deserialize<'de> for Times {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let bytes = STANDARD
            .decode(String::deserialize(deserializer)?)
            .map_err(Error::custom)?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let histogram = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| Error::custom(format!("no histogram: {error:?}")))?;
        let mut times = Self::default();
        times.merge_histogram(&histogram);
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(us in prop::collection::vec(1u64..LONGEST_US, 0..50)) {
            let mut times = Times::default();
            us.iter().for_each(|us| times.record_us(*us));
            let text = serde_json::to_string(&times).unwrap();
            let back: Times = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(times.get(), back.get());
        }

        #[test]
        fn no_text_panics(text in "[A-Za-z0-9+/=]{0,60}") {
            let _ = serde_json::from_str::<Times>(&format!("\"{text}\""));
        }
    }

    #[test]
    fn a_time_beyond_the_range_is_clipped_and_counted() {
        let mut times = Times::default();
        times.record(Duration::from_secs(86_400));
        assert_eq!(times.count(), 1);
        assert!(times.quantile_us(1.0) >= Some(LONGEST_US));
        assert_eq!(Times::default().quantile_us(0.5), None);
    }
}
