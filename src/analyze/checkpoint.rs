//! What a fold has summed up so far, in a form that outlives the process: the thinned part of a record. Pure.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::books::FleetBooks;
use super::fold::Fold;
use super::scope::ScopeSummary;
use super::storm::Storm;
use crate::fault::FaultRecord;
use crate::plan::Plan;
use crate::record::access::AccessLines;
use crate::record::interval::{INTERVAL_US, NodeSessions, Series};

/// `checkpoint.json`: everything that objectives and books need of the seconds that were thinned.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Version of the result folder's files.
    pub schema: u32,
    /// Seconds it stands for: `[0, seconds)`.
    pub seconds: u32,
    /// Lines of the access log that were counted and removed.
    pub access: AccessLines,
    sums: Sums,
}

/// The fields of [`Fold`] that do not follow from the plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sums {
    run: ScopeSummary,
    phases: Vec<ScopeSummary>,
    storms: Vec<Storm>,
    books: FleetBooks,
    connected: u64,
    nodes: Vec<NodeSessions>,
    out: HashMap<u32, u64>,
    cuts: u64,
    /// Silent cuts, and those of them that are undecided.
    silence: (u64, u64),
    /// Sessions that nginx may have ended before it heard of their end.
    #[serde(default)]
    untold: u64,
    uncounted: u64,
    opened_blind: u64,
    timed: [u64; Series::ALL.len()],
    misplaced: u64,
    out_now: HashSet<u32>,
}

impl Fold<'_> {
    /// What has been summed up after `seconds` seconds.
    pub(super) fn checkpoint(mut self, seconds: u32, access: AccessLines) -> Checkpoint {
        for storm in &mut self.storms {
            storm.close_by(u64::from(seconds) * INTERVAL_US);
        }
        Checkpoint {
            schema: crate::record::collector::SCHEMA,
            seconds,
            access,
            sums: Sums {
                run: self.run,
                phases: self.phases,
                storms: self.storms,
                books: self.books,
                connected: self.connected,
                nodes: self.nodes,
                out: self.out,
                cuts: self.cuts,
                silence: (self.silence.cuts, self.silence.undecided),
                untold: self.silence.untold,
                uncounted: self.uncounted,
                opened_blind: self.opened_blind,
                timed: self.timed,
                misplaced: self.misplaced,
                out_now: self.out_now,
            },
        }
    }
}

impl<'a> Fold<'a> {
    /// Goes on where a checkpoint ends. Windows are taken anew from what is known of the faults and of the end now.
    pub(super) fn resume(
        plan: &'a Plan,
        faults: &[FaultRecord],
        measured_us: u64,
        checkpoint: Option<Checkpoint>,
    ) -> Self {
        let mut fold = Self::new(plan, faults, measured_us);
        let Some(Checkpoint { sums, .. }) = checkpoint else {
            return fold;
        };
        adopt(&mut fold.run, sums.run);
        for (fresh, saved) in fold.phases.iter_mut().zip(sums.phases) {
            adopt(fresh, saved);
        }
        for (fresh, saved) in fold.storms.iter_mut().zip(sums.storms) {
            fresh.adopt(saved);
        }
        (fold.silence.cuts, fold.silence.undecided) = sums.silence;
        fold.silence.untold = sums.untold;
        Self {
            books: sums.books,
            connected: sums.connected,
            nodes: sums.nodes,
            out: sums.out,
            cuts: sums.cuts,
            uncounted: sums.uncounted,
            opened_blind: sums.opened_blind,
            timed: sums.timed,
            misplaced: sums.misplaced,
            out_now: sums.out_now,
            ..fold
        }
    }
}

fn adopt(fresh: &mut ScopeSummary, saved: ScopeSummary) {
    let window = fresh.window.clone();
    *fresh = saved;
    fresh.window = window;
}
