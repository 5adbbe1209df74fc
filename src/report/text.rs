//! The report for a terminal: verdict and objectives first, then a table per storm, then causes, books and health.

use std::fmt::Write;
use std::time::Duration;

use super::schema::{Report, ReturnedReport, StormReport};
use crate::cause::SessionEnd;
use crate::scenario::Measure;
use crate::scenario::measure::{Latency, MessageCount, Quantile, SessionCount};
use crate::units::{show_count, show_duration, show_share};
use crate::verdict::{Held, Verdict};

/// The whole summary, without colour.
pub fn summary(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_summary(&mut text, report);
    text
}

/// The verdict in one line, for `--quiet`.
pub fn verdict_line(report: &Report) -> String {
    let objectives = &report.judgement.objectives;
    let held = objectives
        .iter()
        .filter(|judged| judged.held == Held::Yes)
        .count();
    let objectives = match objectives.len() {
        0 => "no objectives stated".into(),
        all => format!("{held} of {all} objectives held"),
    };
    let why = report
        .judgement
        .reasons
        .first()
        .and_then(|reason| reason.lines().next())
        .map_or(String::new(), |reason| format!(": {reason}"));
    format!(
        "{}  {} ({objectives}){why}",
        verdict_word(report.judgement.verdict),
        report.scenario
    )
}

const fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Interrupted => "INTERRUPTED",
    }
}

fn write_summary(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out, "{}", verdict_line(report))?;
    for (index, reason) in report.judgement.reasons.iter().enumerate() {
        // The first one stands in the line above, as far as that goes.
        if index > 0 || reason.lines().count() > 1 {
            writeln!(out, "  ! {}", reason.replace('\n', "\n    "))?;
        }
    }
    for judged in &report.judgement.objectives {
        let mark = match judged.held {
            Held::Yes => "✓",
            Held::No => "✗",
            Held::NoData => "?",
        };
        writeln!(out, "  {mark} {:<50} {}", judged.objective, judged.shown)?;
    }
    writeln!(out)?;
    write_run(out, report)?;
    for storm in &report.storms {
        write_storm(out, storm, report.proxy_read_timeout_s)?;
    }
    write_causes(out, report)?;
    write_containers(out, report)?;
    write_books(out, report)
}

fn write_run(out: &mut String, report: &Report) -> std::fmt::Result {
    let run = &report.run;
    writeln!(
        out,
        "run  {} clients, {} measured, seed {}, {}",
        show_count(report.clients.into()),
        show_duration(Duration::from_secs_f64(report.measured_s.max(0.0))),
        report.info.seed,
        report.info.nginx,
    )?;
    writeln!(
        out,
        "  handshakes    {} attempts, {} succeeded; {}",
        run.show(Measure::HandshakeAttempts),
        run.show(Measure::HandshakeSuccess),
        quantiles(report, Latency::Handshake),
    )?;
    writeln!(out, "  round trips   {}", quantiles(report, Latency::Rtt))?;
    writeln!(
        out,
        "  messages      {} sent, {} echoed, {} lost, {} duplicated, {} missed while away; {} pushed by nodes",
        run.show(Measure::Messages(MessageCount::Sent)),
        run.show(Measure::Messages(MessageCount::Echoed)),
        run.show(Measure::Messages(MessageCount::Lost)),
        run.show(Measure::Messages(MessageCount::Duplicated)),
        run.show(Measure::Messages(MessageCount::Missed)),
        run.show(Measure::Messages(MessageCount::Pushed)),
    )?;
    writeln!(
        out,
        "  sessions      {} opened, {} disconnects, {} resumed, {} lost",
        run.show(Measure::Sessions(SessionCount::Opened)),
        run.show(Measure::Disconnects(None)),
        run.show(Measure::Sessions(SessionCount::Resumed)),
        run.show(Measure::Sessions(SessionCount::Lost)),
    )?;
    writeln!(
        out,
        "  availability  {}; nodes balanced {} (most ÷ mean sessions, at the end)",
        run.show(Measure::Availability),
        run.show(Measure::Balance),
    )
}

fn quantiles(report: &Report, latency: Latency) -> String {
    let time = |quantile| report.run.time(latency, quantile);
    format!(
        "p50 {}  p90 {}  p99 {}  max {}",
        time(Quantile::P50),
        time(Quantile::P90),
        time(Quantile::P99),
        time(Quantile::Max)
    )
}

