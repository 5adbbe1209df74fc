//! A whole run for a test.

use crate::left::Left;
use crate::support::{Place, complete, turn};

/// 200 clients from the first half second on, who come back within a second.
const HEAD: &str =
    "[clients]\ncount = 200\nramp = \"500ms\"\n[reconnect]\nbase = \"200ms\"\ncap = \"1s\"\n";

/// Plays these faults with 200 clients.
pub(crate) fn play(text: &str) -> Left {
    play_with(HEAD, text)
}

/// Plays these faults with these clients.
pub(crate) fn play_with(head: &str, text: &str) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.toml");
    std::fs::write(&file, format!("{text}\n{head}")).unwrap();
    play_file(file.to_str().unwrap(), &[])
}

/// Plays a scenario file.
pub(crate) fn play_file(file: &str, args: &[&str]) -> Left {
    let _turn = turn();
    let place = Place::new();
    let finished = complete(&mut place.run_command(file, args));
    assert_eq!(place.processes(&[]), [] as [String; 0]);
    Left::of(&place, finished)
}
