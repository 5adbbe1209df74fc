//! How many workers, and how many connections each: from the client count and the descriptor limit. Pure.
//!
//! Every tunnel takes two connections (client and node), and so two descriptors. The kernel hands new connections to
//! whichever worker wakes first, so one worker may end up with nearly all of them; each is therefore sized for the whole
//! fleet as far as the limit allows, and there are enough workers to hold it even when it does not.

use crate::scenario::Nginx;

/// Connections of a worker beyond tunnels: listeners, the channel to the master, status requests, and tunnels that are
/// closing while their clients come back.
const HEADROOM: u64 = 512;
/// Descriptors of a worker that are no connections: logs, epoll, eventfd, shared files.
const RESERVE: u64 = 64;
/// How uneven a spread over the workers may be before connections are refused.
const UNEVEN: f64 = 1.3;
/// More processors than this do not get a worker each unless the scenario says so: clients and nodes need some too.
const MOST_WORKERS: u32 = 8;
/// nginx allocates all connections of a worker at its start, so "unlimited" must end somewhere.
const MOST_CONNECTIONS: u64 = 1_000_000;

/// What goes into `worker_processes`, `worker_connections` and `worker_rlimit_nofile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// Number of workers, at least 1.
    pub worker_processes: u32,
    /// Connections of one worker, both sides of a tunnel counted.
    pub worker_connections: u32,
    /// Descriptors of one worker.
    pub worker_rlimit_nofile: u64,
}

impl Sizing {
    /// Sizes for at most `clients` at once. `limit` is the hard limit on descriptors per process.
    pub fn new(nginx: &Nginx, clients: u32, limit: u64, processors: u32) -> Self {
        let wanted = u64::from(clients) * 2 + HEADROOM;
        let possible = limit.saturating_sub(RESERVE).clamp(64, MOST_CONNECTIONS);
        let connections = match nginx.worker_connections {
            Some(connections) => u64::from(connections),
            None => wanted.min(possible),
        };
        let needed = (f64::from(clients) * 2.0 * UNEVEN / connections as f64).ceil() as u32;
        let workers = nginx
            .worker_processes
            .unwrap_or_else(|| processors.clamp(2, MOST_WORKERS).max(needed));
        Self {
            worker_processes: workers.max(1),
            worker_connections: u32::try_from(connections).unwrap_or(u32::MAX),
            // Above the hard limit setrlimit fails and nginx goes on with less, saying so only in its log.
            worker_rlimit_nofile: (connections + RESERVE).min(limit),
        }
    }

    /// Tunnels that one worker can hold.
    pub fn tunnels_per_worker(&self) -> u64 {
        let descriptors = self.worker_rlimit_nofile.saturating_sub(RESERVE);
        u64::from(self.worker_connections).min(descriptors) / 2
    }

    /// Tunnels that all workers together can hold, evenly spread.
    pub fn tunnels(&self) -> u64 {
        self.tunnels_per_worker() * u64::from(self.worker_processes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::nginx::conf::tests::nginx;
    use proptest::prelude::*;

    #[test]
    fn sizes_follow_clients_limit_and_processors() {
        for (clients, limit, processors, want) in [
            (2_000, 20_000, 2, (2, 4_512, 4_576)),
            (8_000, 20_000, 2, (2, 16_512, 16_576)),
            (20_000, 20_000, 2, (3, 19_936, 20_000)),
            (2_000, 1_024, 2, (6, 960, 1_024)),
            (100, 20_000, 64, (8, 712, 776)),
            (1, 20_000, 1, (2, 514, 578)),
            (600_000, u64::MAX, 4, (4, 1_000_000, 1_000_064)),
        ] {
            let sizing = Sizing::new(&nginx(), clients, limit, processors);
            assert_eq!(
                (
                    sizing.worker_processes,
                    sizing.worker_connections,
                    sizing.worker_rlimit_nofile
                ),
                want,
                "{clients} clients, limit {limit}, {processors} processors"
            );
        }
    }

    #[test]
    fn the_scenario_has_the_last_word() {
        let mut nginx = nginx();
        nginx.worker_processes = Some(1);
        nginx.worker_connections = Some(12);
        let sizing = Sizing::new(&nginx, 8_000, 20_000, 4);
        assert_eq!(sizing.worker_processes, 1);
        assert_eq!(sizing.worker_connections, 12);
        assert_eq!(sizing.tunnels(), 6);
    }

    proptest! {
        #[test]
        fn unless_told_otherwise_the_whole_fleet_fits(clients in 1u32..500_000, limit in 256u64..2_000_000, cpus in 1u32..128) {
            let sizing = Sizing::new(&nginx(), clients, limit, cpus);
            prop_assert!(sizing.tunnels() >= u64::from(clients));
            prop_assert!(sizing.worker_rlimit_nofile <= limit);
        }
    }
}
