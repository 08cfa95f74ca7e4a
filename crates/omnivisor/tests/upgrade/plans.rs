//! Plans before their trigger: added, listed, replaced, taken back, blocked; and what a script learns by its exit code.

use std::fs;

use fakenode::Profile;
use ov_testkit::{TestNode, wait_until};
use ov_types::api::{NewPlan, PlanPhase};
use ov_types::record::Outcome;
use ov_types::{EventKind, FailurePolicy, PlanId, Trigger};

use super::support::{
    LONG_SOAK, QUICK, events, finish, name, names_in, never, refusal, running, told, wait_for_armed, wait_for_problem,
    wish,
};

/// What is in the releases folder before any plan.
const BEFORE: [&str; 2] = ["v1", "v1.release.json"];

fn add(node: &TestNode, plan: &NewPlan) -> PlanId {
    node.client().add_plan(plan).unwrap().plan.unwrap()
}

#[test]
fn an_armed_plan_that_is_taken_back_leaves_nothing() {
    let node = running(&[], "");
    assert_eq!(names_in(&node.path("releases")), BEFORE);
    let plan = node.plan(&Profile::new("v2"), never(), FailurePolicy::Rollback);
    wait_for_armed(&node, plan);
    assert_eq!(node.client().plans(false).unwrap().len(), 1);
    let _ = node.client().cancel_plan(plan).unwrap();
    assert_eq!(node.wait_for_end(plan), Outcome::Withdrawn);
    assert_eq!(names_in(&node.path("releases")), BEFORE);
    assert_eq!(names_in(&node.path("snapshots")), Vec::<String>::new());
    assert_eq!(node.client().plans(false).unwrap(), []);
    assert!(node.client().cancel_plan(plan).is_err(), "it is over");
    finish(node);
}

#[test]
fn a_plan_that_is_taken_back_at_once_leaves_nothing() {
    let node = running(&[], "");
    for _ in 0..3 {
        let plan = node.plan(&Profile::new("v2"), never(), FailurePolicy::Rollback);
        let _ = node.client().cancel_plan(plan).unwrap();
        assert_eq!(node.wait_for_end(plan), Outcome::Withdrawn);
        assert_eq!(names_in(&node.path("releases")), BEFORE);
    }
    finish(node);
}

#[test]
fn a_release_that_a_person_staged_stays_when_its_plan_goes() {
    let node = running(&[], "");
    let source = node.make_release(&Profile::new("v2"));
    let prepared = node.omnivisor(&["upgrade", "prepare", "v2", "--from", source.to_str().unwrap()]);
    assert!(prepared.status.success(), "{prepared:?}");
    let plan = add(&node, &NewPlan { source: None, ..wish(&node, &Profile::new("v2"), never()) });
    wait_for_armed(&node, plan);
    let _ = node.client().cancel_plan(plan).unwrap();
    assert_eq!(node.wait_for_end(plan), Outcome::Withdrawn);
    assert_eq!(names_in(&node.path("releases")), ["v1", "v1.release.json", "v2", "v2.release.json"]);
    finish(node);
}

#[test]
fn a_plan_in_the_place_of_another() {
    let node = running(&[], "");
    let old = node.plan(&Profile::new("v2"), never(), FailurePolicy::Rollback);
    wait_for_armed(&node, old);
    let twin = refusal(node.client().add_plan(&wish(&node, &Profile::new("v2"), Trigger::Now)));
    assert!(twin.contains("already goes to v2"), "{twin}");
    let new = add(&node, &NewPlan { replaces: Some(old), ..wish(&node, &Profile::new("v3"), Trigger::Now) });
    assert_eq!(node.wait_for_end(old), Outcome::Withdrawn);
    assert_eq!(node.wait_for_end(new), Outcome::Committed);
    assert_eq!(node.current(), "v3");
    assert!(!names_in(&node.path("releases")).iter().any(|name| name.contains("v2")));
    finish(node);
}

#[test]
fn the_same_release_at_another_height() {
    let node = running(&[], "");
    let old = node.plan(&Profile::new("v2"), never(), FailurePolicy::Rollback);
    wait_for_armed(&node, old);
    let new = add(&node, &NewPlan { replaces: Some(old), ..wish(&node, &Profile::new("v2"), Trigger::Now) });
    assert_eq!(node.wait_for_end(new), Outcome::Committed);
    assert_eq!(node.wait_for_end(old), Outcome::Withdrawn);
    assert_eq!(node.current(), "v2");
    finish(node);
}

#[test]
fn what_can_be_seen_to_be_wrong_is_refused_at_once() {
    let node = running(&[], "");
    wait_until("the height to be learned", || node.status().height.is_some());
    let good = wish(&node, &Profile::new("v2"), never());
    for (plan, wanted) in [
        (NewPlan { release: name("v1"), ..good.clone() }, "runs already"),
        (NewPlan { trigger: Trigger::Height { height: ov_types::Height(1) }, ..good.clone() }, "not above"),
        (NewPlan { source: Some("/there/is/no/such/file".to_owned()), ..good.clone() }, "/there/is/no/such/file"),
        (NewPlan { sha256: Some("abc".to_owned()), ..good.clone() }, "SHA-256"),
        (NewPlan { replaces: Some(PlanId(77)), ..good }, "no plan 77"),
    ] {
        let refused = refusal(node.client().add_plan(&plan));
        assert!(refused.contains(wanted), "{refused}");
    }
    assert_eq!(node.client().plans(true).unwrap(), []);
    assert_eq!(names_in(&node.path("releases")), BEFORE);
    finish(node);
}

