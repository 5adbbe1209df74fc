//! Fresh loopback ports for listeners, outside the range from which client sockets get theirs.
//!
//! A listener inside the ephemeral range can lose its port to one of our own thousands of client sockets while it is
//! down for a fault. A port found free can still be taken by another run before it is bound: callers that fail to bind
//! ask again.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;

use rand::RngExt;

/// Lowest port used: below lie well-known services.
const LOWEST: u16 = 10_000;
/// Attempts before giving up; a miss means that the port is in use.
const TRIES: u32 = 1_000;
/// What Linux uses unless told otherwise.
const DEFAULT_EPHEMERAL: (u16, u16) = (32_768, 60_999);

/// The ports from which the kernel picks a client socket's: `net.ipv4.ip_local_port_range`.
pub fn ephemeral_range() -> (u16, u16) {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|text| parse_range(&text))
        .unwrap_or(DEFAULT_EPHEMERAL)
}

fn parse_range(text: &str) -> Option<(u16, u16)> {
    let mut words = text.split_whitespace().map(str::parse);
    match (words.next()?, words.next()?) {
        (Ok(low), Ok(high)) if low <= high => Some((low, high)),
        _ => None,
    }
}

/// Where to look for ports, given the ephemeral range: the wider side beside it, or anywhere if it leaves no room.
fn pool((low, high): (u16, u16)) -> RangeInclusive<u16> {
    const ROOM: u16 = 500;
    let below = low.saturating_sub(LOWEST);
    let above = u16::MAX - high.max(LOWEST);
    if below >= above && below >= ROOM {
        LOWEST..=low - 1
    } else if above >= ROOM {
        high.max(LOWEST) + 1..=u16::MAX
    } else {
        LOWEST..=u16::MAX
    }
}

/// Can 127.0.0.1 be bound at this port now?
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// `count` different free ports on 127.0.0.1.
///
/// # Errors
/// [`io::ErrorKind::AddrInUse`] when too few are free.
pub fn fresh(count: usize) -> io::Result<Vec<u16>> {
    // Not from the scenario's seed: two runs of one scenario side by side would pick the same ports.
    let mut rng = rand::rng();
    let pool = pool(ephemeral_range());
    let mut found = BTreeSet::new();
    let mut order = Vec::with_capacity(count);
    for _ in 0..TRIES {
        if order.len() == count {
            break;
        }
        let port = rng.random_range(pool.clone());
        if !found.contains(&port) && is_free(port) {
            found.insert(port);
            order.push(port);
        }
    }
    if order.len() < count {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!(
                "only {} of {count} free ports found on 127.0.0.1 between {} and {}",
                order.len(),
                pool.start(),
                pool.end()
            ),
        ));
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_avoids_the_ephemeral_range() {
        for (ephemeral, want) in [
            ((32_768, 60_999), 10_000..=32_767),
            ((16_384, 65_535), 10_000..=16_383),
            ((1_024, 40_000), 40_001..=65_535),
            ((1_024, 65_535), 10_000..=65_535),
        ] {
            assert_eq!(pool(ephemeral), want, "{ephemeral:?}");
        }
    }

    #[test]
    fn fresh_ports_differ_and_can_be_bound() {
        let ports = fresh(20).unwrap();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 20);
        let held: Vec<_> = ports
            .iter()
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap())
            .collect();
        assert!(!is_free(held[0].local_addr().unwrap().port()));
    }

    #[test]
    fn a_range_is_read_or_refused() {
        assert_eq!(parse_range("32768\t60999\n"), Some((32_768, 60_999)));
        for bad in ["", "1", "9 3", "x y", "1 70000"] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }
}
