//! Upgrades of a node that halts, in all the ways in which nodes halt and supervisors die.

use std::fs;

use fakenode::Profile;
use fakenode::lifecycle::{self, Step};

use super::node::Node;

#[test]
fn a_node_that_halts_and_dies_is_upgraded_and_goes_on() {
    let mut node = Node::new("v2@60");
    node.stage("v2");
    node.start();
    node.wait_for_height(70);
    assert_eq!(node.current(), "upgrades/v2");
    let copy: serde_json::Value =
        serde_json::from_slice(&fs::read(node.path("cosmovisor/upgrades/v2/upgrade-info.json")).unwrap()).unwrap();
    assert_eq!((copy["name"].as_str(), copy["height"].as_u64()), (Some("v2"), Some(60)));
    let out = node.out();
    for line in [
        "INF running app args=[\"start\",\"--home\",",
        "INF upgrade detected, relaunching app=fakenode module=cosmovisor",
    ] {
        assert!(out.contains(line), "{line:?} is missing");
    }
    assert!(
        out.contains(&format!("module=cosmovisor path={}\n", node.path("cosmovisor/genesis/bin/fakenode").display()))
    );
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@59"]);
    assert_eq!(node.launched(), ["v1", "v2"], "each release is launched once");
    node.start();
    node.wait_for_line("fakenode v2 started");
    assert!(node.stop().success(), "a plan that was carried out means nothing at the next start");
    assert_eq!(node.launched(), ["v1", "v2", "v2"]);
}

#[test]
fn a_node_that_halts_and_ends_with_success_is_upgraded() {
    let mut node = Node::halting("v2@60", &["--halt-exit", "0"]);
    node.stage("v2");
    node.start();
    node.wait_for_height(70);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn a_node_that_halts_and_lives_is_upgraded() {
    let mut node = Node::halting("v2@60", &[]);
    node.stage("v2");
    node.start();
    node.wait_for_height(70);
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@59"]);
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn a_dead_node_whose_height_nobody_knows_is_upgraded() {
    let mut node = Node::new("v2@60,v3@80");
    node.answer_nobody();
    node.stage("v2");
    node.install("upgrades/v3", &Profile::new("v3").with("handles", vec!["v2", "v3"]));
    node.start();
    node.wait_for_height(90);
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@59", "v2@79"]);
    assert_eq!(node.launched(), ["v1", "v2", "v3"]);
}

#[test]
fn a_plan_that_waits_at_the_start_is_applied_before_the_old_release_is_launched() {
    let mut node = Node::new("v2@1");
    node.stage("v2");
    node.write_plan(r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":1,"info":""}"#);
    node.start();
    node.wait_for_height(5);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v2"]);
}

#[test]
fn a_halt_under_the_original_is_found_by_whoever_takes_its_place() {
    let mut node = Node::new("v2@40");
    // The node as the original left it: halted, dead, started again in vain, its plan in the data.
    for _ in 0..2 {
        let home = node.path("").to_str().unwrap().to_owned();
        let mut command = std::process::Command::new(node.path("cosmovisor/genesis/bin/fakenode"));
        command.args(["start", "--home", &home]).args(&node.arguments);
        assert_eq!(command.output().unwrap().status.code(), Some(2));
    }
    let before = node.launched().len();
    node.stage("v2");
    node.start();
    node.wait_for_height(50);
    assert!(node.stop().success());
    assert_eq!(node.launched()[before..], ["v2"]);
    assert_eq!(node.blocks_before_last(), ["v1@39"]);
}

#[test]
fn names_are_lowered_and_escaped_unless_that_is_off() {
    for (recase, folder) in [("false", "upgrades/big%20step"), ("true", "upgrades/Big%20Step")] {
        let mut node = Node::new("Big Step@30");
        node.set("COSMOVISOR_DISABLE_RECASE", recase);
        node.install(folder, &Profile::new("v2").with("handles", vec!["Big Step"]));
        node.start();
        node.wait_for_height(40);
        assert_eq!(node.current(), folder);
        assert!(node.stop().success());
        assert_eq!(node.blocks_before_last(), ["v1@29"]);
    }
}

#[test]
fn a_release_that_comes_late_is_waited_for() {
    let mut node = Node::new("v2@30");
    node.start();
    node.wait_for_line("plan 1 waits");
    assert!(node.is_running(), "the daemon waits for the release");
    node.stage("v2");
    node.wait_for_height(40);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn without_a_restart_the_next_start_launches_the_new_release() {
    let mut node = Node::new("v2@30");
    node.set("DAEMON_RESTART_AFTER_UPGRADE", "false");
    node.stage("v2");
    node.start();
    assert!(node.wait_for_exit().success());
    assert!(node.out().contains(
        "upgrade detected, DAEMON_RESTART_AFTER_UPGRADE is off. Verify new upgrade and start cosmovisor again."
    ));
    assert_eq!((node.current().as_str(), node.launched()), ("upgrades/v2", vec!["v1".to_owned()]));
    node.start();
    node.wait_for_height(40);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn whenever_the_daemon_is_killed_the_upgrade_is_carried_out_once() {
    let mut node = Node::halting("v2@60", &["--halt-exit", "2", "--sign"]);
    node.stage("v2");
    // At moments that differ from run to run: the machine sees to that.
    for kill in 0_u64..14 {
        node.start();
        std::thread::sleep(std::time::Duration::from_millis(40 + kill * 37));
        if kill % 4 == 3 { node.kill_all() } else { node.kill() }
    }
    node.start();
    node.wait_for_height(100);
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@59"]);
    assert_eq!(node.current(), "upgrades/v2");
}

#[test]
fn the_restart_delay_passes_between_the_end_of_the_old_program_and_the_new_one() {
    let mut node = Node::new("v2@40");
    node.set("DAEMON_RESTART_DELAY", "1500ms");
    node.stage("v2");
    node.start();
    node.wait_for_height(50);
    assert!(node.stop().success());
    let lives = lifecycle::read(&node.path("")).unwrap();
    let moment = |step: Step, version: &str| {
        lives.iter().find(|life| life.step == step && life.version == version).unwrap().monotonic_ns
    };
    let gap_ms = (moment(Step::Exec, "v2") - moment(Step::Halted, "v1")) / 1_000_000;
    assert!(gap_ms >= 1_500, "{gap_ms} ms");
    assert_eq!(node.launched(), ["v1", "v2"]);
}
