//! The command line: parses it, does what it says, prints, and returns the exit code. `args` says what can be said.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::client::agent;
use crate::error::{Error, INTERNAL, chain, verdict_code};
use crate::node::{self, NodeOptions, Ping, Push};
use crate::plan::{Plan, show};
use crate::record::collector::{RunInfo, SCHEMA};
use crate::record::folder::{self, Folder};
use crate::relay::{self, RelayOptions};
use crate::report::{Report, text};
use crate::run::{self, Request};
use crate::scenario::{self, Override};
use crate::topology::{http, journal, tether, warden};
use crate::{units, wire};

mod args;

use args::{Cli, Command, NodeArgs, RunArgs};

/// Time for a node to say that it is healthy.
const HEALTHY_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Parses the command line, does what it says, and returns the exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Also the way of --help and --version; clap knows where each belongs. A closed pipe is no failure.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    explain(cli.verbose);
    // The panic has printed itself; what is left is to say whose fault it is.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(cli.command)));
    match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            complain(&chain(&error));
            error.exit_code()
        }
        Err(_) => {
            complain("this is a defect of wssoak; please report it with the lines above");
            INTERNAL
        }
    }
}

fn complain(text: &str) {
    let _ = writeln!(
        std::io::stderr(),
        "error: {}",
        text.trim_start_matches("error: ")
    );
}

/// Prints to stdout. A reader that has gone is no failure; a disk that is full is one.
fn say(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let said = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(end.as_bytes()))
        .and_then(|()| out.flush());
    match said {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::System {
            doing: "writing to stdout".into(),
            source: error,
        }),
        _ => Ok(()),
    }
}

fn explain(verbose: u8) {
    let level = match verbose {
        0 => "wssoak=warn",
        1 => "wssoak=info",
        _ => "wssoak=debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("WSSOAK_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let colour = std::env::var_os("NO_COLOR").is_none()
        && std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Set once per process; a second call can only come from a test and may lose.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init();
}

fn dispatch(command: Command) -> Result<u8, Error> {
    let system = |doing: &str| {
        let doing = doing.to_owned();
        move |source| Error::System { doing, source }
    };
    match command {
        Command::Run(args) => run_scenario(args),
        Command::Validate { files, overrides } => validate(&files, &overrides.collect()?),
        Command::Plan {
            file,
            json,
            overrides,
        } => {
            let (_, plan) = load(&file, &overrides.collect()?)?;
            say(&if json {
                format!("{:#}", show::json(&plan))
            } else {
                show::human(&plan)
            })?;
            Ok(0)
        }
        Command::Report { folder, quiet } => report(&folder, quiet),
        Command::Node(args) => run_node(args),
        Command::Agent { parent } => agent::run(parent).map(|()| 0).map_err(system("agent")),
        Command::Relay(args) => {
            let options = RelayOptions {
                listen: args.listen,
                to: args.to,
                seed: args.seed,
                is_shared: args.shared,
            };
            relay::run(options, args.parent)
                .map(|()| 0)
                .map_err(system("relay"))
        }
        Command::Thin { folder, access_log } => thin(&folder, &access_log),
        Command::Clean => clean(),
        Command::Healthy { node } => healthy(node),
        Command::Warden {
            scratch,
            parent,
            journal,
        } => warden::run(&scratch, parent, journal.as_deref())
            .map(|()| 0)
            .map_err(system("warden")),
        Command::Tether { parent, command } => match tether::run(parent, &command) {
            Ok(never) => match never {},
            Err(source) => Err(Error::System {
                doing: "tether".into(),
                source,
            }),
        },
    }
}

fn load(path: &Path, overrides: &[Override]) -> Result<(String, Plan), Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let scenario = scenario::load(path, &text, overrides).map_err(Error::Scenario)?;
    Ok((text, Plan::new(scenario)))
}

/// Checks every file and prints the problems of all of them.
fn validate(files: &[PathBuf], overrides: &[Override]) -> Result<u8, Error> {
    let mut worst = 0;
    for file in files {
        match load(file, overrides) {
            Ok((_, plan)) => say(&format!(
                "{}: ok ({} clients, {} faults, {} objectives, {})",
                file.display(),
                units::show_count(plan.scenario.most_clients().into()),
                plan.faults.len(),
                plan.scenario.objectives.len(),
                units::show_duration(plan.scenario.duration),
            ))?,
            Err(error) => {
                complain(&chain(&error));
                worst = worst.max(error.exit_code());
            }
        }
    }
    Ok(worst)
}

