//! Takes a project down: the one way for every end of a run, whoever walks it (harness, warden or `wssoak clean`).
//!
//! By the engine and by label, so that it needs neither the compose tool nor its file, and finds what a compose tool
//! that was killed half-way has left.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::{Instant, sleep};

use super::engine::Engine;
use super::error::ComposeError;
use super::state::Life;
use crate::topology::warden::PREFIX;

/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(45);
const AGAIN: Duration = Duration::from_millis(100);

/// Removes containers, networks and volumes of `project`: resumes what is paused, stops with `grace_s` seconds of
/// patience (0: kills at once), removes. It is done when nothing was found for as long as `settle`: an engine may still
/// be making what a client that is dead by now has asked for.
pub(crate) async fn remove_project(
    engine: &Engine,
    project: &str,
    grace_s: u32,
    settle: Duration,
) -> Result<usize, ComposeError> {
    let mut removed = 0;
    if !project.starts_with(PREFIX) {
        return Ok(removed);
    }
    let deadline = Instant::now() + DEADLINE;
    let mut clean_since = Instant::now();
    loop {
        let turn = remove_once(engine, project, grace_s).await;
        match turn {
            Ok(0) if clean_since.elapsed() >= settle => return Ok(removed),
            Ok(0) => {}
            Ok(count) => {
                removed += count;
                clean_since = Instant::now();
            }
            // Something was in the middle of a change; what is wrong for good is still wrong at the deadline.
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(error) => {
                tracing::debug!("taking {project} down: {error}");
                clean_since = Instant::now();
            }
        }
        if Instant::now() >= deadline {
            return Ok(removed);
        }
        sleep(AGAIN).await;
    }
}

async fn remove_once(engine: &Engine, project: &str, grace_s: u32) -> Result<usize, ComposeError> {
    let containers = engine.containers(project).await?;
    let removals = containers.iter().map(|container| async {
        let id = &container.id;
        if let Ok(state) = engine.state(id).await {
            // A frozen process sees no signal.
            if state.life == Life::Paused {
                engine.unpause(id).await?;
            }
            if grace_s > 0 && !matches!(state.life, Life::Ended(_)) {
                engine.stop(id, grace_s).await?;
            }
        }
        engine.remove(id).await
    });
    let results: Result<Vec<()>, _> = join_all(removals).await.into_iter().collect();
    results?;
    Ok(containers.len() + engine.remove_rest(project).await?)
}
