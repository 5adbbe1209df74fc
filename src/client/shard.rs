//! One shard: a thread with its own runtime, its clients as local tasks, its recorder without locks.
//!
//! Invariant: everything here stays on one thread (`Rc`, `Cell`); the only ways in and out are the command channel and
//! the report channel. Clients never wait for reporting: what the report channel has no room for stays here and goes
//! with the next second.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::life::{self, Memory};
use super::roll::{Call, Done, Roll};
use super::schedule::Quiet;
use super::settings::Settings;
use crate::plan::pick::Pick;
use crate::record::generator::Usage;
use crate::record::shard::{Closed, ShardRecorder};
use crate::wire::Frame;

/// How often a shard looks at its own lateness.
const TICK: Duration = Duration::from_millis(20);
/// Sockets that are woken before timers are looked at again. Tasks run in the order in which they were woken, at most 61
/// (tokio's number) between two looks: with more sockets than that a storm's queue grows, and every attempt that comes
/// due waits behind it (100 ms at p99 with tokio's 1,024, 2 ms with 16: `cargo bench -- storm`).
const EVENTS_PER_TURN: usize = 16;
/// How long clients may take to leave once told to.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// What the clients of a shard may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What the plan says.
    Run,
    /// Close in order and end.
    Drain,
    /// End.
    Abort,
}

/// What the controller tells a shard. `done` is answered once it is in force.
#[derive(Debug)]
pub enum Command {
    /// Fall silent.
    Quiet {
        /// But for pings.
        keep_heartbeat: bool,
        /// Answered once it is in force.
        done: oneshot::Sender<Done>,
    },
    /// Speak again.
    Resume {
        /// Answered once it is in force.
        done: oneshot::Sender<Done>,
    },
    /// Some clients do something at once.
    Call {
        /// What, and who.
        call: Call,
        /// Answered once every session has heard it.
        done: oneshot::Sender<Done>,
    },
    /// Let every client leave; `abort` without a close frame.
    Stop {
        /// Do not close in order.
        abort: bool,
    },
}

/// What a shard tells the controller.
#[derive(Debug)]
pub struct Report {
    /// Which shard.
    pub shard: usize,
    /// What was recorded since the last report.
    pub closed: Closed,
    /// Seconds in which the report channel had no room.
    pub late: u64,
    /// What its process uses; `None` when that is the controller's own.
    pub usage: Option<Usage>,
    /// Set in the last report.
    pub end: Option<ReportEnd>,
}

/// Why there will be no further report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportEnd {
    /// All is told.
    Finished(ShardEnd),
    /// It is gone with what it had not told: a sentence.
    Lost(String),
}

/// How a shard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardEnd {
    /// Clients that had not left when patience ran out.
    pub stuck: u32,
    /// Clients whose task panicked.
    pub panicked: u32,
}

/// What the clients of one shard share.
#[derive(Debug)]
pub struct Shard {
    /// What they do.
    pub settings: Settings,
    /// What they record into. Never borrowed across an await.
    pub recorder: RefCell<ShardRecorder>,
    /// What they may do; changes are followed by a call of `wake`.
    pub mode: Cell<Mode>,
    /// Wakes every client to look at `mode`, `quiet` and `roll` again.
    pub wake: Notify,
    /// Who is in a session.
    pub roll: Roll,
    started: Instant,
    scratch: RefCell<BytesMut>,
    alive: Cell<u32>,
    panicked: Cell<u32>,
}

impl Shard {
    /// A shard of `clients` clients whose run starts at `started`.
    pub fn new(settings: Settings, clients: usize, started: Instant) -> Self {
        let (nodes, interval_us) = (settings.nodes, settings.message_interval_us);
        Self {
            settings,
            recorder: RefCell::new(ShardRecorder::new(clients, nodes, interval_us)),
            mode: Cell::new(Mode::Run),
            wake: Notify::new(),
            roll: Roll::default(),
            started,
            scratch: RefCell::default(),
            alive: Cell::new(0),
            panicked: Cell::new(0),
        }
    }

    /// µs since the start of the run.
    pub fn now_us(&self) -> u64 {
        crate::units::micros(Instant::now().saturating_duration_since(self.started))
    }

    /// The instant of an offset; far ones are clipped to 30 years.
    pub fn instant(&self, at_us: u64) -> Instant {
        self.started + Duration::from_micros(at_us.min(1_000_000_000_000_000))
    }

    /// Resolves when the run stops.
    pub async fn stopped(&self) {
        while self.mode.get() == Mode::Run {
            self.wake.notified().await;
        }
    }

    /// A message of the configured size with this head.
    pub fn message(&self, frame: Frame) -> Message {
        let mut scratch = self.scratch.borrow_mut();
        // Once the last message has been written its bytes are free again, so this reserves without allocating.
        scratch.resize(self.settings.message_size.max(Frame::SIZE), 0);
        scratch[..Frame::SIZE].copy_from_slice(&frame.encode());
        Message::Binary(scratch.split().freeze())
    }
}

/// Counts a client out however its task ends.
pub(super) struct Alive(Rc<Shard>);

impl Alive {
    /// The shard it lives on.
    pub(super) fn shard(&self) -> &Shard {
        &self.0
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.set(self.0.alive.get() - 1);
        if std::thread::panicking() {
            self.0.panicked.set(self.0.panicked.get() + 1);
        }
    }
}

