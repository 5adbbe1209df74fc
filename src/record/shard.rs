//! The recorder of one shard: owned by its thread, no lock, no channel per event.
//!
//! Every call carries the time it was read at; an event of a later second closes the current interval first, so
//! intervals are cut exactly at whole seconds of the run however late a timer fires. What is closed waits in
//! [`ShardRecorder::take`] for the shard's ticker.

use crate::cause::{ConnectFailure, SessionEnd};
use crate::client::schedule::{Grid, Quiet};
use crate::record::interval::{BIN_US, BINS, Gauges, INTERVAL_US, Interval, Series};
use crate::record::outage::{Change, OutageEvent};
use crate::scenario::NodeId;

/// Example texts of unusual failures kept per shard and cause; more would be noise.
const EXAMPLES_PER_CAUSE: usize = 3;

/// Where a client stands. One byte per client; the census at the end of each interval counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientState {
    /// Not wanted now.
    Idle,
    /// An attempt is in flight.
    Attempting,
    /// In a session.
    Connected,
    /// Between two attempts.
    Waiting,
    /// Gave up for good.
    Gone,
}

/// What one shard hands over: closed intervals with their outages, and example texts.
#[derive(Debug, Default)]
pub struct Closed {
    /// In order of time.
    pub intervals: Vec<Interval>,
    /// In order of time; all within the intervals.
    pub outages: Vec<OutageEvent>,
    /// New example texts.
    pub examples: Vec<(ConnectFailure, Box<str>)>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    state: ClientState,
    node: u16,
    in_flight: u32,
    /// First due time of its messages, in µs.
    phase_us: u64,
    /// While it is away: due times before this one are booked.
    booked_us: u64,
}

/// Counters, histograms and outages of one shard.
#[derive(Debug)]
pub struct ShardRecorder {
    current: Interval,
    ends_us: u64,
    nodes: u16,
    slots: Vec<Slot>,
    /// Time between two messages of a client; `None`: clients do not send.
    interval_us: Option<u64>,
    /// Quiet windows so far, in order of time: nothing is due in them.
    pub quiet: Vec<Quiet>,
    closed: Closed,
    example_counts: [usize; ConnectFailure::COUNT],
}

impl ShardRecorder {
    /// For `clients` clients (addressed by their index in the shard) that send every `interval_us`, and `nodes` nodes.
    pub fn new(clients: usize, nodes: u16, interval_us: Option<u64>) -> Self {
        let away = Slot {
            state: ClientState::Idle,
            node: nodes,
            in_flight: 0,
            phase_us: 0,
            booked_us: 0,
        };
        Self {
            current: Interval::new(0, nodes),
            ends_us: INTERVAL_US,
            nodes,
            slots: vec![away; clients],
            interval_us,
            quiet: Vec::new(),
            closed: Closed::default(),
            example_counts: [0; ConnectFailure::COUNT],
        }
    }

    /// Closes every interval that ended before `now_us`.
    pub fn advance(&mut self, now_us: u64) {
        while now_us >= self.ends_us {
            self.take_census(self.ends_us);
            let next = Interval::new(self.current.second + 1, self.nodes);
            self.closed
                .intervals
                .push(std::mem::replace(&mut self.current, next));
            self.ends_us += INTERVAL_US;
        }
    }

    /// Takes what is closed.
    pub fn take(&mut self) -> Closed {
        // Outages of the interval still open stay: the file must be in order of time across shards.
        let open_from = self.ends_us - INTERVAL_US;
        let split = self
            .closed
            .outages
            .partition_point(|event| event.at_us < open_from);
        let rest = self.closed.outages.split_off(split);
        let closed = std::mem::take(&mut self.closed);
        self.closed.outages = rest;
        closed
    }

    /// Closes the last, unfinished interval and takes everything.
    pub fn finish(&mut self, now_us: u64) -> Closed {
        self.advance(now_us);
        self.take_census(now_us);
        let next = Interval::new(self.current.second + 1, self.nodes);
        self.closed
            .intervals
            .push(std::mem::replace(&mut self.current, next));
        std::mem::take(&mut self.closed)
    }

    /// Counts clients by looking at each: independent of the counters, so that the books can be checked against it.
    fn take_census(&mut self, at_us: u64) {
        let mut gauges = Gauges::default();
        for slot in 0..self.slots.len() {
            self.book_missed(slot, at_us);
        }
        for slot in &self.slots {
            gauges.in_flight += u64::from(slot.in_flight);
            match slot.state {
                ClientState::Idle => {}
                ClientState::Attempting => gauges.attempting += 1,
                ClientState::Waiting => gauges.waiting += 1,
                ClientState::Gone => gauges.gone += 1,
                ClientState::Connected => {
                    gauges.connected += 1;
                    self.current.nodes[usize::from(slot.node.min(self.nodes))].connected += 1;
                }
            }
        }
        self.current.gauges = gauges;
    }

