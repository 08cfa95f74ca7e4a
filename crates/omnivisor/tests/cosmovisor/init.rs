//! `init`: what it makes, what it leaves alone, and what it refuses.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::support::Home;

/// Lines as they are said; `HOME` is the home.
fn said(home: &Home, lines: &[&str]) -> Vec<String> {
    let home = home.text("");
    lines.iter().map(|line| line.replace("HOME/", &home) + " module=cosmovisor").collect()
}

#[test]
fn a_home_is_made_around_the_first_program() {
    let home = Home::new();
    let executable = home.executable("simd-v1");
    fs::set_permissions(&executable, fs::Permissions::from_mode(0o600)).unwrap();
    let ended = home.call(&["init", "simd-v1"]);
    assert_eq!(
        ended.lines(),
        said(
            &home,
            &[
                "checking on the genesis/bin directory",
                "creating directory (and any parents): \"HOME/cosmovisor/genesis/bin\"",
                "checking on the genesis/bin executable",
                "copying executable into place: \"HOME/cosmovisor/genesis/bin/simd\"",
                "making sure \"HOME/cosmovisor/genesis/bin/simd\" is executable",
                "checking on the current symlink and creating it if needed",
                "the current symlink points to: \"HOME/cosmovisor/genesis/bin/simd\"",
                "cosmovisor config.toml created at: HOME/cosmovisor/config.toml",
            ]
        )
    );
    assert_eq!(fs::read_link(home.path("cosmovisor/current")).unwrap().to_str(), Some("genesis"));
    assert_eq!(fs::read(home.path("cosmovisor/current/bin/simd")).unwrap(), fs::read(executable).unwrap());
    assert_eq!(home.mode("cosmovisor/genesis/bin/simd"), 0o755);
    assert_eq!(home.mode("cosmovisor/genesis"), 0o750);
    assert_eq!(home.names("cosmovisor/genesis/bin"), ["simd"], "something was left behind");
    assert_eq!(home.names("cosmovisor"), ["config.toml", "current", "genesis"]);
    let config = home.read("cosmovisor/config.toml");
    assert!(config.contains("daemon_name = 'simd'\n") && config.contains("daemon_poll_interval = 300000000\n"));

    // The file works as it is.
    let shown = home.call(&["config", "--cosmovisor-config", &home.text("cosmovisor/config.toml")]);
    assert!(shown.out.contains("  DAEMON_NAME: simd\n"), "{shown:?}");
}

#[test]
fn what_is_there_already_stays_and_the_configuration_only_gives_way_to_a_yes() {
    let home = Home::made();
    let before = home.read("cosmovisor/genesis/bin/simd");
    let executable = home.executable("other");
    fs::write(home.path("cosmovisor/config.toml"), "old").unwrap();
    let question =
        format!("file {} already exists, do you want to overwrite it? [y/n]: ", home.text("cosmovisor/config.toml"));
    for (answer, is_kept) in [("", true), ("\n", true), ("n\n", true), ("yes\n", true), ("y\n", false), ("Y", false)] {
        fs::write(home.path("cosmovisor/config.toml"), "old").unwrap();
        let ended = home.call_answering(&["init", &executable], answer);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.out.contains(&question), "{ended:?}");
        assert_eq!(home.read("cosmovisor/config.toml") == "old", is_kept, "{answer:?}");
        assert_eq!(ended.out.contains("file already exists, not overriding"), is_kept, "{answer:?}");
        assert!(
            ended.out.contains("bin\" directory already exists") && ended.out.contains("simd\" file already exists")
        );
    }
    assert_eq!(home.read("cosmovisor/genesis/bin/simd"), before);
}

#[test]
fn a_missing_link_never_leads_back_behind_an_upgrade() {
    let home = Home::made();
    home.program("cosmovisor/upgrades/v2/bin/simd", "v2");
    fs::write(home.path("cosmovisor/upgrades/v2/upgrade-info.json"), r#"{"name":"v2","height":100}"#).unwrap();
    fs::remove_file(home.path("cosmovisor/current")).unwrap();
    let executable = home.executable("x");
    assert_eq!(home.call(&["init", &executable]).code, 0);
    assert_eq!(fs::read_link(home.path("cosmovisor/current")).unwrap().to_str(), Some("upgrades/v2"));
}

#[test]
fn a_link_that_leads_nowhere_and_what_is_no_link_are_refused_with_the_way_out() {
    let home = Home::made();
    let executable = home.executable("x");
    let link = home.path("cosmovisor/current");
    fs::remove_file(&link).unwrap();
    symlink("upgrades/gone", &link).unwrap();
    for what in ["upgrades/gone, where nothing is", "is no link"] {
        let ended = home.call(&["init", &executable]);
        assert_eq!(ended.code, 1);
        assert!(ended.err.starts_with("Error: symlink genesis current: file exists"), "{ended:?}");
        assert!(ended.err.contains(what) && ended.err.contains("ln -sfn"), "{ended:?}");
        assert!(fs::symlink_metadata(&link).is_ok(), "what was there was taken away");
        // The second time it is a file.
        fs::remove_file(&link).unwrap();
        fs::write(&link, "upgrades/gone").unwrap();
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_made() {
    let mut home = Home::new();
    let executable = home.executable("x");
    home.call(&["init"]).refused("no <path to executable> provided");
    home.call(&["init", ""]).refused("no <path to executable> provided");
    home.call(&["init", "a", "b"]).refused("accepts 1 arg(s), received 2");
    home.call(&["init", "gone"]).refused("executable file not found: stat gone: no such file or directory");
    home.call(&["init", "."]).refused("invalid path to executable: must not be a directory");
    // Other mistakes in the environment are none of its business.
    home.set("DAEMON_POLL_INTERVAL", "bad");
    home.set("DAEMON_HOME", "relative");
    home.call(&["init", &executable]).refused("DAEMON_HOME must be an absolute path");
    home.set("DAEMON_HOME", "");
    home.set("DAEMON_NAME", "");
    home.call(&["init", &executable]).refused("DAEMON_NAME is not set\nDAEMON_HOME is not set");
    assert!(!home.path("").exists());

    let home = Home::new();
    fs::create_dir_all(home.path("cosmovisor/genesis")).unwrap();
    fs::write(home.path("cosmovisor/genesis/bin"), "").unwrap();
    let why = format!("the path \"{}\" already exists but is not a directory", home.text("cosmovisor/genesis/bin"));
    home.call(&["init", &executable]).refused(&why);
}

#[test]
fn own_lines_can_be_switched_off() {
    let mut home = Home::new();
    home.set("COSMOVISOR_DISABLE_LOGS", "true");
    let executable = home.executable("x");
    let ended = home.call(&["init", &executable]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "", ""));
    assert!(home.path("cosmovisor/current/bin/simd").exists());
}
