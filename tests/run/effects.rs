//! No fault without a test of its effect: who proves what, held against the vocabulary and against the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wssoak::scenario::FaultKind;

/// A kind, what is particular about it in the scenario's words, and the test that asserts whom it cuts, how that looks
/// to them, and when.
type Row = (&'static str, &'static [&'static str], &'static str);

const EFFECTS: &[Row] = &[
    (
        "kill-node",
        &["for = \"3s\""],
        "rejoin_starves_the_returned_node_and_says_so",
    ),
    (
        "stop-node",
        &["code = 1012"],
        "node_stop_tells_half_of_the_fleet_why_and_no_reconnect_fails",
    ),
    (
        "stop-node",
        &["grace = \"600ms\""],
        "a_node_that_cannot_say_goodbye_is_killed_after_its_grace_and_refusing_keeps_newcomers_out",
    ),
    (
        "pause-node",
        &[],
        "four_nodes_fail_in_four_ways_at_once_and_each_looks_as_it_should",
    ),
    (
        "pause-node",
        &[],
        "who_says_nothing_is_cut_by_nginx_after_the_read_timeout_and_who_hears_nothing_by_its_node",
    ),
    (
        "restart-node",
        &["every = \"3s\""],
        "refused_and_slow_handshakes_and_a_rolling_restart_of_drawn_nodes",
    ),
    (
        "restart-node",
        &["pause = \"5s\"", "code = 1012"],
        "rolling_restart_cuts_each_node_in_its_turn_with_1012_and_nothing_fails",
    ),
    (
        "refuse-upgrades",
        &["retry_after = \"1s\""],
        "refused_and_slow_handshakes_and_a_rolling_restart_of_drawn_nodes",
    ),
    (
        "refuse-upgrades",
        &[],
        "a_node_that_cannot_say_goodbye_is_killed_after_its_grace_and_refusing_keeps_newcomers_out",
    ),
    (
        "slow-handshake",
        &["delay = \"400ms\""],
        "refused_and_slow_handshakes_and_a_rolling_restart_of_drawn_nodes",
    ),
    (
        "slow-handshake",
        &["delay = \"5s\""],
        "slow_handshake_lets_newcomers_wait_and_gives_504_after_the_timeout_of_each_node",
    ),
    (
        "stop-reading",
        &[],
        "four_nodes_fail_in_four_ways_at_once_and_each_looks_as_it_should",
    ),
    (
        "stop-reading",
        &[],
        "a_flooded_node_that_does_not_read_costs_its_clients_their_tunnels_after_the_send_timeout",
    ),
    (
        "no-pong",
        &[],
        "four_nodes_fail_in_four_ways_at_once_and_each_looks_as_it_should",
    ),
    ("reload-proxy", &[], "proxy_reload_cuts_nobody"),
    (
        "reload-proxy",
        &[],
        "a_reload_with_a_shutdown_timeout_cuts_everybody_at_its_end",
    ),
    (
        "quit-proxy",
        &[],
        "each_way_to_hurt_nginx_cuts_whom_it_should_when_it_should",
    ),
    (
        "kill-proxy",
        &[],
        "each_way_to_hurt_nginx_cuts_whom_it_should_when_it_should",
    ),
    (
        "restart-proxy",
        &[],
        "proxy_restart_cuts_everybody_refuses_them_and_takes_them_back",
    ),
    (
        "kill-worker",
        &[],
        "a_killed_worker_takes_its_share_along_and_no_other",
    ),
    (
        "pause-worker",
        &[],
        "each_way_to_hurt_nginx_cuts_whom_it_should_when_it_should",
    ),
    (
        "pause-worker",
        &[],
        "a_stopped_worker_keeps_its_share_waiting_and_other_settings_meet_newcomers_only",
    ),
    (
        "reconfigure-proxy",
        &["upgrade_headers = false"],
        "a_stopped_worker_keeps_its_share_waiting_and_other_settings_meet_newcomers_only",
    ),
    (
        "exhaust-connections",
        &[],
        "exhausted_workers_turn_newcomers_away_and_keep_the_rest",
    ),
    (
        "blackhole",
        &["link = \"edge\""],
        "a_blackhole_is_found_by_pings_alone_and_new_connections_wait_in_vain",
    ),
    (
        "blackhole",
        &["link = \"upstream\""],
        "a_node_in_a_blackhole_is_found_by_nginx_when_nobody_speaks_and_only_its_sessions_are_cut",
    ),
    (
        "blackhole",
        &["link = \"edge\"", "direction = \"to-server\""],
        "a_short_blackhole_one_way_stops_what_goes_that_way_and_lets_it_go_on_afterwards",
    ),
    (
        "blackhole",
        &["link = \"edge\"", "direction = \"to-client\""],
        "a_short_blackhole_one_way_stops_what_goes_that_way_and_lets_it_go_on_afterwards",
    ),
    (
        "blackhole",
        &["link = \"upstream\"", "direction = \"to-server\""],
        "a_short_blackhole_one_way_stops_what_goes_that_way_and_lets_it_go_on_afterwards",
    ),
    (
        "blackhole",
        &["link = \"upstream\"", "direction = \"to-client\""],
        "a_short_blackhole_one_way_stops_what_goes_that_way_and_lets_it_go_on_afterwards",
    ),
    (
        "blackhole",
        &["link = \"upstream\"", "direction = \"to-server\""],
        "who_says_nothing_is_cut_by_nginx_after_the_read_timeout_and_who_hears_nothing_by_its_node",
    ),
    (
        "blackhole",
        &["link = \"upstream\"", "direction = \"to-client\""],
        "who_says_nothing_is_cut_by_nginx_after_the_read_timeout_and_who_hears_nothing_by_its_node",
    ),
    (
        "reset-link",
        &["link = \"edge\""],
        "reset_shows_as_such_on_the_edge_and_as_a_fin_from_upstream",
    ),
    (
        "reset-link",
        &["link = \"upstream\""],
        "reset_shows_as_such_on_the_edge_and_as_a_fin_from_upstream",
    ),
    (
        "reset-link",
        &["link = \"edge\"", "direction = \"to-server\""],
        "a_reset_is_one_on_the_side_named_and_a_half_close_either_way_ends_the_whole_tunnel",
    ),
    (
        "reset-link",
        &["link = \"edge\"", "direction = \"to-client\""],
        "a_reset_is_one_on_the_side_named_and_a_half_close_either_way_ends_the_whole_tunnel",
    ),
    (
        "reset-link",
        &["link = \"upstream\"", "direction = \"to-server\""],
        "a_reset_is_one_on_the_side_named_and_a_half_close_either_way_ends_the_whole_tunnel",
    ),
    (
        "reset-link",
        &["link = \"upstream\"", "direction = \"to-client\""],
        "a_reset_is_one_on_the_side_named_and_a_half_close_either_way_ends_the_whole_tunnel",
    ),
    (
        "half-close",
        &["link = \"edge\"", "direction = \"to-server\""],
        "a_reset_shows_on_its_own_side_of_nginx_only_and_a_half_close_ends_the_tunnel",
    ),
    (
        "half-close",
        &["link = \"edge\"", "direction = \"to-client\""],
        "a_reset_is_one_on_the_side_named_and_a_half_close_either_way_ends_the_whole_tunnel",
    ),
    (
        "half-close",
        &["link = \"upstream\"", "direction = \"to-server\""],
        "a_reset_is_one_on_the_side_named_and_a_half_close_either_way_ends_the_whole_tunnel",
    ),
    (
        "half-close",
        &["link = \"upstream\"", "direction = \"to-client\""],
        "a_reset_shows_on_its_own_side_of_nginx_only_and_a_half_close_ends_the_tunnel",
    ),
    (
        "latency",
        &["jitter = \"20ms\""],
        "latency_bandwidth_and_slices_slow_what_is_said_and_cut_nobody_and_a_closed_door_keeps_newcomers_out",
    ),
    (
        "latency",
        &["link = \"edge\"", "jitter = \"80ms\""],
        "slow_links_slow_what_goes_their_way_as_much_as_they_say_and_a_closed_door_has_nginx_go_elsewhere",
    ),
    (
        "latency",
        &["link = \"upstream\""],
        "slow_links_slow_what_goes_their_way_as_much_as_they_say_and_a_closed_door_has_nginx_go_elsewhere",
    ),
    (
        "bandwidth",
        &["link = \"upstream\"", "direction = \"to-server\""],
        "slow_links_slow_what_goes_their_way_as_much_as_they_say_and_a_closed_door_has_nginx_go_elsewhere",
    ),
    (
        "slice",
        &["link = \"edge\"", "direction = \"to-client\""],
        "slow_links_slow_what_goes_their_way_as_much_as_they_say_and_a_closed_door_has_nginx_go_elsewhere",
    ),
    (
        "slice",
        &["link = \"upstream\""],
        "latency_bandwidth_and_slices_slow_what_is_said_and_cut_nobody_and_a_closed_door_keeps_newcomers_out",
    ),
    (
        "refuse-link",
        &[],
        "latency_bandwidth_and_slices_slow_what_is_said_and_cut_nobody_and_a_closed_door_keeps_newcomers_out",
    ),
    (
        "refuse-link",
        &["link = \"upstream\"", "node = \"n1\""],
        "slow_links_slow_what_goes_their_way_as_much_as_they_say_and_a_closed_door_has_nginx_go_elsewhere",
    ),
    (
        "refuse-link",
        &["link = \"upstream\""],
        "slow_links_slow_what_goes_their_way_as_much_as_they_say_and_a_closed_door_has_nginx_go_elsewhere",
    ),
    (
        "idle-gap",
        &[],
        "idle_cuts_the_whole_fleet_after_the_read_timeout_and_all_are_back",
    ),
    (
        "idle-gap",
        &["keep_heartbeat = true"],
        "idle_heartbeat_keeps_every_tunnel",
    ),
    (
        "mass-disconnect",
        &["how = \"rst\""],
        "a_mass_disconnect_hits_exactly_its_share_over_all_agents_and_they_come_back_at_once",
    ),
    (
        "mass-disconnect",
        &["how = \"fin\""],
        "latency_bandwidth_and_slices_slow_what_is_said_and_cut_nobody_and_a_closed_door_keeps_newcomers_out",
    ),
    (
        "vanish",
        &[],
        "vanished_clients_leave_their_tunnels_to_nginx_deaf_ones_are_dropped_by_nodes_and_a_surge_comes_and_goes",
    ),
    (
        "slow-reader",
        &[],
        "vanished_clients_leave_their_tunnels_to_nginx_deaf_ones_are_dropped_by_nodes_and_a_surge_comes_and_goes",
    ),
    (
        "slow-reader",
        &[],
        "clients_that_do_not_read_what_is_pushed_are_dropped_after_the_send_timeout",
    ),
    (
        "surge",
        &[],
        "vanished_clients_leave_their_tunnels_to_nginx_deaf_ones_are_dropped_by_nodes_and_a_surge_comes_and_goes",
    ),
];

/// Each test of this folder by its name, with its text: quotes as the scenario has them, shipped scenarios it plays at the end.
fn tests() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("tests/run")).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for test in source.split("#[test]\nfn ").skip(1) {
            let (name, rest) = test.split_once('(').unwrap();
            let (body, _) = rest.split_once("\n}\n").unwrap();
            let mut text = body.replace("\\\"", "\"");
            for word in body
                .split('"')
                .filter(|word| word.starts_with("scenarios/"))
            {
                text += &std::fs::read_to_string(root.join(word)).unwrap();
            }
            tests.insert(name.to_owned(), text);
        }
    }
    tests
}

