//! An agent as the controller sees it: a child process that takes commands and reports like a shard.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command as Program};
use tokio::sync::{mpsc, oneshot};

use super::message::{FromAgent, Order, ToAgent, parse};
use super::roll::Done;
use super::shard::{Command, Report, ReportEnd};
use crate::record::shard::Closed;

/// Starts an agent and the local task that carries its messages. Must be called on the main thread, inside a local
/// set (see [`crate::topology`]).
///
/// # Errors
/// When it cannot be started.
pub fn start(
    exe: &Path,
    group: u32,
    order: Order,
    commands: mpsc::Receiver<Command>,
    reports: mpsc::Sender<Report>,
) -> std::io::Result<()> {
    let mut child = Program::new(exe)
        .args(["agent", "--parent", &std::process::id().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(i32::try_from(group).unwrap_or_default())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(std::io::Error::other("an agent without pipes"));
    };
    let lines = BufReader::new(stdout).lines();
    tokio::task::spawn_local(async move {
        let index = order.index;
        let name = format!("agent {} of {}", order.index + 1, order.of);
        let carrier = Carrier {
            child,
            stdin,
            index,
            waiting: VecDeque::new(),
            ended: false,
        };
        if let Some(why) = carrier.carry(order, lines, commands, &reports).await {
            let lost = ReportEnd::Lost(format!(
                "{name} ended on its own ({why}), and with it every {} client",
                share(&name)
            ));
            let report = Report {
                shard: index,
                closed: Closed::default(),
                late: 0,
                usage: None,
                end: Some(lost),
            };
            let _ = reports.send(report).await;
        }
    });
    Ok(())
}

/// Which clients go with an agent: of three agents every "third".
fn share(name: &str) -> String {
    match name.rsplit(' ').next() {
        Some("1") => "single".into(),
        Some("2") => "second".into(),
        Some("3") => "third".into(),
        Some(number) => format!("{number}th"),
        None => String::new(),
    }
}

type AgentLines = tokio::io::Lines<BufReader<tokio::process::ChildStdout>>;

struct Carrier {
    child: Child,
    stdin: ChildStdin,
    index: usize,
    /// Who waits for a `Done`, in the order of asking.
    waiting: VecDeque<oneshot::Sender<Done>>,
    ended: bool,
}

impl Carrier {
    /// Until the agent has sent its last report (`None`), or is lost (why).
    async fn carry(
        mut self,
        order: Order,
        mut lines: AgentLines,
        mut commands: mpsc::Receiver<Command>,
        reports: &mpsc::Sender<Report>,
    ) -> Option<String> {
        if let Err(error) = self.tell(&ToAgent::Start(Box::new(order))).await {
            return Some(self.epitaph(&error.to_string()).await);
        }
        let mut listening = true;
        loop {
            tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => match self.heard(&line) {
                        Ok(Some(report)) => {
                            if reports.send(report).await.is_err() {
                                return None;
                            }
                        }
                        Ok(None) => {}
                        Err(why) => return Some(why),
                    },
                    Ok(None) | Err(_) if self.ended => return None,
                    Ok(None) | Err(_) => return Some(self.epitaph("it closed its output").await),
                },
                command = commands.recv(), if listening => {
                    let message = match command {
                        Some(Command::Quiet { keep_heartbeat, done }) => {
                            self.waiting.push_back(done);
                            ToAgent::Quiet { keep_heartbeat }
                        }
                        Some(Command::Resume { done }) => {
                            self.waiting.push_back(done);
                            ToAgent::Resume
                        }
                        Some(Command::Call { call, done }) => {
                            self.waiting.push_back(done);
                            ToAgent::Call(call)
                        }
                        Some(Command::Stop { abort }) => ToAgent::Stop { abort },
                        None => {
                            listening = false;
                            continue;
                        }
                    };
                    // A write that fails shows as the end of its output as well.
                    let _ = self.tell(&message).await;
                }
            }
        }
    }

    async fn tell(&mut self, message: &ToAgent) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stdin.write_all(&line).await?;
        self.stdin.flush().await
    }

    fn heard(&mut self, line: &str) -> Result<Option<Report>, String> {
        match parse(line).map_err(|error| error.to_string())? {
            FromAgent::Done { at_us, clients } => {
                if let Some(done) = self.waiting.pop_front() {
                    let _ = done.send(Done { at_us, clients });
                }
                Ok(None)
            }
            FromAgent::Report(report) => {
                let report = report
                    .unpack(self.index)
                    .map_err(|error| error.to_string())?;
                self.ended = report.end.is_some();
                Ok(Some(report))
            }
        }
    }

    /// How it ended, or else why it is given up.
    async fn epitaph(&mut self, otherwise: &str) -> String {
        let patience = std::time::Duration::from_secs(1);
        match tokio::time::timeout(patience, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            _ => otherwise.to_owned(),
        }
    }
}
