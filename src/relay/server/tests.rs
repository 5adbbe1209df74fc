//! A relay between real sockets: every fault on tunnels that are open already, seen from both ends.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::LocalSet;
use tokio::time::{Instant, timeout};

use super::*;
use crate::relay::order::{Rules, Shape, Stats, Strike, Way};

/// Nothing takes this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Long enough for bytes that are not held to come through.
const A_WHILE: Duration = Duration::from_millis(150);

struct Bench {
    relay: SocketAddr,
    server: TcpListener,
    orders: mpsc::Sender<Asked>,
}

impl Bench {
    async fn new() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = RelayOptions {
            listen: "127.0.0.1:0".parse().unwrap(),
            to: server.local_addr().unwrap(),
            seed: 1,
            is_shared: false,
        };
        let (orders, asked) = mpsc::channel(1);
        let (sender, ready) = oneshot::channel();
        spawn_local(async move {
            serve(options, |addr| sender.send(addr).unwrap(), asked)
                .await
                .unwrap();
        });
        Self {
            relay: ready.await.unwrap(),
            server,
            orders,
        }
    }

    async fn order(&self, order: Order) -> Answer {
        let (sender, answer) = oneshot::channel();
        self.orders.send((order, sender)).await.unwrap();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.error, None);
        answer
    }

    async fn set(&self, way: Way, shape: Shape) -> u64 {
        self.order(Order::Set(Rules::shaped(way, shape)))
            .await
            .applied
    }

    async fn heal(&self) {
        self.order(Order::Set(Rules::default())).await;
    }

    async fn stats(&self) -> Stats {
        self.order(Order::Count).await.stats
    }

    /// Waits for a tunnel's end to be counted.
    async fn until(&self, what: fn(&Stats) -> bool) -> Stats {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.stats().await;
            if what(&stats) {
                return stats;
            }
            assert!(Instant::now() < deadline, "{stats:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Both ends of a tunnel that has carried a byte each way.
    async fn tunnel(&self) -> (TcpStream, TcpStream) {
        let mut client = TcpStream::connect(self.relay).await.unwrap();
        let (mut server, _) = timeout(PATIENCE, self.server.accept())
            .await
            .unwrap()
            .unwrap();
        pass(&mut client, &mut server, b"?").await;
        pass(&mut server, &mut client, b"!").await;
        (client, server)
    }
}

/// Writes here, reads there.
async fn pass(from: &mut TcpStream, to: &mut TcpStream, bytes: &[u8]) {
    from.write_all(bytes).await.unwrap();
    expect(to, bytes).await;
}

async fn expect(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    timeout(PATIENCE, stream.read_exact(&mut got))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(got, bytes);
}

/// Nothing comes, not even an end.
async fn assert_silent(stream: &mut TcpStream) {
    let read = timeout(A_WHILE, stream.read(&mut [0])).await;
    assert!(read.is_err(), "{read:?}");
}

async fn assert_fin(stream: &mut TcpStream) {
    let read = timeout(PATIENCE, stream.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap(), 0);
}

async fn assert_rst(stream: &mut TcpStream) {
    let read = timeout(PATIENCE, stream.read(&mut [0])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn hole() -> Shape {
    Shape {
        hole: true,
        ..Shape::default()
    }
}

/// Runs a test on one thread, as the relay does.
async fn on_bench<F: Future<Output = ()>>(test: impl FnOnce(Bench) -> F) {
    LocalSet::new()
        .run_until(async { test(Bench::new().await).await })
        .await;
}

#[tokio::test]
async fn a_blackhole_swallows_nothing_and_says_nothing_until_it_is_over() {
    on_bench(|bench| async move {
        let (mut client, mut server) = bench.tunnel().await;
        let (mut leaving, mut left) = bench.tunnel().await;
        assert_eq!(bench.set(Way::Both, hole()).await, 2);
        client.write_all(b"up").await.unwrap();
        server.write_all(b"down").await.unwrap();
        leaving.shutdown().await.unwrap();
        assert_silent(&mut server).await;
        assert_silent(&mut client).await;
        assert_silent(&mut left).await;
        bench.heal().await;
        expect(&mut server, b"up").await;
        expect(&mut client, b"down").await;
        assert_fin(&mut left).await;
        pass(&mut client, &mut server, b"and on").await;
    })
    .await;
}

#[tokio::test]
async fn a_blackhole_one_way_lets_the_other_way_pass() {
    on_bench(|bench| async move {
        let (mut client, mut server) = bench.tunnel().await;
        bench.set(Way::ToClient, hole()).await;
        pass(&mut client, &mut server, b"up").await;
        server.write_all(b"down").await.unwrap();
        assert_silent(&mut client).await;
        bench.set(Way::ToServer, hole()).await;
        expect(&mut client, b"down").await;
        client.write_all(b"more").await.unwrap();
        assert_silent(&mut server).await;
        bench.heal().await;
        expect(&mut server, b"more").await;
    })
    .await;
}

#[tokio::test]
async fn not_even_a_rst_comes_through_a_blackhole_before_it_is_over() {
    on_bench(|bench| async move {
        for way in [Way::ToClient, Way::ToServer] {
            let (client, server) = bench.tunnel().await;
            let (mut stays, goes) = match way {
                Way::ToServer => (server, client),
                _ => (client, server),
            };
            bench.set(way, hole()).await;
            goes.set_zero_linger().unwrap();
            drop(goes);
            // The other way is clear, so the relay finds out as soon as it writes there.
            stays.write_all(b"?").await.unwrap();
            assert_silent(&mut stays).await;
            bench.heal().await;
            assert_rst(&mut stays).await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_server_never_hears_of_a_client_that_came_and_left_in_a_blackhole() {
    on_bench(|bench| async move {
        bench.set(Way::Both, hole()).await;
        let mut gone = TcpStream::connect(bench.relay).await.unwrap();
        gone.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut stays = TcpStream::connect(bench.relay).await.unwrap();
        stays.write_all(b"still here").await.unwrap();
        bench.until(|stats| stats.open == 2).await;
        drop(gone);
        sleep(A_WHILE).await;
        bench.heal().await;
        let (mut server, _) = timeout(PATIENCE, bench.server.accept())
            .await
            .unwrap()
            .unwrap();
        expect(&mut server, b"still here").await;
        assert!(timeout(A_WHILE, bench.server.accept()).await.is_err());
        let stats = bench.stats().await;
        assert_eq!((stats.gave_up, stats.open), (1, 1), "{stats:?}");
    })
    .await;
}

#[tokio::test]
async fn a_reset_reaches_idle_tunnels_at_once_and_the_named_sides_only() {
    on_bench(|bench| async move {
        for (way, client_is_reset, server_is_reset) in [
            (Way::Both, true, true),
            (Way::ToClient, true, false),
            (Way::ToServer, false, true),
        ] {
            let (mut client, mut server) = bench.tunnel().await;
            let answer = bench.order(Order::Strike(Strike::Reset(way))).await;
            assert_eq!(answer.applied, 1);
            for (stream, is_reset) in [
                (&mut client, client_is_reset),
                (&mut server, server_is_reset),
            ] {
                match is_reset {
                    true => assert_rst(stream).await,
                    false => assert_fin(stream).await,
                }
            }
        }
        let (mut client, mut server) = bench.tunnel().await;
        pass(&mut client, &mut server, b"a new one is not hit").await;
        let stats = bench.stats().await;
        assert_eq!((stats.struck, stats.open), (3, 1), "{stats:?}");
    })
    .await;
}

#[tokio::test]
async fn a_half_close_ends_one_direction_and_the_other_goes_on() {
    on_bench(|bench| async move {
        let (mut client, mut server) = bench.tunnel().await;
        bench
            .order(Order::Strike(Strike::HalfClose(Way::ToServer)))
            .await;
        assert_fin(&mut server).await;
        client.write_all(b"to nobody").await.unwrap();
        pass(&mut server, &mut client, b"still").await;
        drop(server);
        assert_fin(&mut client).await;
        drop(client);
        bench.until(|stats| stats.ended == 1).await;
    })
    .await;
}

#[tokio::test]
async fn latency_holds_each_byte_and_healing_lets_go_of_it() {
    on_bench(|bench| async move {
        let (mut client, mut server) = bench.tunnel().await;
        let slow = |delay_us| Shape {
            delay_us,
            ..Shape::default()
        };
        bench.set(Way::ToServer, slow(60_000)).await;
        let start = Instant::now();
        pass(&mut client, &mut server, b"late").await;
        assert!(start.elapsed() >= Duration::from_millis(60));
        bench.set(Way::Both, slow(60_000_000)).await;
        client.write_all(b"much too late").await.unwrap();
        bench.until(|stats| stats.held == 13).await;
        bench.heal().await;
        expect(&mut server, b"much too late").await;
    })
    .await;
}

#[tokio::test]
async fn a_rate_and_slices_pass_every_byte_in_order_and_in_their_time() {
    on_bench(|bench| async move {
        let (mut client, mut server) = bench.tunnel().await;
        let shape = Shape {
            rate: Some(1_000_000),
            slice: Some(10_000),
            pause_us: 1_000,
            ..Shape::default()
        };
        bench.set(Way::ToServer, shape).await;
        let bytes: Vec<u8> = (0..400_000u32).map(|i| (i % 251) as u8).collect();
        let start = Instant::now();
        let (sent, ()) = tokio::join!(client.write_all(&bytes), expect(&mut server, &bytes));
        sent.unwrap();
        // 100 KB leave at once, the rest at a million bytes a second.
        assert!(start.elapsed() >= Duration::from_millis(290));
        let stats = bench.until(|stats| stats.held == 0).await;
        assert_eq!(stats.bytes_to_server, 400_001);
    })
    .await;
}

#[tokio::test]
async fn refusing_closes_the_door_and_leaves_open_tunnels_alone() {
    on_bench(|bench| async move {
        let (mut client, mut server) = bench.tunnel().await;
        let closed = Rules {
            refuse: true,
            ..Rules::default()
        };
        bench.order(Order::Set(closed)).await;
        let refused = TcpStream::connect(bench.relay).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        pass(&mut client, &mut server, b"inside").await;
        bench.heal().await;
        bench.tunnel().await;
    })
    .await;
}

#[tokio::test]
async fn ends_pass_as_what_they_are() {
    on_bench(|bench| async move {
        let (client, mut server) = bench.tunnel().await;
        drop(client);
        assert_fin(&mut server).await;
        drop(server);
        bench.until(|stats| stats.ended == 1).await;

        let (client, mut server) = bench.tunnel().await;
        client.set_zero_linger().unwrap();
        drop(client);
        assert_rst(&mut server).await;
        bench.until(|stats| stats.reset == 1).await;

        let Bench {
            relay,
            server,
            orders,
        } = bench;
        drop(server);
        // Nobody listens behind the relay any more: its client was accepted, and can only be reset.
        let mut client = TcpStream::connect(relay).await.unwrap();
        assert_rst(&mut client).await;
        drop(orders);
    })
    .await;
}

#[tokio::test]
async fn a_reader_that_does_not_read_stops_its_writer() {
    on_bench(|bench| async move {
        let (client, mut server) = bench.tunnel().await;
        let flood = async {
            let mut sent = 0u64;
            while let Ok(Ok(count)) = timeout(A_WHILE, server.write(&[7; 65_536])).await {
                sent += count as u64;
            }
            sent
        };
        let sent = flood.await;
        let stats = bench.stats().await;
        assert!(stats.held <= crate::relay::shaper::MOST as u64, "{stats:?}");
        assert!(sent > 0, "{sent}");
        let mut client = client;
        let mut left = sent;
        let mut buffer = vec![0; 1 << 16];
        while left > 0 {
            let count = timeout(PATIENCE, client.read(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert!(count > 0 && buffer[..count].iter().all(|byte| *byte == 7));
            left -= count as u64;
        }
    })
    .await;
}
