//! nginx's counters over all its lives: polled at the status page, our own polls known exactly.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};

use super::http::{self, HttpError, Response};
use super::lives::{Incarnation, ProxySample};
use super::nginx::status::StubStatus;

/// Time for the status page. Workers that accept thousands of clients answer late.
const ANSWER: Duration = Duration::from_secs(3);

/// The counters of one nginx.
#[derive(Debug)]
pub(super) struct Counters {
    /// Where the status page is; `None`: nowhere.
    pub(super) address: Cell<Option<SocketAddr>>,
    lives: RefCell<Vec<Incarnation>>,
    /// Polls go one after the other, so that a page counts exactly the polls before it and itself.
    polling: Mutex<()>,
}

impl Counters {
    pub(super) fn new() -> Self {
        Self {
            address: Cell::new(None),
            lives: RefCell::new(Vec::new()),
            polling: Mutex::new(()),
        }
    }

    /// A life begins: counters start at zero.
    pub(super) fn begin(&self, master: u32) {
        self.end();
        self.lives.borrow_mut().push(Incarnation {
            master,
            last: None,
            polls: 0,
            polls_undecided: 0,
            is_running: true,
        });
    }

    /// The present life is over.
    pub(super) fn end(&self) {
        if let Some(life) = self.lives.borrow_mut().last_mut() {
            life.is_running = false;
        }
    }

    /// With the turn in hand no other poll is cut short by a signal.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.polling.lock().await
    }

    /// The counters; `None` when nobody answers.
    pub(super) async fn sample(&self) -> Option<ProxySample> {
        let _turn = self.turn().await;
        self.poll().await
    }

    /// One poll, booked on the present life. The caller has the turn.
    pub(super) async fn poll(&self) -> Option<ProxySample> {
        let present = self.lives.borrow().len().checked_sub(1)?;
        let response = self.ask(self.address.get()?, "/", ANSWER).await?;
        let mut lives = self.lives.borrow_mut();
        let life = lives.get_mut(present)?;
        let sample = ProxySample {
            status: StubStatus::parse(&response.body)?,
            polls: life.polls,
            polls_undecided: life.polls_undecided,
        };
        life.last = Some(sample);
        Some(sample)
    }

    /// A request of ours to the way that leads to the nodes, booked as a poll is, since nginx counts it as well.
    pub(super) async fn pass(&self, at: SocketAddr, path: &str, within: Duration) {
        let _turn = self.turn().await;
        self.ask(at, path, within).await;
    }

    async fn ask(&self, at: SocketAddr, path: &str, within: Duration) -> Option<Response> {
        let life = self.lives.borrow().len().checked_sub(1)?;
        let answer = http::request(at, "GET", path, "", within).await;
        let mut lives = self.lives.borrow_mut();
        let life = lives.get_mut(life)?;
        match answer {
            Ok(response) => {
                life.polls += 1;
                Some(response)
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
        self.lives.borrow().clone()
    }
}
