//! What is written down about upgrades, for whoever wants to know later.

use fakenode::Profile;
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Trigger};

use super::support::{running, wish};

#[test]
fn the_history_is_complete_and_can_be_read_without_a_daemon() {
    let mut node = running(&[], "");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let while_up = node.omnivisor(&["upgrade", "history", "--json"]).stdout;
    let _ = node.stop();
    let down = node.omnivisor(&["upgrade", "history", "--json"]);
    assert!(down.status.success(), "{down:?}");
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&down.stdout).unwrap();
    let before: Vec<serde_json::Value> = serde_json::from_slice(&while_up).unwrap();
    assert_eq!(entries[..before.len()], before[..], "the same, and what came after");
    let steps = |kind: &str| -> Vec<String> {
        let of_kind = entries.iter().map(|entry| &entry["record"]).filter(|record| record["kind"] == kind);
        of_kind.map(|record| record["step"].as_str().unwrap().to_owned()).collect()
    };
    let all = ["stage", "examine", "recheck", "stop", "keep", "switch", "start", "prove", "commit"];
    assert_eq!(steps("step-started"), all);
    assert_eq!(steps("step-done"), all);
    let kinds: Vec<&str> = entries.iter().filter_map(|entry| entry["record"]["kind"].as_str()).collect();
    for kind in ["daemon-started", "plan-added", "armed", "triggered", "main-ended", "ended"] {
        assert!(kinds.contains(&kind), "{kind} is missing: {kinds:?}");
    }
    let numbers: Vec<u64> = entries.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let gap = entries.iter().find_map(|entry| entry["record"]["facts"]["gap_ms"].as_u64());
    assert!(gap.is_some(), "how long nothing ran is written down");
    let told = node.omnivisor(&["upgrade", "history", &plan.to_string()]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("v2") && told.contains("committed"), "{told}");
}

#[test]
fn plans_are_remembered_over_daemons() {
    let mut node = running(&[], "");
    let plan = node.plan(&Profile::new("v2"), super::support::never(), FailurePolicy::Rollback);
    super::support::wait_for_armed(&node, plan);
    node.kill_daemon();
    node.start();
    super::support::wait_for_armed(&node, plan);
    let twin = node.client().add_plan(&wish(&node, &Profile::new("v2"), Trigger::Now));
    assert!(twin.is_err(), "the next daemon knows it");
    let _ = node.client().apply_plan(plan).unwrap();
    let _ = node.client().cancel_plan(plan);
}
