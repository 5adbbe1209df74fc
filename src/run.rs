//! A run from start to end: brings the topology up, starts the fleet, lets faults happen, watches, stops, heals, and hands the
//! record to analysis.
//!
//! `controller` is the loop in between. Every way out of it leads through the same end: injector healed, fleet stopped,
//! topology down, `end.json` written.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::LocalSet;

use crate::analyze::replay;
use crate::error::Error;
use crate::plan::Plan;
use crate::preflight;
use crate::progress::Progress;
use crate::record::collector::{Collector, Outcome, RunEnd, RunInfo, SCHEMA};
use crate::record::folder::{self, Folder, FolderError};
use crate::report::Report;
use crate::scenario::Override;
use crate::topology::nginx::sizing::Sizing;
use crate::topology::{BundledSpec, ComposeSpec, Relays, Spec, Topology, Up, journal, node_parts};

mod books;
pub mod containers;
mod controller;
mod signals;
mod thinner;

use controller::{Crew, Measured, measure};
use signals::Signals;

/// One run, as the command line asks for it.
#[derive(Debug)]
pub struct Request {
    /// The scenario's file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// What flags and variables change in it.
    pub overrides: Vec<Override>,
    /// The validated plan.
    pub plan: Plan,
    /// Result folder; `None`: a new one under `results`.
    pub out: Option<PathBuf>,
    /// Another nginx.
    pub nginx: Option<PathBuf>,
    /// Leave the containers running at the end.
    pub keep: bool,
    /// Threads of the fleet; `None`: processors less one.
    pub shards: Option<usize>,
    /// Processes of the fleet; `None`: as many as the limit of open files asks for, threads of this one if it allows.
    pub agents: Option<usize>,
    /// No progress.
    pub quiet: bool,
}

/// What is left after a run.
#[derive(Debug)]
pub struct Finished {
    /// The report.
    pub report: Report,
    /// The result folder.
    pub folder: Folder,
    /// The folder did not take everything.
    pub trouble: Option<FolderError>,
}

/// Runs a scenario on this thread, which must be the main one (see [`crate::topology`]).
///
/// # Errors
/// When nothing could be measured: the machine cannot hold it, the topology does not come up, the disk is full.
pub fn run(request: Request) -> Result<Finished, Error> {
    let system = |doing: &str| {
        let doing = doing.to_owned();
        move |source| Error::System { doing, source }
    };
    crate::topology::limits::raise_open_files()
        .map_err(system("raising the limit of open files"))?;
    let agents = preflight_or_refuse(&request)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("starting the runtime"))?;
    let outcome = LocalSet::new().block_on(&runtime, drive(request, agents));
    // A reader of a log may hang; nothing of ours waits for it.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// How many agents the fleet runs in, if not in this process; or why the machine cannot hold the run.
fn preflight_or_refuse(request: &Request) -> Result<Option<usize>, Error> {
    let scenario = &request.plan.scenario;
    let facts = preflight::HostFacts::read();
    let most = scenario.most_tunnels();
    let needed = agents_needed(most, facts.open_files);
    let agents = request.agents.or((needed > 1).then_some(needed));
    let relays = Relays::of(scenario);
    let is_ours_to_size = scenario.topology.compose.is_none();
    let needs = preflight::Needs {
        relays: u32::from(relays.edge) + u32::from(relays.upstream),
        clients: most,
        agents: u32::try_from(agents.unwrap_or(1)).unwrap_or(u32::MAX),
        node_parts: node_parts(most, scenario.topology.nodes, facts.open_files),
        // Containers have limits of their own, which their compose file sets.
        nodes: if is_ours_to_size {
            scenario.topology.nodes
        } else {
            0
        },
        nginx: is_ours_to_size.then(|| {
            Sizing::new(
                &scenario.topology.nginx,
                most,
                facts.open_files,
                processors(),
            )
        }),
    };
    let (fatal, warnings): (Vec<_>, Vec<_>) = preflight::check(&needs, &facts)
        .into_iter()
        .partition(|finding| finding.is_fatal);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    if fatal.is_empty() {
        return Ok(agents);
    }
    let texts: Vec<String> = fatal
        .into_iter()
        .map(|finding| format!("  - {finding}"))
        .collect();
    Err(Error::Preflight(texts.join("\n")))
}

