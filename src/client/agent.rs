//! `wssoak agent`: a share of the fleet in a process of its own, since one process may open only so many files.
//!
//! Orders come in on stdin, reports go out on stdout, both as lines of [`message`](super::message). The end of stdin
//! means that the controller is gone, and so is the reason to run.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use tokio::task::LocalSet;
use tokio::time::Instant;

use super::fleet::{Fleet, Share};
use super::message::{AgentReport, FromAgent, Order, PROTOCOL, ToAgent, parse};
use super::roll::Done;
use super::settings::settings;
use crate::plan::Plan;
use crate::record::generator::Usage;
use crate::scenario::{self, Override};
use crate::topology::{limits, tether};

/// The body of `wssoak agent --parent PID`.
///
/// # Errors
/// When the parent is gone, the order is not understood, or stdout is closed.
pub fn run(parent: u32) -> io::Result<()> {
    tether::tie(parent, Signal::KILL)?;
    limits::raise_open_files()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = LocalSet::new().block_on(&runtime, serve());
    // Reading stdin blocks a thread until the controller closes it.
    runtime.shutdown_background();
    outcome
}

async fn serve() -> io::Result<()> {
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    let order = match next(&mut orders).await? {
        Some(ToAgent::Start(order)) if order.protocol == PROTOCOL => order,
        other => {
            return Err(io::Error::other(format!(
                "expected an order of protocol {PROTOCOL}, got {other:?}"
            )));
        }
    };
    let plan = plan(&order)?;
    let share = Share {
        index: order.index,
        of: order.of,
    };
    let mut fleet = Fleet::start(
        &settings(&plan, order.target),
        1,
        share,
        starts(order.start_unix_us),
    )?;
    let handle = fleet.handle();
    let mut listening = true;
    loop {
        tokio::select! {
            report = fleet.report() => match report {
                Some(report) => say(&FromAgent::Report(Box::new(AgentReport::pack(report, Usage::read()))))?,
                None => return Ok(()),
            },
            order = next(&mut orders), if listening => {
                let done = match order? {
                    Some(ToAgent::Quiet { keep_heartbeat }) => handle.quiet(keep_heartbeat).await,
                    Some(ToAgent::Resume) => handle.resume().await,
                    Some(ToAgent::Call(call)) => handle.call(call).await,
                    Some(ToAgent::Stop { abort }) => {
                        fleet.stop(abort).await;
                        continue;
                    }
                    Some(ToAgent::Start(_)) => continue,
                    None => {
                        listening = false;
                        fleet.stop(true).await;
                        continue;
                    }
                };
                let Done { at_us, clients } = done.map_err(io::Error::other)?;
                say(&FromAgent::Done { at_us, clients })?;
            }
        }
    }
}

async fn next(orders: &mut Lines<BufReader<Stdin>>) -> io::Result<Option<ToAgent>> {
    match orders.next_line().await? {
        Some(line) => parse(&line).map(Some).map_err(io::Error::other),
        None => Ok(None),
    }
}

fn say(message: &FromAgent) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

fn plan(order: &Order) -> io::Result<Plan> {
    let overrides: Vec<Override> = order.overrides.iter().map(Override::from).collect();
    let scenario = scenario::load(Path::new("scenario.toml"), &order.scenario, &overrides)
        .map_err(|problems| io::Error::other(problems.to_string()))?;
    Ok(Plan::new(scenario))
}

/// The instant of a wall-clock time, in the past or in the future.
fn starts(unix_us: u64) -> Instant {
    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(unix_us);
    let now = Instant::now();
    match at.duration_since(SystemTime::now()) {
        Ok(ahead) => now + ahead,
        Err(late) => now.checked_sub(late.duration()).unwrap_or(now),
    }
}
