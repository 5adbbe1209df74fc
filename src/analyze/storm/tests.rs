use super::*;
use crate::scenario::ProxyFault;
use proptest::prelude::*;

fn cut(at_us: u64, client: u32) -> OutageEvent {
    let what = Change::Cut {
        cause: SessionEnd::Eof,
        node: Some(NodeId(0)),
        silence_us: 5,
        age_us: 9,
    };
    OutageEvent {
        at_us,
        client,
        what,
    }
}

fn back(at_us: u64, client: u32) -> OutageEvent {
    OutageEvent {
        at_us,
        client,
        what: Change::Back {
            node: None,
            attempts: 2,
        },
    }
}

/// Feeds events to a storm of ten clients that starts at 1 s.
fn storm(events: &[OutageEvent]) -> Storm {
    let at = std::time::Duration::from_secs(1);
    let fault = PlannedFault {
        fault: FaultId(0),
        name: "f".into(),
        kind: FaultKind::Proxy(ProxyFault::Restart),
        due: at,
        at,
        until: at,
        lasts: at,
        nodes: Vec::new(),
        pause: None,
    };
    let mut storm = Storm::new(&fault, 1_000_000..9_000_000, None, 10_000_000);
    let nodes = [
        NodeSessions {
            opened: 0,
            connected: 10,
        },
        NodeSessions::default(),
    ];
    storm.prepare(&nodes, 10, 10);
    let mut connected = 10;
    for event in events {
        match event.what {
            Change::Cut { .. } => connected -= 1,
            Change::Back { .. } => connected += 1,
            Change::Out { .. } => {}
        }
        storm.event(event, connected, 10);
    }
    storm.finish();
    storm
}

#[test]
fn recovery_is_the_last_return_to_99_percent() {
    let storm = storm(&[
        cut(1_100_000, 1),
        back(1_500_000, 1),
        cut(2_000_000, 1),
        back(3_000_000, 1),
    ]);
    assert_eq!(storm.fleet_recovery(), Some(Value::Number(2.0)));
    assert_eq!(storm.clients_cut, 1);
    assert_eq!(storm.scope.cut_total(), 2);
    assert_eq!(storm.never_recovered, 0);
    assert_eq!(storm.fewest_connected, 9);
    assert_eq!(storm.cut_by_node, [2, 0]);
    assert_eq!(storm.cut_share(), Some(Value::Number(0.1)));
}

#[test]
fn a_fleet_that_stays_below_never_recovers() {
    let storm = storm(&[cut(1_100_000, 1), cut(1_200_000, 2), back(3_000_000, 2)]);
    assert_eq!(storm.fleet_recovery(), Some(Value::Never));
    assert_eq!(storm.never_recovered, 1);
}

#[test]
fn no_data_is_none_and_not_zero() {
    let storm = storm(&[]);
    assert_eq!(storm.fleet_recovery(), None);
    assert_eq!(storm.cut_share(), None);
    assert_eq!(storm.value(Measure::NeverRecovered), None);
}

#[test]
fn events_outside_the_window_belong_to_others() {
    let storm = storm(&[cut(900_000, 1), back(950_000, 1)]);
    assert!(!storm.has_data());
}

proptest! {
    #[test]
    fn cuts_are_counted_once_per_session_and_once_per_client(cuts in prop::collection::vec((0u32..5, 1_000_000u64..8_000_000), 1..40)) {
        let mut times: Vec<u64> = cuts.iter().map(|(_, at)| *at).collect();
        times.sort_unstable();
        let mut events = Vec::new();
        for ((client, _), at) in cuts.iter().zip(times) {
            events.push(cut(at, *client));
            events.push(back(at, *client));
        }
        let storm = storm(&events);
        let different: HashSet<u32> = cuts.iter().map(|(client, _)| *client).collect();
        prop_assert_eq!(storm.scope.cut_total(), cuts.len() as u64);
        prop_assert_eq!(storm.clients_cut, different.len() as u64);
        prop_assert_eq!(storm.never_recovered, 0);
        prop_assert_eq!(storm.detection.count(), cuts.len() as u64);
    }
}