    /// Books what was due up to `at_us` while the client was away.
    fn book_missed(&mut self, slot: usize, at_us: u64) {
        let Some(interval_us) = self.interval_us else {
            return;
        };
        let slot = &mut self.slots[slot];
        if !matches!(slot.state, ClientState::Idle | ClientState::Connected)
            && at_us > slot.booked_us
        {
            let grid = Grid {
                phase_us: slot.phase_us,
                interval_us,
            };
            self.current.counts.missed += grid.missed(slot.booked_us, at_us, &self.quiet);
            slot.booked_us = at_us;
        }
    }

    /// The client is wanted from now on; its messages are due on a grid that starts at `phase_us`.
    pub fn wanted(&mut self, slot: usize, now_us: u64, phase_us: u64) {
        self.advance(now_us);
        let slot = &mut self.slots[slot];
        slot.state = ClientState::Waiting;
        slot.phase_us = phase_us;
        slot.booked_us = now_us;
    }

    fn bin(&self, now_us: u64) -> usize {
        // `advance` ran first, so the time lies in the current interval; an earlier one can only come from a clock
        // read before an await, and belongs to the first bin.
        let start = self.ends_us - INTERVAL_US;
        usize::try_from(now_us.saturating_sub(start) / BIN_US)
            .map_or(BINS - 1, |bin| bin.min(BINS - 1))
    }

    /// The client's state changes without anything to count.
    pub fn state(&mut self, slot: usize, now_us: u64, state: ClientState) {
        self.advance(now_us);
        self.book_missed(slot, now_us);
        self.slots[slot].state = state;
    }

    /// An attempt starts, `late_us` after it was due.
    pub fn attempt(&mut self, slot: usize, now_us: u64, late_us: u64) {
        self.advance(now_us);
        let bin = self.bin(now_us);
        self.slots[slot].state = ClientState::Attempting;
        self.current.counts.attempts += 1;
        self.current.bins.attempts[bin] += 1;
        self.current
            .times(Series::AttemptLateness)
            .record_us(late_us);
    }

    /// The attempt became a session on `node`.
    pub fn opened(
        &mut self,
        slot: usize,
        now_us: u64,
        node: Option<NodeId>,
        connect_us: u64,
        upgrade_us: u64,
    ) {
        self.advance(now_us);
        let bin = self.bin(now_us);
        let node = node.map_or(self.nodes, |node| node.0.min(self.nodes));
        self.book_missed(slot, now_us);
        self.slots[slot].state = ClientState::Connected;
        self.slots[slot].node = node;
        self.current.counts.opened += 1;
        self.current.bins.opened[bin] += 1;
        self.current.nodes[usize::from(node)].opened += 1;
        self.current.times(Series::Connect).record_us(connect_us);
        self.current.times(Series::Upgrade).record_us(upgrade_us);
        self.current
            .times(Series::Handshake)
            .record_us(connect_us + upgrade_us);
    }

    /// The attempt failed.
    pub fn failed(
        &mut self,
        slot: usize,
        now_us: u64,
        cause: ConnectFailure,
        example: Option<Box<str>>,
    ) {
        self.advance(now_us);
        self.slots[slot].state = ClientState::Waiting;
        self.current.counts.failed[cause.index()] += 1;
        if let Some(text) = example
            && self.example_counts[cause.index()] < EXAMPLES_PER_CAUSE
        {
            self.example_counts[cause.index()] += 1;
            self.closed.examples.push((cause, text));
        }
    }

    /// The session ended; `given_up` messages in flight are lost with it.
    pub fn closed(&mut self, slot: usize, now_us: u64, end: SessionEnd, given_up: u32) {
        self.advance(now_us);
        let bin = self.bin(now_us);
        self.slots[slot].state = ClientState::Waiting;
        self.slots[slot].booked_us = now_us;
        self.current.counts.closed[end.index()] += 1;
        self.lost(slot, end, given_up);
        if end.is_disconnect() {
            self.current.bins.cut[bin] += 1;
        }
    }

    /// Messages in flight are given up.
    pub fn lost(&mut self, slot: usize, end: SessionEnd, count: u32) {
        self.current.counts.lost[end.index()] += u64::from(count);
        self.slots[slot].in_flight -= count;
    }

