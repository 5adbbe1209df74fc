//! The accept loop of a relay, and the orders that come between accepts.

use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::link::Link;
use super::order::{Answer, Order};
use super::process::RelayOptions;
use super::tunnel;

/// Connections that may wait for their accept. The kernel cuts it to net.core.somaxconn (4096 by default).
const BACKLOG: i32 = 65_535;
/// Pause after an accept that failed for want of descriptors, which else would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An order and where its answer goes.
pub(super) type Asked = (Order, oneshot::Sender<Answer>);

/// Relays until `orders` ends. Must be called inside a local set. `ready` is called with the address once connections
/// are accepted.
///
/// # Errors
/// When it cannot listen.
pub(super) async fn serve(
    options: RelayOptions,
    ready: impl FnOnce(SocketAddr),
    mut orders: mpsc::Receiver<Asked>,
) -> std::io::Result<()> {
    let mut listener = Some(listen(options.listen, options.is_shared)?);
    let addr = match &listener {
        Some(listener) => listener.local_addr()?,
        None => options.listen,
    };
    let again = || listen(addr, options.is_shared);
    ready(addr);
    let link = Rc::new(Link::new(options.seed));
    loop {
        tokio::select! {
            biased;
            asked = orders.recv() => {
                let Some((order, answer)) = asked else { return Ok(()) };
                // Nobody is accepted in between: a tunnel is either told or finds the new rules.
                let _ = answer.send(follow(order, &link, &mut listener, &again).await);
            }
            client = accept(listener.as_ref()) => {
                spawn_local(tunnel::carry(client, options.to, Rc::clone(&link)));
            }
        }
    }
}

async fn follow(
    order: Order,
    link: &Link,
    listener: &mut Option<TcpListener>,
    again: impl Fn() -> std::io::Result<TcpListener>,
) -> Answer {
    match order {
        Order::Set(rules) => {
            let applied = link.order(rules, None).await;
            match (rules.refuse, listener.is_some()) {
                (true, _) => *listener = None,
                (false, false) => match again() {
                    Ok(again) => *listener = Some(again),
                    Err(error) => {
                        let why = format!("listening again: {error}");
                        return link.answer(applied, Some(why));
                    }
                },
                (false, true) => {}
            }
            link.answer(applied, None)
        }
        Order::Strike(strike) => {
            let applied = link.order(link.rules(), Some(strike)).await;
            link.answer(applied, None)
        }
        Order::Count => link.answer(0, None),
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((client, _)) => {
                // Fails only on a connection that is gone already; its read will tell.
                let _ = client.set_nodelay(true);
                return client;
            }
            // The client left while it was queued, or descriptors ran out: then others wait in the queue.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn listen(addr: SocketAddr, is_shared: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(is_shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
#[path = "server/tests.rs"]
mod tests;
