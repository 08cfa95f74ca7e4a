//! The key of a validator, and what hooks and crashes may do to it: every doubt ends stopped, with the reason shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fakenode::Profile;
use fakenode::lifecycle::{self, Step};
use ov_testkit::{TestNode, is_alive, wait_until};
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, ParkReason, Trigger, UnitState};

use super::support::{PROGRAM, a_moment, ask, ask_json, ask_well, running, says};

pub(super) const VALIDATOR: &str = r#"
[validator]
key = "config/priv_validator_key.json"
sign-state = "data/priv_validator_state.json"
"#;

const KEY: &str = "config/priv_validator_key.json";
const STATE: &str = "data/priv_validator_state.json";

fn executed(node: &TestNode) -> Vec<String> {
    let entries = lifecycle::read(node.home()).unwrap();
    entries.into_iter().filter(|entry| entry.step == Step::Exec).map(|entry| entry.version).collect()
}

fn held(node: &TestNode) -> String {
    match node.wait_for_state("main", UnitState::Parked).parked {
        Some(ParkReason::Unsafe { message }) => message,
        other => panic!("it is parked for another reason: {other:?}"),
    }
}

fn set_mode(node: &TestNode, mode: u32) {
    fs::set_permissions(node.path(KEY), fs::Permissions::from_mode(mode)).unwrap();
}

fn ends_well(mut node: TestNode) {
    let _ = node.wait_for_up("main");
    let height = node.height().unwrap();
    node.wait_for_height(height + 2);
    assert!(node.stop().status.success());
    node.check_data();
}

#[test]
fn a_validator_without_its_key_makes_itself_no_other() {
    // Nothing else tells that it was a validator: where it keeps its sign state is not known.
    let mut node = running(&["--sign"], &format!("[validator]\nkey = \"{KEY}\"\n"));
    let _ = node.stop();
    let key = fs::read(node.path(KEY)).unwrap();
    fs::remove_file(node.path(KEY)).unwrap();
    node.start();
    says(&held(&node), &["OV-SGN-002", "make itself a new key", "main was not launched", "put the key back"]);
    assert!(!node.path(KEY).exists(), "there is a new key");
    let doctor = ask(&node, &["doctor"]);
    assert_eq!(doctor.code, 6, "{doctor:?}");
    says(&doctor.out, &["data.sign-state", "new key"]);
    fs::write(node.path(KEY), key).unwrap();
    set_mode(&node, 0o600);
    ask_well(&node, &["unit", "start", "main"]);
    ends_well(node);
}

#[test]
fn a_validator_goes_to_other_data_only_when_its_height_is_named() {
    let node = running(&["--sign"], VALIDATOR);
    let id = ask_json(&node, &["snapshot", "create"])["snapshot"].as_str().unwrap().to_owned();
    let height = ask_json(&node, &["snapshot", "list"])[0]["height"].as_u64().unwrap();
    let name = ask_json(&node, &["status"])["node"].as_str().unwrap().to_owned();
    let restore = ["snapshot", "restore", &id, "--confirm", &name];
    for wrong in [vec![], vec!["--height".to_owned(), (height + 1).to_string()]] {
        let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
        let refused = ask(&node, &[&restore[..], &wrong].concat());
        assert_eq!(refused.code, 7, "{refused:?}");
        says(&refused.err, &["OV-SNP-007", &format!("--height {height}"), "nothing was changed"]);
    }
    says(&ask_well(&node, &[&restore[..], &["--height", &height.to_string()]].concat()), &["was restored"]);
    ends_well(node);
}

#[test]
fn a_key_that_anybody_may_use_is_not_used() {
    let mut node = running(&["--sign"], VALIDATOR);
    let _ = node.stop();
    let starts = executed(&node).len();
    set_mode(&node, 0o644);
    node.start();
    says(&held(&node), &["OV-SGN-003", "others may use it (mode 0644)", "main was not launched", "chmod 600"]);
    let doctor = ask(&node, &["doctor"]);
    assert_eq!(doctor.code, 6, "{doctor:?}");
    says(&doctor.out, &["data.key-mode", "mode 0644"]);
    assert_eq!(executed(&node).len(), starts, "it was launched all the same");
    set_mode(&node, 0o640);
    ask_well(&node, &["unit", "start", "main"]);
    let _ = node.wait_for_up("main");
    let borne = ask(&node, &["doctor"]);
    assert_eq!(borne.code, 0, "{borne:?}");
    says(&borne.out, &["data.key-mode", "its group may read it"]);
    set_mode(&node, 0o600);
    ends_well(node);
}

