//! Who may touch what: a fault waits until the one before it is healed, though their planned times only touch.
//!
//! The scenario has no two faults that hold the same at the same time, but healing takes its time.

use tokio::sync::{Mutex, MutexGuard};

use crate::plan::PlannedFault;
use crate::scenario::Hold;

/// One lock for each thing that a fault can hold.
#[derive(Debug)]
pub(super) struct Turns {
    fleet: Mutex<()>,
    proxy: Mutex<()>,
    edge: Mutex<()>,
    upstream: Mutex<()>,
    nodes: Vec<Mutex<()>>,
}

impl Turns {
    pub(super) fn new(nodes: u16) -> Self {
        Self {
            fleet: Mutex::default(),
            proxy: Mutex::default(),
            edge: Mutex::default(),
            upstream: Mutex::default(),
            nodes: (0..nodes).map(|_| Mutex::default()).collect(),
        }
    }

    /// Waits until all that `fault` holds is free, and holds it until the guards are dropped.
    pub(super) async fn take(&self, fault: &PlannedFault) -> Vec<MutexGuard<'_, ()>> {
        let mut guards = Vec::new();
        match fault.kind.hold() {
            Hold::Fleet => guards.push(self.fleet.lock().await),
            Hold::Proxy => guards.push(self.proxy.lock().await),
            Hold::Edge => guards.push(self.edge.lock().await),
            Hold::Upstream => guards.push(self.upstream.lock().await),
            Hold::Nodes => {
                let mut wanted: Vec<usize> =
                    fault.nodes.iter().map(|node| usize::from(node.0)).collect();
                // In one order for all, or two that wait for each other would wait for ever.
                wanted.sort_unstable();
                for node in wanted.into_iter().filter_map(|node| self.nodes.get(node)) {
                    guards.push(node.lock().await);
                }
            }
        }
        guards
    }
}
