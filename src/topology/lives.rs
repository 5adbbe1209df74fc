//! What is known of nginx from outside: its counters less our own polls, its lives, its reloads. Pure.

use std::time::Duration;

use super::nginx::status::StubStatus;

/// What the status page said, and which part of it is our own doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxySample {
    /// The page.
    pub status: StubStatus,
    /// Status requests among `status.requests`, and connections among `status.accepts`, this one included.
    pub polls: u64,
    /// Status requests that were sent but not answered, and may or may not be among them.
    pub polls_undecided: u64,
}

impl ProxySample {
    /// Requests that were not ours; exact when no poll is undecided.
    pub fn client_requests(&self) -> u64 {
        self.status.requests.saturating_sub(self.polls)
    }
}

/// One life of nginx, from start to stop. Its counters start at zero; a reload does not end it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incarnation {
    /// Process id of the master.
    pub master: u32,
    /// The last sample; for a life that was ended as planned, taken immediately before.
    pub last: Option<ProxySample>,
    /// Status requests answered so far.
    pub polls: u64,
    /// Status requests sent but not answered.
    pub polls_undecided: u64,
    /// Did it run when this was read?
    pub is_running: bool,
}

/// A reload that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadSeen {
    /// From the signal to the first new worker.
    pub took: Duration,
    /// Workers before.
    pub old_workers: Vec<u32>,
    /// Workers that were not there before.
    pub new_workers: Vec<u32>,
}

/// A worker to which something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSeen {
    /// Its process id.
    pub pid: u32,
    /// Files that it had open: two per tunnel, and some more.
    pub files: usize,
    /// Workers beside it, also those that drain.
    pub others: usize,
}
