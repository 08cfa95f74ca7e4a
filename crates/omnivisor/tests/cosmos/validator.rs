//! The rules for validators that need more than the drop-in has: what the node says in its log.

use std::fs;
use std::net::TcpStream;

use fakenode::Profile;
use ov_testkit::{TestNode, is_alive, wait_for, wait_until};
use ov_types::record::Outcome;
use ov_types::{ParkReason, UnitState};

use super::support::{ask_well, configuration, home, install, launched, plan_for};

/// What CometBFT says when it finds that its key signed in blocks that it did not make.
const DANGER: &str = "found signature from the same key";

/// A validator that says this whenever it has made ten blocks, and crashes.
fn that_says(text: &str) -> TestNode {
    let mut node = home();
    let words = ["--sign", "--crash-after", "10", "--crash-says", text];
    node.write_configuration(&configuration(&node, &words, ""));
    node.start();
    node
}

fn held(node: &TestNode) -> String {
    wait_for("main to be held", || match node.unit("main").parked {
        Some(ParkReason::Unsafe { message }) => Some(message),
        _ => None,
    })
}

#[test]
fn a_validator_that_says_it_may_sign_twice_is_held_until_a_person_says_so() {
    let mut node = that_says(DANGER);
    let message = held(&node);
    for part in ["OV-SGN-010", DANGER, "was not launched again", "omnivisor unit start main"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(launched(&node).len(), 1);
    // Another daemon knows no better.
    assert!(node.stop().status.success());
    node.start();
    assert_eq!((held(&node), launched(&node).len()), (message, 1));
    ask_well(&node, &["unit", "start", "main"]);
    wait_until("it to be launched and held again", || {
        launched(&node).len() == 2 && node.unit("main").state == UnitState::Parked
    });
    assert!(node.stop().status.success());
}

#[test]
fn what_it_said_is_learned_by_a_daemon_that_was_not_there() {
    let mut node = home();
    let words = ["--sign", "--crash-at", "40", "--crash-says", DANGER];
    node.write_configuration(&configuration(&node, &words, ""));
    node.start();
    let pid = node.wait_for_up("main");
    node.kill_daemon();
    wait_until("the node to die", || !is_alive(pid));
    node.start();
    assert!(held(&node).contains("OV-SGN-010"));
    assert_eq!(launched(&node).len(), 1);
    assert!(node.stop().status.success());
}

#[test]
fn a_crash_with_other_words_is_made_good() {
    let mut node = that_says("conflicting opinions");
    wait_until("it to be launched again", || launched(&node).len() == 2);
    assert!(node.stop().status.success());
}

#[test]
fn a_new_release_is_proven_only_with_its_signer() {
    let node = home();
    let address = node.address().rsplit_once(':').unwrap().0.to_owned() + ":26659";
    let config = fs::read_to_string(node.path("config/config.toml")).unwrap();
    let text = format!("priv_validator_laddr = \"tcp://{address}\"\n{config}");
    fs::write(node.path("config/config.toml"), text).unwrap();
    let prove = "[upgrade]\nretry-first = \"50ms\"\nretry-max = \"200ms\"\n[upgrade.prove]\nsoak = \"200ms\"\nwithin = \"2s\"\n";
    node.write_configuration(&configuration(&node, &["--upgrades", "v2@30", "--signer-listens", &address], prove));
    install(&node, "upgrades/v2", &Profile::new("v2").with("handles", vec!["v2"]));
    let mut node = node;
    node.start();
    let _ = node.wait_for_up("main");
    let signer = wait_for("the node to wait for its signer", || TcpStream::connect(&address).ok());
    wait_until("the new release to be launched", || launched(&node).len() == 2);
    drop(signer);
    wait_until("the proof to fail", || node.log().contains("no signer is connected"));
    let _signer = wait_for("the node to wait for its signer", || TcpStream::connect(&address).ok());
    let plan = plan_for(&node, "v2").plan.id;
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert!(node.stop().status.success());
}
