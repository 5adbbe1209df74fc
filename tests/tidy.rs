//! House rules that the compiler does not know: reads the source and fails on a breach.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::path::{Path, PathBuf};

use wssoak::scenario::Measure;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file under `src`, by path relative to it, with its text.
fn sources() -> Vec<(String, String)> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    assert!(paths.len() > 50, "found only {} files", paths.len());
    let relative = |path: &PathBuf| {
        path.strip_prefix(&src)
            .unwrap()
            .to_string_lossy()
            .into_owned()
    };
    paths
        .iter()
        .map(|path| (relative(path), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// The code without its tests and comments.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = body
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

/// Names of files that use one of the words outside tests and comments, but for those allowed.
fn users(words: &[&str], is_bound: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in sources() {
        if is_bound(&name) && !is_test(&name) {
            let code = code(&text);
            found.extend(
                words
                    .iter()
                    .filter(|word| code.contains(**word))
                    .map(|word| format!("{name}: {word}")),
            );
        }
    }
    found
}

#[test]
fn the_core_is_pure() {
    let pure = |name: &str| {
        let files = [
            "units.rs",
            "cause.rs",
            "wire.rs",
            "verdict.rs",
            "client/schedule.rs",
            "client/classify.rs",
            "record/history.rs",
            "record/interval.rs",
            "record/shard.rs",
            "record/named.rs",
            "record/outage.rs",
            "fault/mod.rs",
            "relay/order.rs",
            "relay/shaper.rs",
        ];
        let folders = ["scenario/", "plan/", "analyze/", "report/"];
        ![
            "analyze/replay.rs",
            "analyze/source.rs",
            "analyze/thin.rs",
            "analyze/times.rs",
        ]
        .contains(&name)
            && (files.contains(&name) || folders.iter().any(|folder| name.starts_with(folder)))
    };
    let impure = [
        "Instant::now",
        "SystemTime::now",
        "std::fs",
        "std::net::Tcp",
        "std::process",
        "tokio::",
        "rand::rng()",
        "thread_rng",
        "std::env",
    ];
    assert_eq!(users(&impure, pure), [] as [String; 0]);
}

#[test]
fn each_library_is_known_where_it_belongs_and_nowhere_else() {
    for (library, home) in [
        ("clap::", "cli"),
        ("indicatif::", "progress.rs"),
        ("annotate_snippets::", "scenario/problem.rs"),
        ("tracing_subscriber::", "cli.rs"),
        ("jiff::", "run.rs"),
    ] {
        assert_eq!(
            users(&[library], |name| !name.starts_with(home)),
            [] as [String; 0]
        );
    }
}

#[test]
fn only_the_shell_speaks_to_the_terminal() {
    let allowed = [
        "cli.rs",
        "progress.rs",
        "client/agent.rs",
        "node/process.rs",
        "relay/process.rs",
        "topology/warden.rs",
    ];
    let words = ["println!", "print!", "stdout()", "stderr()"];
    assert_eq!(
        users(&words, |name| !allowed.contains(&name)),
        [] as [String; 0]
    );
}

#[test]
fn nothing_exits_or_panics_on_purpose_outside_main() {
    assert_eq!(
        users(
            &["process::exit", "todo!", "unimplemented!", ".unwrap()"],
            |_| true
        ),
        [] as [String; 0]
    );
}

#[test]
fn every_file_says_what_it_is_for_and_is_short_enough_to_read() {
    for (name, text) in sources() {
        assert!(
            text.starts_with("//!") || is_test(&name),
            "{name} does not open with what it is for"
        );
        let lines = text.lines().count();
        assert!(
            lines <= 400,
            "{name} has {lines} lines: is there a second room in it?"
        );
    }
}

#[test]
fn the_readme_defines_every_measure_and_cause() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for measure in Measure::all() {
        let name = measure.to_string();
        let known = match measure {
            Measure::Latency(..) => format!("`{}.Q`", name.split('.').next().unwrap()),
            Measure::HandshakeFailed(Some(cause)) => format!("`{cause}`"),
            Measure::Disconnects(Some(end)) => format!("`{end}`"),
            _ => format!("`{name}`"),
        };
        assert!(readme.contains(&known), "README.md does not define {name}");
    }
}

#[test]
fn the_readme_lists_every_shipped_scenario() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for entry in std::fs::read_dir(root().join("scenarios")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(readme.contains(&name), "README.md does not list {name}");
    }
}
