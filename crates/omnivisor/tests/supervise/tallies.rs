//! What is held against a unit that keeps failing outlives the daemon: its pause, its failures in a row, its crash loop.

use fakenode::Profile;
use ov_testkit::{TestNode, wait_until};
use ov_types::{EventKind, ParkReason, UnitState};

use super::common::{events, laid_out, starts, wait_for_event};

/// A node whose main ends right after each start.
fn crashing(rules: &str) -> TestNode {
    let mut node = laid_out("", &[], rules);
    node.start_with(&Profile::new("v2").with("crash_starts", 10_000));
    node.start();
    node
}

fn failures(node: &TestNode) -> u32 {
    let pauses = events(node).into_iter().filter_map(|kind| match kind {
        EventKind::UnitBackingOff { failures, .. } => Some(failures),
        _ => None,
    });
    pauses.max().unwrap_or(0)
}

fn kill_and_start(node: &mut TestNode) {
    node.kill_daemon();
    node.start();
}

#[test]
fn a_pause_is_waited_for_whoever_counts_it() {
    let rules = "[unit.main.back-off]\nfirst = \"1h\"\nmax = \"1h\"\n[unit.main.crash-loop]\ncount = 1000\n";
    let mut node = crashing(rules);
    let _ = node.wait_for_state("main", UnitState::BackingOff);
    let before = starts(&node, "main");
    for _ in 0..3 {
        kill_and_start(&mut node);
        let main = node.wait_for_state("main", UnitState::BackingOff);
        assert!(main.launch_in_ms.is_some_and(|wait| wait > 1_000_000), "{main:?}");
        assert_eq!(starts(&node, "main"), before, "it is not launched before its time");
    }
    // A person does not have to wait, and neither does one who stops the node and starts it again.
    assert!(node.omnivisor(&["unit", "start", "main"]).status.success());
    wait_until("main to be launched", || starts(&node, "main") > before);
    let _ = node.wait_for_state("main", UnitState::BackingOff);
    let before = starts(&node, "main");
    node.stop();
    node.start();
    wait_until("main to be launched again", || starts(&node, "main") > before);
}

#[test]
fn failures_in_a_row_are_counted_on() {
    let rules = "[unit.main.back-off]\nfirst = \"20ms\"\nmax = \"50ms\"\n[unit.main.crash-loop]\ncount = 1000\n";
    let mut node = crashing(rules);
    for _ in 0..4 {
        let before = failures(&node);
        wait_until("two more failures", || failures(&node) >= before + 2);
        kill_and_start(&mut node);
    }
    assert!(failures(&node) >= 8, "{:?}", events(&node));
}

#[test]
fn a_crash_loop_is_seen_over_daemons_that_are_killed() {
    const COUNT: u32 = 6;
    let rules = format!(
        "[unit.main.back-off]\nfirst = \"150ms\"\nmax = \"300ms\"\n\
         [unit.main.crash-loop]\ncount = {COUNT}\nwithin = \"1h\"\nthen = \"park\"\n"
    );
    let mut node = crashing(&rules);
    // No daemon lives long enough to see a loop of its own.
    for seen in 2..COUNT {
        wait_until("one more failure", || failures(&node) >= seen || node.unit("main").state == UnitState::Parked);
        kill_and_start(&mut node);
    }
    let reason = wait_for_event(&node, "main to be parked", |kind| match kind {
        EventKind::UnitParked { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert!(matches!(reason, ParkReason::CrashLoop { count: COUNT, .. }), "{reason:?}");
    let launched = starts(&node, "main");
    assert!(launched <= COUNT as usize + 1, "{launched} launches");
    let output = node.omnivisor(&["upgrade", "history"]);
    let history = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(history.contains("in a row"), "{history}");
}
