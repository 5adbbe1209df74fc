//! The running nginx: started, asked for its counters, reloaded, stopped; every start is an incarnation.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::error::TopologyError;
use super::group::{self, ProcStat};
use super::http::{self, HttpError};
use super::lives::{Incarnation, ProxySample, ReloadSeen};
use super::nginx::binary::NginxBinary;
use super::nginx::conf::WORKER_HEADER;
use super::nginx::status::StubStatus;
use super::process::{Exits, Process, log_to, tail};

pub(super) mod workers;

const NAME: &str = "nginx";
/// Time for a started nginx to answer. It tries for 2.5 s itself to bind a port in use.
const READY: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);
/// Time for the status page. Workers that accept thousands of clients answer late.
const ANSWER: Duration = Duration::from_secs(3);
/// Time for a fast shutdown, and for the last worker to go.
const STOP: Duration = Duration::from_secs(5);
/// Time for a graceful shutdown, which never comes while a tunnel is open.
const QUIT: Duration = Duration::from_secs(1);
const RELOAD: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) binary: NginxBinary,
    pub(super) exe: PathBuf,
    pub(super) group: u32,
    pub(super) scratch: PathBuf,
    pub(super) conf: PathBuf,
    pub(super) error_log: PathBuf,
    pub(super) endpoint: Cell<SocketAddr>,
    pub(super) status: Cell<SocketAddr>,
    running: RefCell<Option<Rc<Process>>>,
    /// Name under which its processes show in /proc, once it runs.
    comm: RefCell<String>,
    lives: RefCell<Vec<Incarnation>>,
    /// Polls go one after the other, so that a page counts exactly the polls before it and itself.
    polling: Mutex<()>,
}

