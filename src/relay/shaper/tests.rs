//! Order, completeness and pace under any sequence of arrivals, waits and changes of shape.

use proptest::prelude::*;

use super::*;
use crate::plan::seed::{Purpose, rng};

fn shapes() -> impl Strategy<Value = Shape> {
    let rate = prop::option::of(1u64..2_000_000);
    let slice = prop::option::of(1u32..400);
    (
        any::<bool>(),
        0u64..50_000,
        0u64..50_000,
        rate,
        slice,
        0u64..20_000,
    )
        .prop_map(|(hole, delay_us, jitter_us, rate, slice, pause_us)| Shape {
            hole,
            delay_us,
            jitter_us,
            rate,
            slice,
            pause_us,
        })
}

/// What happens next to a shaper.
#[derive(Debug, Clone)]
enum Step {
    Come(usize),
    Wait(u64),
    Reshape(Shape),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1usize..2_000).prop_map(Step::Come),
        4 => (1u64..60_000).prop_map(Step::Wait),
        1 => shapes().prop_map(Step::Reshape),
    ];
    prop::collection::vec(step, 1..60)
}

/// Lets leave what may leave now.
fn drain(shaper: &mut Shaper, now_us: u64, shape: &Shape, out: &mut Vec<u8>) {
    loop {
        let most = shaper.leaves(now_us, shape);
        let piece = shaper.front(most).to_vec();
        if piece.is_empty() {
            return;
        }
        out.extend(&piece);
        shaper.gone(piece.len(), now_us, shape);
    }
}

