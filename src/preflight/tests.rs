//! Findings over tables of needs and facts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn facts() -> HostFacts {
    HostFacts {
        open_files: 20_000,
        system_files: Some(1_000_000),
        memory: Some(4 << 30),
        port_range: (32_768, 60_999),
    }
}

fn needs(clients: u32, nodes: u16) -> Needs {
    let sizing = Sizing {
        worker_processes: 3,
        worker_connections: 19_936,
        worker_rlimit_nofile: 20_000,
    };
    Needs {
        agents: 1,
        node_parts: 1,
        relays: 0,
        clients,
        nodes,
        nginx: Some(sizing),
    }
}

fn found(needs: &Needs, facts: &HostFacts) -> Vec<(Resource, bool)> {
    let findings = check(needs, facts);
    findings.iter().map(|f| (f.resource, f.is_fatal)).collect()
}

#[test]
fn findings_name_what_is_too_small() {
    use Resource::*;
    let with = |change: fn(&mut HostFacts)| {
        let mut facts = facts();
        change(&mut facts);
        facts
    };
    for (clients, nodes, facts, want) in [
        (8_000, 2, facts(), vec![]),
        (12_000, 2, facts(), vec![(ProxyConnections, false)]),
        (
            19_900,
            2,
            facts(),
            vec![(HarnessFiles, true), (ProxyConnections, false)],
        ),
        (
            2_000,
            2,
            with(|f| f.open_files = 1_024),
            vec![(HarnessFiles, true), (NodeFiles, true)],
        ),
        (
            2_000,
            4,
            with(|f| f.open_files = 1_024),
            vec![(HarnessFiles, true), (NodeFiles, false)],
        ),
        (
            2_000,
            2,
            with(|f| f.memory = Some(200 << 20)),
            vec![(Memory, false)],
        ),
        (
            2_000,
            2,
            with(|f| f.memory = Some(64 << 20)),
            vec![(Memory, true)],
        ),
        (2_000, 2, with(|f| f.memory = None), vec![]),
        (
            2_000,
            2,
            with(|f| f.system_files = Some(9_000)),
            vec![(SystemFiles, true)],
        ),
        (
            2_000,
            2,
            with(|f| f.port_range = (60_000, 61_499)),
            vec![(NodePorts, false)],
        ),
        (
            2_000,
            2,
            with(|f| f.port_range = (60_000, 60_899)),
            vec![(NodePorts, true)],
        ),
        (
            6_400,
            64,
            with(|f| f.port_range = (60_000, 60_049)),
            vec![(ClientPorts, true), (NodePorts, true)],
        ),
    ] {
        assert_eq!(
            found(&needs(clients, nodes), &facts),
            want,
            "{clients} clients, {nodes} nodes, {facts:?}"
        );
    }
}

#[test]
fn too_few_tunnels_by_the_scenarios_own_choice_are_named_and_not_refused() {
    let mut needs = needs(8_000, 2);
    needs.nginx = Some(Sizing {
        worker_processes: 2,
        worker_connections: 1_024,
        worker_rlimit_nofile: 1_088,
    });
    let findings = check(&needs, &facts());
    assert!(!findings[0].is_fatal);
    assert_eq!(findings[0].needed, 8_000);
    assert!(
        findings[0].command.contains("worker_connections to 16512"),
        "{}",
        findings[0]
    );
}

#[test]
fn a_finding_reads_as_need_stock_and_command() {
    let mut facts = facts();
    facts.open_files = 4_096;
    let findings = check(&needs(8_000, 2), &facts);
    assert!(findings[0].to_string().starts_with(
        "8,000 clients in one process need 8,128 file descriptors a process, and the hard limit is 4,096; run `ulimit -n 8128`"
    ), "{}", findings[0]);
}

#[test]
fn a_foreign_target_needs_only_what_the_harness_needs() {
    let needs = Needs {
        agents: 1,
        node_parts: 1,
        relays: 0,
        clients: 30_000,
        nodes: 0,
        nginx: None,
    };
    assert_eq!(found(&needs, &facts()), [(Resource::HarnessFiles, true)]);
}

proptest! {
    #[test]
    fn source_addresses_are_apart_and_enough(clients in 1u32..1_000_000) {
        let addresses = source_addresses(clients);
        let networks: BTreeSet<_> = addresses.iter().map(|a| a.octets()[..3] != [127, 0, 0]).collect();
        prop_assert_eq!(networks, BTreeSet::from([true]));
        let distinct: BTreeSet<_> = addresses.iter().map(|a| [a.octets()[1], a.octets()[2]]).collect();
        prop_assert_eq!(distinct.len(), addresses.len());
        prop_assert!(addresses.len() as u64 * 5_000 >= u64::from(clients));
        prop_assert!(addresses.len() <= clients as usize);
        prop_assert!(addresses.iter().all(|a| a.is_loopback()));
    }
}
