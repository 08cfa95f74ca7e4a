//! Nodes that make no block of the next release, because they were told so when they were launched.

use std::fs;

use fakenode::Profile;
use ov_testkit::{TestNode, marked_processes, wait_until};
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Height, Step, Trigger};
use serde_json::json;

use super::support::{ask_well, blocks, configuration, home, install, launched, plan_for};

/// Each meaning that the flag has had.
const SDKS: [&str; 3] = ["v0.47.13", "v0.50.9", "v0.53.4"];

/// A node of this SDK whose list of plans goes to `v2` at 40, and nothing runs.
fn scheduled(sdk: &str, arguments: &[&str]) -> TestNode {
    let node = home();
    install(&node, "genesis", &Profile::new("v1").with("sdk_version", sdk));
    install(&node, "upgrades/v2", &Profile::new("v2"));
    fs::write(node.path("data/upgrade-info.json.batch"), r#"[{"name":"v2","height":40}]"#).unwrap();
    let arguments = [&["--block-ms", "4", "--comet"], arguments].concat();
    node.write_configuration(&configuration(&node, &arguments, ""));
    node
}

fn assert_was_exact(node: &mut TestNode, sdk: &str) {
    node.wait_for_height(45);
    assert_eq!(node.wait_for_end(plan_for(node, "v2").plan.id), Outcome::Committed);
    assert!(node.stop().status.success());
    assert_eq!((launched(node), blocks(node)[0].as_str()), (vec!["v1".to_owned(), "v2".to_owned()], "v1@39"), "{sdk}");
    // Told so, the node could not write down what it would have halted for.
    let plan = fs::read_to_string(node.path("data/upgrade-info.json")).unwrap();
    assert!(plan.contains(r#""name":"v2""#) && plan.contains(r#""height":40"#), "{plan}");
}

#[test]
fn the_old_release_makes_the_last_block_before_the_height_whatever_its_sdk() {
    for sdk in SDKS {
        let mut node = scheduled(sdk, &[]);
        node.start();
        assert_was_exact(&mut node, sdk);
        let number = if sdk == "v0.53.4" { 40 } else { 39 };
        let told = format!("bin/fakenode is launched with --halt-height {number} besides");
        assert!(node.log().contains(&told), "{sdk}: {}", node.log());
    }
}

#[test]
fn a_node_that_ends_at_its_halt_is_no_failure_and_is_upgraded() {
    for sdk in SDKS {
        let mut node = scheduled(sdk, &["--halt-exit", "2"]);
        node.start();
        assert_was_exact(&mut node, sdk);
        let events = ask_well(&node, &["events", "--json"]);
        assert!(!events.contains("backing-off"), "{sdk}: {events}");
    }
}

#[test]
fn a_halt_while_no_daemon_lived_leads_to_the_upgrade_too() {
    for sdk in SDKS {
        let mut node = scheduled(sdk, &["--halt-exit", "2", "--start-delay-ms", "300"]);
        node.start();
        node.wait_for_up("main");
        node.kill_daemon();
        wait_until("the node to end at its halt", || blocks_made(&node) >= 39 && !has_node(&node));
        node.start();
        assert_was_exact(&mut node, sdk);
    }
}

fn blocks_made(node: &TestNode) -> u64 {
    fakenode::verify_data(&node.path("data")).map_or(0, |report| report.last_height)
}

/// Whether main itself lives: it holds its data.
fn has_node(node: &TestNode) -> bool {
    let runs = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("cosmovisor/genesis/bin")
    };
    marked_processes(node.home()).iter().any(runs)
}

#[test]
fn a_plan_that_comes_and_goes_while_the_node_runs_holds_up_nobody() {
    // One ends at its halt, the other stands there.
    for sdk in ["v0.47.13", "v0.53.4"] {
        let mut node = home();
        install(&node, "genesis", &Profile::new("v1").with("sdk_version", sdk));
        install(&node, "upgrades/v2", &Profile::new("v2"));
        node.write_configuration(&configuration(&node, &["--comet"], ""));
        node.start();
        node.wait_for_height(5);
        node.control(&json!({ "stop_blocks": true }));
        let due = node.height().unwrap() + 150;
        ask_well(&node, &["plan", "add", "--release", "v2", "--height", &due.to_string()]);
        let plan = plan_for(&node, "v2").plan;
        assert_eq!((plan.trigger, plan.on_failure), (Trigger::Height { height: Height(due) }, FailurePolicy::Hold));
        ask_well(&node, &["unit", "restart", "main"]);
        wait_until("it to be launched anew", || launched(&node).len() == 2);
        ask_well(&node, &["plan", "cancel", &plan.id.to_string()]);
        // It halts there all the same, and is launched anew without a halt.
        node.wait_for_height(due + 10);
        assert!(node.stop().status.success());
        assert_eq!(launched(&node), ["v1", "v1", "v1"], "{sdk}");
    }
}

#[test]
fn an_upgrade_that_turns_round_leaves_no_plan_behind() {
    let mut node = scheduled("v0.53.4", &[]);
    install(&node, "upgrades/v2", &Profile::new("v2").with("pre_upgrade", vec!["30"]));
    node.start();
    let plan = plan_for(&node, "v2").plan.id;
    let file = node.path("data/upgrade-info.json");
    wait_until("it to be held", || {
        matches!(node.phase(plan), PlanPhase::Forward { step: Step::Migrate, problem: Some(_), .. })
    });
    assert!(fs::read_to_string(&file).unwrap().contains("v2"));
    ask_well(&node, &["upgrade", "rollback", &plan.to_string()]);
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    node.wait_for_height(45);
    assert!(node.stop().status.success());
    assert_eq!((launched(&node), file.exists()), (vec!["v1".to_owned(), "v1".to_owned()], false));
}
