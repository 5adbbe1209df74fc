//! The orderly end, and the node as a process.

use std::io::{BufRead as _, BufReader};

use wssoak::cause::SessionEnd;
use wssoak::node::{NodeError, NodeOptions, run};
use wssoak::wire::Ledger;

use crate::support::{Client, TestNode, options};

#[tokio::test]
async fn shutdown_closes_with_1001_and_the_ledger_balances() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("n1.ledger");
    let ledger = || Ledger::decode(&std::fs::read(&path).unwrap()).unwrap();
    let node = TestNode::start(NodeOptions {
        ledger: Some(path.clone()),
        ..options()
    });
    assert_eq!(ledger(), Ledger::default());
    let mut ends = Vec::new();
    for joined in 1..=20 {
        let (client, _) = node.join(None).await;
        assert_eq!(
            ledger(),
            Ledger {
                accepted: joined,
                closed: 0
            }
        );
        ends.push(tokio::spawn(client.end()));
    }
    let stats = tokio::task::spawn_blocking(|| node.stop()).await.unwrap();
    assert_eq!((stats.accepted, stats.open, stats.closed), (20, 0, 20));
    assert_eq!(
        ledger(),
        Ledger {
            accepted: 20,
            closed: 20
        }
    );
    for end in ends {
        assert_eq!(end.await.unwrap(), SessionEnd::Close1001);
    }
}

const CHILD: &str = "WSSOAK_TEST_NODE_PARENT";

/// The body of the child processes below; without their variable it is no node and passes.
#[test]
fn node_process() {
    let Ok(parent) = std::env::var(CHILD) else {
        return;
    };
    let parent = parent.parse().unwrap();
    match run(NodeOptions {
        parent: Some(parent),
        ..options()
    }) {
        Ok(()) => println!("ended in order"),
        Err(NodeError::Orphaned { .. }) => println!("orphaned"),
        Err(error) => panic!("{error}"),
    }
}

fn process(parent: u32) -> std::process::Child {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["process::node_process", "--exact", "--nocapture"])
        .env(CHILD, parent.to_string())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_process_says_where_it_listens_and_ends_in_order_on_sigterm() {
    let mut child = process(std::process::id());
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let line = lines.find(|line| line.contains("listening")).unwrap();
    let addr = line
        .split_once("n1 listening on ")
        .unwrap()
        .1
        .parse()
        .unwrap();
    let (client, _) = Client::join(addr, None).await;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(client.end().await, SessionEnd::Close1001);
    assert!(lines.any(|line| line.contains("ended in order")));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_process_whose_parent_is_gone_does_not_serve() {
    let child = process(1).wait_with_output().unwrap();
    let text = String::from_utf8(child.stdout).unwrap();
    assert!(
        text.contains("orphaned") && !text.contains("listening"),
        "{text}"
    );
}