async fn drive(request: Request, agents: Option<usize>) -> Result<Finished, Error> {
    let mut signals = Signals::listen().map_err(|source| Error::System {
        doing: "listening for signals".into(),
        source,
    })?;
    let scenario = &request.plan.scenario;
    let stamp = jiff::Zoned::now();
    refuse_flags(&request)?;
    refuse_path(request.out.as_deref())?;
    let folder = Folder::create(
        request.out.as_deref(),
        &scenario.name,
        &stamp.strftime("%Y%m%d-%H%M%S").to_string(),
    )?;
    folder.write(folder::SCENARIO, request.text.as_bytes())?;
    let progress = Progress::new(request.quiet, scenario.duration);
    clean_up_after_others(&progress).await;
    progress.stage("bringing up nginx and nodes …");
    let exe = std::env::current_exe().map_err(|source| Error::System {
        doing: "finding this program".into(),
        source,
    })?;
    let spec = spec(&request, &folder, &exe);
    let crew = match agents {
        Some(count) => Crew::Agents {
            count,
            exe: exe.clone(),
            scenario: request.text.clone(),
            overrides: overrides(&request),
        },
        None => Crew::Shards(request.shards.unwrap_or_else(default_shards)),
    };
    let shards = crew.members();
    let mut info = run_info(&request, shards, &stamp);
    let topology = match Topology::up_unless(spec, signals.next()).await? {
        Up::Ready(topology) => *topology,
        Up::Interrupted(name) => {
            progress.finish();
            return interrupted_early(name, &request.plan, info, folder, shards);
        }
    };
    info.nginx = topology.describe();
    folder.write_json(folder::RUN, &info)?;
    let plan = Rc::new(request.plan);
    let topology = Rc::new(topology);
    let measured = measure(
        &plan,
        &folder,
        &topology,
        &progress,
        &mut signals,
        crew,
        &exe,
    )
    .await;
    progress.stage("taking nginx and nodes down …");
    let ended = books::close(&plan, &topology, measured, &folder).await;
    progress.finish();
    conclude(&plan, info, folder, ended?)
}

/// What to bring up.
fn spec(request: &Request, folder: &Folder, exe: &Path) -> Spec {
    let scenario = &request.plan.scenario;
    let (topology, traffic) = (scenario.topology.clone(), scenario.traffic.clone());
    let (heartbeat, most_clients) = (scenario.heartbeat.clone(), scenario.most_tunnels());
    let (results, wssoak_exe) = (folder.path().to_owned(), exe.to_owned());
    match topology.compose.clone() {
        None => Spec::Bundled(BundledSpec {
            topology,
            traffic,
            heartbeat,
            most_clients,
            results,
            nginx_override: request.nginx.clone(),
            wssoak_exe,
            relays: Relays::of(scenario),
        }),
        Some(services) => Spec::Compose(ComposeSpec {
            topology,
            services,
            traffic,
            heartbeat,
            most_clients,
            results,
            keep: request.keep,
            wssoak_exe,
            relays: Relays::of(scenario),
        }),
    }
}

/// Flags of one topology are refused on the other, not left without effect.
fn refuse_flags(request: &Request) -> Result<(), Error> {
    let is_compose = request.plan.scenario.topology.compose.is_some();
    let refuse = |text: &str| Err(Error::Usage(text.into()));
    match (is_compose, &request.nginx, request.keep) {
        (true, Some(_), _) => refuse(
            "--nginx names a program, and a compose topology runs an image: set WSSOAK_NGINX_IMAGE, or change the compose file",
        ),
        (false, _, true) => refuse(
            "--keep leaves containers running, and this run has none; add --topology compose",
        ),
        _ => Ok(()),
    }
}

/// Undoes what runs of this user have left whose harness was killed together with its warden.
async fn clean_up_after_others(progress: &Progress) {
    let (runs, failed) = journal::clean().await;
    if runs > 0 {
        progress.say(&format!("removed what {runs} earlier runs had left behind"));
    }
    for error in failed {
        // Their leftovers are no reason not to run.
        tracing::warn!(
            "cleaning up after an earlier run: {}",
            crate::error::chain(&error)
        );
    }
}