/// Does a scenario in this text have such a fault? What is said of a fault stands behind its kind.
fn plays(text: &str, (kind, particulars, _): &Row) -> bool {
    let mut faults = text.split("kind = \"").skip(1);
    faults.any(|fault| {
        fault.starts_with(&format!("{kind}\""))
            && particulars.iter().all(|part| fault.contains(part))
    })
}

#[test]
fn every_kind_of_fault_has_a_test_of_its_effect() {
    let tests = tests();
    for row in EFFECTS {
        let text = tests.get(row.2);
        let text = text.unwrap_or_else(|| panic!("there is no test {}", row.2));
        assert!(plays(text, row), "{row:?}: that test plays no such fault");
    }
    let proven: BTreeSet<&str> = EFFECTS.iter().map(|(kind, ..)| *kind).collect();
    let words: BTreeSet<&str> = FaultKind::words().collect();
    assert_eq!(proven, words, "kinds with a test, and kinds there are");
    for kind in ["blackhole", "reset-link", "half-close"] {
        for link in ["link = \"edge\"", "link = \"upstream\""] {
            for way in ["direction = \"to-server\"", "direction = \"to-client\""] {
                let has = |row: &&Row| row.0 == kind && row.1 == [link, way];
                assert!(EFFECTS.iter().any(|row| has(&row)), "{kind} {link} {way}");
            }
        }
    }
}
