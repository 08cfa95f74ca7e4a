//! What a validator has signed never goes backwards, whatever is restored or lost.

use std::fs;

use fakenode::Profile;
use ov_testkit::{TestNode, wait_for, wait_until};
use ov_types::api::{NewSnapshot, RestoreSnapshot};
use ov_types::{ParkReason, SnapshotId, UnitState};

use super::support::{QUICK, finish, kept_data, running};

pub(super) const VALIDATOR: &str = r#"
[validator]
key = "config/priv_validator_key.json"
sign-state = "data/priv_validator_state.json"
"#;

const STATE: &str = "data/priv_validator_state.json";

fn signing() -> TestNode {
    running(&["--sign"], &[QUICK, VALIDATOR].concat())
}

fn signed_height(node: &TestNode) -> u64 {
    let text = fs::read_to_string(node.path(STATE)).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    state["height"].as_str().unwrap().parse().unwrap()
}

fn snapshot(node: &TestNode) -> SnapshotId {
    node.client().take_snapshot(&NewSnapshot::default()).unwrap().snapshot.unwrap()
}

#[test]
fn a_restored_snapshot_keeps_the_higher_sign_state() {
    let node = signing();
    let id = snapshot(&node);
    let _ = node.wait_for_up("main");
    let then = node.height().unwrap();
    node.wait_for_height(then + 20);
    let signed = signed_height(&node);
    let height = node.client().snapshots().unwrap()[0].height;
    let confirmation = RestoreSnapshot { confirm: node.status().node, height };
    let restored = node.client().restore_snapshot(&id, &confirmation).unwrap();
    assert!(restored.message.contains("sign state"), "{}", restored.message);
    assert!(signed_height(&node) >= signed, "the sign state went backwards");
    assert_eq!(kept_data(&node).len(), 1);
    // It makes the blocks again, and signs only what it has not signed.
    node.wait_for_height(signed + 10);
    finish(node);
}

#[test]
fn a_key_and_a_sign_state_are_not_what_a_snapshot_restores() {
    let node = signing();
    let id = snapshot(&node);
    let inside = node.path("snapshots").join(&id);
    let mut folders = vec![inside];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(!path.ends_with("priv_validator_key.json"), "a key is in the snapshot");
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    finish(node);
}

/// Changes the sign state while everything is down: main must not be launched, and the reason must be told.
fn is_not_launched(change: impl FnOnce(&TestNode), why: &str) {
    let mut node = signing();
    node.wait_for_height(10);
    let _ = node.stop();
    let starts = super::support::executed(&node).len();
    change(&node);
    node.start();
    let unit = node.wait_for_state("main", UnitState::Parked);
    let Some(ParkReason::Unsafe { message }) = unit.parked else { panic!("{:?}", unit.parked) };
    assert!(message.contains(why) && message.contains("sign twice"), "{message}");
    assert_eq!(super::support::executed(&node).len(), starts, "it was launched all the same");
    let exit = node.stop();
    assert!(exit.status.success(), "{}", exit.log);
    assert!(!node.path("violations.log").exists(), "something was signed twice");
}

#[test]
fn a_lower_sign_state_is_not_launched() {
    is_not_launched(|node| fs::write(node.path(STATE), r#"{"height":"2","round":0,"step":3}"#).unwrap(), "2");
}

#[test]
fn a_missing_sign_state_is_not_launched() {
    is_not_launched(|node| fs::remove_file(node.path(STATE)).unwrap(), "sign state");
}

#[test]
fn an_unreadable_sign_state_is_not_launched() {
    is_not_launched(|node| fs::write(node.path(STATE), r#"{"height":"#).unwrap(), "sign state");
}

#[test]
fn a_parked_signer_runs_again_when_the_state_is_back_and_a_person_says_so() {
    let mut node = signing();
    node.wait_for_height(10);
    let _ = node.stop();
    let good = fs::read(node.path(STATE)).unwrap();
    fs::remove_file(node.path(STATE)).unwrap();
    node.start();
    let _ = node.wait_for_state("main", UnitState::Parked);
    let started = node.omnivisor(&["unit", "start", "main"]);
    assert!(started.status.success(), "{started:?}");
    let again = wait_for("it to be refused again", || node.unit("main").parked);
    assert!(matches!(again, ParkReason::Unsafe { .. }), "{again:?}");
    fs::write(node.path(STATE), good).unwrap();
    let started = node.omnivisor(&["unit", "start", "main"]);
    assert!(started.status.success(), "{started:?}");
    wait_until("main to be up", || node.unit("main").state == UnitState::Up);
    finish(node);
}

#[test]
fn an_upgrade_of_a_validator_signs_nothing_twice() {
    let node = signing();
    let plan = node.plan(&Profile::new("v2"), ov_types::Trigger::Now, ov_types::FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), ov_types::record::Outcome::Committed);
    finish(node);
}
