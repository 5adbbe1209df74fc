//! What a person sees while a run goes on: a bar on a terminal, a line per interval elsewhere, nothing with `--quiet`.
//!
//! Everything goes to stderr; stdout is for results.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::units::{show_count, show_duration};

/// Seconds between two lines where there is no terminal and nothing happens.
const LINE_EVERY: u32 = 5;

/// What there is to see of one second.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    /// Seconds since the start of the run.
    pub second: u32,
    /// Seconds in all.
    pub of: u64,
    /// The phase.
    pub phase: &'a str,
    /// The fault that is on.
    pub fault: Option<&'a str>,
    /// Clients connected.
    pub connected: u64,
    /// Clients wanted.
    pub wanted: u32,
    /// Attempts in the second.
    pub attempts: u64,
    /// Attempts that failed in the second.
    pub failed: u64,
    /// Disconnects in the second.
    pub cut: u64,
}

impl Glance<'_> {
    /// Did something go wrong in this second?
    const fn is_eventful(&self) -> bool {
        self.cut > 0 || self.failed > 0
    }
}

/// Shows progress in the way that fits.
#[derive(Debug)]
pub enum Progress {
    /// A bar that redraws itself.
    Bar(ProgressBar),
    /// Plain lines.
    Lines,
    /// Nothing.
    Quiet,
}

impl Progress {
    /// The way that fits stderr.
    pub fn new(quiet: bool, length: Duration) -> Self {
        if quiet {
            return Self::Quiet;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::with_draw_target(
            Some(length.as_secs().max(1)),
            ProgressDrawTarget::stderr(),
        );
        let template = "{spinner} {msg}\n  [{wide_bar}] {pos}/{len} s";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.enable_steady_tick(Duration::from_millis(200));
        Self::Bar(bar)
    }

    /// Something that happens once.
    pub fn say(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.println(text),
            Self::Lines => line(text),
            Self::Quiet => {}
        }
    }

    /// A stage before or after the load.
    pub fn stage(&self, text: &str) {
        match self {
            Self::Bar(bar) => bar.set_message(text.to_owned()),
            Self::Lines => line(text),
            Self::Quiet => {}
        }
    }

    /// One second of the run.
    pub fn second(&self, glance: &Glance<'_>) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(u64::from(glance.second) + 1);
                bar.set_message(describe(glance));
            }
            Self::Lines if glance.is_eventful() || glance.second % LINE_EVERY == LINE_EVERY - 1 => {
                line(&describe(glance));
            }
            Self::Lines | Self::Quiet => {}
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn describe(glance: &Glance<'_>) -> String {
    let left = glance.of.saturating_sub(u64::from(glance.second) + 1);
    let fault = glance
        .fault
        .map_or(String::new(), |fault| format!(" · fault {fault}"));
    format!(
        "{:>4}s {}{fault} · {} of {} connected · {} attempts/s ({} failed) · {} disconnects/s · {} left",
        glance.second + 1,
        glance.phase,
        show_count(glance.connected),
        show_count(glance.wanted.into()),
        show_count(glance.attempts),
        show_count(glance.failed),
        show_count(glance.cut),
        show_duration(Duration::from_secs(left)),
    )
}

fn line(text: &str) {
    // Nobody may be reading; that is no reason to end a run.
    let _ = writeln!(std::io::stderr(), "{text}");
}
