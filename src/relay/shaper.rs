//! Which bytes of one direction of one tunnel may leave when. Pure: time is passed in, as µs.
//!
//! Bytes leave in the order in which they came, every one of them once, whatever the shape and however often it changes.
//! An idle shaper holds no memory.

use std::collections::VecDeque;

use rand::{Rng, RngExt};

use super::order::Shape;

/// Most bytes held; more are left with the kernel, whose window closes then.
pub const MOST: usize = 256 << 10;
/// What a link with a rate may send at once after a pause: 100 ms worth.
const BURST_US: u64 = 100_000;
/// How much of that must be there before a write: 10 ms worth, or each byte would be a write of its own.
const GRAIN_US: u64 = 10_000;
/// Tokens are counted in bytes · µs.
const BYTE: u64 = 1_000_000;

/// Bytes up to offset `until` may leave at `due_us`.
#[derive(Debug, Clone, Copy)]
struct Mark {
    until: u64,
    due_us: u64,
}

/// The bytes held, and what is known of when they may leave.
#[derive(Debug, Default)]
pub struct Shaper {
    held: VecDeque<u8>,
    /// Offsets in the stream, in order; the last one's `until` is the end of what was taken.
    marks: VecDeque<Mark>,
    taken: u64,
    left: u64,
    tokens: u64,
    tokens_at_us: u64,
    next_write_us: u64,
}

impl Shaper {
    /// How many bytes it takes now.
    pub fn room(&self) -> usize {
        MOST.saturating_sub(self.held.len())
    }

    /// How many bytes it holds.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Takes bytes that came at `now_us`.
    pub fn take(&mut self, now_us: u64, bytes: &[u8], shape: &Shape, rng: &mut impl Rng) {
        self.held.extend(bytes);
        self.taken += bytes.len() as u64;
        let due_us = now_us + jittered(shape, rng);
        let last_us = self.marks.back().map_or(0, |mark| mark.due_us);
        match self.marks.back_mut() {
            // Never before what came earlier.
            Some(mark) if mark.due_us >= due_us => mark.until = self.taken,
            _ => self.marks.push_back(Mark {
                until: self.taken,
                due_us: due_us.max(last_us),
            }),
        }
    }

    /// Another shape is in force from `now_us`: what is held waits no longer than if it came now.
    pub fn reshape(&mut self, now_us: u64, shape: &Shape) {
        let latest_us = now_us + shape.delay_us + shape.jitter_us;
        for mark in &mut self.marks {
            mark.due_us = mark.due_us.min(latest_us);
        }
        self.next_write_us = 0;
        (self.tokens, self.tokens_at_us) = (u64::MAX, now_us);
    }

    /// How many bytes may leave at `now_us`.
    pub fn leaves(&mut self, now_us: u64, shape: &Shape) -> usize {
        if shape.hole || now_us < self.next_write_us {
            return 0;
        }
        let due = self
            .marks
            .iter()
            .take_while(|mark| mark.due_us <= now_us)
            .last();
        let mut bytes = due.map_or(0, |mark| mark.until - self.left);
        if let Some(rate) = shape.rate {
            self.refill(now_us, rate);
            let is_worth_it = self.tokens >= self.worth(rate);
            bytes = bytes.min(if is_worth_it { self.tokens / BYTE } else { 0 });
        }
        if let Some(slice) = shape.slice {
            bytes = bytes.min(u64::from(slice));
        }
        // At most what is held, which is in memory.
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// The first bytes, at most `most`, as far as they lie together.
    pub fn front(&self, most: usize) -> &[u8] {
        let (first, _) = self.held.as_slices();
        &first[..most.min(first.len())]
    }

    /// `count` bytes have left at `now_us`.
    pub fn gone(&mut self, count: usize, now_us: u64, shape: &Shape) {
        self.held.drain(..count);
        self.left += count as u64;
        if shape.rate.is_some() {
            self.tokens = self.tokens.saturating_sub(count as u64 * BYTE);
        }
        if shape.slice.is_some() {
            self.next_write_us = now_us + shape.pause_us;
        }
        while self
            .marks
            .front()
            .is_some_and(|mark| mark.until <= self.left)
        {
            self.marks.pop_front();
        }
        if self.held.is_empty() {
            (self.held, self.marks) = Default::default();
        }
    }

    /// Throws away what is held.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// When to ask again, if nothing may leave now and something is held.
    pub fn wakes_us(&self, now_us: u64, shape: &Shape) -> Option<u64> {
        let first = self.marks.front().filter(|_| !shape.hole)?;
        let mut at_us = first.due_us.max(self.next_write_us);
        if let Some(rate) = shape.rate {
            let missing = self.worth(rate).saturating_sub(self.tokens);
            at_us = at_us.max(self.tokens_at_us + missing.div_ceil(rate.max(1)));
        }
        Some(at_us.max(now_us))
    }

    /// Tokens that a write must find: a grain, or what came first if that is less.
    fn worth(&self, rate: u64) -> u64 {
        let first = self.marks.front().map_or(0, |mark| mark.until - self.left);
        (rate * GRAIN_US / 1_000_000).clamp(1, first.max(1)) * BYTE
    }

    fn refill(&mut self, now_us: u64, rate: u64) {
        let most = (rate * BURST_US).max(BYTE);
        let gained = rate.saturating_mul(now_us.saturating_sub(self.tokens_at_us));
        self.tokens = self.tokens.saturating_add(gained).min(most);
        self.tokens_at_us = self.tokens_at_us.max(now_us);
    }
}

/// How long a piece is held.
fn jittered(shape: &Shape, rng: &mut impl Rng) -> u64 {
    let jitter_us = shape.jitter_us.min(shape.delay_us);
    match jitter_us {
        0 => shape.delay_us,
        _ => shape.delay_us - jitter_us + rng.random_range(0..=2 * jitter_us),
    }
}

#[cfg(test)]
#[path = "shaper/tests.rs"]
mod tests;
