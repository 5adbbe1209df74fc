//! A run that an abort condition ends: healed, taken down, and judged the same from its folder.

use serde_json::Value;

use crate::support::{Place, complete, lines, result, turn};

const SCENARIO: &str = r#"
duration = "60s"
abort_when = ["handshake.success < 50% for 30s", "connected < 10% for 3s"]
objectives = ["disconnects.share == 100% after away", "outage.max < 1s"]
[topology]
nodes = 2
[clients]
count = 200
ramp = "500ms"
[reconnect]
base = "200ms"
cap = "1s"
[[faults]]
name = "hang"
kind = "pause-node"
target = "n1"
at = "1500ms"
for = "40s"
[[faults]]
name = "away"
kind = "kill-proxy"
at = "2s"
for = "40s"
[[faults]]
name = "never"
kind = "reload-proxy"
at = "50s"
"#;

#[test]
fn a_condition_that_holds_ends_the_run_heals_it_and_fails_it() {
    let _turn = turn();
    let place = Place::new();
    let file = place.tmp().join("abort.toml");
    std::fs::write(&file, SCENARIO).unwrap();
    let finished = complete(&mut place.run_command(file.to_str().unwrap(), &[]));
    let out = place.out();
    let whole = result(&out);
    assert_eq!(
        (finished.code, &whole["judgement"]["verdict"]),
        (1, &Value::from("fail")),
        "{}\n{}",
        finished.stdout,
        finished.stderr
    );
    let reason = whole["judgement"]["reasons"][0].as_str().unwrap();
    assert!(
        reason.starts_with("the run was aborted at ")
            && reason.contains("`connected < 10% for 3s` held in every second since "),
        "{reason}"
    );
    assert!(finished.stdout.contains(reason), "{}", finished.stdout);
    // The fault began at 2s, so the seconds from 2s or 3s on count, and three of them are enough.
    let end: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("end.json")).unwrap()).unwrap();
    let abort = &end["outcome"]["why"];
    assert_eq!(end["outcome"]["how"], "aborted");
    let time = |key: &str| abort[key].as_u64().unwrap();
    assert_eq!(time("at_s") - time("since_s"), 3, "{end}");
    assert!((2..=3).contains(&time("since_s")), "{end}");
    assert_eq!(abort["condition"], "connected < 10% for 3s");
    let seconds = lines(&out.join("intervals.jsonl"));
    assert!((5..20).contains(&seconds), "{seconds} seconds");
    // What was on is healed, and what was not due is no fault of anybody.
    let storms = whole["storms"].as_array().unwrap();
    let healed = |name: &str| {
        let storm = storms.iter().find(|storm| storm["fault"]["name"] == name);
        storm.unwrap()["fault"]["ended_us"].as_u64()
    };
    assert!(healed("hang").is_some() && healed("away").is_some());
    assert_eq!(healed("never"), None);
    assert_eq!(place.processes(&[]), [] as [String; 0]);
    let books = whole["books"].as_array().unwrap();
    assert!(books.len() >= 8, "closed in order, so all books are there");
    // The folder alone says the same.
    let report = complete(place.command(&["report"]).arg(&out));
    assert_eq!(report.code, 1, "{}", report.stderr);
    assert!(report.stdout.contains(reason), "{}", report.stdout);
    assert_eq!(result(&out), whole);
}
