//! Versions, starts and graceful stops.

use crate::stage::{Stage, run, text};
use fakenode::Profile;
use fakenode::lifecycle::{self, Step};
use nix::sys::signal::Signal;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_fakenode");

#[test]
fn the_version_belongs_to_the_installed_copy() {
    let stage = Stage::new();
    for (version, single) in [("v1", false), ("v2", false), ("v3", true)] {
        let profile = Profile::new(version);
        let directory = stage.path(version);
        let install = if single { Profile::install_single_file } else { Profile::install };
        let installed = install(&profile, &directory, Path::new(PROGRAM));
        let current = stage.path("current");
        std::fs::remove_file(&current).ok();
        symlink(&directory, &current).unwrap();
        for program in [installed.unwrap(), current.join("bin/fakenode")] {
            for line in ["version", "--version"] {
                let output = run(&program, line);
                assert_eq!(text(&output.stdout).trim(), version);
            }
            let json = text(&run(&program, "version --output json").stdout);
            assert!(json.contains(&format!(r#""version":"{version}""#)), "{json}");
        }
    }
}

#[test]
fn a_release_can_lie_about_its_version() {
    let mut stage = Stage::new();
    stage.switch_to(&Profile::new("v2").with("report_version", "v1"));
    assert_eq!(text(&stage.run("version").stdout).trim(), "v1");
}

#[test]
fn a_graceful_stop_takes_its_time_and_has_its_code() {
    let stage = Stage::new();
    let mut node = stage.start("--block-ms 10 --stop-delay-ms 300 --stop-exit 7");
    node.await_height(2);
    let began = Instant::now();
    node.signal(Signal::SIGTERM);
    node.await_line("received SIGTERM, stopping");
    node.signal(Signal::SIGTERM);
    assert_eq!(node.await_end().code(), Some(7));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(node.output().contains("already stopping"));
    assert_eq!(stage.steps(), [Step::Exec, Step::Started, Step::Stopped]);
    let entries = lifecycle::read(&stage.home()).unwrap();
    assert!(entries.is_sorted_by_key(|entry| entry.monotonic_ns));
    assert_eq!(entries[2].height, stage.assert_ok().last_height);
}

#[test]
fn signals_can_be_ignored_and_reload_is_no_stop() {
    let stage = Stage::new();
    let mut node = stage.start("--block-ms 10 --ignore-term --ignore-int");
    node.await_height(1);
    for (signal, line) in [
        (Signal::SIGTERM, "received SIGTERM, ignoring it"),
        (Signal::SIGINT, "received SIGINT, ignoring it"),
        (Signal::SIGHUP, "received SIGHUP, reload"),
    ] {
        node.signal(signal);
        node.await_line(line);
    }
    assert!(node.runs());
    node.kill();
}

#[test]
fn an_interrupt_stops_it_too() {
    let stage = Stage::new();
    let mut node = stage.start("--block-ms 10");
    node.await_height(1);
    node.signal(Signal::SIGINT);
    assert_eq!(node.await_end().code(), Some(0));
}

#[test]
fn a_slow_start_can_be_stopped() {
    let stage = Stage::new();
    let mut node = stage.start("--start-delay-ms 20000");
    crate::stage::wait_for("exec", || lifecycle::read(&stage.home()).ok().filter(|entries| !entries.is_empty()));
    assert_eq!(node.stop(), Some(0));
    assert!(!stage.data().exists());
}

#[test]
fn the_first_starts_of_a_version_crash() {
    let mut stage = Stage::new();
    stage.switch_to(&Profile::new("v1").with("crash_starts", 2).with("crash_exit", 9));
    for _ in 0..2 {
        assert_eq!(stage.start("").await_end().code(), Some(9));
    }
    let mut node = stage.start("--block-ms 10");
    node.await_height(1);
    node.kill();
    stage.switch_to(&Profile::new("v2").with("crash_starts", 1).with("crash_exit", 9));
    assert_eq!(stage.start("").await_end().code(), Some(9));
}

#[test]
fn it_tells_what_it_inherited() {
    let stage = Stage::new();
    let mut command = stage.command(&stage.home(), "--block-ms 10");
    command.env("MARK", "here").current_dir(stage.path(""));
    let node = crate::stage::Node::spawn(command, &stage.home());
    node.await_height(1);
    let text = std::fs::read_to_string(stage.home().join("inherited.json")).unwrap();
    let inherited: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(inherited["pid"], node.pid());
    assert_eq!(inherited["environment"]["MARK"], "here");
    assert_eq!(inherited["status"]["SigBlk"], "0000000000000000");
    assert_eq!(inherited["descriptors"]["0"], "/dev/null");
    assert!(inherited["limits"]["Max open files"].is_string());
    assert!(inherited["session"].is_u64() && inherited["group"].is_u64());
}
