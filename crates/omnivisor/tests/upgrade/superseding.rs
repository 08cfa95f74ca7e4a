//! The new release is broken and the old one cannot go on: the way out is a person's plan to a third one.

use fakenode::Profile;
use ov_testkit::{TestNode, wait_until};
use ov_types::api::{NewPlan, PlanPhase};
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, PlanId, Trigger, UnitState};

use super::sign_state::VALIDATOR;
use super::support::{
    LONG_SOAK, QUICK, SCOUT, executed, finish, makers, names_in, plan_status, refusal, running, text, wait_for_problem,
    wish,
};

const STRICT: &str = "\n[upgrade.prove]\nsoak = \"200ms\"\nwithin = \"20s\"\nexits = 0\n";

/// A release that raises the data and does not stay up, and one that can go on from there.
fn broken() -> Profile {
    Profile::new("v2").with("data_format", 2).with("crash_after", 2)
}

fn mended() -> Profile {
    Profile::new("v3").with("data_format", 2)
}

/// v2 is held: it cannot be proven, and v1 must not see its data.
fn held(configuration: &str) -> (TestNode, PlanId) {
    let node = running(&["--sign"], &[VALIDATOR, configuration].concat());
    let plan = node.plan(&broken(), Trigger::Now, FailurePolicy::Hold);
    let problem = wait_for_problem(&node, plan);
    assert!(problem.hint.contains("omnivisor plan add --now"), "{problem:?}");
    (node, plan)
}

/// v2 was left, and v1 cannot be given its data back, since no snapshot was taken.
fn needs_operator(configuration: &str) -> (TestNode, PlanId) {
    let node = running(&["--sign"], &[VALIDATOR, QUICK, LONG_SOAK, configuration].concat());
    let plan = NewPlan { keep: Some(false), ..wish(&node, &broken(), Trigger::Now) };
    let plan = node.client().add_plan(&plan).unwrap().plan.unwrap();
    wait_until("a person to be needed", || matches!(node.phase(plan), PlanPhase::NeedsOperator { .. }));
    let PlanPhase::NeedsOperator { because } = node.phase(plan) else { panic!("it went on by itself") };
    assert!(because.hint.contains("omnivisor plan add --now"), "{because:?}");
    (node, plan)
}

/// `omnivisor plan add --now`, as a person types it.
fn leave(node: &TestNode) -> std::process::Output {
    let source = text(&node.make_release(&mended()));
    node.omnivisor(&["plan", "add", "--now", "--release", "v3", "--from", &source, "--wait=60s"])
}

/// v3 runs on the data that v2 left, every snapshot is there, and v2 is nowhere to go back to.
fn check_left(node: TestNode, left: PlanId, snapshots: &[&str]) {
    let heir = PlanId(left.0 + 1);
    assert_eq!(node.wait_for_end(heir), Outcome::Committed);
    assert_eq!(node.wait_for_end(left), Outcome::Superseded);
    assert_eq!((node.current().as_str(), plan_status(&node, heir).superseded), ("v3", Some(left)));
    assert_eq!(names_in(&node.path("snapshots")), snapshots);
    let verified = |id: &&str| node.client().verify_snapshot(&ov_types::SnapshotId::new(*id).unwrap()).unwrap();
    assert!(snapshots.iter().map(verified).all(|report| report.problems.is_empty()));
    let first = executed(&node).iter().position(|version| version == "v3").expect("v3 was executed");
    assert_eq!(executed(&node)[first..], ["v3"], "nothing else was launched behind it");
    let refused = refusal(node.client().rollback(None));
    assert!(refused.contains("OV-UPG-004") && refused.contains("never proven"), "{refused}");
    let history = node.omnivisor(&["upgrade", "history"]);
    let history = String::from_utf8_lossy(&history.stdout).into_owned();
    assert!(history.contains(&format!("superseded by plan {heir}")), "{history}");
    finish(node);
}

#[test]
fn a_held_upgrade_is_left_by_a_plan_to_a_mended_release() {
    let (node, held) = held(&[QUICK, STRICT].concat());
    let before = makers(&node);
    assert_eq!(before, ["v1", "v2"], "v2 made blocks that must not be lost");
    let output = leave(&node);
    assert!(output.status.success(), "{output:?}");
    check_left(node, held, &["upgrade-1-v2", "upgrade-2-v3"]);
}

