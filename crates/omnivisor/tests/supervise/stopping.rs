//! "Stop: configurable signal, grace, escalation, per-unit and total bounds; waits for the *tree* to be empty, not only
//! the pid; a stop during start, during stop, during back-off all do the expected thing. SIGTERM/SIGINT/SIGHUP/SIGQUIT to
//! the daemon stop or reload cleanly; a second SIGTERM hurries".

use std::time::Instant;

use fakenode::lifecycle::{Step, read};
use ov_testkit::{TestNode, is_alive};
use ov_types::api::UnitOrder;
use ov_types::{EventKind, ExitStatus, UnitState};

use super::common::{
    configure, events, laid_out, name, noted_pid, order, second_node, shell, started, starts, wait_for_event,
};

/// Whether main ended by itself after it was asked, with everything it had on disk.
fn stopped_by_itself(node: &TestNode) -> bool {
    read(node.home()).unwrap().last().is_some_and(|entry| entry.step == Step::Stopped)
}

#[test]
fn term_int_and_quit_stop_everything_cleanly() {
    for signal in ["TERM", "INT", "QUIT"] {
        let mut node = started("", &["--children", "1"], "");
        node.wait_for_up("main");
        node.wait_for_height(1);
        let child = noted_pid(&node, "child-1");
        node.signal_daemon(signal);
        let exit = node.wait_for_exit();
        assert_eq!(exit.status.code(), Some(0), "{signal}: {}", exit.log);
        assert!(!is_alive(child), "when the daemon is gone, so is everything");
        assert!(ov_testkit::marked_processes(node.home()).is_empty(), "processes are left");
        assert!(stopped_by_itself(&node));
        node.check_data();
    }
}

#[test]
fn hup_reads_the_configuration_again_and_stops_nothing() {
    let mut node = started("", &[], "");
    let pid = node.wait_for_up("main");
    configure(&node, "", &[], "[progress]\nstall = \"7m\"\n");
    node.signal_daemon("HUP");
    wait_for_event(&node, "the reload", |kind| match kind {
        EventKind::ConfigurationReloaded { now, .. } => now.iter().any(|key| key.contains("progress")).then_some(()),
        _ => None,
    });
    assert_eq!(node.wait_for_up("main"), pid);
    assert!(node.stop().status.success());
}

#[test]
fn a_process_that_ignores_the_signal_is_killed_after_the_grace() {
    let mut node = started("", &["--ignore-term"], "[unit.main.stop]\ngrace = \"300ms\"\n");
    node.wait_for_up("main");
    node.wait_for_height(1);
    let begun = Instant::now();
    order(&node, "main", UnitOrder::Stop);
    let down = node.wait_for_state("main", UnitState::Down);
    assert!(begun.elapsed().as_millis() >= 300, "it had its grace");
    assert_eq!(down.last_exit, Some(ExitStatus::Signal(9)));
    assert_eq!(down.stop_grace_ms, 300, "a grace that was given holds");
    assert!(node.stop().status.success());
}

#[test]
fn a_unit_that_needs_longer_is_given_longer_the_next_time_whoever_looks_after_it() {
    let mut node =
        started("", &["--stop-delay-ms", "500"], "[unit.main.stop]\ngrace = \"400ms\"\ngrace-max = \"20s\"\n");
    let mut graces = vec![400];
    for _ in 0..5 {
        node.wait_for_up("main");
        node.wait_for_height(1);
        let done = node.omnivisor(&["unit", "stop", "main", "--wait"]);
        assert!(done.status.success(), "{done:?}");
        let down = node.unit("main");
        if down.last_exit == Some(ExitStatus::Code(0)) {
            break;
        }
        assert_eq!(down.last_exit, Some(ExitStatus::Signal(9)));
        let longest_ms = graces.iter().max().unwrap();
        assert!(down.stop_grace_ms >= 3 * longest_ms, "{down:?} after {graces:?}");
        graces.push(down.stop_grace_ms);
        node.kill_daemon();
        node.start();
        assert_eq!(node.unit("main").stop_grace_ms, down.stop_grace_ms);
        assert!(node.omnivisor(&["unit", "start", "main", "--wait"]).status.success());
    }
    assert!(graces.len() > 1, "the first stop was cut short");
    assert!(stopped_by_itself(&node), "and a later one was not: {graces:?}");
    assert!(node.stop().status.success());
    node.check_data();
}

#[test]
fn the_stop_signal_can_be_chosen() {
    let mut node = started("", &["--ignore-term"], "[unit.main.stop]\nsignal = \"INT\"\ngrace = \"9m\"\n");
    node.wait_for_up("main");
    node.wait_for_height(1);
    assert!(node.stop().status.success());
    assert!(stopped_by_itself(&node));
}

#[test]
fn a_slow_stop_within_the_grace_is_not_killed() {
    let mut node = started("", &["--stop-delay-ms", "1200"], "[unit.main.stop]\ngrace = \"9m\"\n");
    node.wait_for_up("main");
    node.wait_for_height(3);
    let exit = node.stop();
    assert!(exit.status.success());
    assert!(stopped_by_itself(&node));
    node.check_data();
}

#[test]
fn a_stop_waits_for_the_whole_tree() {
    let args = ["--children", "2", "--detach", "--helpers-ignore-term"];
    let mut node = started("", &args, "[unit.main.stop]\ngrace = \"400ms\"\n");
    node.wait_for_up("main");
    let left = ["child-1", "child-2", "detached"].map(|name| noted_pid(&node, name));
    node.wait_for_height(1);
    let done = node.omnivisor(&["unit", "stop", "main", "--wait"]);
    assert!(done.status.success(), "{done:?}");
    assert!(left.iter().all(|pid| !is_alive(*pid)), "down means that nothing is left");
    assert_eq!(node.unit("main").last_exit, Some(ExitStatus::Code(0)));
    assert!(node.stop().status.success());
}

