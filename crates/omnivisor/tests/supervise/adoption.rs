//! "`kill -9` of the daemon leaves the unit running; the next daemon adopts it (same pid, no restart), knows an exit
//! that happened meanwhile"; "`omnivisor self-upgrade` (or plain restart) changes the daemon without touching units".

use std::fs;

use ov_testkit::{TestNode, is_alive, start_ticks, wait_until};
use ov_types::api::{NewDaemon, UnitOrder};
use ov_types::{EventKind, ExitStatus, ParkReason, UnitState};
use serde_json::json;

use super::common::{PROGRAM, events, laid_out, order, started, starts, wait_for_starts, whole_log};

/// A process that cannot be mistaken for another.
fn identity(node: &TestNode) -> (u32, Option<u64>) {
    let pid = node.wait_for_up("main");
    (pid, start_ticks(pid))
}

/// Ends main while no daemon is there.
fn end_alone(node: &mut TestNode, code: u8) {
    let pid = node.wait_for_up("main");
    node.wait_for_height(2);
    node.kill_daemon();
    node.control(&json!({ "crash_exit": code, "crash": true }));
    wait_until("main to end", || !is_alive(pid));
}

#[test]
fn kill_of_the_daemon_leaves_the_unit_running_and_the_next_daemon_adopts_it() {
    let mut node = started("", &[], "");
    let before = identity(&node);
    node.wait_for_height(2);
    node.kill_daemon();
    assert!(is_alive(before.0));
    let height = node.height().unwrap();
    node.wait_for_height(height + 3);
    node.start();
    assert_eq!(identity(&node), before);
    assert_eq!(node.unit("main").launches, 0, "this daemon launched nothing");
    assert_eq!(starts(&node, "main"), 1);
    let adopted = |kind: &EventKind| matches!(kind, EventKind::DaemonStarted { adopted, .. } if adopted.len() == 1);
    assert!(events(&node).iter().any(adopted));
    assert!(node.stop().status.success());
    node.check_data();
}

#[test]
fn the_next_daemon_knows_an_exit_that_happened_meanwhile_and_launches_again() {
    let mut node = started("", &[], "");
    end_alone(&mut node, 7);
    node.start();
    wait_for_starts(&node, "main", 2);
    assert_eq!(node.unit("main").last_exit, Some(ExitStatus::Code(7)));
    assert!(node.stop().status.success());
    node.check_data();
}

#[test]
fn an_exit_meanwhile_that_must_never_be_restarted_parks() {
    let mut node = started("never-restart = [7]", &[], "");
    end_alone(&mut node, 7);
    node.start();
    let parked = node.wait_for_state("main", UnitState::Parked);
    assert_eq!(parked.parked, Some(ParkReason::ForbiddenExit { code: 7 }));
    assert_eq!(starts(&node, "main"), 1);
    node.kill_daemon();
    node.start();
    assert_eq!(node.wait_for_state("main", UnitState::Parked).parked, parked.parked);
    order(&node, "main", UnitOrder::Start);
    wait_for_starts(&node, "main", 2);
    node.stop();
}

#[test]
fn a_clean_exit_meanwhile_rests_under_on_failure_and_goes_on_resting() {
    let mut node = started("restart = \"on-failure\"", &[], "");
    end_alone(&mut node, 0);
    for _ in 0..3 {
        node.start();
        let unit = node.wait_for_state("main", UnitState::Down);
        assert_eq!(unit.last_exit, Some(ExitStatus::Code(0)));
        node.kill_daemon();
    }
    node.start();
    assert_eq!(starts(&node, "main"), 1);
    // Whoever stops everything and starts it again wants it up.
    assert!(node.stop().status.success());
    node.start();
    node.wait_for_up("main");
    node.stop();
}

#[test]
fn a_unit_that_was_stopped_with_the_daemon_comes_up_again_with_the_next_one() {
    let mut node = started("restart = \"on-failure\"", &[], "");
    node.wait_for_up("main");
    for round in 2..4 {
        assert!(node.stop().status.success());
        node.start();
        wait_for_starts(&node, "main", round);
    }
    let failed = |kind: &EventKind| matches!(kind, EventKind::UnitBackingOff { .. } | EventKind::UnitLooping { .. });
    assert!(!events(&node).iter().any(failed), "a stop is no failure");
    node.stop();
}

