//! Why the topology could not be brought up or changed: sentences with what to do, and the failing process's last words.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::compose::error::ComposeError;
use super::http::HttpError;
use super::nginx::template::TemplateError;
use crate::units::show_duration;

/// Something in the environment of a run failed. Never the target's behaviour towards clients, which is data.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// A system call or file operation.
    #[error("{doing} failed")]
    Io {
        /// What was being done, as a participle.
        doing: String,
        /// The error.
        #[source]
        source: io::Error,
    },
    /// A program could not be executed.
    #[error("{name} could not be started from {}; check that the file is there and executable", program.display())]
    Spawn {
        /// Which process.
        name: String,
        /// What was executed.
        program: PathBuf,
        /// The error.
        #[source]
        source: io::Error,
    },
    /// There is no nginx.
    #[error(
        "no nginx found: this wssoak was built without the bundled one and there is none on PATH; install nginx, or \
         name one with --nginx, or build with the feature bundled-nginx"
    )]
    NoNginx,
    /// The named nginx does not answer `-v` as nginx does.
    #[error("{} does not answer `-v` like nginx; name another binary with --nginx", path.display())]
    NotNginx {
        /// The binary.
        path: PathBuf,
        /// Why, if it could not be executed at all.
        #[source]
        source: Option<io::Error>,
    },
    /// The user's configuration template cannot be filled in.
    #[error("{}:{source}", path.display())]
    Template {
        /// The template.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: TemplateError,
    },
    /// `nginx -t` said no.
    #[error("nginx refuses the configuration {}:\n{words}", conf.display())]
    Refused {
        /// The rendered configuration, kept with the results.
        conf: PathBuf,
        /// nginx's own words.
        words: String,
    },
    /// A process ended, or misbehaved, before it was ready.
    #[error("{name} did not start: {how}{}", ending(log))]
    Start {
        /// Which process.
        name: String,
        /// What it did instead.
        how: String,
        /// Last lines of its log.
        log: String,
    },
    /// A process did not do what was asked in time.
    #[error("{name} was not {what} within {}{}", show_duration(*within), ending(log))]
    Late {
        /// Which process.
        name: String,
        /// What was awaited, such as "ready".
        what: &'static str,
        /// The deadline.
        within: Duration,
        /// Last lines of its log.
        log: String,
    },
    /// A fault asked for something that makes no sense in the present state, such as killing a dead node.
    #[error("{name} is {state}; two faults may overlap")]
    State {
        /// Which process.
        name: String,
        /// Its present state.
        state: &'static str,
    },
    /// Docker, the compose tool or the compose file.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// A node refused or missed an instruction.
    #[error("{node} did not take the new behaviour")]
    Behaviour {
        /// Which.
        node: String,
        /// Why, unless it answered with a wrong status.
        #[source]
        source: Option<HttpError>,
    },
    /// A relay refused or missed an order.
    #[error("the {name} did not follow an order: {why}")]
    Relay {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
}

impl TopologyError {
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }
}

fn ending(log: &str) -> String {
    if log.is_empty() {
        String::new()
    } else {
        format!("; its log ends with:\n{log}")
    }
}