#[test]
fn a_wrong_digest_blocks_the_plan_and_nothing_is_staged() {
    let node = running(&[], QUICK);
    let wrong = NewPlan { sha256: Some("0".repeat(64)), ..wish(&node, &Profile::new("v2"), Trigger::Now) };
    let plan = add(&node, &wrong);
    let problem = wait_for_problem(&node, plan);
    assert!(told(&problem).contains("digest is") && told(&problem).contains("expected 0000"), "{problem:?}");
    assert!(problem.state.contains("the node runs as before"), "{problem:?}");
    wait_until("the alarm", || events(&node).iter().any(|kind| matches!(kind, EventKind::PlanBlocked { .. })));
    assert_eq!(node.current(), "v1");
    let _ = node.client().cancel_plan(plan).unwrap();
    assert_eq!(node.wait_for_end(plan), Outcome::Withdrawn);
    assert_eq!(names_in(&node.path("releases")), BEFORE);
    finish(node);
}

#[test]
fn a_source_that_goes_and_comes_back_only_delays_the_plan() {
    let node = running(&[], QUICK);
    // Staging looks again at each try; an unreadable place is a transient trouble.
    let plan = NewPlan { source: None, ..wish(&node, &Profile::new("v2"), Trigger::Now) };
    let plan = add(&node, &plan);
    let problem = wait_for_problem(&node, plan);
    assert_eq!(problem.code, "OV-UPG-011");
    fs::rename(node.path("incoming/v2"), node.path("releases/v2")).unwrap();
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    finish(node);
}

#[test]
fn a_source_that_changed_after_it_was_staged_changes_nothing() {
    let node = running(&[], "");
    let plan = node.plan(&Profile::new("v2"), never(), FailurePolicy::Rollback);
    wait_for_armed(&node, plan);
    fs::write(node.path("incoming/v2/bin/fakenode.json"), r#"{"version": "v9"}"#).unwrap();
    let mut again = wish(&node, &Profile::new("v3"), Trigger::Now);
    again.replaces = Some(plan);
    let plan = add(&node, &again);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    // Another content under the name of a release that is there is refused, not mixed.
    let _ = fs::remove_dir_all(node.path("incoming/v3"));
    let other = node.make_release(&Profile::new("v3").with("network", "other"));
    let staged = node.omnivisor(&["upgrade", "prepare", "v3", "--from", other.to_str().unwrap()]);
    assert!(!staged.status.success(), "{staged:?}");
    finish(node);
}

#[test]
fn a_plan_past_its_trigger_can_only_be_turned_round() {
    let node = running(&[], "\n[upgrade.prove]\nsoak = \"30s\"\nwithin = \"50s\"\n");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    wait_until("the switch", || node.current() == "v2");
    let refused = refusal(node.client().cancel_plan(plan));
    assert!(refused.contains("trigger") && refused.contains("upgrade rollback"), "{refused}");
    let other = node.plan(&Profile::new("v3"), Trigger::Now, FailurePolicy::Rollback);
    assert!(node.client().apply_plan(other).is_err(), "one upgrade at a time");
    let _ = node.client().rollback(Some(plan)).unwrap();
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    let _ = node.client().cancel_plan(other);
}

#[test]
fn the_exit_code_of_a_wait_says_how_it_ended() {
    let node = running(&[], QUICK);
    let run = |release: &Profile, args: &[&str]| {
        let source = node.make_release(release);
        let plan = ["plan", "add", "--release", &release.version, "--from", source.to_str().unwrap()];
        let output = node.omnivisor(&[&plan[..], args].concat());
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let waited = run(&Profile::new("v2"), &["--height", "999999999", "--wait=200ms"]);
    assert_eq!(waited.0, 10, "{}", waited.1);
    let waiting = node.client().plans(false).unwrap()[0].plan.id;
    let _ = node.client().cancel_plan(waiting).unwrap();
    let bad = Profile::new("v3").with("crash_starts", 1_000);
    let waited = run(&bad, &["--now", "--wait", "--on-failure", "rollback"]);
    assert_eq!(waited.0, 1, "{}", waited.1);
    let waited = run(&Profile::new("v4"), &["--now", "--wait"]);
    assert_eq!(waited.0, 0, "{}", waited.1);
    assert_eq!(node.current(), "v4");
    finish(node);
}

#[test]
fn a_wait_tells_that_a_person_is_needed() {
    // Without a snapshot there is no way back from data that the new release has raised.
    let node = running(&[], &[QUICK, LONG_SOAK].concat());
    let source = node.make_release(&Profile::new("v2").with("data_format", 2).with("crash_after", 1));
    let add = ["plan", "add", "--release", "v2", "--now", "--no-keep", "--on-failure", "rollback", "--wait"];
    let output = node.omnivisor(&[&add[..], &["--from", source.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stderr));
    let plan = node.client().plans(false).unwrap()[0].clone();
    let PlanPhase::NeedsOperator { because } = plan.phase else { panic!("{:?}", plan.phase) };
    assert_eq!(because.code, "OV-UPG-023", "{because:?}");
    assert!(because.state.contains("stopped") && !because.hint.is_empty(), "{because:?}");
    assert_eq!(node.unit("main").pid, None, "nothing runs on data that it cannot read");
    let status = node.status();
    assert!(status.problems.iter().any(|problem| problem.code == "OV-UPG-023"), "{:?}", status.problems);
    // A person puts data there that the old release can read, and lets the upgrade go on.
    fs::remove_dir_all(node.path("data")).unwrap();
    fs::create_dir(node.path("data")).unwrap();
    fs::write(node.path("data/format"), "1\n").unwrap();
    let _ = node.client().retry_plan(plan.plan.id).unwrap();
    assert_eq!(node.wait_for_end(plan.plan.id), Outcome::RolledBack);
    assert_eq!(node.current(), "v1");
    finish(node);
}
