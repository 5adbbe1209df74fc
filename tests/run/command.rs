//! The command line: exit codes and messages of everything that does not get as far as a run.

use crate::support::{Place, complete};

#[test]
fn a_broken_scenario_is_exit_2_with_its_place_and_starts_nothing() {
    let place = Place::new();
    let file = place.tmp().join("broken.toml");
    std::fs::write(&file, "duration = \"10s\"\n[clients]\ncuont = 5\n").unwrap();
    for command in ["validate", "plan", "run"] {
        let finished = complete(&mut place.command(&[command, file.to_str().unwrap()]));
        assert_eq!(finished.code, 2, "{command}: {}", finished.stderr);
        assert!(
            finished.stderr.contains("broken.toml:3:1"),
            "{command}: {}",
            finished.stderr
        );
        assert!(
            finished.stderr.contains("count"),
            "{command}: {}",
            finished.stderr
        );
    }
    assert!(!place.out().exists());
}

#[test]
fn a_scenario_that_is_not_there_or_no_text_is_exit_2() {
    let place = Place::new();
    let binary = place.tmp().join("binary.toml");
    std::fs::write(&binary, [0xff, 0xfe, 0x00]).unwrap();
    for file in ["nowhere.toml", binary.to_str().unwrap(), "scenarios"] {
        let finished = complete(&mut place.command(&["run", file]));
        assert_eq!(finished.code, 2, "{file}: {}", finished.stderr);
        assert!(finished.stderr.contains(file), "{}", finished.stderr);
    }
}

#[test]
fn bad_flags_are_exit_2_and_help_is_exit_0() {
    let place = Place::new();
    assert_eq!(complete(&mut place.command(&["run"])).code, 2);
    assert_eq!(
        complete(&mut place.command(&["run", "scenarios/idle.toml", "--set", "nonsense"])).code,
        2
    );
    let lots =
        complete(&mut place.command(&["validate", "scenarios/idle.toml", "--clients", "lots"]));
    assert_eq!(lots.code, 2);
    assert!(lots.stderr.contains("--clients lots"), "{}", lots.stderr);
    let help = complete(&mut place.command(&["--help"]));
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("Exit codes"), "{}", help.stdout);
}

#[test]
fn a_variable_overrides_the_file_and_a_flag_the_variable() {
    let place = Place::new();
    let args = ["validate", "scenarios/idle.toml"];
    let variable = complete(place.command(&args).env("WSSOAK_CLIENTS", "123"));
    assert!(
        variable.stdout.contains("123 clients"),
        "{}",
        variable.stdout
    );
    let flag = complete(
        place
            .command(&[&args[..], &["--clients", "77"]].concat())
            .env("WSSOAK_CLIENTS", "123"),
    );
    assert!(flag.stdout.contains("77 clients"), "{}", flag.stdout);
    let broken = complete(place.command(&args).env("WSSOAK_SEED", "x"));
    assert!(broken.stderr.contains("WSSOAK_SEED=x"), "{}", broken.stderr);
}

#[test]
fn a_run_that_the_machine_cannot_hold_is_refused_with_the_command_that_helps() {
    let place = Place::new();
    let mut command = std::process::Command::new("sh");
    let script = format!(
        "ulimit -n 256; exec {} run scenarios/idle.toml --agents 1 --out {}",
        env!("CARGO_BIN_EXE_wssoak"),
        place.out().display()
    );
    command
        .args(["-c", &script])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let finished = complete(&mut command);
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    assert!(finished.stderr.contains("ulimit -n"), "{}", finished.stderr);
    assert!(!place.out().exists(), "nothing was started");
}

#[test]
fn an_nginx_that_is_none_is_exit_4_and_leaves_nothing() {
    let place = Place::new();
    let finished =
        complete(&mut place.run_command("scenarios/idle.toml", &["--nginx", "/bin/true"]));
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    assert!(finished.stderr.contains("/bin/true"), "{}", finished.stderr);
    assert_eq!(place.processes(&[]), [] as [String; 0]);
}

#[test]
fn a_folder_that_holds_something_is_not_written_into() {
    let place = Place::new();
    std::fs::create_dir(place.out()).unwrap();
    std::fs::write(place.out().join("precious"), "x").unwrap();
    let finished = complete(&mut place.run_command("scenarios/idle.toml", &[]));
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    assert!(finished.stderr.contains("not empty"), "{}", finished.stderr);
}

#[test]
fn a_report_of_what_is_no_result_folder_says_so() {
    let place = Place::new();
    let finished = complete(&mut place.command(&["report", place.tmp().to_str().unwrap()]));
    assert_eq!(finished.code, 4);
    assert!(
        finished.stderr.contains("result folder"),
        "{}",
        finished.stderr
    );
}
