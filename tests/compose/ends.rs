//! What is left when the harness is killed together with its warden goes with `wssoak clean`.

use std::time::Duration;

use rustix::process::Signal;

use crate::moments::{assert_nothing_left, calm, containers, live, paused};
use crate::stand::{beside_others, command, docker, images, left};
use crate::support::{Place, complete, finish, send};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn what_is_left_when_the_warden_dies_too_goes_with_clean() {
    let Some(images) = images() else { return };
    let _beside = beside_others();
    let place = Place::new();
    let (child, project, groups) = paused(&place, images);
    let living = Place::new();
    let (other, other_project, other_groups) = calm(&living, images);
    send(child.id(), Signal::STOP);
    groups.iter().for_each(|warden| send(*warden, Signal::KILL));
    send(child.id(), Signal::KILL);
    finish(child, PATIENCE);
    let of_project = format!("label=com.docker.compose.project={project}");
    let paused = docker(&[
        "ps",
        "-q",
        "--filter",
        "status=paused",
        "--filter",
        &of_project,
    ]);
    assert_ne!(paused.1, "", "nobody was there to let it go on");
    let orphans = containers(&project);
    // Anybody else may not look.
    assert!(live(&orphans) || !rustix::process::geteuid().is_root());
    // A run that lives is not cleaned away, though its journal lies beside.
    let name = format!("{other_project}.jsonl");
    let folder = |place: &Place| place.state().join("wssoak");
    std::fs::copy(folder(&living).join(&name), folder(&place).join(&name)).unwrap();
    let cleaned = complete(&mut command(&place, images, &["clean"]));
    assert_eq!(cleaned.code, 0, "{}", cleaned.stderr);
    assert_eq!(cleaned.stdout, "removed what 1 runs had left behind\n");
    std::fs::remove_file(folder(&place).join(&name)).unwrap();
    assert_nothing_left("cleaned", &place, &project, &groups, Duration::ZERO);
    assert!(!live(&orphans));
    assert_ne!(left(&other_project), "");
    send(other.id(), Signal::TERM);
    assert_eq!(finish(other, PATIENCE).code, 130);
    assert_nothing_left(
        "the other",
        &living,
        &other_project,
        &other_groups,
        Duration::ZERO,
    );
}
