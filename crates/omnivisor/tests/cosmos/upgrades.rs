//! Upgrades of a native node: halts with a plan, heights that a person names, lists, and patches that are taken back.

use std::fs;

use fakenode::Profile;
use ov_testkit::{wait_for, wait_until};
use ov_types::FailurePolicy;
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;

use super::support::{ask_well, blocks, current, install, launched, plan_for, running};

#[test]
fn a_node_that_halts_is_upgraded_and_its_plan_lies_with_the_release() {
    let mut node = running(&["--halt-at", "30", "--plan-name", "V2", "--halt-exit", "2"], "");
    install(&node, "upgrades/v2", &Profile::new("v2").with("handles", vec!["V2"]));
    let plan = plan_for(&node, "v2");
    assert_eq!(plan.plan.on_failure, FailurePolicy::Hold);
    assert_eq!(node.wait_for_end(plan.plan.id), Outcome::Committed);
    assert_eq!(current(&node), "upgrades/v2");
    let copy = fs::read(node.path("cosmovisor/upgrades/v2/upgrade-info.json")).unwrap();
    let copy: serde_json::Value = serde_json::from_slice(&copy).unwrap();
    assert_eq!((copy["name"].as_str(), copy["height"].as_u64()), (Some("v2"), Some(30)));
    assert!(node.stop().status.success());
    assert_eq!(blocks(&node)[0], "v1@29");
    assert_eq!(launched(&node), ["v1", "v2"]);
    node.check_data();
}

#[test]
fn a_person_plans_an_upgrade_for_a_height() {
    let mut node = running(&[], "");
    install(&node, "upgrades/v2", &Profile::new("v2"));
    let due = node.height().unwrap() + 25;
    ask_well(&node, &["plan", "add", "--release", "v2", "--height", &due.to_string(), "--wait=1m"]);
    assert_eq!((current(&node).as_str(), plan_for(&node, "v2").plan.on_failure), ("upgrades/v2", FailurePolicy::Hold));
    assert!(node.stop().status.success());
    let last: u64 = blocks(&node)[0].strip_prefix("v1@").unwrap().parse().unwrap();
    assert!(last >= due, "it was early: {last}, due {due}");
}

#[test]
fn a_patch_that_crashes_is_taken_back() {
    let mut node =
        running(&[], "[unit.main.crash-loop]\ncount = 1000\n\n[upgrade.prove]\nsoak = \"20s\"\nwithin = \"50s\"\n");
    let patch = Profile::new("v1.1").with("crash_after", 2);
    let source = node.make_release(&patch).display().to_string();
    let words =
        ["plan", "add", "--release", "v1.1", "--now", "--from", &source, "--on-failure", "rollback", "--wait=1m"];
    let output = node.omnivisor(&words);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(current(&node), "genesis");
    let height = node.height().unwrap();
    node.wait_for_height(height + 3);
    assert!(node.stop().status.success());
    assert_eq!(launched(&node).last().map(String::as_str), Some("v1"));
    node.check_data();
}

#[test]
fn a_list_of_heights_is_carried_out_one_by_one() {
    let mut node = running(&[], "");
    let first = node.height().unwrap() + 25;
    install(&node, "upgrades/v2", &Profile::new("v2"));
    install(&node, "upgrades/v3", &Profile::new("v3"));
    let write = |v2: u64, v3: u64| {
        let other = r#"{"name":"genesis","height":1}"#;
        let list = format!(r#"[{{"name":"V3","height":{v3}}},{{"name":"v2","height":{v2}}},{other}]"#);
        fs::write(node.path("data/upgrade-info.json.batch"), list).unwrap();
    };
    write(first, 1 << 30);
    assert_eq!(node.wait_for_end(plan_for(&node, "v2").plan.id), Outcome::Committed);
    let second = node.height().unwrap() + 25;
    write(first, second);
    wait_until("the next of the list", || launched(&node) == ["v1", "v2", "v3"]);
    assert_eq!(current(&node), "upgrades/v3");
    node.wait_for_height(second + 3);
    assert!(node.stop().status.success());
    let heights: Vec<u64> = blocks(&node).iter().map(|span| span.split_once('@').unwrap().1.parse().unwrap()).collect();
    assert!(heights[0] >= first && heights[1] >= second, "early: {heights:?}, due {first} and {second}");
}

#[test]
fn a_node_that_halted_without_its_release_waits_and_goes_on_once_it_is_there() {
    let mut node = running(&["--upgrades", "v2@30", "--halt-exit", "2"], "");
    let plan = plan_for(&node, "v2").plan.id;
    // The plan is seen before the node has ended, and may fail to be staged before that too.
    let problem = wait_for("staging to fail behind the halt", || match node.phase(plan) {
        PlanPhase::Forward { problem, .. } => {
            problem.filter(|problem| problem.state.contains("the node halted at height 30 and waits"))
        }
        _ => None,
    });
    assert!(problem.hint.contains("omnivisor upgrade prepare v2 --from"), "{problem:?}");
    let source = node.make_release(&Profile::new("v2").with("handles", vec!["v2"])).display().to_string();
    ask_well(&node, &["upgrade", "prepare", "v2", "--from", &source]);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert!(node.stop().status.success());
    assert_eq!((blocks(&node)[0].as_str(), launched(&node)), ("v1@29", vec!["v1".to_owned(), "v2".to_owned()]));
}
