//! Which clients a fault is done to: a share of the fleet, drawn from the seed, the same wherever it is asked.
//!
//! Pure. A keyed permutation of all client numbers, of which the first ones are picked: exactly the share, without a
//! list, so that shards and agents agree without talking.

use rand::RngExt;

use super::seed::{Purpose, rng};

/// Rounds of the Feistel network; four are what it takes to look random.
const ROUNDS: usize = 4;

/// Some of `0..of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pick {
    of: u32,
    count: u32,
    half_bits: u32,
    keys: [u32; ROUNDS],
}

impl Pick {
    /// `share` of `of` clients, rounded; `stream` tells the picks of one run apart.
    pub fn new(seed: u64, stream: u32, of: u32, share: f64) -> Self {
        let mut rng = rng(seed, stream, Purpose::Fault);
        let bits = u32::BITS - of.saturating_sub(1).leading_zeros();
        Self {
            of,
            // A float to integer cast saturates.
            count: (share * f64::from(of)).round() as u32,
            half_bits: bits.div_ceil(2).max(1),
            keys: std::array::from_fn(|_| rng.random()),
        }
    }

    /// Is this client picked?
    pub fn holds(&self, client: u32) -> bool {
        if client >= self.of {
            return false;
        }
        // The network permutes a power of four that may be larger; who lands outside goes on until inside.
        let mut place = u64::from(client);
        loop {
            place = self.permuted(place);
            if place < u64::from(self.of) {
                return place < u64::from(self.count);
            }
        }
    }

    fn permuted(&self, value: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            let mixed = (right ^ u64::from(key)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (left, right) = (right, left ^ (mixed >> 32 & mask));
        }
        left << self.half_bits | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pick_is_exactly_its_share(seed: u64, stream in 0u32..1000, of in 1u32..3000, share in 0.0f64..=1.0) {
            let pick = Pick::new(seed, stream, of, share);
            let picked = (0..of + 100).filter(|client| pick.holds(*client)).count();
            prop_assert_eq!(picked, (share * f64::from(of)).round() as usize);
        }
    }

    #[test]
    fn picks_differ_by_seed_and_stream_and_are_spread_over_the_fleet() {
        let picked = |seed, stream| -> Vec<u32> {
            let pick = Pick::new(seed, stream, 10_000, 0.3);
            (0..10_000).filter(|client| pick.holds(*client)).collect()
        };
        assert_eq!(picked(1, 0), picked(1, 0));
        assert_ne!(picked(1, 0), picked(2, 0));
        assert_ne!(picked(1, 0), picked(1, 1));
        // Every agent has its share: of each residue, of each tenth.
        for pick in [picked(1, 0), picked(7, 3)] {
            for (count, slot) in [(3, 0), (3, 1), (3, 2), (7, 5)] {
                let share = pick.iter().filter(|client| *client % count == slot).count() as u32;
                let fair = 3_000 / count;
                assert!(share.abs_diff(fair) < fair / 5, "{share} of {fair}");
            }
            for tenth in 0..10u32 {
                let range = tenth * 1_000..(tenth + 1) * 1_000;
                let share = pick.iter().filter(|client| range.contains(client)).count();
                assert!((200..400).contains(&share), "{share} in {range:?}");
            }
        }
    }
}
