//! How many clients are wanted when, and which.
//!
//! Pure. Clients join in order of their number and leave in reverse, evenly spread over each change: when `d` clients
//! join in a time `T`, the first joins at once and the next ones `T/d` apart; when `d` leave, the first leaves after
//! `T/d` and the last at `T`. Times are whole nanoseconds, rounded down in the same way everywhere, so that
//! [`LoadProfile::wanted`] and [`LoadProfile::spans`] never disagree.

use std::time::Duration;

use super::PlannedFault;
use crate::scenario::{FaultId, Scenario};

/// Wanted clients over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadProfile {
    /// In order of time, not overlapping; between them the number stays.
    changes: Vec<Change>,
    surges: Vec<Surge>,
    /// Clients below this number are regular ones; above come those of surges.
    regular: u32,
    until_ns: u64,
}

/// Extra clients for a while, with numbers of their own: they join within [`JOIN_NS`] and leave together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Surge {
    from_ns: u64,
    to_ns: u64,
    first: u32,
    count: u32,
}

/// In which the clients of a surge join, evenly spread; less if the surge is shorter.
const JOIN_NS: u64 = 1_000_000_000;

/// The number of clients goes linearly from one value to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    from_ns: u64,
    to_ns: u64,
    before: u32,
    after: u32,
}

/// A stretch in which a client should be connected: from `start` (included) to `end` (not included).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it makes its first attempt.
    pub start: Duration,
    /// When it leaves.
    pub end: Duration,
}

impl LoadProfile {
    /// The ramp, then every phase that states a number of clients, and the surges among `faults`.
    pub fn new(scenario: &Scenario, faults: &[PlannedFault]) -> Self {
        let until_ns = nanos(scenario.duration);
        let mut changes = vec![Change {
            from_ns: 0,
            to_ns: nanos(scenario.clients.ramp).min(until_ns),
            before: 0,
            after: scenario.clients.count,
        }];
        let ends = scenario.phases.iter().skip(1).map(|phase| phase.from);
        let ends = ends.chain(std::iter::once(scenario.duration));
        let mut before = scenario.clients.count;
        for (phase, end) in scenario.phases.iter().zip(ends) {
            let Some(after) = phase.clients else { continue };
            changes.push(Change {
                from_ns: nanos(phase.from),
                to_ns: nanos(end),
                before,
                after,
            });
            before = after;
        }
        let regular = changes.iter().map(|change| change.after).max();
        let regular = regular.unwrap_or(0);
        Self {
            changes,
            surges: surges(scenario, faults, regular),
            regular,
            until_ns,
        }
    }

    /// Clients wanted at an offset. After the end of the run it stays at the last number.
    pub fn wanted(&self, at: Duration) -> u32 {
        self.wanted_ns(nanos(at))
    }

    /// The most clients wanted at any time.
    pub fn most(&self) -> u32 {
        let ends = self.surges.iter().map(|surge| surge.first + surge.count);
        ends.fold(self.regular, u32::max)
    }

    /// The most clients wanted at any time, those of surges left out.
    pub fn regular(&self) -> u32 {
        self.regular
    }

    /// Client-seconds wanted between two offsets: the integral of [`Self::wanted`], cut at the end of the run.
    pub fn wanted_seconds(&self, from: Duration, to: Duration) -> f64 {
        let (from, to) = (nanos(from), nanos(to).min(self.until_ns));
        let mut sum = 0.0;
        for (i, change) in self.changes.iter().enumerate() {
            let next = self
                .changes
                .get(i + 1)
                .map_or(self.until_ns, |next| next.from_ns);
            let clip = |ns: u64| ns.clamp(from, to.max(from));
            let (start, turn, end) = (clip(change.from_ns), clip(change.to_ns), clip(next));
            sum += change.seconds(start, turn);
            sum += f64::from(change.after) * seconds(end.saturating_sub(turn));
        }
        let surges = self.surges.iter();
        sum + surges.map(|surge| surge.seconds(from, to)).sum::<f64>()
    }

    /// The stretches in which client `client` (from 0) should be connected, in order; empty for one never wanted.
    pub fn spans(&self, client: u32) -> Vec<Span> {
        if client >= self.regular {
            let surges = self.surges.iter();
            return surges.filter_map(|surge| surge.span(client)).collect();
        }
        let mut spans = Vec::new();
        let mut since = None;
        for change in &self.changes {
            if (change.before..change.after).contains(&client) {
                since = Some(change.nth_ns(client - change.before));
            } else if (change.after..change.before).contains(&client)
                && let Some(start) = since.take()
            {
                spans.push(span(start, change.nth_ns(change.before - client)));
            }
        }
        if let Some(start) = since {
            spans.push(span(start, self.until_ns));
        }
        spans
    }

