//! "Readiness and health by probe: process up, TCP, HTTP status + JSON pointer + comparison, exec, log line, sd_notify
//! from the unit. Progress watchdog: height must move within a bound or the node counts as stuck (policy: alert or
//! restart)".

use std::net::TcpListener;

use ov_testkit::TestNode;
use ov_types::{EventKind, UnitState};
use serde_json::json;

use super::common::{events, laid_out, name, shell, started, starts, wait_for_event, wait_for_starts};

/// Main as it is told to be ready by this probe; `{address}` is its web server.
fn with_readiness(args: &[&str], probe: &str) -> TestNode {
    with_table("unit.main.ready", args, &format!("every = \"20ms\"\n{probe}"))
}

fn with_table(table: &str, args: &[&str], body: &str) -> TestNode {
    let node = laid_out("", args, "");
    let body = body.replace("{address}", node.address());
    super::common::configure(&node, "", args, &format!("[{table}]\n{body}\n"));
    node
}

#[test]
fn ready_when_the_process_is_up() {
    let mut node = with_readiness(&[], "process = true");
    node.start();
    node.wait_for_state("main", UnitState::Ready);
    node.stop();
}

#[test]
fn ready_when_somebody_accepts_connections() {
    let mut node = with_readiness(&["--start-delay-ms", "300"], "tcp = \"{address}\"");
    node.start();
    assert_ne!(node.unit("main").state, UnitState::Ready);
    node.wait_for_state("main", UnitState::Ready);
    node.stop();
}

#[test]
fn ready_when_the_web_server_gives_a_good_status() {
    let mut node = with_readiness(&["--healthy=false"], "http = \"http://{address}/health\"\nstatus = [\"200-204\"]");
    node.start();
    node.wait_for_height(5);
    assert_eq!(node.unit("main").state, UnitState::Up, "it answers, but not well");
    node.control(&json!({ "healthy": true }));
    node.wait_for_state("main", UnitState::Ready);
    node.stop();
}

#[test]
fn ready_when_the_answer_says_so() {
    let probe = "http = \"http://{address}/status\"\npointer = \"/result/sync_info/catching_up\"\nis = \"false\"";
    let mut node = with_readiness(&["--catching-up"], probe);
    node.start();
    node.wait_for_height(5);
    assert_eq!(node.unit("main").state, UnitState::Up);
    node.control(&json!({ "catching_up": false }));
    node.wait_for_state("main", UnitState::Ready);
    node.stop();
}

#[test]
fn ready_when_a_number_in_the_answer_is_high_enough() {
    let probe =
        "http = \"http://{address}/status\"\npointer = \"/result/sync_info/latest_block_height\"\nat-least = 20";
    let mut node = with_readiness(&[], probe);
    node.start();
    node.wait_for_state("main", UnitState::Ready);
    assert!(node.height().unwrap() >= 20);
    node.stop();
}

#[test]
fn ready_when_a_program_says_so() {
    let mut node = with_readiness(&[], "program = \"/usr/bin/test\"\nargs = [\"-e\", \"{home}/open\"]");
    node.start();
    node.wait_for_height(5);
    assert_eq!(node.unit("main").state, UnitState::Up);
    std::fs::write(node.path("open"), "").unwrap();
    node.wait_for_state("main", UnitState::Ready);
    node.stop();
}

#[test]
fn ready_when_a_line_of_output_says_so_and_only_of_this_run() {
    let mut node = with_readiness(&[], "log-line = \"committed block height=15 \"");
    node.start();
    node.wait_for_state("main", UnitState::Ready);
    assert!(node.height().unwrap() >= 15);
    // The line of the first run is still in the log; the second run will never write it again.
    super::common::kill("KILL", node.wait_for_up("main"));
    wait_for_starts(&node, "main", 2);
    let height = node.height().unwrap();
    node.wait_for_height(height + 20);
    assert_eq!(node.unit("main").state, UnitState::Up);
    node.stop();
}

