//! Commands of the real program that need no daemon: they read and write files.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[allow(dead_code, reason = "shared with the tests against a daemon, which use more of it")]
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use support::{program, run_in};

#[test]
fn init_makes_a_home_that_can_be_read_and_changes_nothing_that_is_there() {
    let top = tempfile::tempdir().unwrap();
    let node = top.path().join("my-node");
    fs::write(&node, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
    let home = top.path().join("home");
    let home_text = home.to_str().unwrap();
    let arguments = ["init", "--home", home_text, "--name", "alpha", "--release", "v1", "--from", "my-node"];
    let ended = run_in(top.path(), &[&arguments[..], &["--", "start", "--home", "{home}"]].concat());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains(&format!("omnivisor run --home {home_text}")), "{ended:?}");
    let configuration = fs::read_to_string(home.join("omnivisor.toml")).unwrap();
    assert!(configuration.contains("program = \"current/bin/my-node\""), "{configuration}");
    assert!(configuration.contains("\"{home}\""), "{configuration}");
    assert_eq!(fs::read_link(home.join("current")).unwrap(), std::path::Path::new("releases/v1"));
    assert_eq!(fs::read(home.join("current/bin/my-node")).unwrap(), b"#!/bin/sh\n");

    let again = run_in(top.path(), &arguments);
    assert_eq!((again.code, again.out.as_str()), (7, ""), "{again:?}");
    assert_eq!(fs::read_to_string(home.join("omnivisor.toml")).unwrap(), configuration);
}

#[test]
fn init_refuses_a_source_that_it_cannot_use_and_writes_nothing() {
    let top = tempfile::tempdir().unwrap();
    for source in ["missing", "."] {
        let ended = run_in(top.path(), &["init", "--release", "v1", "--from", source]);
        assert_eq!(ended.code, 2, "{source}: {ended:?}");
        assert!(!top.path().join("omnivisor.toml").exists(), "{source}");
    }
}

fn home_with_logs() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("omnivisor.toml"), "[unit.main]\nprogram = \"x\"\n[unit.main.log]\n").unwrap();
    fs::create_dir_all(home.path().join(".omnivisor/logs")).unwrap();
    home
}

#[test]
fn logs_are_printed_as_they_were_written_and_followed() {
    let home = home_with_logs();
    let log = home.path().join(".omnivisor/logs/main.log");
    fs::write(log.with_extension("log.20261120T061500Z-000001"), b"old \xff\x1b[0m\n").unwrap();
    fs::write(&log, b"one\ntwo\n").unwrap();
    let output = program(home.path(), &["logs"]).output().unwrap();
    assert_eq!(output.stdout, b"old \xff\x1b[0m\none\ntwo\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(run_in(home.path(), &["logs", "main", "-n", "1"]).out, "two\n");

    let mut child = program(home.path(), &["logs", "-f", "-n", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut seen = [0; 4];
    out.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"two\n");
    fs::File::options().append(true).open(&log).unwrap().write_all(b"3").unwrap();
    fs::rename(&log, log.with_extension("log.20261120T061501Z-000002")).unwrap();
    fs::write(&log, b"4\n").unwrap();
    let mut seen = [0; 3];
    out.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"34\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn logs_of_a_unit_that_is_not_there_name_those_that_are() {
    let home = home_with_logs();
    let ended = run_in(home.path(), &["logs", "sidecar"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.err.contains("the node has: main"), "{ended:?}");
}

#[test]
fn a_wrong_configuration_is_told_with_its_file() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("omnivisor.toml"), "[unit.main]\nprogrm = \"x\"\n").unwrap();
    let ended = run_in(home.path(), &["logs"]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.err.contains("omnivisor.toml") && ended.err.contains("program"), "{ended:?}");
}

#[test]
fn schema_completions_and_manual_pages_are_made() {
    let home = tempfile::tempdir().unwrap();
    let schema: serde_json::Value = serde_json::from_str(&run_in(home.path(), &["schema"]).out).unwrap();
    assert!(schema.get("properties").is_some(), "{schema}");
    for shell in ["bash", "zsh", "fish"] {
        let ended = run_in(home.path(), &["completions", shell]);
        assert!(ended.code == 0 && ended.out.contains("snapshot"), "{shell}");
    }
    let ended = run_in(home.path(), &["man", "pages/man1"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let page = fs::read_to_string(home.path().join("pages/man1/omnivisor-plan-add.1")).unwrap();
    assert!(page.contains("omnivisor plan add") && page.contains("height"), "{page}");
    assert!(home.path().join("pages/man1/omnivisor.1").exists());
}

#[test]
fn the_shim_is_reached_before_anything_else() {
    let home = tempfile::tempdir().unwrap();
    let ended = run_in(home.path(), &["shim", "--help"]);
    assert_eq!(ended.code, 64, "{ended:?}");
    assert!(ended.err.starts_with("usage: shim"), "{ended:?}");
}
