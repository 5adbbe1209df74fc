//! The listener, its tasks, and the orderly end.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet, LocalSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use super::ledger::Ledger;
use super::state::Node;
use super::{NodeError, NodeOptions, http};
use crate::wire::NodeStats;

/// Connections that may wait for their accept. The kernel cuts it to net.core.somaxconn (4096 by default).
const BACKLOG: i32 = 65_535;
/// Pause after an accept that failed for want of descriptors, which else would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time for the clients to answer the close frames of a shutdown.
const DRAIN: Duration = Duration::from_secs(5);
/// How often expired sessions are looked for.
const SWEEP: Duration = Duration::from_secs(1);

/// Runs a node on the current thread until `shutdown` is ready, then closes every connection with 1001 and waits up to
/// 5 s for them. `ready` is called with the address once connections are accepted. Returns the last counters.
///
/// # Errors
/// [`NodeError::Listen`] and [`NodeError::Ledger`], both before `ready`.
pub async fn serve(
    options: NodeOptions,
    ready: impl FnOnce(SocketAddr),
    shutdown: impl Future<Output = ()>,
) -> Result<NodeStats, NodeError> {
    let ledger = Ledger::create(options.ledger.as_deref()).map_err(|source| NodeError::Ledger {
        path: options.ledger.clone().unwrap_or_default(),
        source,
    })?;
    let addr = options.listen;
    let failed = |source| NodeError::Listen { addr, source };
    let listener = listen(addr).map_err(failed)?;
    ready(listener.local_addr().map_err(failed)?);
    let node = Rc::new(Node::new(options, ledger));
    // Boxed: it is moved into the caller's future, and the accept loop is no small one.
    Box::pin(LocalSet::new().run_until(accept_until(listener, &node, shutdown))).await;
    Ok(node.stats())
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A node that comes back takes its port again, though its last connections linger in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept_until(listener: TcpListener, node: &Rc<Node>, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let mut tasks = JoinSet::new();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut has_warned = false;
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Fails only on a connection that is gone already; its read will tell.
                    let _ = stream.set_nodelay(true);
                    tasks.spawn_local(http::handle(stream, Rc::clone(node)));
                }
                Err(error) if is_exhaustion(&error) => {
                    if !has_warned {
                        has_warned = true;
                        tracing::warn!(%error, open = node.open(), "cannot accept; clients wait in the accept queue");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
                // The client left while it was queued.
                Err(_) => {}
            },
            Some(ended) = tasks.join_next() => report(ended),
            _ = sweep.tick() => node.sweep(),
        }
    }
    drop(listener);
    drain(node, tasks).await;
}

async fn drain(node: &Node, mut tasks: JoinSet<()>) {
    tracing::info!(
        node = node.options.name,
        open = node.open(),
        "shutting down"
    );
    node.stop();
    let deadline = Instant::now() + DRAIN;
    while node.open() > 0 {
        match timeout_at(deadline, tasks.join_next()).await {
            Ok(Some(ended)) => report(ended),
            Ok(None) => break,
            Err(_) => {
                tracing::warn!(
                    open = node.open(),
                    "connections that did not answer the close are dropped"
                );
                break;
            }
        }
    }
    tasks.shutdown().await;
}

/// A panic in one connection must not stay unseen, nor end the others.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "the task of a connection panicked");
    }
}

fn is_exhaustion(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .map(Errno::raw_os_error)
        .iter()
        .any(|code| error.raw_os_error() == Some(*code))
}