#[test]
fn what_a_process_leaves_behind_is_ended_before_the_next_launch() {
    let mut node = started("", &["--detach", "--children", "1", "--crash-after", "5"], "");
    let first = ["child-1", "detached"].map(|name| noted_pid(&node, name));
    super::common::wait_for_starts(&node, "main", 2);
    assert!(first.iter().all(|pid| !is_alive(*pid)), "left behind by the first run");
    node.stop();
    node.check_data();
}

#[test]
fn a_stop_during_the_start_ends_it() {
    let mut node = laid_out("", &["--start-delay-ms", "3600000"], "[unit.main.stop]\ngrace = \"9m\"\n");
    node.start();
    node.wait_for_up("main");
    let exit = node.stop();
    assert!(exit.status.success(), "{}", exit.log);
    // A signal at the very first moment, when nothing may have begun yet.
    node.spawn();
    ov_testkit::wait_until("the daemon to be there", || node.log().contains("takes over"));
    let exit = node.stop();
    assert!(exit.status.success(), "{}", exit.log);
}

#[test]
fn a_stop_while_a_unit_waits_to_become_ready_ends_it() {
    let ready = "[unit.main.ready]\nprogram = \"/bin/false\"\nevery = \"20ms\"\n";
    let helper = format!("[unit.helper]\n{}after = {{ main = \"ready\" }}\n", shell("sleep 600"));
    let mut node = started("", &[], &(ready.to_owned() + &helper));
    node.wait_for_up("main");
    node.wait_for_height(1);
    assert!(node.stop().status.success());
    assert!(stopped_by_itself(&node));
}

#[test]
fn a_second_term_hurries_a_stop_that_is_under_way() {
    let helper = second_node(", \"--stop-delay-ms\", \"3600000\"");
    let more = format!(
        "[unit.helper]\n{helper}after = {{ main = \"up\" }}\n[unit.helper.stop]\ngrace = \"4m\"\n\
         [unit.main.stop]\ngrace = \"4m\"\n"
    );
    let mut node = started("", &["--stop-delay-ms", "3600000"], &more);
    node.wait_for_up("helper");
    node.wait_for_height(1);
    node.signal_daemon("TERM");
    node.wait_for_state("helper", UnitState::Stopping);
    assert_eq!(node.unit("main").state, UnitState::Up, "it is needed until the helper is gone");
    node.signal_daemon("TERM");
    let exit = node.wait_for_exit();
    assert_eq!(exit.status.code(), Some(0), "{}", exit.log);
    assert!(ov_testkit::marked_processes(node.home()).is_empty(), "processes are left");
}

#[test]
fn a_stop_of_a_unit_that_is_being_stopped_does_not_shorten_its_grace() {
    let mut node = started("", &["--stop-delay-ms", "800"], "[unit.main.stop]\ngrace = \"9m\"\n");
    node.wait_for_up("main");
    node.wait_for_height(1);
    for _ in 0..3 {
        order(&node, "main", UnitOrder::Stop);
    }
    let down = node.wait_for_state("main", UnitState::Down);
    assert_eq!(down.last_exit, Some(ExitStatus::Code(0)));
    assert!(stopped_by_itself(&node));
    assert!(node.stop().status.success());
}

#[test]
fn a_start_during_the_stop_waits_for_its_end() {
    let mut node = started("", &["--stop-delay-ms", "500"], "");
    let first = node.wait_for_up("main");
    node.wait_for_height(1);
    order(&node, "main", UnitOrder::Stop);
    order(&node, "main", UnitOrder::Start);
    super::common::wait_for_starts(&node, "main", 2);
    assert!(!is_alive(first));
    node.stop();
    node.check_data();
}

#[test]
fn a_stop_during_back_off_ends_the_waiting() {
    let rules = "[unit.job.back-off]\nfirst = \"1h\"\nmax = \"1h\"\n";
    let mut node = started("", &[], &format!("[unit.job]\n{}{rules}", shell("exit 1")));
    let waiting = node.wait_for_state("job", UnitState::BackingOff);
    assert!(waiting.launch_in_ms.is_some_and(|wait| wait > 60_000));
    order(&node, "job", UnitOrder::Stop);
    node.wait_for_state("job", UnitState::Down);
    assert_eq!(starts(&node, "job"), 2);
    // A start does not wait for the rest of the hour.
    order(&node, "job", UnitOrder::Start);
    super::common::wait_for_starts(&node, "job", 3);
    node.wait_for_state("job", UnitState::BackingOff);
    assert!(node.stop().status.success());
}

#[test]
fn a_unit_that_is_kept_down_stays_down_over_daemons() {
    let mut node = started("", &[], "");
    node.wait_for_up("main");
    order(&node, "main", UnitOrder::Stop);
    node.wait_for_state("main", UnitState::Down);
    node.kill_daemon();
    node.start();
    assert!(!node.wait_for_state("main", UnitState::Down).wanted);
    assert!(node.stop().status.success());
    node.start();
    assert!(!node.wait_for_state("main", UnitState::Down).wanted);
    assert_eq!(starts(&node, "main"), 1);
    let expected = |kind: &EventKind| match kind {
        EventKind::UnitExited { unit, expected, .. } if *unit == name("main") => Some(*expected),
        _ => None,
    };
    assert_eq!(events(&node).iter().filter_map(expected).collect::<Vec<_>>(), [true]);
    node.stop();
}
