//! Upgrades of a whole network, which cannot be left: the new release is kept, and tried until it is good.

use fakenode::Profile;
use ov_testkit::wait_until;
use ov_types::record::Outcome;
use ov_types::{EventKind, FailurePolicy, Step, Trigger};

use super::support::{QUICK, events, executed, finish, refusal, running, wait_for_problem};

const STRICT: &str = "\n[upgrade.prove]\nsoak = \"200ms\"\nwithin = \"20s\"\nexits = 0\n";

fn alarms(node: &ov_testkit::TestNode) -> usize {
    events(node).iter().filter(|kind| matches!(kind, EventKind::UpgradeHeld { .. })).count()
}

#[test]
fn a_bad_release_is_held_until_it_is_good_with_one_alarm() {
    let node = running(&[], &[QUICK, STRICT].concat());
    let plan = node.plan(&Profile::new("v2").with("crash_starts", 5), Trigger::Now, FailurePolicy::Hold);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_eq!(alarms(&node), 1, "one alarm for one kind of trouble, however often it is tried");
    let failures = events(&node)
        .iter()
        .filter(|kind| matches!(kind, EventKind::StepFailed { step: Step::Prove, retry_in_ms: Some(_), .. }))
        .count();
    assert!(failures > 1, "it was tried again");
    assert_eq!(executed(&node)[1..], ["v2"; 6], "the old release was never launched again");
    finish(node);
}

#[test]
fn there_is_no_way_back_once_the_new_release_was_started() {
    let node = running(&[], &[QUICK, &STRICT.replace("200ms", "10s")].concat());
    let plan = node.plan(&Profile::new("v2").with("crash_after", 1), Trigger::Now, FailurePolicy::Hold);
    let problem = wait_for_problem(&node, plan);
    assert_eq!(problem.code, "OV-UPG-031", "{problem:?}");
    wait_until("the alarm", || alarms(&node) == 1);
    let refused = refusal(node.client().rollback(Some(plan)));
    assert!(refused.contains("point of no return") && refused.contains("snapshot restore"), "{refused}");
    assert_eq!(node.current(), "v2");
    assert!(node.client().cancel_plan(plan).is_err());
    let status = node.status();
    assert!(status.problems.iter().any(|problem| problem.code == "OV-UPG-031"), "{:?}", status.problems);
}

#[test]
fn a_held_upgrade_goes_on_with_the_next_daemon() {
    let mut node = running(&[], &[QUICK, STRICT].concat());
    let plan = node.plan(&Profile::new("v2").with("crash_starts", 4), Trigger::Now, FailurePolicy::Hold);
    let _ = wait_for_problem(&node, plan);
    node.kill_daemon();
    node.start();
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    finish(node);
}

#[test]
fn a_person_may_let_the_next_try_begin_at_once() {
    let slow =
        QUICK.replace("retry-first = \"50ms\"\nretry-max = \"200ms\"", "retry-first = \"1h\"\nretry-max = \"1h\"");
    let node = running(&[], &[&slow, STRICT].concat());
    let plan = node.plan(&Profile::new("v2").with("crash_starts", 1), Trigger::Now, FailurePolicy::Hold);
    let _ = wait_for_problem(&node, plan);
    let output = node.omnivisor(&["upgrade", "retry", &plan.to_string(), "--wait"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    finish(node);
}
