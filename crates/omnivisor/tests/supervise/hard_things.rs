//! What must not hurt: stopped processes, fork bombs, killed shims. "Never two main processes of one node."

use fakenode::lifecycle::{Step, read};
use ov_testkit::{TestNode, is_alive, marked_processes, wait_until};
use ov_types::api::UnitOrder;
use ov_types::{EventKind, ExitStatus, UnitState};
use serde_json::json;

use super::common::{kill, noted_pid, order, parent_of, started, starts, wait_for_event, wait_for_starts};

#[test]
fn a_unit_that_was_sent_sigstop_is_stopped() {
    let mut node = started("", &[], "[unit.main.stop]\ngrace = \"9m\"\n");
    let pid = node.wait_for_up("main");
    node.wait_for_height(1);
    kill("STOP", pid);
    order(&node, "main", UnitOrder::Stop);
    let down = node.wait_for_state("main", UnitState::Down);
    assert_eq!(down.last_exit, Some(ExitStatus::Code(0)), "it went on, and ended by itself");
    assert!(node.stop().status.success());
    node.check_data();
}

#[test]
fn a_unit_that_was_sent_sigstop_and_ignores_term_is_killed() {
    let mut node = started("", &["--ignore-term"], "[unit.main.stop]\ngrace = \"200ms\"\n");
    let pid = node.wait_for_up("main");
    node.wait_for_height(1);
    kill("STOP", pid);
    let exit = node.stop();
    assert!(exit.status.success(), "{}", exit.log);
    assert!(!is_alive(pid));
}

#[test]
fn a_unit_that_stops_itself_is_noticed_and_restarted() {
    let mut node = started("", &[], "[progress]\nstall = \"400ms\"\npolicy = \"restart\"\n");
    node.wait_for_height(3);
    node.control(&json!({ "freeze": true }));
    wait_for_starts(&node, "main", 2);
    let height = node.height().unwrap();
    node.wait_for_height(height + 3);
    node.stop();
    node.check_data();
}

#[test]
fn a_stop_ends_processes_that_multiply_and_hop_away() {
    let args = ["--hoppers", "8", "--hopping-ms", "20000", "--children", "4", "--helpers-ignore-term"];
    let mut node = started("", &args, "[unit.main.stop]\ngrace = \"300ms\"\n");
    node.wait_for_up("main");
    noted_pid(&node, "child-4");
    node.wait_for_height(3);
    let exit = node.stop();
    assert!(exit.status.success(), "{}", exit.log);
    assert!(marked_processes(node.home()).is_empty(), "processes are left");
}

#[test]
fn a_bounded_fork_bomb_is_ended() {
    // Every process of it ignores SIGTERM and has two children, four generations deep, again and again.
    let bomb = "trap '' TERM; bomb() { if test $1 -gt 0; then bomb $(($1-1)) & bomb $(($1-1)) & fi; \
                while :; do sleep 0.05; done; }; bomb 5";
    let more = format!("[unit.bomb]\n{}[unit.bomb.stop]\ngrace = \"200ms\"\n", super::common::shell(bomb));
    let mut node = started("", &[], &more);
    node.wait_for_up("bomb");
    wait_until("the bomb to have grown", || marked_processes(node.home()).len() > 40);
    order(&node, "bomb", UnitOrder::Stop);
    node.wait_for_state("bomb", UnitState::Down);
    let left = marked_processes(node.home());
    assert!(left.len() < 10, "of the bomb there is left: {left:?}");
    node.wait_for_up("main");
    assert!(node.stop().status.success());
}

/// That main was launched once more, and that no two ran at a time.
fn came_back_alone(node: &mut TestNode, first: u32) {
    wait_for_starts(node, "main", 2);
    assert!(!is_alive(first));
    let height = node.height().unwrap_or(0);
    node.wait_for_height(height + 3);
    assert!(node.stop().status.success());
    let runs = read(node.home()).unwrap();
    assert_eq!(runs.iter().filter(|entry| entry.step == Step::Exec).count(), 2);
    // A second process would have found the data locked, and said so for ever.
    node.check_data();
}

