//! `doctor` and `run --dry-run`: what would be launched, and what is wrong; and that nothing is changed by asking.

use std::fs;
use std::os::unix::fs::symlink;

use super::place::Place;

const PROGRAM: &str =
    "#!/bin/sh\ncase \"$*\" in *version*) echo '{\"version\":\"v2\",\"hash\":\"x\"}' ;; *) touch \"$0.ran\" ;; esac\n";

/// A home with two releases whose programs can only tell their version.
fn place() -> Place {
    let place = Place::made();
    for release in ["genesis", "v2"] {
        fs::create_dir_all(place.path(release)).unwrap();
        let text = "name = 'x'\n[vega.binary]\npath = 'vega'\nargs = ['start', '--home', '/a b']\n[vega.rpc]\n\
                    socketPath = '/s/vega.sock'\nhttpPath = '/rpc'\n\
                    [data_node.binary]\npath = 'vega'\nargs = ['datanode', 'start', '--home=/d']\n";
        fs::write(place.path(release).join("run-config.toml"), text).unwrap();
        let program = place.path(release).join("vega");
        fs::write(&program, PROGRAM).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    place
}

#[test]
fn a_dry_run_tells_what_would_be_launched_and_starts_nothing() {
    let place = place();
    let before = place.names("");
    let told = place.call(&["run", "--home", "home", "--dry-run"]);
    let current = place.path("current").display().to_string();
    for line in [
        format!("release    genesis, in {}: {current} would be made to lead there", place.path("genesis").display()),
        format!("core       {current}/vega start --home \"/a b\""),
        format!("data node  {current}/vega datanode start --home=/d"),
        "asked at   /s/vega.sock".to_owned(),
        "restarts   3, 5 seconds apart".to_owned(),
        "stops      SIGTERM, and SIGKILL after 15 seconds".to_owned(),
    ] {
        assert!(told.out.lines().any(|told| told == line), "{line} is not in {told:?}");
    }
    assert_eq!(place.names(""), before, "asking changed something");
    assert!(!place.path("genesis/vega.ran").exists());

    symlink(place.path("v2"), place.path("current")).unwrap();
    let told = place.call(&["run", "--home", "home", "--dry-run"]);
    let line = format!("release    v2, in {}", place.path("v2").display());
    assert!(told.out.lines().any(|told| told == line), "{told:?}");
}

#[test]
fn the_doctor_tells_of_a_program_that_is_missing() {
    let place = place();
    symlink(place.path("v2"), place.path("current")).unwrap();
    let well = place.call(&["doctor", "--home", "home"]);
    assert_eq!((well.code, well.err.as_str()), (0, ""), "{well:?}");
    assert!(well.out.contains("v2: put there by hand"), "{well:?}");
    fs::remove_file(place.path("v2/vega")).unwrap();
    for arguments in [&["doctor", "--home", "home"][..], &["doctor", "--home=home", "--release", "v2"]] {
        let told = place.call(arguments);
        assert_eq!(told.code, 1, "{told:?}");
        assert!(told.err.starts_with("Error: the doctor found "), "{told:?}");
        assert!(told.out.contains("v2/vega"), "{told:?}");
    }
    assert_eq!(place.call(&["doctor", "--home", "home", "--release", "genesis"]).code, 0);
}

#[test]
fn what_cannot_be_read_is_told_before_anything_else() {
    let place = place();
    fs::write(place.path("config.toml"), "maxNumberOfRestarts = 'x'\nmaxNumberOfRestart = 1\n").unwrap();
    for arguments in
        [&["doctor", "--home", "home"][..], &["run", "--home", "home", "--dry-run"], &["run", "--home", "home"]]
    {
        place.call(arguments).refused(
            "failed to create new runner: failed to get config: failed to parse config file: failed to parse VisorConfig: \
             maxNumberOfRestarts must be a whole number, and not string",
        );
    }
    fs::write(place.path("config.toml"), "maxNumberOfRestart = 1\n").unwrap();
    let told = place.call(&["run", "--home", "home", "--dry-run"]);
    assert!(
        told.out.contains("warning: maxNumberOfRestart means nothing: is maxNumberOfRestarts meant?\n"),
        "{told:?}"
    );
    place.call(&["doctor"]).refused("required flag(s) \"home\" not set");
}
