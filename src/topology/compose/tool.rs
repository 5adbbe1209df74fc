//! The compose tool: finds it, has it read a file and bring a project up, and understands why it did not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::error::ComposeError;
use crate::topology::TopologyError;

/// Time for the tool to say its version or read a file.
const ANSWER: Duration = Duration::from_secs(20);
/// Time to bring a project up; images may have to be pulled or built.
const UP: Duration = Duration::from_secs(900);
/// Lines of the tool's output that go into an error.
const TAIL: usize = 12;

/// Variables that a compose file may use.
pub(super) type Variables = [(&'static str, OsString)];

/// A compose tool and the project it is used for.
#[derive(Debug)]
pub(super) struct Tool {
    /// `docker compose` or `docker-compose`.
    words: &'static [&'static str],
    file: PathBuf,
    project: String,
    /// Process group of the run.
    group: u32,
}

impl Tool {
    /// The plugin if it answers, else the program.
    pub(super) async fn find(file: &Path, project: &str, group: u32) -> Result<Self, ComposeError> {
        for words in [&["docker", "compose"][..], &["docker-compose"]] {
            let tool = Self {
                words,
                file: file.to_owned(),
                project: project.to_owned(),
                group,
            };
            let version = tool.command().arg("version").output();
            if matches!(timeout(ANSWER, version).await, Ok(Ok(output)) if output.status.success()) {
                return Ok(tool);
            }
        }
        Err(ComposeError::NoTool)
    }

    /// The file's services, sorted.
    pub(super) async fn services(
        &self,
        variables: &Variables,
    ) -> Result<Vec<String>, TopologyError> {
        // Those of an optional profile may be named as well.
        let words = ["--profile", "outer", "config", "--services"];
        let listed = self.run(variables, &words, ANSWER).await?;
        if !listed.status.success() {
            return Err(ComposeError::BadFile {
                file: self.file.clone(),
                words: ending(&listed),
            }
            .into());
        }
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut services: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
        services.retain(|service| !service.is_empty());
        services.sort();
        Ok(services)
    }

    /// `up -d` of `services` and what they depend on; all of the file's when there are none named.
    pub(super) async fn up(
        &self,
        variables: &Variables,
        services: &[String],
    ) -> Result<(), TopologyError> {
        let mut words = vec!["up", "-d"];
        words.extend(services.iter().map(String::as_str));
        let output = self.run(variables, &words, UP).await?;
        match output.status.success() {
            true => Ok(()),
            false => Err(understood(&String::from_utf8_lossy(&output.stderr)).into()),
        }
    }

    /// What a person types to take the project down.
    pub(super) fn down_by_hand(&self) -> String {
        // Without the file: then the variables that it needs do not matter either.
        let label = format!("--filter label=com.docker.compose.project={}", self.project);
        format!(
            "docker rm -fv $(docker ps -aq {label}); docker network rm $(docker network ls -q {label})"
        )
    }

    async fn run(
        &self,
        variables: &Variables,
        words: &[&str],
        within: Duration,
    ) -> Result<Output, TopologyError> {
        let mut command = self.command();
        command
            .arg("-p")
            .arg(&self.project)
            .arg("-f")
            .arg(&self.file)
            .args(words)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        let output = match timeout(within, command.output()).await {
            Ok(output) => output,
            Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        };
        let doing = || format!("running `{} {}`", self.words.join(" "), words.join(" "));
        output.map_err(|source| TopologyError::io(doing(), source))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.words.first().copied().unwrap_or_default());
        command
            .args(self.words.iter().skip(1))
            .env("COMPOSE_ANSI", "never")
            .stdin(Stdio::null())
            // Ours to kill with the rest of the run, and not the terminal's to interrupt half-way.
            .process_group(i32::try_from(self.group).unwrap_or_default())
            .kill_on_drop(true);
        command
    }
}

fn ending(output: &Output) -> String {
    tail(&String::from_utf8_lossy(&output.stderr))
}

/// The last lines that say something, without the tool's progress.
fn tail(text: &str) -> String {
    let is_progress = |line: &str| {
        let line = line.trim();
        line.is_empty()
            || line.ends_with("... done")
            || line.starts_with("Creating network")
            || line.starts_with("Creating wssoak-") && line.ends_with("...")
    };
    let lines: Vec<&str> = text.lines().filter(|line| !is_progress(line)).collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Why `up` failed. Both tools hand on the engine's words, and these have been stable for years.
fn understood(stderr: &str) -> ComposeError {
    let words = tail(stderr);
    let says = |texts: &[&str]| texts.iter().any(|text| stderr.contains(text));
    if says(&["port is already allocated", "address already in use"]) {
        return ComposeError::PortTaken { words };
    }
    if says(&["Pool overlaps with other one", "overlaps with existing"]) {
        return ComposeError::NetworkTaken { words };
    }
    let image = [
        "pull access denied",
        "manifest unknown",
        "No such image",
        "not found: manifest",
        "failed to resolve",
        "failed to do request",
        "error pulling image",
        "unable to get image",
        "Get \"https://",
        "Get https://",
        "failed to build",
        "Service '",
    ];
    if says(&image) {
        return ComposeError::NoImage { words };
    }
    ComposeError::Up {
        words,
        log: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_tools_are_understood() {
        let taken = "Creating network \"wssoak-1_default\"\nERROR: for web  Cannot start service web: driver failed \
                     programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated";
        let ComposeError::PortTaken { words } = understood(taken) else {
            panic!("{:?}", understood(taken));
        };
        assert!(words.starts_with("ERROR: for web"), "{words}");
        for (words, is_right) in [
            (
                "ERROR: Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io",
                (|error| matches!(error, ComposeError::NoImage { .. }))
                    as fn(&ComposeError) -> bool,
            ),
            (
                "pull access denied for wssoak-node, repository does not exist or may require 'docker login'",
                |error| matches!(error, ComposeError::NoImage { .. }),
            ),
            (
                "failed to create network wssoak-1: Error response from daemon: Pool overlaps with other one on this address space",
                |error| matches!(error, ComposeError::NetworkTaken { .. }),
            ),
            ("something new", |error| {
                matches!(error, ComposeError::Up { .. })
            }),
        ] {
            assert!(
                is_right(&understood(words)),
                "{words}: {:?}",
                understood(words)
            );
        }
    }
}
