//! Scenario files through the public interface: every shipped one loads and has the plan that was reviewed, every
//! broken one has the message that was reviewed, and no text panics.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use wssoak::plan::{Plan, show};
use wssoak::scenario::{Override, Problems, Scenario, load};

/// The TOML files of a folder of the repository, by relative path, in order.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<(PathBuf, String)> = fs::read_dir(root.join(folder))
        .expect("the folder is part of the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| {
            let text = fs::read_to_string(&path).expect("readable");
            let relative = path.strip_prefix(root).expect("below the root").to_owned();
            (relative, text)
        })
        .collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .expect("a file")
        .to_string_lossy()
        .into_owned()
}

fn set(key: &str, value: &str) -> Override {
    Override {
        key: key.into(),
        value: value.into(),
        origin: format!("--set {key}={value}"),
    }
}

fn idle(overrides: &[Override]) -> Result<Scenario, Problems> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/idle.toml"))
            .expect("shipped");
    load(Path::new("scenarios/idle.toml"), &text, overrides)
}

#[test]
fn every_shipped_scenario_has_the_plan_that_was_reviewed() {
    let files = files("scenarios");
    assert!(files.len() >= 6, "found only {}", files.len());
    for (path, text) in files {
        let scenario = load(&path, &text, &[]).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(scenario.name, stem(&path));
        assert!(
            text.starts_with('#'),
            "{} opens with a comment",
            path.display()
        );
        let plan = Plan::new(scenario);
        insta::assert_snapshot!(format!("plan-{}", stem(&path)), show::human(&plan));
    }
}

#[test]
fn the_plan_is_there_as_json_too() {
    let plan = Plan::new(idle(&[set("clients.count", "8k")]).expect("sound"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&show::json(&plan)).expect("JSON"));
}

#[test]
fn every_broken_scenario_has_the_message_that_was_reviewed() {
    let files = files("tests/data/bad");
    assert!(files.len() >= 24, "{}", files.len());
    for (path, text) in files {
        match load(&path, &text, &[]) {
            Ok(_) => panic!("{} has no problem", path.display()),
            Err(problems) => {
                insta::assert_snapshot!(format!("bad-{}", stem(&path)), problems.to_string())
            }
        }
    }
}

#[test]
fn overrides_replace_values_and_show_in_the_plan() {
    let scenario = idle(&[
        Override {
            key: "clients.count".into(),
            value: "8000".into(),
            origin: "--clients 8000".into(),
        },
        set("traffic.rate", "2/s"),
        set("faults.silence.for", "15s"),
        set("faults.0.at", "11s"),
        set("heartbeat.from", "nodes"),
        set("description", "12"),
    ])
    .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(scenario.clients.count, 8000);
    assert_eq!(scenario.traffic.interval, Duration::from_millis(500));
    assert_eq!(scenario.faults[0].lasts, Duration::from_secs(15));
    assert_eq!(scenario.faults[0].at, Duration::from_secs(11));
    assert!(scenario.heartbeat.from_nodes);
    assert_eq!(scenario.description, "12");
    let text = show::human(&Plan::new(scenario));
    assert!(text.contains("from --clients 8000"), "{text}");
}

#[test]
fn an_override_that_switches_something_off_leaves_the_rest_of_the_file_idle() {
    let scenario =
        idle(&[set("reconnect.policy", "none")]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(scenario.reconnect.policy, wssoak::scenario::Policy::None);
}

#[test]
fn problems_with_overrides_point_at_the_flag() {
    let problems = idle(&[
        Override {
            key: "clients.count".into(),
            value: "many".into(),
            origin: "--clients many".into(),
        },
        Override {
            key: "duration".into(),
            value: "8s".into(),
            origin: "WSSOAK_DURATION=8s".into(),
        },
        set("clients.cuont", "1"),
        set("faults.silense.at", "1s"),
        set("faults.7.at", "1s"),
        set("topology.nginx.proxy_read_timeout", "10"),
        set("seed.x", "1"),
        set("", "1"),
    ])
    .expect_err("eight mistakes");
    insta::assert_snapshot!(problems);
}

#[test]
fn huge_and_deep_texts_are_refused_quickly() {
    let start = Instant::now();
    for text in [
        "a.".repeat(300_000) + "a = 1",
        "[".repeat(500_000),
        "a = ".to_owned() + &"[".repeat(500_000),
        "a = ".to_owned() + &"{a=".repeat(150_000),
        "x = 1\n".repeat(150_000),
        (0..60_000).map(|i| format!("key{i} = 1\n")).collect(),
        format!("name = \"{}\"", "é".repeat(400_000)),
        format!("objectives = [{}]", "\"a < 1\",".repeat(100_000)),
        "[[faults]]\nkind=\"idle-gap\"\n".repeat(30_000),
        "[[phases]]\n".repeat(90_000),
        "x".repeat(2_000_000),
        "\0\u{1b}[31m".repeat(1_000),
    ] {
        let problems = load(Path::new("x.toml"), &text, &[]).expect_err("no scenario");
        assert!(
            problems.to_string().len() < 1 << 20,
            "{}",
            problems.to_string().len()
        );
    }
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
}

/// Loads and renders: neither may panic, and a scenario that loads can be planned and shown.
fn survives(text: &str, overrides: &[Override]) {
    match load(Path::new("some/x.toml"), text, overrides) {
        Ok(scenario) => {
            let plan = Plan::new(scenario);
            assert!(!show::human(&plan).is_empty() && show::json(&plan).is_object());
        }
        Err(problems) => {
            assert!(problems.count() > 0);
            assert!(problems.to_string().ends_with("nothing was started"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_text_panics(text in "(?s).{0,200}") {
        survives(&text, &[]);
    }

    #[test]
    fn no_toml_like_text_panics(
        lines in prop::collection::vec(
            "(\\[{1,2}(faults|phases|clients|topology\\.nginx|reconnect)\\]{1,2}|(name|kind|at|for|from|node|count|ramp|duration|objectives|policy|clients) = (\"?[0-9a-z/%µ]{0,6}\"?|\\[\"[a-z_.<=> 0-9]{0,20}\"\\]|\"(idle-gap|kill-node|reload-proxy)\"|\\{\\}))",
            0..14,
        ),
    ) {
        survives(&lines.join("\n"), &[]);
    }

    #[test]
    fn no_mutation_of_a_shipped_scenario_panics(
        which in 0usize..5, at in 0.0..1.0f64, cut in 0usize..40, with in "(?s).{0,6}|[0-9smh\"=<>\\[\\]]{0,8}",
    ) {
        let (_, text) = files("scenarios").swap_remove(which);
        let start = text.floor_char_boundary((text.len() as f64 * at) as usize);
        let end = text.ceil_char_boundary((start + cut).min(text.len()));
        survives(&format!("{}{with}{}", &text[..start], &text[end..]), &[]);
    }

    #[test]
    fn no_override_panics(key in "[a-z0-9.]{0,30}|(faults|phases|clients)(\\.[a-z0-9]{0,5}){0,3}", value in "(?s).{0,20}", origin in ".{0,30}") {
        let (_, text) = files("scenarios").swap_remove(0);
        survives(&text, &[Override { key, value, origin }]);
    }
}
