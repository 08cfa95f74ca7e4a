//! `version`: ours, and that of the program which `current` names.

use std::fs;
use std::os::unix::fs::symlink;

use super::support::Home;

fn own(home: &Home) -> String {
    let ended = home.call(&["version", "--cosmovisor-only"]);
    ended.out.strip_prefix("cosmovisor version: ").unwrap().trim_end().to_owned()
}

#[test]
fn both_versions_are_told() {
    let home = Home::made();
    let own = own(&home);
    assert!(own.starts_with("v1.7.1+omnivisor."), "{own}");
    let root = home.path("cosmovisor").canonicalize().unwrap();
    let ended = home.call(&["version", "more", "words"]);
    let expected = format!("cosmovisor version: {own}\ngenesis: version more words in {}\n", root.display());
    assert_eq!((ended.code, ended.out), (0, expected));
    for flag in [&["-o", "json"][..], &["--output=json"]] {
        let ended = home.call(&[&["version"], flag].concat());
        let expected = format!("{{\"cosmovisor_version\":\"{own}\",\"app_version\":{{\"name\":\"genesis\"}}}}\n");
        assert_eq!(ended.out, expected);
    }
    let only = home.call(&["version", "-o", "json", "--cosmovisor-only"]);
    assert_eq!(only.out, format!("{{\"cosmovisor_version\":\"{own}\"}}\n"));
}

#[test]
fn our_own_version_needs_no_home() {
    let mut home = Home::new();
    home.set("DAEMON_NAME", "");
    assert!(!own(&home).is_empty());
    let ended = home.call(&["version"]);
    assert_eq!(ended.code, 1);
    assert!(ended.out.starts_with("cosmovisor version: "), "{ended:?}");
    assert!(ended.err.starts_with("Error: failed to run version command: DAEMON_NAME is not set\n"), "{ended:?}");
}

#[test]
fn the_program_is_that_of_the_release_that_runs() {
    let home = Home::made();
    home.program("cosmovisor/upgrades/v2/bin/simd", "v2");
    fs::write(home.path("cosmovisor/upgrades/v2/upgrade-info.json"), r#"{"name":"v2","height":100}"#).unwrap();
    let told = || home.call(&["version"]).out.lines().nth(1).unwrap_or_default().split(':').next().unwrap().to_owned();
    assert_eq!(told(), "genesis");
    fs::remove_file(home.path("cosmovisor/current")).unwrap();
    assert_eq!(told(), "v2", "without a link the upgrade that was carried out counts");
    assert!(!home.path("cosmovisor/current").exists(), "asking changed something");
    symlink("upgrades/v2", home.path("cosmovisor/current")).unwrap();
    assert_eq!(told(), "v2");
}

#[test]
fn a_program_that_cannot_tell_is_told() {
    let home = Home::made();
    let ended = home.call(&["version", "fail"]);
    assert_eq!((ended.code, ended.err.as_str()), (1, "Error: failed to run version command: exit status 3\n"));

    let program = home.path("cosmovisor/genesis/bin/simd");
    fs::write(&program, "#!/bin/sh\necho v0.50\n").unwrap();
    let ended = home.call(&["version", "-o", "json"]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let begin = "Error: can't print version output, expected valid json from APP, got: v0.50\n - ";
    assert!(ended.err.starts_with(begin), "{ended:?}");

    fs::remove_file(&program).unwrap();
    let ended = home.call(&["version"]);
    assert!(ended.err.starts_with("Error: failed to run version command: current binary is invalid: "), "{ended:?}");
}
