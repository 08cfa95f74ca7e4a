//! Upgrades that the node itself asks for, by halting at a height and writing a plan file.

use fakenode::Profile;
use fakenode::lifecycle::{self, Step};
use ov_testkit::{TestNode, wait_for, wait_until};
use ov_types::api::{NewRelease, PlanStatus};
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Origin, PlanId, Trigger};

use super::support::{
    QUICK, SCOUT, executed, finish, makers, name, never, running, running_as, text, wait_for_problem,
};

/// A version of a network with one upgrade after the other.
fn version(number: u64) -> Profile {
    let handled: Vec<String> = (2..=number).map(|number| format!("v{number}")).collect();
    Profile::new(&format!("v{number}")).with("handles", handled)
}

fn prepare(node: &TestNode, profile: &Profile) {
    let source = text(&node.make_release(profile));
    let _ = node
        .client()
        .stage_release(&NewRelease { name: name(&profile.version), source: Some(source), sha256: None })
        .unwrap();
}

fn plan_for(node: &TestNode, release: &str) -> PlanStatus {
    wait_for("the node's own plan", || {
        let plans = node.client().plans(true).ok()?;
        plans.into_iter().find(|plan| plan.plan.release.as_str() == release)
    })
}

fn assert_never_back(node: &TestNode) {
    let entries = lifecycle::read(node.home()).unwrap();
    let halted = entries.iter().position(|entry| entry.step == Step::Halted).expect("it halted");
    let back = entries[halted..].iter().find(|entry| entry.step == Step::Exec && entry.version == "v1");
    assert_eq!(back, None, "the old program was launched again after the halt");
}

fn is_taken_over(main_args: &[&str]) {
    let args = [&["--upgrades", "v2@25"], main_args].concat();
    let node = running(&args, &[QUICK, SCOUT].concat());
    prepare(&node, &version(2));
    let plan = plan_for(&node, "v2");
    assert!(matches!(plan.plan.origin, Origin::File { .. }), "{:?}", plan.plan);
    assert_eq!(plan.plan.on_failure, FailurePolicy::Hold);
    assert_eq!(node.wait_for_end(plan.plan.id), Outcome::Committed);
    assert_eq!(node.current(), "v2");
    assert_never_back(&node);
    assert_eq!(makers(&node), ["v1", "v2"]);
    assert_eq!(node.client().plans(true).unwrap().len(), 1, "the plan file that stays is not a new plan");
    finish(node);
}

#[test]
fn a_node_that_exits_at_its_height() {
    is_taken_over(&["--halt-exit", "0"]);
}

#[test]
fn a_node_that_stays_alive_at_its_height() {
    is_taken_over(&[]);
}

#[test]
fn a_plan_file_that_is_written_slowly() {
    is_taken_over(&["--plan-torn", "slow"]);
}

#[test]
fn a_node_that_dies_of_a_signal_after_its_halt() {
    is_taken_over(&["--halt-exit", "134"]);
}

#[test]
fn plan_files_that_never_become_whole_change_nothing() {
    for torn in ["half", "empty"] {
        let node = running(&["--upgrades", "v2@10", "--plan-torn", torn], &[QUICK, SCOUT].concat());
        wait_until("the file to be refused", || node.log().contains("upgrade-info.json is not used"));
        assert_eq!(node.client().plans(true).unwrap(), []);
        assert_eq!(node.current(), "v1");
        // A person who knows the plan can still carry it out.
        let plan = node.plan(&version(2), Trigger::Now, FailurePolicy::Rollback);
        assert_eq!(node.wait_for_end(plan), Outcome::Committed);
        finish(node);
    }
}

#[test]
fn one_halt_after_the_other() {
    let node = running(&["--upgrades", "v2@40,v3@70,v4@100", "--halt-exit", "0"], &[QUICK, SCOUT].concat());
    for number in 2..=4 {
        prepare(&node, &version(number));
    }
    for number in 2..=4 {
        let plan = plan_for(&node, &format!("v{number}"));
        assert_eq!(node.wait_for_end(plan.plan.id), Outcome::Committed);
    }
    assert_eq!(executed(&node), ["v1", "v2", "v3", "v4"]);
    assert_eq!(makers(&node), ["v1", "v2", "v3", "v4"]);
    finish(node);
}

#[test]
fn a_plan_that_a_person_prepared_is_used_when_the_node_halts_for_it() {
    let node = running(&["--upgrades", "v2@30", "--halt-exit", "0"], &[QUICK, SCOUT].concat());
    let plan = node.plan(&version(2), never(), FailurePolicy::Hold);
    // Its own height is far, so the proof compares with where the node halted.
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_eq!(node.client().plans(true).unwrap().len(), 1, "one upgrade, not two");
    assert_never_back(&node);
    finish(node);
}

#[test]
fn a_halt_whose_release_is_missing_waits_for_it() {
    let node = running(&["--upgrades", "v2@10", "--halt-exit", "0"], &[QUICK, SCOUT].concat());
    let plan: PlanId = plan_for(&node, "v2").plan.id;
    let problem = wait_for_problem(&node, plan);
    assert_eq!(problem.code, "OV-UPG-011", "{problem:?}");
    assert!(problem.hint.contains("omnivisor upgrade prepare v2"));
    prepare(&node, &version(2));
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_never_back(&node);
    finish(node);
}

#[test]
fn a_halt_is_remembered_by_the_next_daemon() {
    let mut node = running(&["--upgrades", "v2@10", "--halt-exit", "0"], &[QUICK, SCOUT].concat());
    let plan = plan_for(&node, "v2").plan.id;
    let _ = wait_for_problem(&node, plan);
    node.kill_daemon();
    node.start();
    prepare(&node, &version(2));
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_never_back(&node);
    finish(node);
}

#[test]
fn a_release_that_refuses_to_start_early_is_rolled_back() {
    let node = running_as(&version(1), &["--upgrades", "v2@1000000"], QUICK);
    let plan = node.plan(&version(2), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    assert_eq!(makers(&node), ["v1"]);
    finish(node);
}
