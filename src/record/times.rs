//! Distributions of times: HDR histograms with bounds that all of them share. Pure.

use std::time::Duration;

use hdrhistogram::Histogram;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_beyond_the_range_is_clipped_and_counted() {
        let mut times = Times::default();
        times.record(Duration::from_secs(86_400));
        assert_eq!(times.count(), 1);
        assert!(times.quantile_us(1.0) >= Some(LONGEST_US));
        assert_eq!(Times::default().quantile_us(0.5), None);
    }
}
