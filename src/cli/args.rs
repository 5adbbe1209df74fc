//! What can be said on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::error::Error;
use crate::scenario::Override;
use crate::units;

const EXIT_CODES: &str = "Exit codes: 0 pass, 1 objective failed, 2 bad usage or scenario, 3 inconclusive, \
4 environment, 5 internal error, 130 interrupted.";

/// Chaos and soak harness for WebSocket services behind reverse proxies.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES, propagate_version = true)]
pub(super) struct Cli {
    /// Explain on stderr what the harness does; twice for more.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario and judge it.
    #[command(
        after_help = "Example: wssoak run scenarios/idle.toml --clients 8000 --set topology.nginx.max_fails=0"
    )]
    Run(RunArgs),
    /// Check scenario files without starting anything.
    #[command(after_help = "Example: wssoak validate scenarios/*.toml")]
    Validate {
        /// Scenario files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        overrides: OverrideArgs,
    },
    /// Print the resolved timeline of a scenario with every default, without starting anything.
    #[command(after_help = "Example: wssoak plan scenarios/node-kill.toml --clients 8000")]
    Plan {
        /// A scenario file.
        file: PathBuf,
        /// As JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        overrides: OverrideArgs,
    },
    /// Judge and print an old run again, from its result folder.
    #[command(after_help = "Example: wssoak report results/idle-20261121-120000")]
    Report {
        /// A result folder.
        folder: PathBuf,
        /// Only the verdict line.
        #[arg(short, long)]
        quiet: bool,
    },
    /// The reference WebSocket node that runs are made against.
    #[command(after_help = "Example: wssoak node --name n1 --listen 127.0.0.1:9001")]
    Node(NodeArgs),
    /// A share of the fleet, ordered about over stdin; started by `run`.
    #[command(hide = true)]
    Agent {
        #[arg(long)]
        parent: u32,
    },
    /// Stands in the way of TCP, ordered about over stdin; started by `run`.
    #[command(hide = true)]
    Relay(RelayArgs),
    /// Remove what runs left behind whose harness was killed, by their journals.
    #[command(after_help = "Example: wssoak clean")]
    Clean,
    /// Is a node healthy? For health checks of containers.
    #[command(hide = true)]
    Healthy { node: SocketAddr },
    /// Cleans up after a run, however it ends; started by `run`.
    #[command(hide = true)]
    Warden {
        #[arg(long)]
        scratch: PathBuf,
        /// Process id of the harness.
        #[arg(long)]
        parent: u32,
        /// The journal of what else is to be undone.
        #[arg(long)]
        journal: Option<PathBuf>,
    },
    /// Thins the part of a run's record that was put aside; started by `run`.
    #[command(hide = true)]
    Thin {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        access_log: PathBuf,
    },
    /// Becomes a command that dies with its parent; used by `run`.
    #[command(hide = true)]
    Tether {
        #[arg(long)]
        parent: u32,
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
pub(super) struct RelayArgs {
    #[arg(long)]
    pub(super) listen: SocketAddr,
    #[arg(long)]
    pub(super) to: SocketAddr,
    #[arg(long)]
    pub(super) parent: u32,
    #[arg(long)]
    pub(super) seed: u64,
    #[arg(long)]
    pub(super) shared: bool,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// A scenario file.
    pub(super) file: PathBuf,
    /// Result folder: new or empty [default: results/SCENARIO-TIME].
    #[arg(long, env = "WSSOAK_OUT")]
    pub(super) out: Option<PathBuf>,
    /// Another nginx than the one inside.
    #[arg(long, env = "WSSOAK_NGINX")]
    pub(super) nginx: Option<PathBuf>,
    /// Threads of the fleet [default: processors less one].
    #[arg(long, env = "WSSOAK_SHARDS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) shards: Option<u16>,
    /// Leave the containers of a compose topology running.
    #[arg(long)]
    pub(super) keep: bool,
    /// Processes of the fleet [default: as many as the limit of open files asks for].
    #[arg(long, env = "WSSOAK_AGENTS", value_parser = clap::value_parser!(u16).range(1..=256), conflicts_with = "shards")]
    pub(super) agents: Option<u16>,
    /// No progress, and only the verdict line.
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) overrides: OverrideArgs,
}

#[derive(Debug, Args)]
pub(super) struct OverrideArgs {
    /// Number of clients (`clients.count`), such as 8000 or 10k.
    #[arg(long, value_name = "N")]
    pub(super) clients: Option<String>,
    /// Seed of everything random (`seed`).
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<String>,
    /// Length of the run (`duration`), such as 90s.
    #[arg(long, value_name = "TIME")]
    pub(super) duration: Option<String>,
    /// Where nginx and nodes run (`topology.kind`): bundled or compose.
    #[arg(long, value_name = "KIND")]
    pub(super) topology: Option<String>,
    /// Any other key of the scenario; may be given several times.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// Names the node in handshakes and hellos.
    #[arg(long, default_value = "n1")]
    pub(super) name: String,
    /// Address to serve on; port 0 lets the system choose.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub(super) listen: SocketAddr,
    /// Keeps upgrade and close counts in this file, so that they outlive the process.
    #[arg(long)]
    pub(super) ledger: Option<PathBuf>,
    /// Exit with this process.
    #[arg(long)]
    pub(super) parent: Option<u32>,
    /// Push a message to every client this often.
    #[arg(long, value_parser = units::parse_duration)]
    pub(super) push_interval: Option<Duration>,
    /// Bytes of a pushed message.
    #[arg(long, default_value = "128")]
    pub(super) push_size: u32,
    /// Ping every client this often.
    #[arg(long, value_parser = units::parse_duration)]
    pub(super) ping_interval: Option<Duration>,
    /// Close a connection whose pong does not come in this time.
    #[arg(long, value_parser = units::parse_duration, default_value = "10s")]
    pub(super) pong_timeout: Duration,
    /// Keep a session without a connection this long.
    #[arg(long, value_parser = units::parse_duration, default_value = "60s")]
    pub(super) session_ttl: Duration,
}

impl OverrideArgs {
    /// Flags first, then variables for what no flag says.
    pub(super) fn collect(&self) -> Result<Vec<Override>, Error> {
        let mut overrides = Vec::new();
        let named = [
            (
                "clients.count",
                "--clients",
                "WSSOAK_CLIENTS",
                &self.clients,
            ),
            ("seed", "--seed", "WSSOAK_SEED", &self.seed),
            ("duration", "--duration", "WSSOAK_DURATION", &self.duration),
            (
                "topology.kind",
                "--topology",
                "WSSOAK_TOPOLOGY",
                &self.topology,
            ),
        ];
        for (key, flag, variable, given) in named {
            let (value, origin) = match (
                given,
                std::env::var(variable)
                    .ok()
                    .filter(|value| !value.is_empty()),
            ) {
                (Some(value), _) => (value.clone(), format!("{flag} {value}")),
                (None, Some(value)) => (value.clone(), format!("{variable}={value}")),
                (None, None) => continue,
            };
            overrides.push(Override {
                key: key.into(),
                value,
                origin,
            });
        }
        for setting in &self.set {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(Error::Usage(format!(
                    "--set {setting}: there is no `=`; write --set KEY=VALUE, such as --set traffic.rate=2/s"
                )));
            };
            overrides.push(Override {
                key: key.trim().into(),
                value: value.trim().into(),
                origin: format!("--set {setting}"),
            });
        }
        Ok(overrides)
    }
}
