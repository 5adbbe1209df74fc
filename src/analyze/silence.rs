//! When nginx cuts tunnels without a line in its access log: it is stopped, or killed, or one of its workers is.
//!
//! Pure. A cut that a client sees by FIN or RST in such a window has no line, unless something else that was done
//! meanwhile cut it. What was done meanwhile leaves the books undecided by as many cuts as it could explain.

use crate::cause::SessionEnd;
use crate::fault::FaultRecord;
use crate::plan::PlannedFault;
use crate::scenario::{FaultKind, ProxyFault};

/// How much later than a worker's death the last of its clients may hear of it.
const LATE_US: u64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
struct Window {
    from_us: u64,
    to_us: u64,
    /// Another fault was on meanwhile, whose cuts are logged.
    is_shared: bool,
}

/// The windows of a run, and the cuts in them.
#[derive(Debug, Clone, Default)]
pub(super) struct Silence {
    windows: Vec<Window>,
    restarts: Vec<u64>,
    /// Cuts in a window.
    pub(super) cuts: u64,
    /// Those of them that may be logged all the same.
    pub(super) undecided: u64,
}

impl Silence {
    pub(super) fn new(faults: &[PlannedFault], records: &[FaultRecord]) -> Self {
        let mut silence = Self::default();
        for (fault, record) in faults.iter().zip(records) {
            let (FaultKind::Proxy(kind), Some(began_us)) = (&fault.kind, record.began_us) else {
                continue;
            };
            let ended_us = record.ended_us.unwrap_or(u64::MAX);
            let window = match kind {
                ProxyFault::Restart | ProxyFault::Kill => Some((began_us, ended_us)),
                // Until what lingers is killed it logs as ever.
                ProxyFault::Quit => Some((record.healing_us.unwrap_or(u64::MAX), ended_us)),
                ProxyFault::KillWorker => Some((began_us, ended_us.saturating_add(LATE_US))),
                ProxyFault::Reload
                | ProxyFault::PauseWorker
                | ProxyFault::Reconfigure(_)
                | ProxyFault::ExhaustConnections { .. } => None,
            };
            let Some((from_us, to_us)) = window else {
                continue;
            };
            let is_shared = records
                .iter()
                .filter(|other| other.id != record.id)
                .any(|other| other.was_on(from_us, to_us));
            silence.windows.push(Window {
                from_us,
                to_us,
                is_shared,
            });
            if !matches!(kind, ProxyFault::KillWorker) {
                silence.restarts.push(began_us);
            }
        }
        silence
    }

    /// When the counters of nginx began anew: a moment before each, they were read for the last time.
    pub(super) fn restarts(&self) -> &[u64] {
        &self.restarts
    }

    /// Takes a cut.
    pub(super) fn cut(&mut self, at_us: u64, cause: SessionEnd) {
        if !matches!(cause, SessionEnd::Eof | SessionEnd::Reset) {
            return;
        }
        let mut windows = self.windows.iter();
        let hit = windows.find(|window| (window.from_us..window.to_us).contains(&at_us));
        if let Some(window) = hit {
            self.cuts += 1;
            self.undecided += u64::from(window.is_shared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use std::path::Path;

    /// Faults of a 60 s run, each made, seen and healed 10 ms after its planned times.
    fn silence(faults: &str) -> Silence {
        let text = format!("duration = '60s'\n[clients]\ncount = 10\n{faults}");
        let plan = Plan::new(crate::scenario::load(Path::new("x.toml"), &text, &[]).unwrap());
        let records: Vec<FaultRecord> = (0u16..)
            .map(crate::plan::OccurrenceId)
            .zip(&plan.faults)
            .map(|(id, fault)| {
                let planned = FaultRecord::planned(id, fault);
                FaultRecord {
                    began_us: Some(planned.planned_begin_us),
                    confirmed_us: Some(planned.planned_begin_us + 10_000),
                    healing_us: Some(planned.planned_end_us),
                    ended_us: Some(planned.planned_end_us + 10_000),
                    ..planned
                }
            })
            .collect();
        Silence::new(&plan.faults, &records)
    }

    /// How many of cuts at these seconds are silent, and undecided.
    fn counted(silence: &mut Silence, seconds: &[f64], cause: SessionEnd) -> (u64, u64) {
        for at in seconds {
            silence.cut((at * 1e6) as u64, cause);
        }
        (silence.cuts, silence.undecided)
    }

    #[test]
    fn each_proxy_fault_is_silent_while_it_cuts() {
        let fault = |kind: &str| format!("[[faults]]\nkind='{kind}'\nat='10s'\n");
        let seconds = [9.9, 10.001, 10.5, 12.005, 14.0];
        for (kind, lasts, cuts, restarts) in [
            ("restart-proxy", "for='2s'", 3, 1),
            ("kill-proxy", "for='2s'", 3, 1),
            ("quit-proxy", "for='2s'", 1, 1),
            ("kill-worker", "", 2, 0),
            ("reload-proxy", "", 0, 0),
            ("pause-worker", "for='2s'", 0, 0),
        ] {
            let mut silence = silence(&(fault(kind) + lasts));
            let counted = counted(&mut silence, &seconds, SessionEnd::Eof);
            assert_eq!(
                (counted, silence.restarts().len()),
                ((cuts, 0), restarts),
                "{kind}"
            );
        }
    }

    #[test]
    fn what_another_fault_may_have_cut_is_undecided() {
        let mut silence = silence(
            "[[faults]]\nkind='kill-worker'\nat='10s'\n\
             [[faults]]\nkind='kill-node'\ntarget='n1'\nat='9s'\nfor='5s'\n\
             [[faults]]\nkind='kill-worker'\nat='20s'\n",
        );
        assert_eq!(
            counted(&mut silence, &[10.1, 20.1, 20.2], SessionEnd::Reset),
            (3, 1)
        );
    }

    #[test]
    fn a_close_frame_is_no_silent_cut() {
        let mut silence = silence("[[faults]]\nkind='kill-worker'\nat='10s'\n");
        assert_eq!(
            counted(&mut silence, &[10.1], SessionEnd::Close1001),
            (0, 0)
        );
    }
}