fn write_storm(out: &mut String, storm: &StormReport, idle_timeout_s: f64) -> std::fmt::Result {
    let fault = &storm.fault;
    let at = |us: Option<u64>| {
        us.map_or_else(
            || "never".into(),
            |us| show_duration(Duration::from_micros(us)),
        )
    };
    writeln!(out)?;
    writeln!(out, "storm  {} ({})", fault.name, fault.kind)?;
    writeln!(
        out,
        "  fault         began at {} (planned {}), over at {} (planned {}{})",
        at(fault.began_us),
        at(Some(fault.planned_begin_us)),
        at(fault.ended_us),
        at(Some(fault.planned_end_us)),
        if fault
            .ended_us
            .is_some_and(|us| us + 100_000 < fault.planned_end_us)
        {
            "; cut short"
        } else {
            ""
        },
    )?;
    if !fault.observed.is_empty() {
        writeln!(out, "                {}", fault.observed)?;
    }
    let Some(before) = storm.connected_before else {
        return writeln!(out, "  nothing was recorded after it");
    };
    writeln!(
        out,
        "  cut           {} of {} clients ({}){}",
        show_count(storm.clients_cut),
        show_count(before),
        storm.part.show(Measure::DisconnectShare),
        listed(&storm.cut, "; ", |name| SessionEnd::from_name(name)
            .map_or("", SessionEnd::meaning)),
    )?;
    if storm.idle_timeouts > 0 {
        writeln!(
            out,
            "  idle timeout  {} were cut after as much silence as proxy_read_timeout allows ({}): nginx's idle timeout",
            show_count(storm.idle_timeouts),
            show_duration(Duration::from_secs_f64(idle_timeout_s.max(0.0))),
        )?;
    }
    if storm.clients_cut > 0 {
        writeln!(out, "  cut by node   {}", per_node(&storm.cut_by_node))?;
        write_storm_times(out, storm)?;
    }
    writeln!(
        out,
        "  sessions      before {}; after {}",
        per_node(&storm.nodes_before),
        per_node(&storm.nodes_after)
    )?;
    if let Some(returned) = &storm.returned {
        write_returned(out, returned, storm.nodes_before.len())?;
    }
    Ok(())
}

/// What a node that was away got of the new sessions, beside what it should have got.
fn write_returned(out: &mut String, returned: &ReturnedReport, nodes: usize) -> std::fmt::Result {
    let (got, all) = (returned.opened_on_it, returned.opened_since);
    write!(out, "  {} returned   ", returned.node)?;
    if all == 0 {
        write!(out, "no session was opened since it was back")?;
    } else {
        write!(
            out,
            "got {} of the {} sessions opened since it was back ({}), a fair share is {}",
            show_count(got),
            show_count(all),
            show_share(got as f64 / all as f64),
            show_count(all / nodes.max(1) as u64),
        )?;
    }
    let starves = got * 2 < all / nodes.max(1) as u64;
    writeln!(out, "{}", if starves { ": it starves" } else { "" })?;
    if starves {
        writeln!(
            out,
            "                nginx gives a node that failed one connection per fail_timeout until one of them ends, and \
             WebSockets do not end (max_fails = 0 avoids it)"
        )?;
    }
    writeln!(
        out,
        "                it held {} sessions before and holds {} at the end",
        show_count(returned.held_before),
        show_count(returned.held_at_end),
    )
}