#[test]
fn a_key_signs_in_one_home_of_a_machine_at_a_time() {
    let mut first = running(&["--sign"], VALIDATOR);
    // At its first start the key was not there yet.
    ask_well(&first, &["unit", "restart", "main", "--wait=1m"]);
    let pid = first.wait_for_up("main");
    let mut second = TestNode::new(Path::new(PROGRAM), &["--sign"], VALIDATOR);
    second.start_with(&Profile::new("v1"));
    fs::create_dir(second.path("config")).unwrap();
    fs::copy(first.path(KEY), second.path(KEY)).unwrap();
    set_mode(&second, 0o600);
    second.start();
    says(&held(&second), &["OV-SGN-009", "main was not launched", "sign twice"]);
    // Nor while nobody looks after the first: its process has the key.
    first.kill_daemon();
    ask_well(&second, &["unit", "start", "main"]);
    says(&held(&second), &["OV-SGN-009"]);
    assert!(is_alive(pid) && executed(&second).is_empty());
    first.start();
    assert!(first.stop().status.success());
    // It is free, and still nobody but a person may take it.
    a_moment();
    assert!(executed(&second).is_empty(), "it took the key by itself");
    ask_well(&second, &["unit", "start", "main"]);
    ends_well(second);
}

/// An upgrade with this script as the hook that prepares the data.
fn upgraded_with(script: &str) -> (TestNode, ov_types::PlanId) {
    let hook = "[upgrade]\nretry-first = \"50ms\"\nretry-max = \"200ms\"\n[upgrade.migrate]\nprogram = \"hook.sh\"\n";
    let node = running(&["--sign"], &[VALIDATOR, hook].concat());
    fs::write(node.path("hook.sh"), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(node.path("hook.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    (node, plan)
}

/// The hook does this to what was signed: the upgrade is rolled back, and nothing is signed twice.
fn is_refused_after(script: &str) {
    let (node, plan) = upgraded_with(script);
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    let plans = node.client().plans(true).unwrap();
    let PlanPhase::Ended { because: Some(because), .. } = &plans[0].phase else { panic!("{plans:?}") };
    assert_eq!(because.code, "OV-UPG-026", "{because:?}");
    assert!(because.state.contains("the node is stopped"), "{because:?}");
    assert!(!because.hint.is_empty());
    ends_well(node);
}

#[test]
fn a_hook_that_removes_the_sign_state_is_refused_and_undone() {
    is_refused_after(&format!("rm {STATE}"));
}

#[test]
fn a_hook_that_resets_the_sign_state_is_refused_and_undone() {
    is_refused_after(&format!(r#"echo '{{"height":"0","round":0,"step":0}}' > {STATE}"#));
}

#[test]
fn a_hook_that_leaves_the_sign_state_alone_is_not_minded() {
    let (node, plan) = upgraded_with("true");
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    ends_well(node);
}

/// A node whose main process ends at once, and how often that was launched before it was left alone.
fn launches_until(more: &str, state: impl Fn(UnitState) -> bool) -> u64 {
    let mut node = TestNode::bare(Path::new(PROGRAM));
    let quick = "[unit.main]\nprogram = \"/bin/false\"\n[unit.main.back-off]\nfirst = \"10ms\"\nmax = \"10ms\"\n";
    node.write_configuration(&[quick, "[unit.main.crash-loop]\nevery = \"1h\"\n", more].concat());
    node.start();
    wait_until("main to be left alone", || node.log().contains("times within"));
    wait_until("main to be in that state", || state(node.unit("main").state));
    let launches = node.unit("main").launches;
    assert!(node.stop().status.success());
    launches
}

#[test]
fn a_validator_that_dies_again_and_again_is_left_alone_earlier_and_for_good() {
    assert_eq!(launches_until(VALIDATOR, |state| state == UnitState::Parked), 3);
    assert_eq!(launches_until("", |state| state == UnitState::BackingOff), 5);
}