#[test]
fn a_daemon_that_takes_over_learns_that_a_unit_is_ready_and_gives_it_time() {
    let mut node = with_readiness(&[], "log-line = \"committed block height=5 \"\nwithin = \"1s\"");
    node.start();
    let main = node.wait_for_state("main", UnitState::Ready).pid;
    // By its height, a block each 20 ms, it has been running for longer than it may take to become ready.
    node.wait_for_height(100);
    node.kill_daemon();
    node.start();
    assert_eq!(node.wait_for_state("main", UnitState::Ready).pid, main, "it was launched again");
    node.stop();
}

#[test]
fn a_unit_that_is_not_ready_in_time_is_stopped_and_that_counts_as_a_failure() {
    let more = "[unit.main.ready]\nprogram = \"/bin/false\"\nevery = \"20ms\"\nwithin = \"200ms\"\n\
                [unit.main.back-off]\nfirst = \"10ms\"\nmax = \"20ms\"\n\
                [unit.main.crash-loop]\ncount = 3\nthen = \"park\"\n";
    let mut node = started("", &[], more);
    let parked = node.wait_for_state("main", UnitState::Parked);
    assert!(parked.parked.is_some());
    assert_eq!(starts(&node, "main"), 3);
    let told = |kind: &EventKind| matches!(kind, EventKind::UnitHealth { healthy: false, message, .. } if message.contains("not ready in time"));
    assert_eq!(events(&node).iter().filter(|kind| told(kind)).count(), 3);
    node.stop();
    node.check_data();
}

/// Main asked for its health by this probe, quickly.
fn with_health(args: &[&str], probe: &str) -> TestNode {
    with_table("unit.main.health", args, &format!("every = \"30ms\"\nfailures = 2\n{probe}"))
}

fn health(kind: &EventKind) -> Option<bool> {
    match kind {
        EventKind::UnitHealth { unit, healthy, .. } if *unit == name("main") => Some(*healthy),
        _ => None,
    }
}

#[test]
fn a_unit_that_is_not_healthy_is_told_of_and_left_running() {
    let mut node = with_health(&[], "http = \"http://{address}/health\"");
    node.start();
    let pid = node.wait_for_up("main");
    ov_testkit::wait_until("main to be healthy", || node.unit("main").healthy == Some(true));
    node.control(&json!({ "healthy": false }));
    ov_testkit::wait_until("main to be unhealthy", || node.unit("main").healthy == Some(false));
    node.control(&json!({ "healthy": true }));
    ov_testkit::wait_until("main to be healthy again", || node.unit("main").healthy == Some(true));
    assert_eq!(node.wait_for_up("main"), pid);
    // On a busy machine it may have been asked before it listened; whatever came before, this came last.
    let told: Vec<bool> = events(&node).iter().filter_map(health).collect();
    assert!(told.ends_with(&[false, true]), "{told:?}");
    assert_eq!(starts(&node, "main"), 1);
    node.stop();
}

#[test]
fn a_unit_that_is_not_healthy_is_restarted_if_told_so() {
    let mut node = with_health(&[], "http = \"http://{address}/health\"\nthen = \"restart\"");
    node.start();
    let pid = node.wait_for_up("main");
    ov_testkit::wait_until("main to be healthy", || node.unit("main").healthy == Some(true));
    node.control(&json!({ "healthy": false }));
    wait_for_starts(&node, "main", 2);
    assert_ne!(node.wait_for_up("main"), pid);
    ov_testkit::wait_until("the new one to be healthy", || node.unit("main").healthy == Some(true));
    node.stop();
    node.check_data();
}

#[test]
fn health_by_tcp_sees_a_listener_go() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut node = with_health(&[], &format!("tcp = \"{address}\""));
    node.start();
    ov_testkit::wait_until("main to be healthy", || node.unit("main").healthy == Some(true));
    drop(listener);
    ov_testkit::wait_until("main to be unhealthy", || node.unit("main").healthy == Some(false));
    node.stop();
}