#[test]
fn a_daemon_that_is_killed_while_it_stops_a_unit_leaves_a_stop_and_no_failure() {
    let mut node = started("restart = \"on-failure\"", &["--stop-delay-ms", "700"], "");
    let pid = node.wait_for_up("main");
    node.wait_for_height(1);
    node.signal_daemon("TERM");
    node.wait_for_state("main", UnitState::Stopping);
    node.kill_daemon();
    node.start();
    assert_eq!(node.unit("main").state, UnitState::Stopping, "it is not taken for one that stays");
    wait_for_starts(&node, "main", 2);
    assert!(!is_alive(pid));
    node.stop();
    node.check_data();
}

#[test]
fn storms_of_kills_change_no_process_and_lose_no_byte_of_output() {
    const BYTES: u64 = 6 << 20;
    let log = "[unit.main.log]\nmax-size = \"512KiB\"\nkeep = 0\ncompress = false\n";
    let flood = ["--quiet", "--flood-bytes", "6MiB", "--flood-bytes-per-second", "3MiB"];
    let mut node = started("", &flood, log);
    let before = identity(&node);
    for _ in 0..20 {
        node.kill_daemon();
        node.start();
        assert_eq!(identity(&node), before);
    }
    let path = node.path(".omnivisor/logs/main.log");
    wait_until("the flood to end", || whole_log(&path).len() as u64 >= BYTES);
    assert!(node.stop().status.success());
    let mut checker = fakenode::pattern::Checker::new(true);
    checker.feed(&whole_log(&path)).expect("every byte, once and in order");
    assert_eq!(checker.offset(), BYTES);
    let runs = fakenode::lifecycle::read(node.home()).unwrap();
    assert_eq!(runs.iter().filter(|entry| entry.step == fakenode::lifecycle::Step::Exec).count(), 1);
    node.check_data();
}

#[test]
fn a_self_upgrade_changes_the_daemon_and_touches_no_unit() {
    let mut node = started("", &[], "");
    let before = identity(&node);
    let daemon = node.daemon_pid();
    let newer = node.path("newer-omnivisor");
    fs::copy(PROGRAM, &newer).unwrap();
    let taken = node.omnivisor(&["self-upgrade", newer.to_str().unwrap()]);
    assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    assert_eq!(fs::read_link(format!("/proc/{daemon}/exe")).unwrap(), newer);
    assert_eq!(identity(&node), before);
    let back = node.omnivisor(&["self-upgrade", PROGRAM]);
    assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stderr));
    assert_eq!(identity(&node), before);
    assert_eq!(starts(&node, "main"), 1);
    assert!(node.stop().status.success());
}

#[test]
fn a_self_upgrade_to_what_is_no_program_is_refused_and_changes_nothing() {
    let mut node = started("", &[], "");
    let before = identity(&node);
    let since = node.status().daemon.since_ms;
    let text = node.path("notes.txt");
    fs::write(&text, "not a program").unwrap();
    for program in [node.path("missing"), text, node.home().to_owned()] {
        let program = program.to_str().unwrap().to_owned();
        let answer = node.client().self_upgrade(&NewDaemon { program: program.clone() });
        assert!(answer.is_err(), "{program} is taken for a program");
    }
    assert_eq!(node.status().daemon.since_ms, since);
    assert_eq!(identity(&node), before);
    node.stop();
}

#[test]
fn a_plain_restart_of_the_daemon_can_leave_the_units() {
    let mut node = started("", &[], "");
    let before = identity(&node);
    let left = node.omnivisor(&["stop", "--leave-units"]);
    assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    // The home is free when `stop` returns; the process itself may take a moment more to be gone.
    let exit = node.wait_for_exit();
    assert!(exit.status.success(), "{}", exit.log);
    assert!(is_alive(before.0));
    node.start();
    assert_eq!(identity(&node), before);
    assert_eq!(starts(&node, "main"), 1);
    assert!(node.stop().status.success());
}

#[test]
fn a_second_daemon_is_refused_with_exit_code_4_and_says_who_has_the_node() {
    let mut node = laid_out("", &[], "");
    node.start();
    let before = identity(&node);
    let second = node.omnivisor(&["run"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(4), "{said}");
    assert!(said.contains("another daemon") && said.contains("nothing was changed"), "{said}");
    assert_eq!(identity(&node), before);
    node.stop();
}
