//! The ways in which a node fails while it runs.

use crate::stage::{Stage, process_status, wait_for};
use fakenode::lifecycle::Step;
use nix::sys::signal::Signal;
use std::os::unix::process::ExitStatusExt;

#[test]
fn it_crashes_after_some_blocks_and_goes_on_from_there() {
    let stage = Stage::new();
    for run in 1..=3 {
        let mut node = stage.start("--block-ms 1 --crash-after 7 --crash-exit 5 --segment-blocks 4");
        assert_eq!(node.await_end().code(), Some(5));
        assert_eq!(stage.assert_ok().last_height, 7 * run);
    }
    assert_eq!(stage.steps().iter().filter(|step| **step == Step::Crashed).count(), 3);
}

#[test]
fn it_crashes_whenever_a_height_is_reached() {
    let stage = Stage::new();
    for _ in 0..2 {
        assert_eq!(stage.start("--block-ms 1 --crash-at 5").await_end().code(), Some(1));
        assert_eq!(stage.assert_ok().last_height, 5);
    }
}

#[test]
fn it_says_something_before_it_crashes() {
    let stage = Stage::new();
    let mut node = stage.start("--block-ms 1 --crash-after 1 --crash-says goodbye");
    node.await_end();
    assert!(node.output().ends_with("goodbye\n"), "{}", node.output());
}

#[test]
fn it_crashes_by_signal() {
    let stage = Stage::new();
    for (name, number) in [("KILL", 9), ("ABRT", 6), ("SEGV", 11), ("TERM", 15)] {
        let mut node = stage.start(&format!("--block-ms 1 --crash-after 2 --crash-signal {name}"));
        assert_eq!(node.await_end().signal(), Some(number), "{name}");
    }
    assert_eq!(stage.start("--crash-signal NONSENSE").await_end().code(), Some(2));
}

#[test]
fn it_crashes_when_told_so() {
    let stage = Stage::new();
    let mut node = stage.start("--http 127.0.0.1:0 --block-ms 60000 --crash-exit 3");
    // The answer may be lost in the crash.
    let _ = node.ask("POST", "/control", r#"{"crash": true}"#);
    assert_eq!(node.await_end().code(), Some(3));
}

#[test]
fn it_hangs_and_still_stops() {
    let stage = Stage::new();
    let mut node = stage.start("--http 127.0.0.1:0 --block-ms 1 --hang-after 5");
    node.await_line("hanging at height 5");
    assert!(node.ask("GET", "/health", "").is_err());
    assert!(!node.output().contains("height=6"));
    assert_eq!(node.control(r#"{"hang_after": null}"#), 200);
    node.await_height(6);
    assert_eq!(node.control(r#"{"hang": true}"#), 200);
    wait_for("the hang", || node.ask("GET", "/health", "").err());
    assert_eq!(node.stop(), Some(0));
    stage.assert_ok();
}

#[test]
fn it_freezes() {
    let stage = Stage::new();
    let node = stage.start("--block-ms 1 --freeze");
    let state = || process_status(node.pid(), "State");
    wait_for("the stop", || state().filter(|state| state.starts_with('T')));
    node.signal(Signal::SIGCONT);
    node.await_height(3);
}

#[test]
fn it_leaks_up_to_a_limit() {
    let stage = Stage::new();
    let node = stage.start("--leak-mib-per-second 1000 --leak-mib-max 40");
    let resident_kib = || {
        let size = process_status(node.pid(), "VmRSS")?;
        size.split_whitespace().next()?.parse::<u64>().ok()
    };
    let size = wait_for("the leak", || resident_kib().filter(|size| *size > 40 * 1024));
    assert!(size < 80 * 1024, "{size}");
}