#[test]
fn health_by_a_program_sees_it_fail_and_hang() {
    let mut node = with_health(
        &[],
        "timeout = \"300ms\"\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"test ! -e {home}/hang || sleep 600; test ! -e {home}/bad\"]",
    );
    node.start();
    ov_testkit::wait_until("main to be healthy", || node.unit("main").healthy == Some(true));
    std::fs::write(node.path("bad"), "").unwrap();
    ov_testkit::wait_until("main to be unhealthy", || node.unit("main").healthy == Some(false));
    std::fs::remove_file(node.path("bad")).unwrap();
    ov_testkit::wait_until("main to be healthy again", || node.unit("main").healthy == Some(true));
    std::fs::write(node.path("hang"), "").unwrap();
    ov_testkit::wait_until("main to be unhealthy again", || node.unit("main").healthy == Some(false));
    // Nothing of the question is left when the node is gone.
    assert!(node.stop().status.success());
}

#[test]
fn health_by_watchdog_messages_sees_a_node_that_hangs_also_with_the_next_daemon() {
    let mut node = with_health(&[], "notify = true\ntimeout = \"400ms\"\nthen = \"restart\"");
    node.start();
    ov_testkit::wait_until("main to be healthy", || node.unit("main").healthy == Some(true));
    assert_eq!(super::common::inherited(node.home())["environment"]["WATCHDOG_USEC"], "400000");
    node.kill_daemon();
    node.start();
    ov_testkit::wait_until("main to be healthy still", || node.unit("main").healthy == Some(true));
    node.control(&json!({ "hang": true }));
    wait_for_starts(&node, "main", 2);
    node.stop();
}

#[test]
fn the_health_of_a_helper_is_asked_as_well() {
    let more = format!(
        "[unit.helper]\n{}[unit.helper.health]\nprogram = \"/usr/bin/test\"\nargs = [\"!\", \"-e\", \"{{home}}/bad\"]\n\
         every = \"30ms\"\nfailures = 1\nthen = \"restart\"\n",
        shell("sleep 600")
    );
    let mut node = started("", &[], &more);
    node.wait_for_up("helper");
    std::fs::write(node.path("bad"), "").unwrap();
    wait_for_event(&node, "bad health", |kind| match kind {
        EventKind::UnitHealth { unit, healthy: false, .. } if *unit == name("helper") => Some(()),
        _ => None,
    });
    std::fs::remove_file(node.path("bad")).unwrap();
    wait_for_starts(&node, "helper", 2);
    assert_eq!(starts(&node, "main"), 1);
    node.stop();
}

#[test]
fn a_height_that_stands_still_is_told_and_so_is_its_moving_again() {
    let mut node = started("", &[], "[progress]\nstall = \"300ms\"\n");
    let pid = node.wait_for_up("main");
    node.wait_for_height(3);
    node.control(&json!({ "stop_blocks": true }));
    wait_for_event(&node, "the node to be stuck", |kind| match kind {
        EventKind::NodeStuck { height: Some(_), for_ms, restarting: false } if *for_ms >= 300 => Some(()),
        _ => None,
    });
    node.control(&json!({ "stop_blocks": false }));
    wait_for_event(&node, "the node to move", |kind| matches!(kind, EventKind::NodeMoving { .. }).then_some(()));
    assert_eq!(node.wait_for_up("main"), pid);
    node.stop();
}

#[test]
fn a_height_that_stands_still_restarts_main_if_told_so() {
    let mut node = started("", &[], "[progress]\nstall = \"400ms\"\npolicy = \"restart\"\n");
    node.wait_for_height(3);
    node.control(&json!({ "hang": true }));
    wait_for_starts(&node, "main", 2);
    assert!(events(&node).iter().any(|kind| matches!(kind, EventKind::NodeStuck { restarting: true, .. })));
    let height = node.height().unwrap();
    node.wait_for_height(height + 5);
    node.stop();
    node.check_data();
}
