//! Random numbers: every choice of a run comes from the scenario's seed, whichever thread makes it and when.
//!
//! Pure. The generator is named, not `SmallRng`, which may change with the library: a seed must mean the same run
//! next year.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// The generator of one client for one purpose: 32 bytes.
pub type ClientRng = Xoshiro256PlusPlus;

/// What random numbers are for. Each purpose has a sequence of its own, so that one more draw for one of them leaves
/// the others as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Delays before reconnecting.
    Backoff = 1,
    /// When in its interval a sender sends.
    Schedule = 2,
    /// WebSocket keys and masks.
    Handshake = 3,
    /// To whom a fault is done.
    Fault = 4,
    /// When a fault begins.
    FaultTime = 5,
}

/// The generator for `client` and `purpose` in a run with this `seed`.
pub fn rng(seed: u64, client: u32, purpose: Purpose) -> ClientRng {
    let stream = (purpose as u64) << 32 | u64::from(client);
    ClientRng::seed_from_u64(mix(seed) ^ mix(mix(stream)))
}

/// The output step of SplitMix64 (Steele, Lea and Flood, 2014): a bijection whose every input bit reaches every
/// output bit. Without it, seeds 1 and 2 would share sequences among neighbouring clients.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use std::collections::HashSet;

    #[test]
    fn a_sequence_depends_on_seed_client_and_purpose_alone() {
        let first = |seed, client, purpose| rng(seed, client, purpose).random::<u64>();
        assert_eq!(first(1, 2, Purpose::Backoff), first(1, 2, Purpose::Backoff));
        let mut seen = HashSet::new();
        for seed in 0..20 {
            for client in 0..200 {
                for purpose in [
                    Purpose::Backoff,
                    Purpose::Schedule,
                    Purpose::Handshake,
                    Purpose::Fault,
                    Purpose::FaultTime,
                ] {
                    assert!(
                        seen.insert(first(seed, client, purpose)),
                        "{seed} {client} {purpose:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_client_pays_32_bytes() {
        assert_eq!(size_of::<ClientRng>(), 32);
    }

    #[test]
    fn sequences_stay_the_same_over_versions() {
        let mut rng = rng(1, 0, Purpose::Backoff);
        let drawn: [u64; 2] = [rng.random(), rng.random()];
        assert_eq!(drawn, [0xf742_fa70_f449_61a1, 0x7c99_7de3_3692_2e9d]);
    }

    #[test]
    fn first_draws_of_neighbouring_clients_are_spread_evenly() {
        let mut tenths = [0u32; 10];
        for client in 0..10_000 {
            let draw: f64 = rng(1, client, Purpose::Backoff).random();
            tenths[(draw * 10.0) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1150).contains(count)),
            "{tenths:?}"
        );
    }
}