    /// Something about an outage.
    pub fn outage(&mut self, now_us: u64, client: u32, what: Change) {
        self.advance(now_us);
        self.closed.outages.push(OutageEvent {
            at_us: now_us,
            client,
            what,
        });
    }

    /// A message goes out for the first time, `late_us` after it was due.
    pub fn sent(&mut self, slot: usize, now_us: u64, late_us: u64) {
        self.advance(now_us);
        self.slots[slot].in_flight += 1;
        self.current.counts.sent += 1;
        self.current
            .times(Series::MessageLateness)
            .record_us(late_us);
    }

    /// A message in flight was echoed `rtt_us` after it was due (`None` when it was sent more than once and cannot be
    /// timed); `skipped` earlier ones never will be.
    pub fn echoed(&mut self, slot: usize, now_us: u64, rtt_us: Option<u64>, skipped: u32) {
        self.advance(now_us);
        self.slots[slot].in_flight -= 1 + skipped;
        self.current.counts.echoed += 1;
        self.current.counts.skipped += u64::from(skipped);
        if let Some(rtt_us) = rtt_us {
            self.current.times(Series::Rtt).record_us(rtt_us);
        }
    }

    /// A shard's timer fired `late_us` after it was due.
    pub fn lag(&mut self, now_us: u64, late_us: u64) {
        self.advance(now_us);
        self.current.times(Series::Lag).record_us(late_us);
    }

    /// The counters of the current interval, for those that need nothing else.
    pub fn counts(&mut self, now_us: u64) -> &mut crate::record::interval::Counts {
        self.advance(now_us);
        &mut self.current.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_a_later_second_closes_the_seconds_before() {
        let mut recorder = ShardRecorder::new(2, 1, None);
        recorder.attempt(0, 950_000, 10);
        recorder.opened(0, 2_000_000, Some(NodeId(0)), 100, 200);
        let closed = recorder.take();
        assert_eq!(closed.intervals.len(), 2);
        assert_eq!(closed.intervals[0].counts.attempts, 1);
        assert_eq!(closed.intervals[0].bins.attempts[9], 1);
        assert_eq!(closed.intervals[1].gauges.attempting, 1);
        assert_eq!(closed.intervals[1].gauges.connected, 0);
        let last = recorder.finish(2_100_000);
        assert_eq!(last.intervals.len(), 1);
        assert_eq!(last.intervals[0].gauges.connected, 1);
        assert_eq!(
            last.intervals[0].nodes[0],
            crate::record::interval::NodeSessions {
                opened: 1,
                connected: 1
            }
        );
    }

    #[test]
    fn outages_leave_with_their_second() {
        let mut recorder = ShardRecorder::new(1, 1, None);
        recorder.outage(999_999, 0, Change::Out { attempts: 1 });
        recorder.outage(1_000_001, 0, Change::Out { attempts: 2 });
        let closed = recorder.take();
        assert_eq!(closed.outages.len(), 1);
        assert_eq!(recorder.finish(1_500_000).outages.len(), 1);
    }

    #[test]
    fn messages_in_flight_are_counted_per_client() {
        let mut recorder = ShardRecorder::new(1, 1, None);
        recorder.opened(0, 0, None, 1, 1);
        for _ in 0..5 {
            recorder.sent(0, 10, 0);
        }
        recorder.echoed(0, 20, Some(15), 1);
        recorder.closed(0, 30, SessionEnd::Eof, 2);
        let closed = recorder.finish(40);
        assert_eq!(closed.intervals[0].gauges.in_flight, 1);
        assert_eq!(closed.intervals[0].counts.lost_total(), 3);
        assert_eq!(
            closed.intervals[0].nodes[1].opened, 1,
            "an unknown node has its own entry"
        );
    }

    #[test]
    fn what_is_due_while_a_client_is_away_is_missed_in_its_second_back_or_not() {
        let mut recorder = ShardRecorder::new(1, 1, Some(250_000));
        recorder.wanted(0, 0, 0);
        recorder.opened(0, 500_000, None, 1, 1);
        recorder.closed(0, 900_000, SessionEnd::Eof, 0);
        recorder.quiet.push(Quiet {
            from_us: 1_500_000,
            until_us: 2_000_000,
            keep_heartbeat: false,
        });
        let seconds: Vec<u64> = recorder
            .finish(3_000_000)
            .intervals
            .iter()
            .map(|i| i.counts.missed)
            .collect();
        // Due at 0 and 250 ms; then at 1 s and 1.25 s, before the quiet window; then all four of the third second.
        assert_eq!(seconds, [2, 2, 4, 0]);
    }
}
