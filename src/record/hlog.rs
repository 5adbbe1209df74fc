//! Writes HDR histogram logs (format 1.3 of HdrHistogram): values in µs, a line per series and stretch of time. Pure.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::interval::Series;

/// How a log begins; `started` is what its times count from.
pub fn header(started: SystemTime) -> Vec<u8> {
    let mut header = Vec::new();
    // Writing to memory cannot fail, and neither can writing a header.
    let _ = IntervalLogWriterBuilder::new()
        .add_comment("[wssoak: values are microseconds; one line per series and stretch of time]")
        .with_base_time(started)
        .begin_log_with(&mut header, &mut V2DeflateSerializer::new());
    header
}

/// Appends the line of one series over `seconds` seconds from second `from` on.
pub fn push(
    lines: &mut Vec<u8>,
    series: Series,
    from: u32,
    seconds: u32,
    histogram: &Histogram<u64>,
) {
    let mut serializer = V2DeflateSerializer::new();
    if let Ok(mut log) = IntervalLogWriterBuilder::new().begin_log_with(lines, &mut serializer) {
        // In memory, with bounds that the format holds: cannot fail.
        let _ = log.write_histogram(
            histogram,
            Duration::from_secs(from.into()),
            Duration::from_secs(seconds.into()),
            Tag::new(series.name()),
        );
    }
}
