//! A native node between upgrades: crashes, snapshots, and the validator's rules, which hold without being asked for.

use std::fs;

use ov_testkit::{TestNode, wait_for, wait_until};
use ov_types::{ParkReason, UnitState};

use super::support::{ask_well, configuration, home, launched, running};

#[test]
fn a_node_that_crashes_is_launched_again_and_one_that_ends_well_is_not() {
    let mut node = running(&["--crash-starts", "2"], "");
    wait_until("the third start", || launched(&node).len() == 3);
    let pid = node.wait_for_up("main");
    std::process::Command::new("kill").args(["-TERM", &pid.to_string()]).status().unwrap();
    let down = node.wait_for_state("main", UnitState::Down);
    assert_eq!(down.pid, None);
    assert_eq!(launched(&node).len(), 3);
    assert!(node.stop().status.success());
}

#[test]
fn a_snapshot_is_taken_and_put_back_and_what_the_node_says_is_kept() {
    let mut node = running(&[], "");
    ask_well(&node, &["snapshot", "create"]);
    let listed: serde_json::Value = serde_json::from_str(&ask_well(&node, &["--json", "snapshot", "list"])).unwrap();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    let height = node.height().unwrap();
    node.wait_for_height(height + 20);
    let name = node.status().node;
    ask_well(&node, &["unit", "stop", "main", "--wait=1m"]);
    let before = node.height().unwrap();
    ask_well(&node, &["snapshot", "restore", &id, "--confirm", &name]);
    assert!(node.height().unwrap() < before);
    ask_well(&node, &["unit", "start", "main", "--wait=1m"]);
    node.wait_for_height(before + 1);
    assert!(ask_well(&node, &["logs"]).contains("fakenode v1 started"));
    assert!(node.stop().status.success());
    node.check_data();
}

#[test]
fn a_validator_is_found_by_its_key_and_held_where_another_machine_used_it() {
    let mut node = home();
    node.write_configuration(&configuration(&node, &["--sign"], ""));
    let machine = |node: &mut TestNode, id: &str| {
        let file = node.path("machine-id");
        fs::write(&file, format!("{id}\n")).unwrap();
        node.set_environment(ov_sys::host::MACHINE_ID_VARIABLE, file.to_str().unwrap());
    };
    machine(&mut node, "1111");
    node.start();
    node.wait_for_height(5);
    // The node made its key at its first start: from the next daemon on it is a validator.
    assert!(node.stop().status.success());
    node.start();
    node.wait_for_height(10);
    assert!(node.stop().status.success());
    let starts = launched(&node).len();
    machine(&mut node, "2222");
    node.start();
    let held = wait_for("main to be held", || match node.unit("main").parked {
        Some(ParkReason::Unsafe { message }) => Some(message),
        _ => None,
    });
    assert!(held.contains("machine"), "{held}");
    assert_eq!(launched(&node).len(), starts);
    let name = node.status().node;
    ask_well(&node, &["confirm", "machine", &name]);
    let _ = node.wait_for_up("main");
    assert!(node.stop().status.success());
    node.check_data();
}