/// The thread of a shard: runs `clients` from `started` until told to stop.
pub fn run(
    index: usize,
    settings: Settings,
    clients: Vec<u32>,
    started: Instant,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Sender<Report>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_io_events_per_tick(EVENTS_PER_TURN)
        .build()?;
    let shard = Rc::new(Shard::new(settings, clients.len(), started));
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        tokio::task::spawn_local(spawn_clients(shard.clone(), clients));
        serve(index, &shard, commands, &reports).await;
    });
    Ok(())
}

/// Starts each client when it is first wanted: one that is not yet wanted costs nothing.
async fn spawn_clients(shard: Rc<Shard>, clients: Vec<u32>) {
    let mut starts: Vec<(Duration, usize, u32)> = clients
        .into_iter()
        .enumerate()
        .filter_map(|(slot, client)| {
            Some((
                shard.settings.load.spans(client).first()?.start,
                slot,
                client,
            ))
        })
        .collect();
    starts.sort();
    for (start, slot, client) in starts {
        if !shard.sleep_until(crate::units::micros(start)).await {
            return;
        }
        shard.alive.set(shard.alive.get() + 1);
        let alive = Alive(shard.clone());
        let memory = Box::new(Memory::new(&shard, client, slot));
        tokio::task::spawn_local(life::live(alive, memory));
    }
}

async fn serve(
    index: usize,
    shard: &Rc<Shard>,
    mut commands: mpsc::Receiver<Command>,
    reports: &mpsc::Sender<Report>,
) {
    let mut due = shard.started + TICK;
    let mut late = 0;
    let mut last_second = 0;
    let stop_by = loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Quiet { keep_heartbeat, done }) => {
                    let from_us = shard.now_us();
                    shard.recorder.borrow_mut().quiet.push(Quiet { from_us, until_us: u64::MAX, keep_heartbeat });
                    shard.wake.notify_waiters();
                    let _ = done.send(Done { at_us: from_us, clients: 0 });
                }
                Some(Command::Resume { done }) => {
                    let until_us = shard.now_us();
                    if let Some(window) = shard.recorder.borrow_mut().quiet.last_mut() {
                        window.until_us = window.until_us.min(until_us);
                    }
                    shard.wake.notify_waiters();
                    let _ = done.send(Done { at_us: until_us, clients: 0 });
                }
                Some(Command::Call { call, done }) => {
                    tokio::task::spawn_local(answer(shard.clone(), call, done));
                }
                Some(Command::Stop { abort }) => {
                    shard.mode.set(if abort { Mode::Abort } else { Mode::Drain });
                    shard.wake.notify_waiters();
                    break Instant::now() + DRAIN_PATIENCE;
                }
                // The controller is gone: so is the reason to run.
                None => {
                    shard.mode.set(Mode::Abort);
                    shard.wake.notify_waiters();
                    break Instant::now() + DRAIN_PATIENCE;
                }
            },
            () = tokio::time::sleep_until(due) => {
                due = tick(shard, due);
                let second = shard.now_us() / crate::record::interval::INTERVAL_US;
                if second > last_second {
                    last_second = second;
                    flush(index, shard, reports, &mut late);
                }
            }
        }
    };
    while shard.alive.get() > 0 && Instant::now() < stop_by {
        tokio::select! {
            command = commands.recv() => if matches!(command, Some(Command::Stop { abort: true }) | None) {
                shard.mode.set(Mode::Abort);
                shard.wake.notify_waiters();
                if command.is_none() {
                    break;
                }
            },
            () = tokio::time::sleep_until(due) => {
                due = tick(shard, due);
                flush(index, shard, reports, &mut late);
            }
        }
    }
    let closed = shard.recorder.borrow_mut().finish(shard.now_us());
    let end = ShardEnd {
        stuck: shard.alive.get(),
        panicked: shard.panicked.get(),
    };
    let _ = reports
        .send(Report {
            shard: index,
            closed,
            late,
            usage: None,
            end: Some(ReportEnd::Finished(end)),
        })
        .await;
}

/// Calls, and answers once every session has heard it.
async fn answer(shard: Rc<Shard>, call: Call, done: oneshot::Sender<Done>) {
    let settings = &shard.settings;
    let pick = Pick::new(
        settings.seed,
        call.stream,
        settings.load.regular(),
        call.share,
    );
    shard.roll.call(call.deed, pick);
    shard.wake.notify_waiters();
    let clients = shard.roll.settled().await;
    let at_us = shard.now_us();
    let _ = done.send(Done { at_us, clients });
}

/// Records the shard's lateness and returns when to look again.
///
/// A stall counts for every tick it has swallowed, each as late as it would have been: else one long stall would be one
/// sample among thousands, and the harness would acquit itself.
fn tick(shard: &Shard, due: Instant) -> Instant {
    let now = Instant::now();
    let late = now.saturating_duration_since(due);
    let swallowed = u32::try_from(late.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX);
    let mut recorder = shard.recorder.borrow_mut();
    for missed in 0..=swallowed {
        recorder.lag(
            shard.now_us(),
            crate::units::micros(late.saturating_sub(TICK * missed)),
        );
    }
    due + TICK * (swallowed + 1)
}

/// Hands closed intervals to the controller without ever waiting for it.
fn flush(index: usize, shard: &Shard, reports: &mpsc::Sender<Report>, late: &mut u64) {
    match reports.try_reserve() {
        Ok(room) => {
            let closed = shard.recorder.borrow_mut().take();
            room.send(Report {
                shard: index,
                closed,
                late: std::mem::take(late),
                usage: None,
                end: None,
            });
        }
        Err(_) => *late += 1,
    }
}