impl Proxy {
    pub(super) fn new(
        binary: NginxBinary,
        exe: PathBuf,
        group: u32,
        scratch: PathBuf,
        results: &std::path::Path,
    ) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            binary,
            exe,
            group,
            scratch,
            conf: results.join("nginx.conf"),
            error_log: results.join("logs/nginx-error.log"),
            endpoint: Cell::new(nowhere),
            status: Cell::new(nowhere),
            running: RefCell::new(None),
            comm: RefCell::new(String::new()),
            lives: RefCell::new(Vec::new()),
            polling: Mutex::new(()),
        }
    }

    fn arguments(&self) -> Vec<std::ffi::OsString> {
        vec![
            "-p".into(),
            self.scratch.clone().into(),
            // Until the configuration is read, a compiled-in path would be tried, which only root may write.
            "-e".into(),
            self.error_log.clone().into(),
            "-c".into(),
            self.conf.clone().into(),
            "-g".into(),
            "daemon off;".into(),
        ]
    }

    /// `nginx -t` on the configuration.
    pub(super) async fn test(&self) -> Result<(), TopologyError> {
        let output = Command::new(&self.binary.path)
            .args(self.arguments())
            .arg("-t")
            .stdin(std::process::Stdio::null())
            .process_group(i32::try_from(self.group).unwrap_or_default())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|source| TopologyError::Spawn {
                name: NAME.into(),
                program: self.binary.path.clone(),
                source,
            })?;
        if output.status.success() {
            return Ok(());
        }
        Err(TopologyError::Refused {
            conf: self.conf.clone(),
            words: String::from_utf8_lossy(&output.stderr)
                .trim_end()
                .to_owned(),
        })
    }

    /// The master, if it runs.
    pub(super) fn master(&self) -> Option<Rc<Process>> {
        self.running
            .borrow()
            .clone()
            .filter(|process| process.status().is_none())
    }

    /// Starts it; returns when its own status server answers.
    pub(super) async fn start(&self, exits: &Exits) -> Result<(), TopologyError> {
        if self.master().is_some() {
            return Err(TopologyError::State {
                name: NAME.into(),
                state: "running already",
            });
        }
        let mut command = Command::new(&self.exe);
        command
            .arg("tether")
            .arg("--parent")
            .arg(std::process::id().to_string())
            .arg("--")
            .arg(&self.binary.path)
            .args(self.arguments())
            .current_dir("/")
            .process_group(i32::try_from(self.group).unwrap_or_default());
        // What is said before the error log is open; the rest is in both.
        let early = self.scratch.join("nginx.out");
        log_to(&mut command, &early)?;
        let (process, _) = Process::spawn(NAME, command, Some(self.error_log.clone()), exits)?;
        let process = Rc::new(process);
        self.running.replace(Some(Rc::clone(&process)));
        self.lives.borrow_mut().push(Incarnation {
            master: process.pid,
            last: None,
            polls: 0,
            polls_undecided: 0,
            is_running: true,
        });
        let ready = tokio::select! {
            biased;
            status = process.ended() => Err(TopologyError::Start {
                name: NAME.into(),
                how: status.map_or_else(|| "it ended".into(), |status| format!("it ended ({status})")),
                log: tail(&early),
            }),
            ready = self.answering(&process) => ready,
        };
        if ready.is_err() {
            self.end(&process, Signal::TERM, STOP).await;
        } else {
            let comm = ProcStat::of(process.pid).map(|stat| stat.comm);
            self.comm.replace(comm.unwrap_or_default());
            process.expect_life();
        }
        ready
    }

    async fn answering(&self, process: &Process) -> Result<(), TopologyError> {
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            let worker = self.poll_for_worker().await;
            let is_ours = match worker {
                Some(Some(worker)) => ProcStat::of(worker).is_some_and(|w| w.parent == process.pid),
                // A template need not send the header.
                Some(None) => true,
                None => false,
            };
            if is_ours {
                return Ok(());
            }
            sleep(POLL).await;
        }
        Err(late("ready", READY, process))
    }

    /// `Some` if a status page came; within, the worker that sent it, if it says.
    async fn poll_for_worker(&self) -> Option<Option<u32>> {
        let _turn = self.polling.lock().await;
        self.poll().await.map(|(_, worker)| worker)
    }

    /// The counters; `None` when nginx does not run or answer.
    pub(super) async fn sample(&self) -> Option<ProxySample> {
        let _turn = self.polling.lock().await;
        self.master()?;
        self.poll().await.map(|(sample, _)| sample)
    }

    /// One poll, booked on the present life. The caller has the turn.
    async fn poll(&self) -> Option<(ProxySample, Option<u32>)> {
        let life = self.lives.borrow().len().checked_sub(1)?;
        let answer = http::request(self.status.get(), "GET", "/", "", ANSWER).await;
        let mut lives = self.lives.borrow_mut();
        let life = lives.get_mut(life)?;
        match answer {
            Ok(response) => {
                life.polls += 1;
                let status = StubStatus::parse(&response.body)?;
                let worker = response.header(WORKER_HEADER);
                let worker = worker.and_then(|pid| pid.parse().ok());
                let sample = ProxySample {
                    status,
                    polls: life.polls,
                    polls_undecided: life.polls_undecided,
                };
                life.last = Some(sample);
                Some((sample, worker))
            }
            Err(HttpError::Connect { .. }) => None,
            Err(HttpError::NoAnswer { .. }) => {
                life.polls_undecided += 1;
                None
            }
        }
    }

    /// All lives so far, oldest first.
    pub(super) fn lives(&self) -> Vec<Incarnation> {
        let master = self.master().map(|process| process.pid);
        let mut lives = self.lives.borrow().clone();
        for life in &mut lives {
            life.is_running = Some(life.master) == master;
        }
        lives
    }

    /// Fast shutdown; returns when the master is reaped and no worker is left.
    pub(super) async fn stop(&self) -> Result<bool, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        self.announce(&process, Signal::TERM).await;
        Ok(self.end(&process, Signal::TERM, STOP).await)
    }

    /// Graceful shutdown with a short patience, then fast. Returns whether SIGKILL was needed.
    pub(super) async fn quit(&self) -> bool {
        let Some(process) = self.master() else {
            return false;
        };
        self.announce(&process, Signal::QUIT).await;
        let quit = process.ended_within(QUIT).await.is_some();
        self.end(
            &process,
            Signal::TERM,
            if quit { Duration::ZERO } else { STOP },
        )
        .await
    }

    /// Graceful shutdown; returns when nobody listens any more, with the number of processes that linger.
    pub(super) async fn quit_and_linger(&self) -> Result<usize, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        self.announce(&process, Signal::QUIT).await;
        let deadline = Instant::now() + STOP;
        while TcpStream::connect(self.endpoint.get()).await.is_ok() {
            if Instant::now() >= deadline {
                return Err(late("quitting", STOP, &process));
            }
            sleep(POLL).await;
        }
        Ok(self.processes().len())
    }

    /// SIGKILL to the master and every worker, also of one that lingers; returns how many there were.
    pub(super) async fn kill(&self) -> usize {
        let all = self.processes();
        if let Some(process) = self.master() {
            self.announce(&process, Signal::KILL).await;
            for pid in &all {
                group::signal(*pid, Signal::KILL);
            }
            self.end(&process, Signal::KILL, STOP).await;
        }
        all.len()
    }

    /// Takes the last count of this life, and then sends the signal that ends it.
    async fn announce(&self, process: &Process, signal: Signal) {
        // With the turn in hand no other poll is cut short by the signal.
        let _turn = self.polling.lock().await;
        self.poll().await;
        process.expect_end();
        process.signal(signal);
    }

    /// Ends the master and then whatever of its workers is left.
    async fn end(&self, process: &Process, signal: Signal, grace: Duration) -> bool {
        let mut forced = process.status().is_none() && process.stop(signal, grace).await;
        let deadline = Instant::now() + STOP;
        loop {
            let left = self.processes();
            if left.is_empty() {
                return forced;
            }
            if forced || Instant::now() >= deadline {
                forced = true;
                for pid in &left {
                    group::signal(*pid, Signal::KILL);
                }
            }
            sleep(POLL).await;
        }
    }

    /// Live processes of nginx in the run's group: orphaned workers keep the group and the name of their master.
    fn processes(&self) -> Vec<u32> {
        let comm = self.comm.borrow();
        group::members(self.group)
            .into_iter()
            .filter(|stat| stat.comm == *comm)
            .map(|stat| stat.pid)
            .collect()
    }

    /// SIGUSR1: it opens its logs anew, those of old workers included.
    pub(super) fn reopen_logs(&self) {
        if let Some(process) = self.master() {
            process.signal(Signal::USR1);
        }
    }

    /// SIGHUP; returns when there is a worker that was not there before.
    pub(super) async fn reload(&self) -> Result<ReloadSeen, TopologyError> {
        let process = self.master().ok_or_else(not_running)?;
        let old: BTreeSet<u32> = group::children(process.pid).into_iter().collect();
        let start = Instant::now();
        process.signal(Signal::HUP);
        while start.elapsed() < RELOAD && process.status().is_none() {
            sleep(POLL).await;
            let now = group::children(process.pid);
            let new: Vec<u32> = now.into_iter().filter(|pid| !old.contains(pid)).collect();
            if !new.is_empty() {
                return Ok(ReloadSeen {
                    took: start.elapsed(),
                    old_workers: old.into_iter().collect(),
                    new_workers: new,
                });
            }
        }
        Err(late("reloaded", RELOAD, &process))
    }
}

fn late(what: &'static str, within: Duration, process: &Process) -> TopologyError {
    TopologyError::Late {
        name: NAME.into(),
        what,
        within,
        log: process.last_words(),
    }
}

fn not_running() -> TopologyError {
    TopologyError::State {
        name: NAME.into(),
        state: "not running",
    }
}
