//! A node as a process of its own: parent, limits, signals, the ready line.

use std::io::Write as _;

use rustix::process::{Resource, Rlimit, Signal};
use tokio::signal::unix::{SignalKind, signal};

use super::{NodeError, NodeOptions, server};

/// Runs a node until SIGTERM or SIGINT, then closes its connections with 1001. Prints
/// `n1 listening on 127.0.0.1:40001` on standard output once it serves.
///
/// With [`NodeOptions::parent`] the kernel kills the node when the *thread* that started it ends; start it from one
/// that lives as long as the harness.
///
/// # Errors
/// See [`NodeError`]; what clients do is none.
pub fn run(options: NodeOptions) -> Result<(), NodeError> {
    if let Some(parent) = options.parent {
        follow(parent)?;
    }
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("build the runtime"))?;
    let name = options.name.clone();
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(system("handle SIGTERM"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system("handle SIGINT"))?;
        let shutdown = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let ready = |addr| {
            let mut out = std::io::stdout().lock();
            // Nobody may be reading; the node serves all the same.
            let _ = writeln!(out, "{name} listening on {addr}").and_then(|()| out.flush());
        };
        server::serve(options, ready, shutdown).await.map(drop)
    })
}

fn system(action: &'static str) -> impl Fn(std::io::Error) -> NodeError {
    move |source| NodeError::System { action, source }
}

/// Ties the node's life to its parent's. The signal is asked for first: a parent that ends after that kills the node,
/// one that ended before is found out by the comparison.
fn follow(parent: u32) -> Result<(), NodeError> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|errno| system("ask for the parent-death signal")(errno.into()))?;
    if is_parent(parent) {
        Ok(())
    } else {
        Err(NodeError::Orphaned { expected: parent })
    }
}

fn is_parent(pid: u32) -> bool {
    let actual = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    actual.and_then(|pid| u32::try_from(pid).ok()) == Some(pid)
}

/// As many descriptors as the hard limit allows; with fewer than needed, accepts are put off and logged.
fn raise_file_limit() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "cannot raise the limit on open files");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parent_is_the_parent() {
        assert!(is_parent(std::os::unix::process::parent_id()));
        assert!(!is_parent(std::process::id()));
    }
}
