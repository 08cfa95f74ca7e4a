//! A node that goes through the history of its chain, release after release, by a map of all of them.

use std::fs;

use fakenode::Profile;
use ov_testkit::{TestNode, wait_until};
use serde_json::json;

use super::support::{PROGRAM, blocks, current, launched, running};

const MAP: &str = "[scout.version-map]\npath = \"chain.json\"\n\n[fetch]\nby-plan = true\n";

/// A map of `v1` and these releases, each to be fetched from a file of its own beside the home.
fn write_map(node: &TestNode, later: &[(&str, u64)]) {
    let mut versions = vec![json!({ "name": "v1", "next_version_name": "v2" })];
    let names: Vec<&str> = later.iter().map(|(name, _)| *name).collect();
    for (at, (name, height)) in later.iter().enumerate() {
        let profile = Profile::new(name).with("handles", names[..=at].to_vec());
        let program = profile.install_single_file(&node.path("served").join(name), PROGRAM.as_ref()).unwrap();
        let address = format!("file://{}", program.display());
        versions.push(
            json!({ "name": name, "tag": format!("{name}.0"), "height": height, "binaries": { "any": address } }),
        );
    }
    fs::write(node.path("chain.json.new"), json!({ "codebase": { "versions": versions } }).to_string()).unwrap();
    fs::rename(node.path("chain.json.new"), node.path("chain.json")).unwrap();
}

fn is_staged(node: &TestNode, name: &str) -> bool {
    node.path("cosmovisor/upgrades").join(name).join("bin/fakenode").exists()
}

#[test]
fn each_release_is_fetched_ahead_and_gone_to_where_the_one_before_halts() {
    let mut node = running(&["--upgrades", "v2@60,v3@90,v4@120", "--halt-exit", "2"], MAP);
    node.control(&json!({ "stop_blocks": true }));
    write_map(&node, &[("v2", 60), ("v3", 90), ("v4", 120)]);
    wait_until("two releases to be there", || is_staged(&node, "v2") && is_staged(&node, "v3"));
    assert_eq!(current(&node), "genesis");
    let planned = node.client().plans(false).unwrap();
    assert_eq!((planned.len(), is_staged(&node, "v4")), (2, false), "two are enough: {planned:?}");
    node.control(&json!({ "stop_blocks": false }));
    node.wait_for_height(130);
    assert_eq!(current(&node), "upgrades/v4");
    assert!(node.stop().status.success());
    assert_eq!(launched(&node), ["v1", "v2", "v3", "v4"]);
    assert_eq!(blocks(&node)[..3], ["v1@59", "v2@89", "v3@119"]);
    // What lies behind is no plan any more.
    node.start();
    let _ = node.wait_for_up("main");
    wait_until("all of them to be over", || node.client().plans(false).unwrap().is_empty());
    assert_eq!(node.client().plans(true).unwrap().len(), 3);
    assert!(node.stop().status.success());
    assert_eq!(launched(&node).last().map(String::as_str), Some("v4"));
}

#[test]
fn a_release_that_does_not_halt_is_left_at_its_height() {
    let mut node = running(&[], MAP);
    let due = node.height().unwrap() + 150;
    write_map(&node, &[("v2", due)]);
    wait_until("the next release to run", || launched(&node) == ["v1", "v2"]);
    node.wait_for_height(due + 3);
    assert!(node.stop().status.success());
    let last: u64 = blocks(&node)[0].strip_prefix("v1@").unwrap().parse().unwrap();
    assert!(last >= due, "it was early: {last}, due {due}");
}