#[test]
fn so_is_one_whose_main_is_parked_by_its_crash_loop() {
    let looping = QUICK.replace("count = 1000", "count = 3\nthen = \"park\"");
    let (node, held) =
        held(&[&looping, "\n[upgrade.prove]\nsoak = \"200ms\"\nwithin = \"20s\"\nexits = 50\n"].concat());
    let _ = node.wait_for_state("main", UnitState::Parked);
    let output = leave(&node);
    assert!(output.status.success(), "{output:?}");
    check_left(node, held, &["upgrade-1-v2", "upgrade-2-v3"]);
}

#[test]
fn so_is_one_that_needs_an_operator_and_nothing_is_launched_before_the_switch() {
    let (node, stuck) = needs_operator("");
    let before = executed(&node).len();
    let output = leave(&node);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(executed(&node)[before..], ["v3"]);
    check_left(node, stuck, &["upgrade-2-v3"]);
}

#[test]
fn a_daemon_that_is_killed_on_the_way_out_is_followed_by_one_that_finishes() {
    let points = ["step.recheck.begin", "step.keep.applied", "step.switch.applied", "step.switch.verified"];
    for (point, hold) in points.into_iter().zip([true, false, true, false]) {
        let (mut node, stuck) = if hold { held(&[QUICK, STRICT].concat()) } else { needs_operator("") };
        node.kill_daemon();
        node.set_environment("OMNIVISOR_CRASH_AT", point);
        node.start();
        let wanted = NewPlan { on_failure: None, ..wish(&node, &mended(), Trigger::Now) };
        // The answer may be lost with the daemon.
        let _ = node.client().add_plan(&wanted);
        let exit = node.wait_for_exit();
        assert_eq!(exit.status.code(), None, "{point}: it was to be killed: {}", exit.log);
        node.unset_environment("OMNIVISOR_CRASH_AT");
        node.start();
        let snapshots: &[&str] = if hold { &["upgrade-1-v2", "upgrade-2-v3"] } else { &["upgrade-2-v3"] };
        check_left(node, stuck, snapshots);
    }
}

#[test]
fn a_plan_that_a_scout_learned_waits_behind_it_until_a_person_says_so() {
    let (node, held) = needs_operator(SCOUT);
    let source = text(&node.make_release(&mended()));
    let prepared = node.omnivisor(&["upgrade", "prepare", "v3", "--from", &source]);
    assert!(prepared.status.success(), "{prepared:?}");
    std::fs::write(node.path("data/upgrade-info.json"), r#"{"name":"v3","height":1000000}"#).unwrap();
    let waiting = PlanId(held.0 + 1);
    wait_until("the scout's plan to be armed", || {
        let plans = node.client().plans(false).unwrap();
        plans.iter().any(|plan| plan.plan.id == waiting && plan.phase == PlanPhase::Armed)
    });
    assert_eq!(plan_status(&node, waiting).behind, Some(held));
    let list = node.omnivisor(&["plan", "list"]);
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(list.contains(&format!("armed, behind upgrade {held}")), "{list}");
    assert!(!matches!(node.phase(held), PlanPhase::Ended { .. }));
    let told = node.client().apply_plan(waiting).unwrap();
    assert_eq!(told.plan, Some(waiting));
    assert_eq!(node.wait_for_end(held), Outcome::Superseded);
}

#[test]
fn the_data_of_a_held_node_can_be_given_back_to_the_release_before() {
    let (node, held) = held(&[QUICK, STRICT].concat());
    let back = NewPlan { release: super::support::name("v1"), source: None, ..wish(&node, &mended(), Trigger::Now) };
    let back = node.client().add_plan(&back).unwrap().plan.unwrap();
    assert_eq!(node.wait_for_end(held), Outcome::Superseded);
    let problem = wait_for_problem(&node, back);
    assert_eq!(problem.code, "OV-UPG-031", "v1 cannot read the data: {problem:?}");
    let snapshots = node.client().snapshots().unwrap();
    let height = snapshots.iter().find(|it| it.id.as_str() == "upgrade-1-v2").unwrap().height.unwrap().to_string();
    let confirm = ["--confirm", &node.status().node, "--height", &height];
    let output = node.omnivisor(&[&["snapshot", "restore", "upgrade-1-v2"], &confirm[..]].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(node.wait_for_end(back), Outcome::Committed);
    assert_eq!((node.current().as_str(), makers(&node)), ("v1", vec!["v1".to_owned()]));
    // What v2 signed is not signed again: `finish` looks for violations.
    finish(node);
}
