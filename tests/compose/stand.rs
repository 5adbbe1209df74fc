//! The stand-in images, and what the engine knows of a project.

use std::process::{Command, Stdio};
use std::sync::{OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::support::{Place, Turn, turns};

/// Runs of thousands of clients are alone, and whoever runs many at once; all others are side by side, which is a test in
/// itself.
static MACHINE: RwLock<()> = RwLock::new(());

pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Leave for all others, two at a time: figures of a run count, and bringing containers up and down takes processors.
pub(crate) fn beside_others() -> (RwLockReadGuard<'static, ()>, Turn) {
    let turn = turns(2);
    let machine = MACHINE
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    (machine, turn)
}

/// The variables that name the images; `None`, said loudly, where there is no engine.
#[expect(
    clippy::print_stderr,
    reason = "a skipped test must not look like a passed one"
)]
pub(crate) fn images() -> Option<&'static [(String, String)]> {
    static IMAGES: OnceLock<Option<Vec<(String, String)>>> = OnceLock::new();
    let images = IMAGES.get_or_init(|| {
        if !docker(&["version"]).0 {
            return None;
        }
        let script = Command::new("tests/stand-ins.sh")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(
            script.status.success(),
            "tests/stand-ins.sh: {}",
            script.status
        );
        let text = String::from_utf8(script.stdout).unwrap();
        let pairs = text
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        Some(
            pairs
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    });
    if images.is_none() {
        eprintln!(
            "SKIPPED: no Docker engine answers, so nothing of the compose topology was tested"
        );
    }
    images.as_deref()
}

/// Did it succeed, and what did it print?
pub(crate) fn docker(args: &[&str]) -> (bool, String) {
    match Command::new("docker").args(args).output() {
        Ok(output) => (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        ),
        Err(_) => (false, String::new()),
    }
}

/// `wssoak` with the stand-in images.
pub(crate) fn command(place: &Place, images: &[(String, String)], args: &[&str]) -> Command {
    let mut command = place.command(args);
    command.envs(images.iter().map(|(name, value)| (name, value)));
    command
}

/// `wssoak run SCENARIO --out …`.
pub(crate) fn run(
    place: &Place,
    images: &[(String, String)],
    scenario: &str,
    args: &[&str],
) -> Command {
    let mut command = command(place, images, &["run", scenario]);
    command.arg("--out").arg(place.out()).args(args);
    command
}

/// The project of a place's run, by its journal.
pub(crate) fn project(place: &Place) -> Option<String> {
    let entries = std::fs::read_dir(place.state().join("wssoak"))
        .ok()?
        .flatten();
    let mut names = entries.map(|entry| entry.path());
    let path = names.find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "jsonl")
    })?;
    Some(path.file_stem()?.to_string_lossy().into_owned())
}

/// Containers and networks of a project.
pub(crate) fn left(project: &str) -> String {
    let label = format!("label=com.docker.compose.project={project}");
    let containers = docker(&["ps", "-aq", "--filter", &label]).1;
    let networks = docker(&["network", "ls", "-q", "--filter", &label]).1;
    format!("{containers} {networks}").trim().to_owned()
}
