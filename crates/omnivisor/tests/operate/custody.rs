//! A validator's key is used where it was, and when: another machine, a copy, a set clock are held for a person.

use std::fs;

use fakenode::lifecycle::{self, Step};
use ov_testkit::{TestNode, is_alive, wait_until};
use ov_types::{ParkReason, UnitState};
use serde_json::Value;

use super::signer::VALIDATOR;
use super::support::{ask, ask_json, ask_well, running, says};

const CUSTODY: &str = ".omnivisor/custody.json";

/// How far the clocks part in these tests: ten minutes.
const STEP_MS: i64 = 600_000;

/// How often the node was executed.
fn starts(node: &TestNode) -> usize {
    lifecycle::read(node.home()).unwrap().iter().filter(|entry| entry.step == Step::Exec).count()
}

/// Why main is held down.
fn held(node: &TestNode) -> String {
    match node.wait_for_state("main", UnitState::Parked).parked {
        Some(ParkReason::Unsafe { message }) => message,
        other => panic!("it is parked for another reason: {other:?}"),
    }
}

fn name(node: &TestNode) -> String {
    ask_json(node, &["status"])["node"].as_str().unwrap().to_owned()
}

/// Has the machine be another one from the next daemon on.
fn on_machine(node: &mut TestNode, id: &str) {
    let file = node.path("machine-id");
    fs::write(&file, format!("{id}\n")).unwrap();
    node.set_environment(ov_sys::host::MACHINE_ID_VARIABLE, file.to_str().unwrap());
}

/// Changes what is noted of the wall clock: the same as if the clock had been set the other way.
fn shift_noted_clock(node: &TestNode, by_ms: i64) {
    let text = fs::read_to_string(node.path(CUSTODY)).unwrap();
    let mut custody: Value = serde_json::from_str(&text).unwrap();
    custody["wall_ms"] = Value::from(custody["wall_ms"].as_i64().unwrap() + by_ms);
    let beside = node.path(".custody");
    fs::write(&beside, custody.to_string()).unwrap();
    fs::rename(beside, node.path(CUSTODY)).unwrap();
}

/// Confirms, and sees the validator go on without signing anything twice.
fn confirmed(mut node: TestNode) {
    let name = name(&node);
    says(&ask_well(&node, &["confirm", "machine", &name]), &["confirmed", "kept up"]);
    let _ = node.wait_for_up("main");
    let height = node.height().unwrap();
    node.wait_for_height(height + 2);
    // What was confirmed once is not asked again.
    let _ = node.stop();
    node.start();
    let _ = node.wait_for_up("main");
    assert!(node.stop().status.success());
    node.check_data();
}

/// Does something to the stopped node: it must be held, say why, and go on once that is confirmed.
fn is_held_after(change: impl FnOnce(&mut TestNode), code: &str, why: &[&str]) {
    let mut node = running(&["--sign"], VALIDATOR);
    let _ = node.stop();
    let before = starts(&node);
    change(&mut node);
    node.start();
    let message = held(&node);
    says(&message, &[code, "main is held down", "sign twice", "omnivisor confirm machine"]);
    says(&message, why);
    assert_eq!(starts(&node), before, "it was launched all the same");
    confirmed(node);
}

#[test]
fn a_home_that_was_brought_to_another_machine_waits_for_a_person() {
    let mut node = TestNode::new(std::path::Path::new(super::support::PROGRAM), &["--sign"], VALIDATOR);
    node.start_with(&fakenode::Profile::new("v1"));
    on_machine(&mut node, "the-first-machine");
    node.start();
    node.wait_for_height(3);
    let _ = node.stop();
    let before = starts(&node);
    on_machine(&mut node, "the-second-machine");
    node.start();
    says(&held(&node), &["OV-SGN-004", "another one", "omnivisor confirm machine"]);
    // To be told to start is no confirmation.
    ask_well(&node, &["unit", "start", "main"]);
    says(&held(&node), &["OV-SGN-004"]);
    let wrong = ask(&node, &["confirm", "machine", "another-node"]);
    assert_eq!(wrong.code, 7, "{wrong:?}");
    says(&wrong.err, &["OV-SGN-007", "nothing was changed", &name(&node)]);
    says(&held(&node), &["OV-SGN-004"]);
    assert_eq!(starts(&node), before, "it was launched all the same");
    let doctor = ask(&node, &["doctor"]);
    assert_eq!(doctor.code, 6, "{doctor:?}");
    says(&doctor.out, &["data.custody", "another one"]);
    let custody = fs::read_to_string(node.path(CUSTODY)).unwrap();
    assert!(!custody.contains("machine\":\"the-"), "the machine's id is told: {custody}");
    let events = ask_well(&node, &["events"]);
    assert!(!events.contains("a person confirmed"), "{events}");
    ask_well(&node, &["confirm", "machine", &name(&node)]);
    says(&ask_well(&node, &["events"]), &["a person confirmed"]);
    let _ = node.wait_for_up("main");
    confirmed_already(node);
}

