//! "a suspend file and `unit suspend/resume` that hold launches level-triggered (one pending launch, never two)".

use std::fs;
use std::time::{Duration, Instant};

use ov_testkit::wait_until;
use ov_types::UnitState;

use super::common::{kill, laid_out, started, starts, wait_for_starts};

const FILE: &str = "suspend-file = \"{home}/hold\"";

#[test]
fn a_suspend_file_holds_the_first_launch_and_its_end_is_noticed_quickly() {
    let mut node = laid_out(FILE, &[], "");
    fs::write(node.path("hold"), "").unwrap();
    node.start();
    let held = node.wait_for_state("main", UnitState::Waiting);
    assert!(held.suspended);
    assert_eq!(held.waiting_for.as_deref(), Some("its `suspend-file` to go, or its `only-when` file to come"));
    let removed = Instant::now();
    fs::remove_file(node.path("hold")).unwrap();
    node.wait_for_up("main");
    assert!(removed.elapsed() < Duration::from_secs(4), "noticed by chance, not by the kernel's word");
    assert!(!node.unit("main").suspended);
    node.stop();
}

#[test]
fn a_unit_is_launched_only_when_its_file_is_there() {
    let mut node = laid_out("only-when = \"{home}/role\"", &[], "");
    node.start();
    assert!(node.wait_for_state("main", UnitState::Waiting).suspended);
    fs::write(node.path("role"), "").unwrap();
    let pid = node.wait_for_up("main");
    fs::remove_file(node.path("role")).unwrap();
    wait_until("the missing file to be seen", || node.unit("main").suspended);
    assert_eq!(node.wait_for_up("main"), pid, "a running process is left alone");
    node.stop();
}

#[test]
fn a_suspend_file_leaves_a_running_process_alone_and_holds_its_next_launch() {
    let mut node = started(FILE, &[], "");
    let pid = node.wait_for_up("main");
    fs::write(node.path("hold"), "").unwrap();
    wait_until("the file to be seen", || node.unit("main").suspended);
    assert_eq!(node.wait_for_up("main"), pid);
    kill("KILL", pid);
    node.wait_for_state("main", UnitState::Waiting);
    // Whatever happens meanwhile, one launch is pending and not several.
    node.kill_daemon();
    node.start();
    node.wait_for_state("main", UnitState::Waiting);
    assert_eq!(starts(&node, "main"), 1);
    fs::remove_file(node.path("hold")).unwrap();
    node.wait_for_up("main");
    node.wait_for_height(3);
    assert_eq!(starts(&node, "main"), 2);
    node.stop();
    node.check_data();
}

#[test]
fn a_file_that_comes_and_goes_makes_no_second_launch() {
    let mut node = laid_out(FILE, &[], "");
    fs::write(node.path("hold"), "").unwrap();
    node.start();
    node.wait_for_state("main", UnitState::Waiting);
    for _ in 0..50 {
        fs::remove_file(node.path("hold")).unwrap();
        fs::write(node.path("hold"), "").unwrap();
    }
    fs::remove_file(node.path("hold")).unwrap();
    node.wait_for_up("main");
    node.wait_for_height(5);
    assert_eq!(starts(&node, "main"), 1);
    node.stop();
    node.check_data();
}

#[test]
fn suspend_and_resume_hold_launches_also_over_daemons() {
    let mut node = started("", &[], "");
    let pid = node.wait_for_up("main");
    assert!(node.omnivisor(&["unit", "suspend", "main"]).status.success());
    assert!(node.unit("main").suspended);
    assert_eq!(node.wait_for_up("main"), pid, "a running process goes on");
    kill("KILL", pid);
    let held = node.wait_for_state("main", UnitState::Waiting);
    assert_eq!(held.waiting_for.as_deref(), Some("`omnivisor unit resume main`"));
    node.kill_daemon();
    node.start();
    node.wait_for_state("main", UnitState::Waiting);
    assert!(node.stop().status.success());
    node.start();
    node.wait_for_state("main", UnitState::Waiting);
    assert_eq!(starts(&node, "main"), 1);
    for _ in 0..2 {
        assert!(node.omnivisor(&["unit", "resume", "main"]).status.success());
    }
    wait_for_starts(&node, "main", 2);
    node.wait_for_height(3);
    assert_eq!(starts(&node, "main"), 2);
    node.stop();
    node.check_data();
}

#[test]
fn file_and_order_hold_each_for_itself() {
    let mut node = laid_out(FILE, &[], "");
    fs::write(node.path("hold"), "").unwrap();
    node.start();
    assert!(node.omnivisor(&["unit", "suspend", "main"]).status.success());
    fs::remove_file(node.path("hold")).unwrap();
    wait_until("only the order to hold", || {
        node.unit("main").waiting_for.as_deref() == Some("`omnivisor unit resume main`")
    });
    assert_eq!(starts(&node, "main"), 0);
    assert!(node.omnivisor(&["unit", "resume", "main"]).status.success());
    node.wait_for_up("main");
    node.stop();
}
