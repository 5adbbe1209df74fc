//! The life of one client: attempt, session, delay, attempt … in the stretches in which the plan wants it.
//!
//! What a client keeps between sessions is in [`Memory`], and is small: a fleet has as many as clients.

use std::time::Duration;

use tokio::time::sleep_until;

use super::schedule::Grid;
use super::session::{self, Ended};
use super::shard::{Alive, Mode, Shard};
use super::transport::{self, Attempt, Connected, Token};
use crate::cause::{ConnectFailure, SessionEnd};
use crate::plan::backoff::{self, Backoff};
use crate::plan::seed::{self, ClientRng, Purpose};
use crate::record::outage::Change;
use crate::record::shard::ClientState;
use crate::scenario::NodeId;
use crate::units::micros;

/// What a client remembers from one session to the next.
#[derive(Debug)]
pub struct Memory {
    /// Number of the client in the fleet.
    pub client: u32,
    /// Index in the shard's recorder.
    pub slot: usize,
    /// When it is due to send; `None`: never.
    pub grid: Option<Grid>,
    /// Due times before this one are accounted for, in µs.
    pub due_from_us: u64,
    /// Sequence number of the next message, from 1.
    pub next_seq: u64,
    /// Everything up to this sequence number is echoed or given up.
    pub acked: u64,
    /// Token of the last session.
    pub token: Option<Token>,
    attempts: u32,
    attempts_since_cut: u32,
    /// A cut is on record and the return is not.
    out: bool,
    backoff: Backoff,
    rng: ClientRng,
}

impl Memory {
    /// A client that has not been anywhere yet.
    pub fn new(shard: &Shard, client: u32, slot: usize) -> Self {
        let rng = seed::rng(shard.settings.seed, client, Purpose::Backoff);
        let grid = shard.settings.message_interval_us.map(|interval_us| Grid {
            // Spread over the interval, or the whole fleet would speak in the same millisecond.
            phase_us: backoff::below(
                &mut seed::rng(shard.settings.seed, client, Purpose::Schedule),
                interval_us,
            ),
            interval_us,
        });
        Self {
            client,
            slot,
            grid,
            due_from_us: 0,
            next_seq: 1,
            acked: 0,
            token: None,
            attempts: 0,
            attempts_since_cut: 0,
            out: false,
            backoff: Backoff::default(),
            rng,
        }
    }

    /// Messages sent and neither echoed nor given up.
    fn in_flight(&self) -> u32 {
        u32::try_from(self.next_seq - self.acked - 1).unwrap_or(u32::MAX)
    }
}

/// Why a stretch of life ended.
enum Leave {
    /// The plan or the run says so.
    Wanted,
    /// The reconnect policy gave up.
    GaveUp,
}

/// Lives through the stretches in which the plan wants this client.
///
/// The memory comes in a box because an `async fn` keeps its arguments twice.
pub(super) async fn live(alive: Alive, mut memory: Box<Memory>) {
    let shard = alive.shard();
    // Asked for one at a time, since a list of them would have to be kept.
    for index in 0.. {
        let Some(span) = shard.settings.load.spans(memory.client).get(index).copied() else {
            return;
        };
        let (start_us, end_us) = (micros(span.start), micros(span.end));
        if !shard.sleep_until(start_us).await {
            return;
        }
        let phase_us = memory.grid.map_or(0, |grid| grid.phase_us);
        shard
            .recorder
            .borrow_mut()
            .wanted(memory.slot, shard.now_us(), phase_us);
        memory.backoff.reset();
        let left = stay(shard, &mut memory, start_us, end_us).await;
        finish(shard, &mut memory);
        if matches!(left, Leave::GaveUp) {
            return;
        }
    }
}

/// Settles a client's accounts at the end of a stretch.
fn finish(shard: &Shard, memory: &mut Memory) {
    let now_us = shard.now_us();
    give_up_messages(shard, memory);
    let mut recorder = shard.recorder.borrow_mut();
    if memory.out {
        memory.out = false;
        recorder.outage(
            now_us,
            memory.client,
            Change::Out {
                attempts: memory.attempts_since_cut,
            },
        );
    }
    recorder.state(memory.slot, now_us, ClientState::Idle);
}

/// Keeps the client connected from `due_us` until `end_us` or the end of the run.
async fn stay(shard: &Shard, memory: &mut Memory, mut due_us: u64, end_us: u64) -> Leave {
    loop {
        if !shard.sleep_until(due_us.min(end_us)).await || shard.now_us() >= end_us {
            return Leave::Wanted;
        }
        // Boxes of their own for the attempt and the session: a client has one or the other, and each is freed with
        // what it needed.
        let away_us = match Box::pin(attempt(shard, memory, due_us, end_us)).await {
            Attempted::Leave => return Leave::Wanted,
            Attempted::Failed { retry_after } => asked_away_us(shard, retry_after),
            Attempted::Opened(connected, opened_us) => {
                let Connected { stream, node, .. } = unboxed(connected);
                let ended = Box::pin(session::run(shard, memory, stream, opened_us, end_us)).await;
                if note_ended(shard, memory, ended, node, opened_us) == SessionEnd::Local {
                    return Leave::Wanted;
                }
                0
            }
        };
        let Some(delay) = memory
            .backoff
            .next(&shard.settings.reconnect, &mut memory.rng)
        else {
            // Still wanted, and what it does not send is still missed: only the plan lets it leave.
            shard
                .recorder
                .borrow_mut()
                .state(memory.slot, shard.now_us(), ClientState::Gone);
            shard.sleep_until(end_us).await;
            return Leave::GaveUp;
        };
        // The delay of its own comes on top, or all that were refused would be back in the same moment.
        due_us = shard.now_us() + away_us + micros(delay);
    }
}

