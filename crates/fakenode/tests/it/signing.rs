//! The signer, and the witness that sees what a supervisor did to it.

use crate::stage::Stage;
use std::fs;

const SIGNING: &str = "--block-ms 1 --sign --segment-blocks 4 --crash-after 10";

#[test]
fn each_height_is_signed_once_across_restarts() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.start(SIGNING).await_end();
    }
    let report = stage.assert_ok();
    assert_eq!((report.signatures, report.signed_height, report.last_height), (30, 30, 30));
    let state = fs::read_to_string(stage.data().join("priv_validator_state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    assert_eq!(state, serde_json::json!({"height": "30", "round": 0, "step": 3}));
}

#[test]
fn older_data_with_the_live_sign_state_is_safe() {
    let stage = Stage::new();
    stage.start(SIGNING).await_end();
    let state = fs::read(stage.data().join("priv_validator_state.json")).unwrap();
    fs::remove_dir_all(stage.data()).unwrap();
    fs::create_dir_all(stage.data()).unwrap();
    fs::write(stage.data().join("priv_validator_state.json"), state).unwrap();
    let mut node = stage.start("--block-ms 1 --sign --crash-after 12");
    node.await_end();
    assert!(node.output().contains("height 10 was signed before, not signing it again"));
    assert_eq!(stage.assert_ok().signatures, 12);
}

#[test]
fn a_lowered_sign_state_is_a_violation() {
    let stage = Stage::new();
    stage.start(SIGNING).await_end();
    fs::remove_dir_all(stage.data()).unwrap();
    stage.start(SIGNING).await_end();
    let report = stage.verify();
    assert!(!report.ok);
    assert_eq!(report.violations.len(), 10);
    assert!(report.violations.iter().all(|violation| violation.kind == "double-sign"));
}

#[test]
fn a_state_below_what_was_signed_is_a_problem_before_it_is_a_violation() {
    let stage = Stage::new();
    stage.start(SIGNING).await_end();
    let lowered = r#"{"height":"4","round":0,"step":3}"#;
    fs::write(stage.data().join("priv_validator_state.json"), lowered).unwrap();
    let report = stage.verify();
    assert!(report.violations.is_empty());
    assert!(report.problems[0].contains("the sign state is at height 4"), "{:?}", report.problems);
}

#[test]
fn two_homes_with_one_key_are_a_violation() {
    let stage = Stage::new();
    let shared = stage.path("network");
    let switches = format!("--block-ms 5 --sign --sign-directory {}", shared.display());
    let node = stage.start(&switches);
    node.await_height(1);
    let mut second = stage.start_in(&stage.path("other"), &switches);
    assert_eq!(second.await_end().code(), Some(1));
    assert!(second.output().contains("another process signs"), "{}", second.output());
    let violations = fs::read_to_string(shared.join("violations.log")).unwrap();
    assert!(violations.contains("two-signers"), "{violations}");
}

#[test]
fn a_missing_key_is_made_unless_forbidden() {
    let stage = Stage::new();
    let mut node = stage.start("--sign --exit-without-key");
    assert_eq!(node.await_end().code(), Some(1));
    assert!(node.output().contains("priv_validator_key.json"), "{}", node.output());
    stage.start(SIGNING).await_end();
    let mut node = stage.start("--block-ms 1 --sign --exit-without-key --crash-after 1");
    node.await_end();
    stage.assert_ok();
}

#[test]
fn key_and_sign_state_may_lie_elsewhere() {
    let stage = Stage::new();
    stage
        .start("--block-ms 1 --sign --key-file safe/key.json --state-file safe/state.json --crash-after 3")
        .await_end();
    assert!(stage.home().join("safe/key.json").exists() && stage.home().join("safe/state.json").exists());
    assert!(!stage.home().join("config").exists() && !stage.data().join("priv_validator_state.json").exists());
}

#[test]
fn a_signer_elsewhere_may_connect() {
    let stage = Stage::new();
    let address = "127.9.8.7:26659";
    let node = stage.start(&format!("--block-ms 1 --signer-listens {address}"));
    node.await_height(1);
    let _signer = std::net::TcpStream::connect(address).unwrap();
    let mut second = stage.start_in(&stage.path("other"), &format!("--signer-listens {address}"));
    assert!(!second.await_end().success(), "two nodes wait at one place");
}
