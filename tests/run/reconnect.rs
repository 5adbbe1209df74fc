//! How clients come back.

use serde_json::Value;

use crate::left::{assert_verdict, measure};
use crate::scenarios::run;

/// Half of the fleet is cut while every node refuses upgrades for a second, and asks for three.
fn refused(retry_after: bool) -> Value {
    let text = format!(
        r#"
        duration = "9s"
        objectives = ["never_recovered == 0"]
        [topology]
        nodes = 2
        [clients]
        count = 200
        [reconnect]
        policy = "constant"
        jitter = "full"
        base = "400ms"
        retry_after = {retry_after}
        [[faults]]
        name = "busy"
        kind = "refuse-upgrades"
        target = "all"
        retry_after = "3s"
        at = "2s"
        for = "1s"
        [[faults]]
        name = "flap"
        kind = "mass-disconnect"
        share = "50%"
        at = "2100ms"
        "#
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("busy.toml");
    std::fs::write(&path, text).unwrap();
    let (finished, result) = run(path.to_str().unwrap(), &[]);
    assert_verdict(&finished, &result, "pass", 0);
    result["run"].clone()
}

#[test]
fn who_honours_retry_after_stays_away_for_as_long_and_its_own_delay() {
    let run = refused(true);
    assert_eq!(measure(&run, "handshake.failed.status_503"), 100.0);
    assert_eq!(measure(&run, "handshake.attempts"), 400.0);
    // Two delays of at most 400 ms, one before the refusal and one after the time that it asks for.
    let (first, last) = (measure(&run, "outage.p50"), measure(&run, "outage.max"));
    assert!(first >= 3.0 && last < 4.2, "{first} {last}");
    assert!(
        last - first > 0.1,
        "they do not return at once: {first} {last}"
    );
}

#[test]
fn who_does_not_tries_again_at_once() {
    let run = refused(false);
    assert!(measure(&run, "handshake.failed.status_503") > 200.0);
    assert!(measure(&run, "outage.max") < 2.5);
}
