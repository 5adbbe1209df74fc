//! The errors of the command, and the one place that gives them exit codes.

use std::path::PathBuf;

use crate::record::folder::FolderError;
use crate::scenario::Problems;
use crate::topology::TopologyError;
use crate::verdict::Verdict;

/// Why a command did not do its work. What a target does to clients is data, never one of these.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The scenario has problems; all of them.
    #[error("{0}")]
    Scenario(Problems),
    /// A file named on the command line cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// The machine cannot hold the run.
    #[error("this machine cannot hold the run; nothing was started\n{0}")]
    Preflight(String),
    /// nginx or the nodes did not come up.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The result folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The system did not give what a program needs to run at all.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl Error {
    /// 2 usage or scenario, 4 environment.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Scenario(_) | Self::Unreadable { .. } | Self::Usage(_) => 2,
            Self::Preflight(_) | Self::Topology(_) | Self::Folder(_) | Self::System { .. } => 4,
        }
    }
}

/// 0 pass, 1 objective failed, 3 inconclusive, 130 interrupted.
pub const fn verdict_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 1,
        Verdict::Inconclusive => 3,
        Verdict::Interrupted => 130,
    }
}

/// The code of a panic: a defect of wssoak.
pub const INTERNAL: u8 = 5;

/// An error and what caused it, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