/// nginx knows no way to write some characters in a path of its configuration.
fn refuse_path(out: Option<&Path>) -> Result<(), Error> {
    let path = std::path::absolute(out.unwrap_or(Path::new("results"))).map_err(|source| {
        Error::System {
            doing: "finding the result folder".into(),
            source,
        }
    })?;
    match path.to_str() {
        Some(text) if !text.contains(['$', '\n', '"', '\\']) => Ok(()),
        _ => Err(Error::Usage(format!(
            "{}: nginx cannot write logs to a path with `$`, quotes, a backslash, a line break or bytes that are no UTF-8; name \
             another folder with --out",
            path.display()
        ))),
    }
}

/// A signal came while nginx and nodes were coming up, and they are gone again. There is a report all the same, so that
/// whoever looks into the folder knows.
fn interrupted_early(
    name: &str,
    plan: &Plan,
    info: RunInfo,
    folder: Folder,
    shards: usize,
) -> Result<Finished, Error> {
    folder.write_json(folder::RUN, &info)?;
    folder.append(folder::FAULTS)?;
    let measured = Measured {
        outcome: Outcome::Interrupted(format!("{name} before the first attempt")),
        measured_us: 0,
        collector: Collector::create(&folder, shards)?,
        hurry: true,
        notes: Vec::new(),
    };
    conclude(plan, info, folder, run_end(measured, false))
}

/// Writes how the run ended, reads the record back and judges it. A disk that takes no more does not cost the report.
fn conclude(plan: &Plan, info: RunInfo, folder: Folder, end: RunEnd) -> Result<Finished, Error> {
    let ended = folder.write_json(folder::END, &end);
    let summary = replay(&folder, plan, Some(end))?;
    let mut report = Report::new(plan, info, &summary);
    report.containers = containers::peaks(&folder);
    let trouble = ended
        .and_then(|()| folder.write_json(folder::RESULT, &report))
        .err();
    Ok(Finished {
        report,
        folder,
        trouble,
    })
}

/// What flags and variables changed, in the form that is kept.
fn overrides(request: &Request) -> Vec<[String; 3]> {
    let changes = request.overrides.iter();
    changes
        .map(|change| {
            [
                change.key.clone(),
                change.value.clone(),
                change.origin.clone(),
            ]
        })
        .collect()
}

fn processors() -> u32 {
    std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1))
}

/// Files that a process of the fleet opens beside its clients' sockets.
const AGENT_FILES: u64 = 200;

/// Processes that `clients` clients need when each may open `limit` files.
fn agents_needed(clients: u32, limit: u64) -> usize {
    let room = limit.saturating_sub(AGENT_FILES).max(64);
    usize::try_from(u64::from(clients).div_ceil(room))
        .unwrap_or(usize::MAX)
        .max(1)
}

/// One processor is left for the controller, nginx and the nodes.
fn default_shards() -> usize {
    processors().saturating_sub(1).max(1) as usize
}

/// The machine in one line.
fn machine() -> String {
    let facts = preflight::HostFacts::read();
    let kernel = rustix::system::uname();
    format!(
        "{} processors, {} GiB memory free, {} {}, {} open files a process",
        processors(),
        facts
            .memory
            .map_or_else(|| "?".into(), |bytes| (bytes >> 30).to_string()),
        kernel.sysname().to_string_lossy(),
        kernel.release().to_string_lossy(),
        facts.open_files,
    )
}

fn run_info(request: &Request, shards: usize, stamp: &jiff::Zoned) -> RunInfo {
    RunInfo {
        schema: SCHEMA,
        wssoak: env!("CARGO_PKG_VERSION").into(),
        started: stamp.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
        scenario: request.path.display().to_string(),
        overrides: overrides(request),
        seed: request.plan.scenario.seed,
        nginx: "nginx did not come up".into(),
        machine: machine(),
        shards,
    }
}

/// Makes `end.json` of what is left.
fn run_end(measured: Measured, drained: bool) -> RunEnd {
    RunEnd {
        outcome: measured.outcome,
        measured_us: measured.measured_us,
        drained,
        health: measured.collector.health(),
        nodes: Vec::new(),
        proxy: Default::default(),
        examples: measured.collector.examples().to_vec(),
        notes: measured.notes,
    }
}
