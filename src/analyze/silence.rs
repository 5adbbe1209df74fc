//! When nginx cuts tunnels without a line in its access log: it is stopped, or killed, or one of its workers is.
//!
//! Pure. A cut that a client sees by FIN or RST in such a window has no line, unless something else that was done
//! meanwhile cut it. What was done meanwhile leaves the books undecided by as many cuts as it could explain.
//!
//! While the edge link fails, clients hear late of what nginx did, and nginx late of what they did; and it never hears of
//! a client that vanished until that is over. A session that ended unheard of has no line if nginx ends before it hears.

use crate::cause::SessionEnd;
use crate::fault::FaultRecord;
use crate::plan::PlannedFault;
use crate::scenario::{ClientFault, FaultKind, Hold, ProxyFault};

/// How much later than a worker's death the last of its clients may hear of it, and than a link's healing what it held
/// back is through.
const LATE_US: u64 = 1_000_000;

#[derive(Debug, Clone, Copy)]
struct Window {
    from_us: u64,
    to_us: u64,
    /// Another fault was on meanwhile, whose cuts are logged.
    is_shared: bool,
}

/// A stretch in which nginx is not told that a session has ended.
#[derive(Debug, Clone, Copy)]
struct Veil {
    from_us: u64,
    to_us: u64,
    /// Only of clients that vanished.
    is_vanishing: bool,
}

/// The windows of a run, and the cuts in them.
#[derive(Debug, Clone, Default)]
pub(super) struct Silence {
    windows: Vec<Window>,
    veils: Vec<Veil>,
    restarts: Vec<u64>,
    /// Cuts in a window.
    pub(super) cuts: u64,
    /// Those of them that may be logged all the same.
    pub(super) undecided: u64,
    /// Sessions that clients ended, and nginx may have ended before it heard of it: those may have no line.
    pub(super) untold: u64,
}

impl Silence {
    pub(super) fn new(faults: &[PlannedFault], records: &[FaultRecord]) -> Self {
        let mut silence = Self {
            veils: veils(faults, records),
            ..Self::default()
        };
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
            // Behind a link that fails, clients hear of it when that is over.
            let links = silence.veils.iter().filter(|veil| !veil.is_vanishing);
            let late = links.filter(|veil| veil.from_us < to_us && from_us < veil.to_us);
            let to_us = late.map(|veil| veil.to_us).fold(to_us, u64::max);
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
            self.untold += u64::from(self.may_be_untold(at_us, cause));
            return;
        }
        let mut windows = self.windows.iter();
        let hit = windows.find(|window| (window.from_us..window.to_us).contains(&at_us));
        if let Some(window) = hit {
            self.cuts += 1;
            self.undecided += u64::from(window.is_shared);
        }
    }

    /// May nginx have ended before it was told of what a client ended?
    fn may_be_untold(&self, at_us: u64, cause: SessionEnd) -> bool {
        let hidden = self.veils.iter().filter(|veil| {
            (veil.from_us..veil.to_us).contains(&at_us)
                && (!veil.is_vanishing || cause == SessionEnd::LocalVanish)
        });
        let ends = |until_us: u64| {
            let mut windows = self.windows.iter();
            windows.any(|window| window.from_us < until_us && at_us < window.to_us)
        };
        hidden.into_iter().any(|veil| ends(veil.to_us))
    }
}

fn veils(faults: &[PlannedFault], records: &[FaultRecord]) -> Vec<Veil> {
    let mut veils = Vec::new();
    for (fault, record) in faults.iter().zip(records) {
        let is_vanishing = matches!(fault.kind, FaultKind::Client(ClientFault::Vanish { .. }));
        let is_link = fault.kind.hold() == Hold::Edge && !fault.is_moment();
        if let (true, Some(from_us)) = (is_vanishing || is_link, record.began_us) {
            veils.push(Veil {
                from_us,
                to_us: record.ended_us.unwrap_or(u64::MAX).saturating_add(LATE_US),
                is_vanishing,
            });
        }
    }
    veils
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

    const RESTART: &str = "[[faults]]\nkind='restart-proxy'\nat='12s'\nfor='1s'\n";

    #[test]
    fn who_vanished_before_nginx_ended_may_have_no_line() {
        let vanish = "[[faults]]\nkind='vanish'\nshare='10%'\nat='10s'\nfor='5s'\n";
        let mut both = silence(&format!("{vanish}{RESTART}"));
        for (at_us, cause) in [
            (10_000_000, SessionEnd::LocalVanish),
            (10_000_000, SessionEnd::LocalReset),
            (14_000_000, SessionEnd::LocalVanish),
        ] {
            both.cut(at_us, cause);
        }
        assert_eq!((both.untold, both.cuts), (1, 0));
        let mut alone = silence(vanish);
        alone.cut(10_000_000, SessionEnd::LocalVanish);
        assert_eq!(alone.untold, 0);
    }

    #[test]
    fn behind_a_failing_link_clients_hear_late_and_nginx_may_never() {
        let hole = "[[faults]]\nkind='blackhole'\nat='11s'\nfor='5s'\n";
        let mut both = silence(&format!("{hole}{RESTART}"));
        assert_eq!(
            counted(&mut both, &[11.5, 12.5, 16.5, 17.5], SessionEnd::Eof),
            (2, 2)
        );
        for at_us in [10_900_000, 11_500_000, 12_500_000, 17_500_000] {
            both.cut(at_us, SessionEnd::PongTimeout);
        }
        assert_eq!(both.untold, 2);
        let mut moment = silence(&format!(
            "[[faults]]\nkind='reset-link'\nat='12100ms'\n{RESTART}"
        ));
        moment.cut(12_100_000, SessionEnd::PongTimeout);
        assert_eq!(moment.untold, 0);
    }
}
