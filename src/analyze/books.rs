//! The books: what clients, nodes and nginx each counted must agree, or the run is inconclusive.
//!
//! Pure. Some attempts end without an answer (timeout, reset): whether the other side counted them cannot be known
//! from here, so each entry states by how much it is undecided, and never allows more than that.

use serde::{Deserialize, Serialize};

use crate::record::collector::Second;
use crate::record::interval::{Counts, Gauges, NodeSessions};

/// Two counts of the same thing by different parties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What is counted.
    pub what: String,
    /// Who counted the first, and how many.
    pub ours: (String, u64),
    /// Who counted the second, and how many.
    pub theirs: (String, u64),
    /// How many more `theirs` may be, because attempts ended without an answer.
    pub may_exceed: u64,
    /// How many fewer `theirs` may be, because their last count could not be read, or they ended unheard of.
    pub may_lack: u64,
}

impl Entry {
    /// An entry that must agree to the last one.
    pub fn exact(what: impl Into<String>, ours: (&str, u64), theirs: (&str, u64)) -> Self {
        Self {
            what: what.into(),
            ours: (ours.0.into(), ours.1),
            theirs: (theirs.0.into(), theirs.1),
            may_exceed: 0,
            may_lack: 0,
        }
    }

    /// Do they agree, as far as can be known?
    pub fn balances(&self) -> bool {
        let (ours, theirs) = (self.ours.1, self.theirs.1);
        theirs >= ours.saturating_sub(self.may_lack)
            && theirs <= ours.saturating_add(self.may_exceed)
    }

    /// The entry as a sentence.
    pub fn sentence(&self) -> String {
        let sign = if self.balances() { "=" } else { "≠" };
        let open = match (self.may_exceed, self.may_lack) {
            (0, 0) => String::new(),
            (more, 0) => format!(" (up to {more} more undecided)"),
            (0, fewer) => format!(" (up to {fewer} fewer undecided)"),
            (more, fewer) => format!(" (up to {more} more or {fewer} fewer undecided)"),
        };
        let ((us, ours), (them, theirs)) = (&self.ours, &self.theirs);
        format!("{}: {us} {ours} {sign} {them} {theirs}{open}", self.what)
    }
}

/// The books of the fleet alone, followed second by second: counters against a census of the clients.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FleetBooks {
    totals: Counts,
    node_opened: u64,
    violations: Vec<String>,
    seconds: u64,
    expected: u32,
}

/// Violations kept; one is enough to spoil a run, and the first ones tell the most.
const VIOLATIONS_KEPT: usize = 5;

impl FleetBooks {
    /// Adds a second and checks.
    pub fn add(&mut self, second: &Second) {
        self.totals += &second.counts;
        self.node_opened += second.nodes.iter().map(|node| node.opened).sum::<u64>();
        self.seconds += 1;
        if second.second != self.expected {
            self.note(format!(
                "second {} is missing from the record",
                self.expected
            ));
        }
        self.expected = second.second + 1;
        let binned = |bins: &[u32]| bins.iter().map(|count| u64::from(*count)).sum::<u64>();
        let (counts, bins) = (&second.counts, &second.bins);
        for entry in [
            Entry::exact(
                "attempts",
                ("counted", counts.attempts),
                ("in bins", binned(&bins.attempts)),
            ),
            Entry::exact(
                "sessions",
                ("opened", counts.opened),
                ("in bins", binned(&bins.opened)),
            ),
            Entry::exact(
                "disconnects",
                ("counted", counts.cut_total()),
                ("in bins", binned(&bins.cut)),
            ),
        ] {
            if !entry.balances() {
                self.note(format!("second {}: {}", second.second, entry.sentence()));
            }
        }
        for entry in entries(
            &self.totals,
            &second.gauges,
            self.node_opened,
            &second.nodes,
        ) {
            if !entry.balances() {
                self.note(format!("second {}: {}", second.second, entry.sentence()));
            }
        }
    }

    fn note(&mut self, violation: String) {
        if self.violations.len() < VIOLATIONS_KEPT {
            self.violations.push(violation);
        }
    }

    /// Seconds added.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// Sums over all seconds.
    pub fn totals(&self) -> &Counts {
        &self.totals
    }

    /// The first violations, one sentence each.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

/// The fleet's entries after some seconds with these totals and this state.
pub fn entries(
    totals: &Counts,
    gauges: &Gauges,
    node_opened: u64,
    nodes: &[NodeSessions],
) -> Vec<Entry> {
    let on_nodes: u64 = nodes.iter().map(|node| node.connected).sum();
    vec![
        Entry::exact(
            "attempts",
            ("started", totals.attempts),
            (
                "opened + failed + in flight",
                totals.opened + totals.failed_total() + gauges.attempting,
            ),
        ),
        Entry::exact(
            "sessions",
            ("opened", totals.opened),
            ("closed + open", totals.closed_total() + gauges.connected),
        ),
        Entry::exact(
            "messages",
            ("sent", totals.sent),
            (
                "echoed + lost + in flight",
                totals.echoed + totals.lost_total() + gauges.in_flight,
            ),
        ),
        Entry::exact(
            "sessions by node",
            ("all", totals.opened),
            ("sum over nodes", node_opened),
        ),
        Entry::exact(
            "open sessions by node",
            ("all", gauges.connected),
            ("sum over nodes", on_nodes),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::SessionEnd;

    fn second(number: u32) -> Second {
        Second {
            second: number,
            wanted: 1,
            counts: Counts::default(),
            gauges: Gauges::default(),
            bins: Default::default(),
            nodes: vec![NodeSessions::default(); 2],
            usage: Default::default(),
        }
    }

    #[test]
    fn balanced_seconds_leave_no_violation() {
        let mut books = FleetBooks::default();
        let mut first = second(0);
        first.counts.attempts = 3;
        first.counts.opened = 2;
        first.bins.attempts[0] = 3;
        first.bins.opened[1] = 2;
        first.gauges.attempting = 1;
        first.gauges.connected = 2;
        first.nodes[0] = NodeSessions {
            opened: 2,
            connected: 2,
        };
        books.add(&first);
        let mut next = second(1);
        next.counts.closed[SessionEnd::Eof.index()] = 1;
        next.bins.cut[9] = 1;
        next.gauges.attempting = 1;
        next.gauges.connected = 1;
        next.nodes[0].connected = 1;
        books.add(&next);
        assert_eq!(books.violations(), &[] as &[String]);
    }

    #[test]
    fn every_imbalance_is_noticed() {
        let spoil: [fn(&mut Second); 6] = [
            |s| s.counts.attempts = 1,
            |s| s.counts.opened = 1,
            |s| s.counts.sent = 1,
            |s| s.gauges.connected = 1,
            |s| s.nodes[0].opened = 1,
            |s| s.second = 7,
        ];
        for (index, spoil) in spoil.iter().enumerate() {
            let mut books = FleetBooks::default();
            let mut spoilt = second(0);
            spoil(&mut spoilt);
            books.add(&spoilt);
            assert!(!books.violations().is_empty(), "case {index}");
        }
    }

    #[test]
    fn an_entry_allows_what_is_undecided_and_no_more() {
        let mut entry = Entry::exact("x", ("a", 10), ("b", 12));
        assert!(!entry.balances());
        entry.may_exceed = 2;
        assert!(entry.balances());
        entry.theirs.1 = 13;
        assert!(!entry.balances());
        entry.theirs.1 = 9;
        assert!(!entry.balances());
        entry.may_lack = 1;
        assert!(entry.balances());
    }
}