fn write_storm_times(out: &mut String, storm: &StormReport) -> std::fmt::Result {
    let part = &storm.part;
    let row = |latency| {
        format!(
            "p50 {}  p90 {}  p99 {}  max {}",
            part.time(latency, Quantile::P50),
            part.time(latency, Quantile::P90),
            part.time(latency, Quantile::P99),
            part.time(latency, Quantile::Max)
        )
    };
    writeln!(out, "  detection     {}", row(Latency::Detection))?;
    writeln!(
        out,
        "  silence       {}  (last byte → cut)",
        row(Latency::Silence)
    )?;
    writeln!(out, "  outage        {}", row(Latency::Outage))?;
    writeln!(
        out,
        "  recovery      ≥ 99 % connected: {}; fewest connected {}; {} never back",
        match part.get(Measure::FleetRecovery) {
            Some(crate::analyze::Value::Number(_)) =>
                format!("after {}", part.show(Measure::FleetRecovery)),
            _ => "not within the window".into(),
        },
        show_count(storm.fewest_connected),
        part.show(Measure::NeverRecovered),
    )?;
    writeln!(
        out,
        "  attempts      peak {} (100 ms bins), amplification {} attempts per disconnect, {} succeeded{}",
        part.show(Measure::PeakAttemptRate),
        part.show(Measure::Amplification),
        part.show(Measure::HandshakeSuccess),
        listed(&storm.failures, "; failed: ", |_| ""),
    )?;
    writeln!(
        out,
        "  cost          {} messages lost, {} missed; {} sessions resumed, {} lost",
        part.show(Measure::Messages(MessageCount::Lost)),
        part.show(Measure::Messages(MessageCount::Missed)),
        part.show(Measure::Sessions(SessionCount::Resumed)),
        part.show(Measure::Sessions(SessionCount::Lost)),
    )
}

fn listed(
    counts: &std::collections::BTreeMap<String, u64>,
    lead: &str,
    meaning: fn(&str) -> &'static str,
) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let items: Vec<String> = counts
        .iter()
        .map(|(name, count)| match meaning(name) {
            "" => format!("{} {name}", show_count(*count)),
            meaning => format!("{} {name} ({meaning})", show_count(*count)),
        })
        .collect();
    format!("{lead}{}", items.join(", "))
}

fn per_node(counts: &std::collections::BTreeMap<String, u64>) -> String {
    let items: Vec<String> = counts
        .iter()
        .map(|(name, count)| format!("{name} {}", show_count(*count)))
        .collect();
    items.join("  ")
}

fn write_causes(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out)?;
    writeln!(out, "causes")?;
    for (name, count) in &report.ends {
        let meaning = SessionEnd::from_name(name).map_or("", SessionEnd::meaning);
        writeln!(
            out,
            "  session end     {name:<16} {:>9}  {meaning}",
            show_count(*count)
        )?;
    }
    for (name, count) in &report.failures {
        writeln!(
            out,
            "  failed attempt  {name:<16} {:>9}",
            show_count(*count)
        )?;
    }
    for (name, text) in &report.examples {
        writeln!(out, "  for example     {name:<16} {text}")?;
    }
    Ok(())
}

fn write_containers(out: &mut String, report: &Report) -> std::fmt::Result {
    if report.containers.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    writeln!(out, "containers  the most at any second")?;
    for (name, peak) in &report.containers {
        let count = |count: Option<u64>| count.map_or_else(|| "–".into(), show_count);
        writeln!(
            out,
            "  {name:<13} cpu {} of one processor, memory {:.0} MiB, {} files; {} connections turned away by a full accept queue",
            show_share(peak.cpu),
            peak.memory_bytes as f64 / 1_048_576.0,
            count(peak.open_files),
            count(peak.listen_overflows),
        )?;
    }
    Ok(())
}

fn write_books(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(out)?;
    let balanced = report
        .books
        .iter()
        .all(crate::analyze::books::Entry::balances);
    writeln!(
        out,
        "books  {}",
        if balanced { "balanced" } else { "NOT balanced" }
    )?;
    for entry in &report.books {
        writeln!(out, "  {}", entry.sentence())?;
    }
    if let Some(health) = &report.generator {
        let time = |us: Option<u64>| {
            us.map_or_else(|| "–".into(), |us| show_duration(Duration::from_micros(us)))
        };
        let share = health.cpu_ms as f64 / 1000.0 / report.measured_s.max(1.0);
        writeln!(
            out,
            "generator  lag p99 {}, attempts {} late and messages {} late at p99, cpu {} of one processor, memory {:.0} MiB, {} files",
            time(health.lag_p99_us),
            time(health.attempt_lateness_p99_us),
            time(health.message_lateness_p99_us),
            show_share(share),
            health.rss_max_bytes as f64 / 1_048_576.0,
            show_count(health.open_files_max),
        )?;
    }
    for note in &report.notes {
        writeln!(out, "note  {note}")?;
    }
    Ok(())
}