#[test]
fn what_a_killed_shim_leaves_is_ended_before_the_next_launch() {
    // It writes while it stops, though nobody reads that any more.
    let mut node = started("", &["--stop-delay-ms", "300", "--detach"], "");
    let pid = node.wait_for_up("main");
    let detached = noted_pid(&node, "detached");
    node.wait_for_height(1);
    kill("KILL", parent_of(pid));
    came_back_alone(&mut node, pid);
    assert!(!is_alive(detached));
    let steps: Vec<Step> = read(node.home()).unwrap().into_iter().map(|entry| entry.step).collect();
    assert_eq!(steps[..3], [Step::Exec, Step::Started, Step::Stopped], "it was stopped in order");
}

#[test]
fn what_a_killed_shim_leaves_is_killed_if_it_does_not_end() {
    let mut node = started("", &["--ignore-term", "--quiet"], "[unit.main.stop]\ngrace = \"200ms\"\n");
    let pid = node.wait_for_up("main");
    node.wait_for_height(1);
    kill("KILL", parent_of(pid));
    came_back_alone(&mut node, pid);
}

#[test]
fn a_hurried_stop_is_heard_while_what_a_killed_shim_left_has_its_grace() {
    let mut node = started("", &["--ignore-term", "--quiet"], "[unit.main.stop]\ngrace = \"9m\"\n");
    let pid = node.wait_for_up("main");
    node.wait_for_height(1);
    kill("KILL", parent_of(pid));
    node.wait_for_state("main", UnitState::Stopping);
    node.signal_daemon("TERM");
    wait_for_event(&node, "the stop", |kind| matches!(kind, EventKind::DaemonStopping { .. }).then_some(()));
    assert!(is_alive(pid), "it has its grace");
    node.signal_daemon("TERM");
    let exit = node.wait_for_exit();
    assert!(exit.status.success(), "{}", exit.log);
    assert!(marked_processes(node.home()).is_empty(), "processes are left");
}

#[test]
fn shim_and_daemon_killed_at_once_still_never_make_two_mains() {
    let mut node = started("", &["--stop-delay-ms", "300"], "");
    let pid = node.wait_for_up("main");
    node.wait_for_height(1);
    let (shim, daemon) = (parent_of(pid), node.daemon_pid());
    // At once: one command, and the daemon first, which would see to what the shim left.
    let both = std::process::Command::new("kill").args(["-KILL", &daemon.to_string(), &shim.to_string()]).status();
    assert!(both.unwrap().success());
    node.wait_for_exit();
    let height = node.height().unwrap();
    node.wait_for_height(height + 3);
    assert!(is_alive(pid), "it lives on without either, and so do its words");
    node.start();
    came_back_alone(&mut node, pid);
}

#[test]
fn shim_daemon_and_main_killed_at_once_are_started_again() {
    let mut node = started("", &[], "");
    let pid = node.wait_for_up("main");
    node.wait_for_height(1);
    let all = [node.daemon_pid(), parent_of(pid), pid].map(|pid| pid.to_string());
    assert!(std::process::Command::new("kill").arg("-KILL").args(&all).status().unwrap().success());
    node.wait_for_exit();
    wait_until("main to be gone", || !is_alive(pid));
    node.start();
    came_back_alone(&mut node, pid);
}

#[test]
fn a_shim_that_was_killed_while_nothing_ran_is_no_failure() {
    let mut node = started("", &[], "");
    let pid = node.wait_for_up("main");
    let shim = parent_of(pid);
    order(&node, "main", UnitOrder::Stop);
    node.wait_for_state("main", UnitState::Down);
    kill("KILL", shim);
    wait_until("the shim to be gone", || !is_alive(shim));
    order(&node, "main", UnitOrder::Start);
    wait_for_starts(&node, "main", 2);
    node.wait_for_up("main");
    assert_eq!(starts(&node, "main"), 2);
    node.stop();
}

#[test]
fn signals_that_are_meant_for_a_daemon_change_nothing_in_a_shim() {
    let mut node = started("", &[], "");
    let pid = node.wait_for_up("main");
    for signal in ["HUP", "INT", "TERM", "QUIT", "PIPE"] {
        kill(signal, parent_of(pid));
    }
    let height = node.height().unwrap_or(0);
    node.wait_for_height(height + 3);
    assert_eq!(node.wait_for_up("main"), pid);
    node.stop();
}
