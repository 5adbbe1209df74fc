//! What is done to a link, and how it is undone: orders to the relays in it.

use crate::relay::order::{Order, Rules, Shape, Strike, Way};
use crate::scenario::{self, LinkFault, NodeId, Trouble};
use crate::topology::{Link, Links, TopologyError};
use crate::units::{micros, show_count};

pub(super) async fn begin(
    fault: &LinkFault,
    nodes: &[NodeId],
    links: &Links,
) -> Result<String, TopologyError> {
    let answer = links
        .order(place(fault, nodes), order(&fault.trouble))
        .await?;
    Ok(format!(
        "{} in force on {} open tunnels",
        fault.trouble.name(),
        show_count(answer.applied)
    ))
}

pub(super) async fn heal(
    fault: &LinkFault,
    nodes: &[NodeId],
    links: &Links,
) -> Result<String, TopologyError> {
    if let Order::Strike(_) = order(&fault.trouble) {
        return Ok(String::new());
    }
    let clear = Order::Set(Rules::default());
    let answer = links.order(place(fault, nodes), clear).await?;
    Ok(format!(
        "clear again for {} open tunnels",
        show_count(answer.applied)
    ))
}

fn place<'a>(fault: &LinkFault, nodes: &'a [NodeId]) -> Link<'a> {
    match fault.link {
        scenario::Link::Edge => Link::Edge,
        scenario::Link::Upstream => Link::Upstream(nodes),
    }
}

fn order(trouble: &Trouble) -> Order {
    let shaped = |way: Way, shape: Shape| Order::Set(Rules::shaped(way, shape));
    let clear = Shape::default();
    match *trouble {
        Trouble::Blackhole(way) => shaped(
            way,
            Shape {
                hole: true,
                ..clear
            },
        ),
        Trouble::Reset(way) => Order::Strike(Strike::Reset(way)),
        Trouble::HalfClose(way) => Order::Strike(Strike::HalfClose(way)),
        Trouble::Latency { way, delay, jitter } => shaped(
            way,
            Shape {
                delay_us: micros(delay),
                jitter_us: micros(jitter),
                ..clear
            },
        ),
        Trouble::Bandwidth { way, rate } => shaped(
            way,
            Shape {
                rate: Some(rate),
                ..clear
            },
        ),
        Trouble::Slice { way, size, gap } => shaped(
            way,
            Shape {
                slice: Some(size),
                pause_us: micros(gap),
                ..clear
            },
        ),
        Trouble::Refuse => Order::Set(Rules {
            refuse: true,
            ..Rules::default()
        }),
    }
}
