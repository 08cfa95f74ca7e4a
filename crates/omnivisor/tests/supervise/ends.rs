//! A daemon that ends by the rules of a unit: every unit is stopped in order, the reason is told, and the next one
//! counts anew. And units that run on for a while after the trigger of an upgrade.

use fakenode::Profile;
use fakenode::lifecycle::{Step, read};
use ov_client::Since;
use ov_testkit::{DaemonExit, TestNode, wait_until};
use ov_types::record::Outcome;
use ov_types::{EventKind, FailurePolicy, Trigger, UnitState};
use serde_json::json;

use super::common::{configure, events, laid_out, shell, started, starts, wait_for_event, wait_for_starts};

const PACE: &str = "at-once = 0\nfirst = \"50ms\"\nmax = \"50ms\"\njitter = 0\nreset = \"0s\"\n";

fn wait_for_end(node: &mut TestNode) -> DaemonExit {
    let exit = node.wait_for_exit();
    wait_until("all processes of the node to be gone", || ov_testkit::marked_processes(node.home()).is_empty());
    exit
}

fn gracefully(node: &TestNode) -> bool {
    read(node.home()).unwrap().last().is_some_and(|entry| entry.step == Step::Stopped)
}

#[test]
fn so_many_failures_end_the_daemon_in_order_and_the_next_one_counts_anew() {
    let job = shell("exit 9");
    let more = format!(
        "[unit.job]\n{job}after = {{ main = \"ready\" }}\n[unit.main.ready]\nprocess = true\n[unit.job.back-off]\n{PACE}\
         [unit.job.crash-loop]\ncount = 3\nwithin = \"0s\"\nthen = \"end\"\n"
    );
    let mut node = laid_out("", &["--stop-delay-ms", "200"], &more);
    for daemon in 1..=2 {
        node.spawn();
        let exit = wait_for_end(&mut node);
        assert_eq!(exit.status.code(), Some(1), "{}", exit.log);
        assert!(exit.log.contains("unit job ended 3 times in a row, last with exit code 9"), "{}", exit.log);
        assert!(exit.log.contains("OV-RUN-006"), "{}", exit.log);
        assert!(gracefully(&node), "main had its grace");
        let shown = String::from_utf8(node.omnivisor(&["events", "--json"]).stdout).unwrap();
        let of_job = |kind: &str| {
            let told = |event: &serde_json::Value| event["event"] == kind && event["unit"] == "job";
            shown.lines().map(|line| serde_json::from_str(line).expect("an event")).filter(told).count()
        };
        assert_eq!((of_job("unit-exited"), of_job("node-given-up")), (3 * daemon, daemon));
    }
    node.check_data();
}

#[test]
fn a_stop_meanwhile_leaves_the_units_their_grace() {
    let job = shell("exit 9");
    let more = format!(
        "[unit.job]\n{job}after = {{ main = \"ready\" }}\n[unit.main.ready]\nhttp = \"http://{{address}}/health\"\n\
         every = \"20ms\"\n[unit.job.crash-loop]\ncount = 1\nthen = \"end\"\n"
    );
    let mut node = laid_out("", &["--stop-delay-ms", "600"], "");
    let more = more.replace("{address}", node.address());
    configure(&node, "", &["--stop-delay-ms", "600"], &more);
    node.spawn();
    wait_until("the daemon to give up", || node.log().contains("the daemon ends"));
    node.signal_daemon("TERM");
    let exit = wait_for_end(&mut node);
    assert_eq!(exit.status.code(), Some(1), "{}", exit.log);
    assert!(gracefully(&node), "the first word to stop is no word to hurry");
}

#[test]
fn silence_ends_the_daemon_and_a_relaunch_is_given_less_time() {
    let health = "http = \"http://{address}/health\"\nevery = \"20ms\"\nfailures = 100000\nfailures-of-relaunch = 5\n\
                  then = \"end\"\n";
    let mut node = laid_out("", &[], "");
    let more = format!("[unit.main.health]\n{}", health.replace("{address}", node.address()));
    configure(&node, "", &[], &more);
    node.start();
    wait_until("main to be healthy", || node.unit("main").healthy == Some(true));
    node.control(&json!({ "healthy": false }));
    let height = node.height().unwrap_or(0);
    node.wait_for_height(height + 20);
    assert_eq!(node.unit("main").healthy, Some(true), "it is borne");
    node.control(&json!({ "healthy": true }));
    super::common::kill("KILL", node.wait_for_up("main"));
    wait_for_starts(&node, "main", 2);
    wait_until("the next one to be healthy", || node.unit("main").healthy == Some(true));
    // The next daemon knows which launch it looks after.
    node.kill_daemon();
    node.start();
    wait_until("it to be healthy still", || node.unit("main").healthy == Some(true));
    node.control(&json!({ "healthy": false }));
    let exit = wait_for_end(&mut node);
    assert_eq!(exit.status.code(), Some(1), "{}", exit.log);
    assert!(exit.log.contains("did not answer well 5 times in a row"), "{}", exit.log);
    assert!(gracefully(&node));
}

/// When something happened for the first time, by the events.
fn happened_ms(node: &TestNode, is_it: impl Fn(&EventKind) -> bool) -> Option<i64> {
    let events = node.client().events(Since::Oldest).expect("the daemon answers");
    events.into_iter().find(|event| is_it(&event.kind)).map(|event| event.at_ms)
}

#[test]
fn units_run_on_for_a_while_after_the_trigger_whoever_counts_it() {
    let mut node = started("", &[], "[upgrade]\nstop-delay = \"1200ms\"\n");
    node.wait_for_height(1);
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    wait_for_event(&node, "the trigger", |kind| matches!(kind, EventKind::UpgradeStarted { .. }).then_some(()));
    let height = node.height().unwrap_or(0);
    node.wait_for_height(height + 10);
    assert_eq!((starts(&node, "main"), node.unit("main").state), (1, UnitState::Up), "it is needed still");
    node.kill_daemon();
    node.start();
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let triggered = happened_ms(&node, |kind| matches!(kind, EventKind::UpgradeStarted { .. })).unwrap();
    let stopped = happened_ms(&node, |kind| matches!(kind, EventKind::UnitStopping { .. })).unwrap();
    assert!(stopped - triggered >= 1_150, "stopped {} ms after the trigger", stopped - triggered);
    assert!(!events(&node).iter().any(|kind| matches!(kind, EventKind::StepFailed { .. })));
    node.stop();
}

#[test]
fn a_stop_of_the_node_does_not_wait_for_the_delay() {
    let mut node = started("", &[], "[upgrade]\nstop-delay = \"1h\"\n");
    node.wait_for_height(1);
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    wait_for_event(&node, "the trigger", |kind| matches!(kind, EventKind::UpgradeStarted { .. }).then_some(()));
    assert!(node.stop().status.success());
    // Nobody needs it any more: the upgrade is carried out at once.
    node.start();
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_eq!(starts(&node, "main"), 2, "the old release was launched again");
    node.stop();
}
