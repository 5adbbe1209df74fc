//! One tunnel: a client's connection, the one to the server, and what becomes of both.

use std::future::{Future as _, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt as _;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, Sleep};

use super::link::{End, Link, Member};
use super::order::{Strike, Way};
use super::pipe::{Broken, Pipe};
use crate::units::micros;

enum Event {
    /// Look at everything again.
    Look,
    End(End),
}

/// Carries one accepted connection to its end.
pub(super) async fn carry(client: TcpStream, to: SocketAddr, link: Rc<Link>) {
    let mut member = Member::join(link);
    let connected = Box::pin(connect(&client, to, &mut member)).await;
    member.end = match connected {
        Ok(server) => Tunnel::new(client, server).run(&mut member).await,
        Err(end) => {
            if end == End::Unreachable {
                // A client that was accepted can no longer be refused.
                reset(&client);
            }
            end
        }
    };
}

/// Connects to the server, as soon as no blackhole is in the way.
async fn connect(
    client: &TcpStream,
    to: SocketAddr,
    member: &mut Member,
) -> Result<TcpStream, End> {
    let link = Rc::clone(&member.link);
    let mut was_held = false;
    loop {
        // Created before the rules are read: a change in between would otherwise be slept through.
        let changed = link.changed.notified();
        match member.follow().flatten() {
            Some(Strike::Reset(way)) => {
                if way.covers(Way::ToClient) {
                    reset(client);
                }
                return Err(End::Struck);
            }
            Some(Strike::HalfClose(_)) => return Err(End::Struck),
            None => {}
        }
        if link.rules().to_server.hole {
            was_held = true;
            changed.await;
            continue;
        }
        // Its SYN would never have come: the server must not hear of it now.
        if was_held && has_left(client) {
            return Err(End::GaveUp);
        }
        let start = Instant::now();
        tokio::select! {
            biased;
            () = changed => {}
            server = dial(client, to) => {
                link.connected(micros(start.elapsed()));
                return server.map_err(|_| End::Unreachable);
            }
        }
    }
}

async fn dial(client: &TcpStream, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    // The client's own loopback address, so that `ip_hash` sees what it would see without a relay, and ports do not
    // run out. The first address is everybody's, and left to the kernel. From none of them a container is reached.
    if let IpAddr::V4(source) = client.peer_addr()?.ip()
        && to.ip().is_loopback()
        && source.is_loopback()
        && source != Ipv4Addr::LOCALHOST
    {
        socket.bind(SocketAddr::new(source.into(), 0))?;
    }
    socket.connect(to).await
}

/// Has the client closed its side, whatever it sent before?
fn has_left(client: &TcpStream) -> bool {
    let ready = client.ready(Interest::READABLE).now_or_never();
    matches!(ready, Some(Ok(ready)) if ready.is_read_closed())
}

/// Its close will be a RST.
fn reset(stream: &TcpStream) {
    // Fails on a socket that is gone already.
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}

/// Its close will be a FIN, even if bytes are unread.
fn finish(stream: &TcpStream) {
    let _ = SockRef::from(stream).shutdown(Shutdown::Write);
}

struct Tunnel {
    client: TcpStream,
    server: TcpStream,
    up: Pipe,
    down: Pipe,
    /// Only tunnels whose bytes had to wait have one.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Tunnel {
    fn new(client: TcpStream, server: TcpStream) -> Self {
        Self {
            client,
            server,
            up: Pipe::new(Way::ToServer),
            down: Pipe::new(Way::ToClient),
            timer: None,
        }
    }

    async fn run(mut self, member: &mut Member) -> End {
        let link = Rc::clone(&member.link);
        let end = loop {
            let mut changed = pin!(link.changed.notified());
            if let Some(strike) = member.follow() {
                let (now_us, rules) = (link.now_us(), link.rules());
                self.up.reshape(now_us, &rules.to_server);
                self.down.reshape(now_us, &rules.to_client);
                match strike {
                    Some(Strike::Reset(way)) => break self.reset(way),
                    Some(Strike::HalfClose(way)) => self.half_close(way, &link),
                    None => {}
                }
            }
            let event = poll_fn(|cx| {
                if let Poll::Ready(event) = self.poll(cx, &link) {
                    return Poll::Ready(event);
                }
                changed.as_mut().poll(cx).map(|()| Event::Look)
            });
            if let Event::End(end) = event.await {
                break end;
            }
        };
        self.up.drop_held(&link);
        self.down.drop_held(&link);
        end
    }

    fn poll(&mut self, cx: &mut std::task::Context<'_>, link: &Link) -> Poll<Event> {
        let rules = link.rules();
        let (client, server) = (&self.client, &self.server);
        let up = self.up.poll(cx, client, server, &rules.to_server, link);
        let down = self.down.poll(cx, server, client, &rules.to_client, link);
        // A RST does not come through a blackhole either: it waits until that is over.
        if rules.to_server.hole && matches!(down, Err(Broken::Sink)) {
            self.down.half_close(client, link);
            self.up.lose_source();
            return Poll::Ready(Event::Look);
        }
        if rules.to_client.hole && matches!(up, Err(Broken::Sink)) {
            self.up.half_close(server, link);
            self.down.lose_source();
            return Poll::Ready(Event::Look);
        }
        let wake = match (up, down) {
            (Ok(up), Ok(down)) => up.into_iter().chain(down).min(),
            // Who broke it has sent a RST; the other side gets one too, as it would without a relay.
            (Err(Broken::Source), _) | (_, Err(Broken::Sink)) => {
                reset(server);
                return Poll::Ready(Event::End(End::Reset));
            }
            (Err(Broken::Sink), _) | (_, Err(Broken::Source)) => {
                reset(client);
                return Poll::Ready(Event::End(End::Reset));
            }
        };
        if self.up.is_done() && self.down.is_done() {
            return Poll::Ready(Event::End(End::Ended));
        }
        let Some(wake_us) = wake else {
            return Poll::Pending;
        };
        let at = link.instant(wake_us);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx).map(|()| Event::Look)
    }

    fn reset(&self, way: Way) -> End {
        for (side, stream) in [(Way::ToClient, &self.client), (Way::ToServer, &self.server)] {
            match way.covers(side) {
                true => reset(stream),
                false => finish(stream),
            }
        }
        End::Struck
    }

    fn half_close(&mut self, way: Way, link: &Link) {
        if way.covers(Way::ToServer) {
            self.up.half_close(&self.server, link);
        }
        if way.covers(Way::ToClient) {
            self.down.half_close(&self.client, link);
        }
    }
}