fn run_scenario(args: RunArgs) -> Result<u8, Error> {
    let overrides = args.overrides.collect()?;
    let (text, plan) = load(&args.file, &overrides)?;
    let finished = run::run(Request {
        path: args.file,
        text,
        overrides,
        plan,
        out: args.out,
        nginx: args.nginx,
        keep: args.keep,
        shards: args.shards.map(usize::from),
        agents: args.agents.map(usize::from),
        quiet: args.quiet,
    })?;
    let folder = finished.folder.path().display();
    say(&if args.quiet {
        text::verdict_line(&finished.report)
    } else {
        format!("{}results  {folder}", text::summary(&finished.report))
    })?;
    match finished.trouble {
        Some(trouble) => Err(trouble.into()),
        None => Ok(verdict_code(finished.report.judgement.verdict)),
    }
}

/// What a result folder says of the run it is of.
fn recorded(folder: &Folder) -> Result<(RunInfo, Plan), Error> {
    let text = folder.read(folder::SCENARIO)?;
    let Some(info) = folder.read_json::<RunInfo>(folder::RUN)? else {
        return Err(Error::Usage(format!(
            "{}: the run ended before anything was measured; there is nothing to report",
            folder.path().display()
        )));
    };
    if info.schema > SCHEMA {
        return Err(Error::Usage(format!(
            "{}: written by wssoak {}, which is newer than this one; use that",
            folder.path().display(),
            info.wssoak
        )));
    }
    let overrides: Vec<Override> = info.overrides.iter().map(Override::from).collect();
    let scenario =
        scenario::load(Path::new(&info.scenario), &text, &overrides).map_err(Error::Scenario)?;
    Ok((info, Plan::new(scenario)))
}

fn thin(folder: &Path, access_log: &Path) -> Result<u8, Error> {
    // What is measured beside it comes first; where the system refuses, nothing is lost.
    let _ = rustix::process::nice(19);
    let folder = Folder::open(folder);
    let (_, plan) = recorded(&folder)?;
    crate::analyze::thin::thin(&folder, &plan, access_log)?;
    Ok(0)
}

fn report(path: &Path, quiet: bool) -> Result<u8, Error> {
    let folder = Folder::open(path);
    let (info, plan) = recorded(&folder)?;
    let end = folder.read_json(folder::END)?;
    let mut report = Report::new(&plan, info, &crate::analyze::replay(&folder, &plan, end)?);
    report.containers = run::containers::peaks(&folder);
    if let Err(error) = folder.write_json(folder::RESULT, &report) {
        tracing::warn!("{error}");
    }
    say(&if quiet {
        text::verdict_line(&report)
    } else {
        format!("{}results  {}", text::summary(&report), path.display())
    })?;
    Ok(verdict_code(report.judgement.verdict))
}

/// A runtime for a few questions.
fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    built.map_err(|source| Error::System {
        doing: "starting the runtime".into(),
        source,
    })
}

fn clean() -> Result<u8, Error> {
    let (runs, failed) = runtime()?.block_on(journal::clean());
    for error in &failed {
        complain(&chain(error));
    }
    say(&match runs {
        0 => "nothing was left behind".to_owned(),
        runs => format!("removed what {runs} runs had left behind"),
    })?;
    Ok(if failed.is_empty() { 0 } else { 4 })
}

fn healthy(node: std::net::SocketAddr) -> Result<u8, Error> {
    let ask = http::request(node, "GET", wire::HEALTH_PATH, "", HEALTHY_WITHIN);
    let answer = runtime()?.block_on(ask);
    Ok(u8::from(!answer.is_ok_and(|answer| answer.status == 200)))
}

fn run_node(args: NodeArgs) -> Result<u8, Error> {
    let options = NodeOptions {
        name: args.name,
        listen: args.listen,
        ledger: args.ledger,
        parent: args.parent,
        push: args.push_interval.map(|interval| Push {
            interval,
            size: args.push_size,
        }),
        ping: args.ping_interval.map(|interval| Ping {
            interval,
            pong_timeout: args.pong_timeout,
        }),
        session_ttl: args.session_ttl,
    };
    node::run(options)
        .map(|()| 0)
        .map_err(|error| Error::System {
            doing: "node".into(),
            source: std::io::Error::other(chain(&error)),
        })
}