    fn wanted_ns(&self, at: u64) -> u32 {
        let begun = self.changes.partition_point(|change| change.from_ns <= at);
        let regular = begun
            .checked_sub(1)
            .map_or(0, |last| self.changes[last].at(at));
        let surges = self.surges.iter();
        regular + surges.map(|surge| surge.at(at)).sum::<u32>()
    }
}

/// Every time of every surge; those of one fault are the same clients again.
fn surges(scenario: &Scenario, faults: &[PlannedFault], regular: u32) -> Vec<Surge> {
    let (mut surges, mut first) = (Vec::new(), regular);
    for (id, fault) in (0u16..).map(FaultId).zip(&scenario.faults) {
        let count = fault.kind.extra_clients();
        if count > 0 {
            let times = faults.iter().filter(|planned| planned.fault == id);
            surges.extend(times.map(|planned| Surge {
                from_ns: nanos(planned.at),
                to_ns: nanos(planned.until),
                first,
                count,
            }));
            first += count;
        }
    }
    surges
}

impl Surge {
    /// When the `n`th of its clients joins.
    fn nth_ns(&self, n: u32) -> u64 {
        let length = u128::from(JOIN_NS.min((self.to_ns - self.from_ns) / 2));
        let offset = length * u128::from(n) / u128::from(self.count);
        self.from_ns + u64::try_from(offset).unwrap_or(u64::MAX)
    }

    fn span(&self, client: u32) -> Option<Span> {
        let n = client.checked_sub(self.first).filter(|n| *n < self.count)?;
        Some(span(self.nth_ns(n), self.to_ns))
    }

    /// How many of its clients are wanted.
    fn at(&self, at: u64) -> u32 {
        if at < self.from_ns || at >= self.to_ns {
            return 0;
        }
        // The first n whose time has not come; times grow with n.
        let (mut some, mut none) = (0, self.count);
        while some < none {
            let middle = some + (none - some) / 2;
            match self.nth_ns(middle) <= at {
                true => some = middle + 1,
                false => none = middle,
            }
        }
        some
    }

    /// Client-seconds between two offsets.
    fn seconds(&self, from: u64, to: u64) -> f64 {
        let (from, to) = (from.max(self.from_ns), to.min(self.to_ns));
        if to <= from {
            return 0.0;
        }
        let (first, last) = (self.at(from), self.at(to - 1));
        // Who joins in between counts from then on; joins are evenly spread.
        let joined = last - first;
        let mean_ns = match joined {
            0 => to,
            _ => (self.nth_ns(first) + self.nth_ns(last - 1)) / 2,
        };
        f64::from(first) * seconds(to - from) + f64::from(joined) * seconds(to - mean_ns)
    }
}

impl Change {
    fn clients(&self) -> u32 {
        self.before.abs_diff(self.after)
    }

    /// Offset of the `n`th step of `T/d` (0: the beginning, `d`: the end).
    fn nth_ns(&self, n: u32) -> u64 {
        let length = u128::from(self.to_ns - self.from_ns);
        let offset = length * u128::from(n) / u128::from(self.clients().max(1));
        self.from_ns + u64::try_from(offset).unwrap_or(u64::MAX)
    }

    /// Clients wanted at `at`, which is not before the change begins.
    fn at(&self, at: u64) -> u32 {
        if at >= self.to_ns {
            return self.after;
        }
        // Steps n with nth_ns(n) <= at, that is n·T/d < elapsed + 1; there is at least the one at 0.
        let (elapsed, length) = (
            u128::from(at - self.from_ns),
            u128::from(self.to_ns - self.from_ns),
        );
        let steps = ((elapsed + 1) * u128::from(self.clients())).div_ceil(length);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX).min(self.clients());
        if self.after >= self.before {
            self.before + steps
        } else {
            self.before - steps.saturating_sub(1)
        }
    }

    /// Client-seconds from `start` to `end`, both within the change.
    fn seconds(&self, start: u64, end: u64) -> f64 {
        if end <= start || self.clients() == 0 {
            return f64::from(self.before) * seconds(end.saturating_sub(start));
        }
        // Who is there at `start` counts for all of it; each step in between for the rest from (or up to) its time.
        let (first, last) = (self.at(start), self.at(end));
        let whole = f64::from(first) * seconds(end - start);
        let crossed = f64::from(first.abs_diff(last));
        let (from, sign) = if self.after >= self.before {
            (first - self.before, 1.0)
        } else {
            (self.before - first + 1, -1.0)
        };
        let step = seconds(self.to_ns - self.from_ns) / f64::from(self.clients());
        let mean_step = (f64::from(from) + (crossed - 1.0) / 2.0) * step;
        let mean_rest = seconds(end - self.from_ns) - mean_step;
        whole + sign * crossed * mean_rest
    }
}

fn span(start_ns: u64, end_ns: u64) -> Span {
    Span {
        start: Duration::from_nanos(start_ns),
        end: Duration::from_nanos(end_ns),
    }
}

fn seconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
