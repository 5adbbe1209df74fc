//! A node on a thread of this process, and a client for it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use wssoak::cause::SessionEnd;
use wssoak::client::classify::session_end;
use wssoak::client::transport::{Attempt, Target, Token, connect};
use wssoak::node::{NodeOptions, serve};
use wssoak::wire::{Frame, FrameKind, Hello, NodeStats};

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A node on a thread of this process.
pub(crate) struct TestNode {
    pub(crate) addr: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<NodeStats>,
}

pub(crate) fn options() -> NodeOptions {
    NodeOptions {
        name: "n1".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        ledger: None,
        parent: None,
        push: None,
        ping: None,
        session_ttl: Duration::from_secs(60),
    }
}

impl TestNode {
    pub(crate) fn start(options: NodeOptions) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (ready, addr) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let shutdown = async { drop(stopped.await) };
            let ready = |addr| ready.send(addr).unwrap();
            runtime.block_on(serve(options, ready, shutdown)).unwrap()
        });
        let addr = addr.recv_timeout(PATIENCE).unwrap();
        Self { addr, stop, thread }
    }

    pub(crate) fn stop(self) -> NodeStats {
        let _ = self.stop.send(());
        self.thread.join().unwrap()
    }

    /// Sends raw bytes and reads the answer to its end.
    pub(crate) fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn stats(&self) -> NodeStats {
        let answer = self.raw("GET /wssoak/stats HTTP/1.1\r\nHost: n\r\n\r\n");
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    pub(crate) fn behave(&self, json: &str) -> String {
        let head = "PUT /wssoak/behaviour HTTP/1.1\r\nHost: n\r\nContent-Length:";
        self.raw(&format!("{head} {}\r\n\r\n{json}", json.len()))
    }

    /// Waits until the counters are as wanted; panics with the last ones when they do not get there.
    pub(crate) async fn until(&self, wanted: impl Fn(&NodeStats) -> bool) -> NodeStats {
        let start = Instant::now();
        loop {
            let stats = self.stats();
            if wanted(&stats) {
                return stats;
            }
            assert!(start.elapsed() < PATIENCE, "{stats:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn join(&self, resume: Option<Token>) -> (Client, Hello) {
        Client::join(self.addr, resume).await
    }
}

pub(crate) struct Client(pub(crate) WebSocketStream<tokio::net::TcpStream>);

impl Client {
    pub(crate) async fn join(addr: SocketAddr, resume: Option<Token>) -> (Self, Hello) {
        let target = Target {
            addr,
            host: addr.to_string(),
            path: "/ws".into(),
        };
        let attempt = Attempt {
            target: &target,
            source: None,
            client: 1,
            attempt: 1,
            resume,
            timeout: PATIENCE,
        };
        let connected = connect(attempt).await.unwrap();
        assert_eq!(connected.node.unwrap().to_string(), "n1");
        let mut client = Self(connected.stream);
        let Message::Text(hello) = client.next().await else {
            panic!("the first message is no text")
        };
        (client, serde_json::from_str(&hello).unwrap())
    }

    pub(crate) async fn next(&mut self) -> Message {
        let next = tokio::time::timeout(PATIENCE, self.0.next());
        next.await.unwrap().unwrap().unwrap()
    }

    /// Reads to the end of the connection.
    pub(crate) async fn end(mut self) -> SessionEnd {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.unwrap() {
                Some(Err(error)) => return session_end(&error),
                Some(Ok(Message::Close(frame))) => {
                    return SessionEnd::from_close_code(frame.map(|frame| frame.code.into()));
                }
                Some(Ok(_)) => {}
                None => panic!("ended without a reason"),
            }
        }
    }

    /// Sends request `seq` and returns its echo.
    pub(crate) async fn ask(&mut self, seq: u64) -> FrameKind {
        let frame = Frame {
            kind: FrameKind::Request,
            seq,
            due_us: 5,
        };
        let mut bytes = frame.encode().to_vec();
        bytes.resize(100, 7);
        self.0.send(Message::binary(bytes.clone())).await.unwrap();
        let echo = self.next().await.into_data();
        let head = Frame::decode(&echo).unwrap();
        assert_eq!((head.seq, head.due_us, &echo[1..]), (seq, 5, &bytes[1..]));
        head.kind
    }
}

pub(crate) fn token(hello: &Hello) -> Option<Token> {
    Some(hello.session.parse().unwrap())
}
