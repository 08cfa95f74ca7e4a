//! The hook that prepares the data for the new release.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use fakenode::Profile;
use ov_testkit::{TestNode, is_alive, wait_for};
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, PlanId, Trigger};

use super::support::{QUICK, executed, finish, reason, running, told};

/// Plans v2 with this script as the hook.
fn upgrade_with(script: &str, more: &str) -> (TestNode, PlanId) {
    let hook = format!("\n[upgrade.migrate]\nprogram = \"hook.sh\"\nargs = [\"{{release}}\"]\n{more}");
    let node = running(&[], &[QUICK, &hook].concat());
    fs::write(node.path("hook.sh"), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(node.path("hook.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    (node, plan)
}

#[test]
fn it_runs_once_between_the_old_release_and_the_new_one() {
    let script = r#"echo "$1 $OMNIVISOR_RELEASE $OMNIVISOR_PREVIOUS_RELEASE $OMNIVISOR_HOME $OMNIVISOR_DATA" >> hook.out
readlink current >> hook.out; flock -n data/LOCK true && echo free >> hook.out; echo prepared"#;
    let (node, plan) = upgrade_with(script, "");
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let home = node.home().to_str().unwrap();
    let told = fs::read_to_string(node.path("hook.out")).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], format!("{home}/releases/v2 v2 v1 {home} {home}/data"));
    assert_eq!(lines[1], "releases/v2", "after the switch");
    assert_eq!(lines[2..], ["free"], "while nothing runs, and once");
    let history = node.omnivisor(&["upgrade", "history", &plan.to_string()]);
    assert!(String::from_utf8_lossy(&history.stdout).contains("prepared"), "what it said is kept: {history:?}");
    finish(node);
}

#[test]
fn one_that_fails_is_tried_again_and_then_the_upgrade_is_rolled_back() {
    let (node, plan) = upgrade_with("echo again >> hook.out; echo 'no such table' >&2; exit 3", "");
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    let because = reason(&node, plan);
    assert_eq!(because.code, "OV-UPG-024");
    assert!(told(&because).contains("exit code 3") && told(&because).contains("no such table"), "{because:?}");
    assert_eq!(fs::read_to_string(node.path("hook.out")).unwrap().lines().count(), 3);
    assert_eq!(executed(&node), ["v1", "v1"], "the new release was never launched");
    finish(node);
}

#[test]
fn one_that_does_not_end_is_ended() {
    let (node, plan) = upgrade_with("exec sleep 1000", "timeout = \"200ms\"\n");
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    let because = reason(&node, plan);
    assert!(told(&because).contains("longer than 200ms"), "{because:?}");
    finish(node);
}

#[test]
fn one_that_recovers_lets_the_upgrade_go_on() {
    let (node, plan) = upgrade_with("test -e tried || { touch tried; exit 1; }", "");
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    finish(node);
}

#[test]
fn one_whose_daemon_was_killed_is_ended_before_the_next() {
    let script = "echo $$ >> hook.pids; test $(wc -l < hook.pids) -gt 1 || exec sleep 1000";
    let (mut node, plan) = upgrade_with(script, "");
    let pids = node.path("hook.pids");
    let first: u32 = wait_for("the hook to run", || fs::read_to_string(&pids).ok()?.trim().parse().ok());
    node.kill_daemon();
    assert!(is_alive(first), "the hook outlives its daemon");
    node.start();
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert!(!is_alive(first), "two hooks worked on the data at once");
    finish(node);
}