/// Ends a node that goes on.
fn confirmed_already(mut node: TestNode) {
    let height = node.height().unwrap();
    node.wait_for_height(height + 2);
    assert!(node.stop().status.success());
    node.check_data();
}

#[test]
fn a_clock_that_was_set_back_is_held() {
    is_held_after(|node| shift_noted_clock(node, STEP_MS), "OV-SGN-005", &["set back by 10m"]);
}

#[test]
fn a_machine_that_was_woken_from_a_snapshot_is_held() {
    is_held_after(|node| shift_noted_clock(node, -STEP_MS), "OV-SGN-005", &["set forward by 10m", "snapshot"]);
}

#[test]
fn a_key_that_has_signed_nobody_knows_where_is_held() {
    is_held_after(|node| fs::remove_file(node.path(CUSTODY)).unwrap(), "OV-SGN-006", &["the note of that is gone"]);
}

#[test]
fn a_note_that_cannot_be_read_is_held() {
    is_held_after(|node| fs::write(node.path(CUSTODY), "{").unwrap(), "OV-SGN-006", &["custody.json"]);
}

#[test]
fn a_validator_that_runs_is_stopped_when_the_clock_is_set() {
    let node = running(&["--sign"], VALIDATOR);
    let pid = node.wait_for_up("main");
    shift_noted_clock(&node, STEP_MS);
    says(&held(&node), &["OV-SGN-005", "set back"]);
    wait_until("the process to be gone", || !is_alive(pid));
    confirmed(node);
}

#[test]
fn a_validator_that_is_found_running_on_a_machine_that_changed_is_stopped() {
    let mut node = running(&["--sign"], VALIDATOR);
    let pid = node.wait_for_up("main");
    node.kill_daemon();
    on_machine(&mut node, "another-machine");
    node.start();
    says(&held(&node), &["OV-SGN-004"]);
    wait_until("the process to be gone", || !is_alive(pid));
    confirmed(node);
}

#[test]
fn a_key_that_never_signed_goes_where_it_is_brought() {
    // As a full node has it: a key, and a state that says that nothing was signed.
    let mut node = TestNode::new(std::path::Path::new(super::support::PROGRAM), &[], VALIDATOR);
    node.start_with(&fakenode::Profile::new("v1"));
    for (path, text) in [
        ("config/priv_validator_key.json", "{}"),
        ("data/priv_validator_state.json", r#"{"height":"0","round":0,"step":0}"#),
    ] {
        let path = node.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    for machine in ["the-first-machine", "the-second-machine"] {
        on_machine(&mut node, machine);
        node.start();
        let _ = node.wait_for_up("main");
        assert!(node.stop().status.success());
        shift_noted_clock(&node, STEP_MS);
    }
    // Once it has signed, it stays where it is.
    fs::write(node.path("data/priv_validator_state.json"), r#"{"height":"7","round":0,"step":3}"#).unwrap();
    node.start();
    says(&held(&node), &["OV-SGN-005"]);
    node.stop();
}

#[test]
fn a_node_that_signs_nothing_goes_where_it_is_brought() {
    let mut node = running(&[], "");
    let _ = node.stop();
    on_machine(&mut node, "another-machine");
    node.start();
    let _ = node.wait_for_up("main");
    assert!(!node.path(CUSTODY).exists());
    let refused = ask(&node, &["confirm", "machine", &name(&node)]);
    assert_eq!(refused.code, 7, "{refused:?}");
    says(&refused.err, &["OV-SGN-008"]);
    confirmed_already(node);
}
