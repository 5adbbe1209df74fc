//! `wssoak relay`: an in-path TCP relay whose faults act on tunnels that are open as well as on new ones, at once.
//!
//! It stands on the edge (client–proxy) or upstream (proxy–node) of a run whose scenario has a link fault, and nowhere
//! else. One process, one thread; [`order`] is what it is told and what it answers, as lines of JSON over stdin and
//! stdout. [`shaper`] decides which byte may leave when and is pure; `pipe` moves one direction of one tunnel by it,
//! `tunnel` is both directions, `link` is what all tunnels share.
//!
//! A relay in user space is no cable: the kernel goes on acknowledging what it has room for, and completes TCP
//! connects, whatever the fault. What follows from that is said in the README's section on link faults.

pub mod order;
pub mod shaper;

mod link;
mod pipe;
mod process;
mod server;
mod tunnel;

pub use process::{RelayOptions, run};
