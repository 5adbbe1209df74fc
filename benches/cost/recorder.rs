//! What recording an event and merging a second cost.

use std::hint::black_box;
use std::time::Instant;

use wssoak::record::interval::{Interval, Series};
use wssoak::record::shard::ShardRecorder;

pub(crate) fn run() {
    let events = 10_000_000u64;
    let mut recorder = ShardRecorder::new(1, 1, None);
    let mut bare = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 2).unwrap();
    let start = Instant::now();
    for event in 0..events {
        bare.saturating_record(black_box(event % 5_000 + 1));
    }
    let plain = start.elapsed();
    let start = Instant::now();
    for event in 0..events / 2 {
        let now_us = event / 100;
        recorder.sent(0, now_us, black_box(event % 50));
        recorder.echoed(0, now_us, Some(black_box(event % 5_000)), 0);
    }
    let recorded = start.elapsed();
    black_box((&recorder, &bare));
    println!(
        "  per event: recorder {:.1} ns, a histogram alone {:.1} ns, ratio {:.2}",
        recorded.as_secs_f64() * 1e9 / events as f64,
        plain.as_secs_f64() * 1e9 / events as f64,
        recorded.as_secs_f64() / plain.as_secs_f64()
    );
    let mut one = Interval::new(0, 3);
    for series in Series::ALL {
        (1..2_000).for_each(|us| one.times(series).record_us(us * 37));
    }
    let mut sum = Interval::new(0, 3);
    let rounds = 10_000u32;
    let start = Instant::now();
    for _ in 0..rounds {
        sum.merge(black_box(&one));
    }
    println!(
        "  per second and shard: merge {:.1} µs",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds)
    );
    black_box(sum);
}