/// How long a refusal keeps the client away, in µs; a browser never hears of it.
fn asked_away_us(shard: &Shard, retry_after: Duration) -> u64 {
    match shard.settings.reconnect.retry_after {
        true => micros(retry_after),
        false => 0,
    }
}

/// What is in a box, which is freed now: moved out in place it would live as long as its variable, a whole session.
#[expect(clippy::boxed_local, reason = "taking the box apart is the point")]
fn unboxed<T>(boxed: Box<T>) -> T {
    *boxed
}

/// How an attempt ended.
enum Attempted {
    /// With a session, at this time.
    Opened(Box<Connected>, u64),
    /// Without one, and asked to stay away for so long.
    Failed { retry_after: Duration },
    /// The client is to leave.
    Leave,
}

async fn attempt(shard: &Shard, memory: &mut Memory, due_us: u64, end_us: u64) -> Attempted {
    memory.attempts += 1;
    memory.attempts_since_cut += 1;
    let started_us = shard.now_us();
    shard
        .recorder
        .borrow_mut()
        .attempt(memory.slot, started_us, started_us - due_us);
    let connecting = transport::connect(Attempt {
        target: &shard.settings.target,
        source: shard.settings.source(memory.client),
        client: memory.client,
        attempt: memory.attempts,
        resume: memory.token,
        timeout: shard.settings.handshake_timeout,
    });
    let outcome = tokio::select! {
        outcome = connecting => outcome,
        () = shard.leave_at(end_us) => {
            let now_us = shard.now_us();
            shard.recorder.borrow_mut().failed(memory.slot, now_us, ConnectFailure::Abandoned, None);
            return Attempted::Leave;
        }
    };
    let now_us = shard.now_us();
    match outcome {
        Ok(connected) => {
            note_opened(shard, memory, now_us, connected.node, &connected.timing);
            Attempted::Opened(Box::new(connected), now_us)
        }
        Err(failed) => {
            let retry_after = failed.retry_after;
            shard
                .recorder
                .borrow_mut()
                .failed(memory.slot, now_us, failed.cause, failed.example);
            Attempted::Failed { retry_after }
        }
    }
}

/// Books the end of a session and returns it.
fn note_ended(
    shard: &Shard,
    memory: &mut Memory,
    ended: Ended,
    node: Option<NodeId>,
    opened_us: u64,
) -> SessionEnd {
    let mut recorder = shard.recorder.borrow_mut();
    // What is in flight is lost with the session; under resend it is carried to the next one.
    let is_carried = shard.settings.resend && ended.end != SessionEnd::Local;
    let lost = if is_carried { 0 } else { memory.in_flight() };
    if !is_carried {
        memory.acked = memory.next_seq - 1;
    }
    recorder.closed(memory.slot, ended.at_us, ended.end, lost);
    if ended.end.is_disconnect() {
        memory.attempts_since_cut = 0;
        memory.out = true;
        let cut = Change::Cut {
            cause: ended.end,
            node,
            silence_us: ended.at_us.saturating_sub(ended.last_byte_us),
            age_us: ended.at_us - opened_us,
        };
        recorder.outage(ended.at_us, memory.client, cut);
    }
    ended.end
}

fn note_opened(
    shard: &Shard,
    memory: &mut Memory,
    now_us: u64,
    node: Option<NodeId>,
    timing: &transport::Timing,
) {
    memory.backoff.reset();
    memory.due_from_us = memory.due_from_us.max(now_us);
    let mut recorder = shard.recorder.borrow_mut();
    let connect_us = micros(timing.connect);
    recorder.opened(
        memory.slot,
        now_us,
        node,
        connect_us,
        micros(timing.upgrade),
    );
    if memory.out {
        memory.out = false;
        recorder.outage(
            now_us,
            memory.client,
            Change::Back {
                node,
                attempts: memory.attempts_since_cut,
            },
        );
    }
}

/// At the end of a stretch nothing will be sent again: what is still in flight is lost.
fn give_up_messages(shard: &Shard, memory: &mut Memory) {
    let lost = memory.in_flight();
    if lost > 0 {
        memory.acked = memory.next_seq - 1;
        shard
            .recorder
            .borrow_mut()
            .lost(memory.slot, SessionEnd::Local, lost);
    }
}

impl Shard {
    /// Sleeps until `at_us`; `false` when the run stopped first.
    pub(super) async fn sleep_until(&self, at_us: u64) -> bool {
        // Boxed: the task holds a pointer while it does something else.
        Box::pin(self.leave_at(at_us)).await;
        self.mode.get() == Mode::Run
    }

    /// Resolves when the run stops or at `at_us`.
    async fn leave_at(&self, at_us: u64) {
        tokio::select! {
            biased;
            () = self.stopped() => {}
            () = sleep_until(self.instant(at_us)) => {}
        }
    }
}