proptest! {
    #[test]
    fn all_that_came_leaves_once_and_in_order_across_every_change(steps in steps(), first in shapes()) {
        let (mut shaper, mut shape, mut now_us) = (Shaper::default(), first, 1_000);
        let mut random = rng(7, 0, Purpose::Fault);
        let (mut came, mut out) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Come(count) => {
                    let bytes: Vec<u8> = (0..count.min(shaper.room())).map(|i| ((came.len() + i) % 251) as u8).collect();
                    shaper.take(now_us, &bytes, &shape, &mut random);
                    came.extend(bytes);
                }
                Step::Wait(us) => now_us += us,
                Step::Reshape(next) => {
                    shape = next;
                    shaper.reshape(now_us, &shape);
                }
            }
            drain(&mut shaper, now_us, &shape, &mut out);
            prop_assert!(came.starts_with(&out));
            prop_assert_eq!(shaper.held(), came.len() - out.len());
        }
        // The fault is over: everything leaves at once.
        shaper.reshape(now_us, &Shape::default());
        drain(&mut shaper, now_us, &Shape::default(), &mut out);
        prop_assert_eq!(came, out);
        prop_assert_eq!(shaper.wakes_us(now_us, &Shape::default()), None);
    }

    #[test]
    fn who_wakes_when_told_finds_something_to_do(count in 1usize..5_000, shape in shapes()) {
        let shape = Shape { hole: false, ..shape };
        let (mut shaper, mut now_us, mut out) = (Shaper::default(), 5, Vec::new());
        shaper.take(now_us, &vec![1; count], &shape, &mut rng(1, 1, Purpose::Fault));
        for _ in 0..200_000 {
            drain(&mut shaper, now_us, &shape, &mut out);
            match shaper.wakes_us(now_us, &shape) {
                Some(at_us) => {
                    now_us = at_us;
                    prop_assert!(shaper.leaves(now_us, &shape) > 0, "woken at {} for nothing", now_us);
                }
                None => break,
            }
        }
        prop_assert_eq!(out.len(), count);
    }

    #[test]
    fn nothing_leaves_before_its_delay_or_long_after(delay_us in 0u64..50_000, jitter_us in 0u64..20_000, gaps in prop::collection::vec(0u64..30_000, 1..30)) {
        let jitter_us = jitter_us.min(delay_us);
        let shape = Shape { delay_us, jitter_us, ..Shape::default() };
        let (mut shaper, mut random) = (Shaper::default(), rng(3, 0, Purpose::Fault));
        let (mut now_us, mut came, mut left) = (0, Vec::new(), Vec::new());
        for gap in gaps {
            let until = now_us + gap;
            while let Some(at_us) = shaper.wakes_us(now_us, &shape).filter(|at_us| *at_us <= until) {
                let mut out = Vec::new();
                drain(&mut shaper, at_us, &shape, &mut out);
                left.extend(out.iter().map(|_| at_us));
                now_us = at_us;
            }
            now_us = until;
            shaper.take(now_us, &[0; 3], &shape, &mut random);
            came.extend([now_us; 3]);
        }
        while let Some(at_us) = shaper.wakes_us(now_us, &shape) {
            let mut out = Vec::new();
            drain(&mut shaper, at_us, &shape, &mut out);
            left.extend(out.iter().map(|_| at_us));
            now_us = at_us;
        }
        prop_assert_eq!(came.len(), left.len());
        for (came_us, left_us) in came.iter().zip(&left) {
            let took_us = left_us - came_us;
            prop_assert!((delay_us - jitter_us..=delay_us + jitter_us).contains(&took_us), "{}", took_us);
        }
    }

    #[test]
    fn a_rate_is_kept_but_for_its_burst(rate in 100u64..1_000_000, count in 1usize..100_000) {
        let shape = Shape { rate: Some(rate), ..Shape::default() };
        let (mut shaper, mut now_us, mut out) = (Shaper::default(), 0, Vec::new());
        shaper.reshape(0, &shape);
        shaper.take(0, &vec![1; count], &shape, &mut rng(1, 1, Purpose::Fault));
        loop {
            drain(&mut shaper, now_us, &shape, &mut out);
            let allowed = rate / 10 + 1 + rate * now_us / 1_000_000;
            prop_assert!(out.len() as u64 <= allowed, "{} bytes after {} us", out.len(), now_us);
            match shaper.wakes_us(now_us, &shape) {
                Some(at_us) => now_us = at_us,
                None => break,
            }
        }
        // And it is used: no longer than the bytes beyond the burst take, and a grain.
        let longest_us = (count as u64).saturating_sub(rate / 10) * 1_000_000 / rate + 2 * GRAIN_US + 1_000_000 / rate + 2;
        prop_assert!(now_us <= longest_us, "{} us for {} bytes", now_us, count);
    }

    #[test]
    fn no_write_is_longer_than_a_slice_nor_sooner_than_its_pause(size in 1u32..500, pause_us in 1u64..10_000, count in 1usize..3_000) {
        let shape = Shape { slice: Some(size), pause_us, ..Shape::default() };
        let (mut shaper, mut now_us, mut writes) = (Shaper::default(), 0, 0);
        shaper.take(0, &vec![1; count], &shape, &mut rng(1, 1, Purpose::Fault));
        while let Some(at_us) = shaper.wakes_us(now_us, &shape) {
            prop_assert!(writes == 0 || at_us - now_us == pause_us);
            now_us = at_us;
            let most = shaper.leaves(now_us, &shape);
            prop_assert!(most > 0 && most <= size as usize);
            let piece = shaper.front(most).len();
            shaper.gone(piece, now_us, &shape);
            writes += 1;
            prop_assert_eq!(shaper.leaves(now_us, &shape), 0);
        }
        prop_assert!(writes >= count.div_ceil(size as usize));
    }
}

#[test]
fn a_hole_holds_everything_and_asks_for_no_timer() {
    let hole = Shape {
        hole: true,
        ..Shape::default()
    };
    let mut shaper = Shaper::default();
    shaper.take(0, b"held", &hole, &mut rng(1, 1, Purpose::Fault));
    assert_eq!(shaper.leaves(u64::MAX / 2, &hole), 0);
    assert_eq!(shaper.wakes_us(0, &hole), None);
    shaper.reshape(9, &Shape::default());
    assert_eq!(shaper.leaves(9, &Shape::default()), 4);
}

#[test]
fn an_idle_shaper_holds_no_memory() {
    let (mut shaper, clear) = (Shaper::default(), Shape::default());
    shaper.take(0, &[0; 100_000], &clear, &mut rng(1, 1, Purpose::Fault));
    shaper.gone(100_000, 0, &clear);
    assert_eq!((shaper.held.capacity(), shaper.marks.capacity()), (0, 0));
}
