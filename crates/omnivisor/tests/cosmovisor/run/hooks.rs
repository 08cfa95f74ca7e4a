//! The operator's script before the switch, and the new program's own command behind it.

use std::fs;

use fakenode::Profile;

use super::node::Node;

fn script(node: &Node, text: &str) {
    fs::write(node.path("cosmovisor/prepare.sh"), format!("#!/bin/sh\n{text}\n")).unwrap();
}

fn with_script(text: &str) -> Node {
    let mut node = Node::new("Big-Step@40");
    node.set("COSMOVISOR_CUSTOM_PREUPGRADE", "prepare.sh");
    node.install("upgrades/big-step", &Profile::new("v2").with("handles", vec!["Big-Step"]));
    script(&node, text);
    node
}

#[test]
fn the_script_gets_the_plan_as_written_before_the_switch_and_need_not_be_executable() {
    let mut node = with_script("echo \"$1 $2 $(pwd) $(readlink cosmovisor/current)\" >> script.log");
    node.start();
    node.wait_for_height(50);
    assert!(node.stop().success());
    let home = node.path("").canonicalize().unwrap();
    let log = fs::read_to_string(node.path("script.log")).unwrap();
    assert_eq!(log, format!("Big-Step 40 {} genesis\n", home.display()));
    assert_eq!(node.blocks_before_last(), ["v1@39"]);
}

#[test]
fn a_script_that_fails_keeps_the_node_from_being_switched_until_it_is_mended() {
    let mut node = with_script("echo \"the disk is not ready\" >&2; exit 4");
    node.start();
    node.wait_for_line("the disk is not ready");
    assert_eq!((node.current().as_str(), node.is_running()), ("genesis", true));
    script(&node, "exit 0");
    node.wait_for_height(50);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn a_script_that_takes_the_sign_state_away_is_refused_before_the_switch() {
    let mut node = Node::halting("v2@100", &["--halt-exit", "2", "--sign"]);
    node.set("COSMOVISOR_CUSTOM_PREUPGRADE", "prepare.sh");
    node.stage("v2");
    script(&node, "mv data/priv_validator_state.json taken.json");
    // Its first start makes the key; from the second on the node is known for a validator.
    node.start();
    node.wait_for_height(5);
    assert!(node.stop().success());
    node.start();
    node.wait_for_line("have the hook leave what the validator has signed");
    assert_eq!((node.current().as_str(), node.is_running()), ("genesis", true));
    // It ends as its node did, which halted with 2.
    assert_eq!(node.stop().code(), Some(1));
    assert_eq!(node.launched(), ["v1", "v1"]);
}

/// The runs of `pre-upgrade`, once the upgrade is carried out.
fn with_codes(codes: &[&str], retries: &str) -> Node {
    let mut node = Node::new("v2@40");
    node.set("DAEMON_PREUPGRADE_MAX_RETRIES", retries);
    node.install("upgrades/v2", &Profile::new("v2").with("handles", vec!["v2"]).with("pre_upgrade", codes.to_vec()));
    node.start();
    node
}

fn runs(node: &Node) -> usize {
    fs::read_to_string(node.path("pre-upgrades")).map_or(0, |notes| notes.lines().count())
}

#[test]
fn the_new_programs_own_command_prepares_the_data() {
    for (codes, retries, expected) in [(&["0"][..], "0", 1), (&["31", "31", "0"], "2", 3)] {
        let mut node = with_codes(codes, retries);
        node.wait_for_height(50);
        assert!(node.stop().success());
        assert_eq!((runs(&node), node.launched()), (expected, vec!["v1".to_owned(), "v2".to_owned()]), "{codes:?}");
    }
}

/// What was written down of the step, once the upgrade is carried out.
fn told_of_migrate(node: &Node) -> String {
    let history = node.omnivisor(&["upgrade", "history"]);
    let text = String::from_utf8_lossy(&history.stdout).into_owned();
    text.lines().find(|line| line.contains("migrate done")).unwrap_or(&text).to_owned()
}

/// A node that is to be upgraded at height 300, and whose upgrade is prepared.
fn armed(release: &Profile) -> Node {
    let mut node = Node::halting("", &[]);
    node.install("upgrades/v2", release);
    fs::write(node.path("data/upgrade-info.json.batch"), r#"[{"name": "v2", "height": 300}]"#).unwrap();
    node.start();
    node.wait_for_line("is armed");
    node
}

#[test]
fn a_command_that_is_not_there_is_known_ahead_and_not_looked_for_while_the_node_is_down() {
    let mut node = armed(&Profile::new("v2"));
    assert!(!node.path(".omnivisor-commands-home").exists(), "the home in which it was asked lies about");
    node.wait_for_line("fakenode v2 started");
    assert!(node.stop().success());
    let told = told_of_migrate(&node);
    assert!(told.contains("the new release has no such command, as it said before"), "{told}");
}

#[test]
fn a_program_that_has_the_command_or_takes_the_place_of_one_without_it_is_run() {
    let with_command = Profile::new("v2").with("pre_upgrade", vec!["0"]);
    for (asked, replaced) in [(with_command.clone(), false), (Profile::new("v2"), true)] {
        let mut node = armed(&asked);
        assert_eq!(runs(&node), 0, "to be asked is not to be run");
        if replaced {
            node.install("upgrades/v2", &with_command);
        }
        node.wait_for_line("fakenode v2 started");
        assert!(node.stop().success());
        assert_eq!(runs(&node), 1, "replaced: {replaced}; {}", told_of_migrate(&node));
    }
}

#[test]
fn a_command_that_fails_in_any_way_keeps_the_new_release_from_being_launched() {
    for (code, told) in [
        ("30", "which forbids the upgrade"),
        ("1", "exit code 1"),
        ("77", "exit code 77"),
        ("31", "wants to be run again"),
    ] {
        let mut node = with_codes(&[code, "0"], "0");
        node.wait_for_line(told);
        assert_eq!(node.launched(), ["v1"], "{code}");
        // It is tried again, and mended.
        node.wait_for_height(45);
        assert!(node.stop().success());
        assert_eq!((runs(&node), node.launched().len()), (2, 2), "{code}");
    }
}
