//! Data that belongs to another release than the one that `current` names: synced by its state, restored, replayed.

use std::fs;
use std::process::Command;

use fakenode::Profile;
use ov_testkit::wait_until;

use super::node::Node;

/// A home with upgrades at 100 and 200 behind it, whose data was made elsewhere up to this height by its first release.
fn with_data_up_to(height: u64) -> Node {
    let (first, last) = ((height - 10).to_string(), height.to_string());
    let mut node = Node::halting("", &["--comet", "--initial-height", &first, "--max-height", &last]);
    node.start();
    node.wait_for_height(height);
    assert!(node.stop().success());
    // What made that data was another home.
    fs::remove_dir_all(node.path(".omnivisor")).unwrap();
    for (name, height) in [("v2", 100), ("v3", 200)] {
        node.install(&format!("upgrades/{name}"), &Profile::new(name));
        applied(&node, name, height);
    }
    node.arguments.truncate(node.arguments.len() - 2);
    node
}

/// An upgrade to this release was carried out at that height, here or where the home was copied from.
fn applied(node: &Node, name: &str, height: u64) {
    let folder = node.path(&format!("cosmovisor/upgrades/{name}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("upgrade-info.json"), format!(r#"{{"name":"{name}","height":{height}}}"#)).unwrap();
}

fn link(node: &Node, to: &str) {
    let current = node.path("cosmovisor/current");
    let _ = fs::remove_file(&current);
    std::os::unix::fs::symlink(to, current).unwrap();
}

/// Puts the data aside, or back.
fn copy_data(node: &Node, from: &str, to: &str) {
    let (from, to) = (node.path(from), node.path(to));
    let _ = fs::remove_dir_all(&to);
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn data_beyond_two_upgrades_goes_to_the_last_of_them_before_anything_is_launched() {
    let mut node = with_data_up_to(450);
    // What the snapshot brought along tells of an upgrade that is not the last.
    node.write_plan(r#"{"name":"v2","height":100}"#);
    node.start();
    node.wait_for_line("fakenode v3 started at height 450");
    node.wait_for_height(455);
    assert!(node.out().contains("needs release v3"), "it is said why");
    assert!(node.stop().success());
    assert_eq!((node.current().as_str(), node.launched()), ("upgrades/v3", vec!["v1".to_owned(), "v3".to_owned()]));
    let copy = fs::read_to_string(node.path("cosmovisor/upgrades/v3/upgrade-info.json")).unwrap();
    assert!(copy.contains("200"), "the height of its upgrade is what it was: {copy}");
    node.start();
    node.wait_for_line("fakenode v3 started");
    assert!(!node.out().contains("needs release"), "it is right now");
    assert!(node.stop().success());
}

#[test]
fn nothing_is_launched_while_the_release_that_fits_is_missing() {
    let mut node = with_data_up_to(450);
    fs::remove_dir_all(node.path("cosmovisor/upgrades/v3/bin")).unwrap();
    node.start();
    node.wait_for_line("stage release v3");
    assert!(node.out().contains("needs release v3") && node.is_running());
    node.kill_all();
    node.start();
    node.wait_for_line("stage release v3");
    assert_eq!(node.launched(), ["v1"], "not by the next start either");
    assert_eq!(node.current(), "genesis");
    node.install("upgrades/v3", &Profile::new("v3"));
    node.wait_for_line("fakenode v3 started at height 450");
    assert!(node.stop().success());
}

#[test]
fn what_a_snapshot_brought_along_names_the_release_that_is_missing() {
    let mut node = with_data_up_to(450);
    node.write_plan(r#"{"name":"V5","height":400}"#);
    node.start();
    node.wait_for_line("stage release v5");
    assert_eq!(node.launched(), ["v1"]);
    let program = node.path("new");
    Profile::new("v5").install_single_file(&program, env!("CARGO_BIN_EXE_omnivisor").as_ref()).unwrap();
    let program = program.join("bin/fakenode");
    assert!(node.call(&["add-upgrade", "v5", program.to_str().unwrap()]).status.success());
    node.wait_for_line("fakenode v5 started at height 450");
    assert!(node.stop().success());
}

#[test]
fn a_backup_of_before_the_upgrade_goes_back_and_through_the_upgrade_again() {
    let mut node = Node::new("v2@40");
    node.arguments.push("--comet".to_owned());
    node.stage("v2");
    node.start();
    node.wait_for_height(20);
    assert!(node.stop().success());
    copy_data(&node, "data", "backup");
    node.start();
    node.wait_for_line("fakenode v2 started");
    node.wait_for_height(45);
    wait_until("the upgrade to be committed", || is_committed(&node));
    assert!(node.stop().success());
    copy_data(&node, "backup", "data");
    node.start();
    node.wait_for_line("needs release genesis");
    node.wait_for_line("fakenode v1 started at height");
    node.wait_for_line("fakenode v2 started at height 39");
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@39"]);
    assert_eq!(
        (node.current().as_str(), node.launched()),
        ("upgrades/v2", ["v1", "v1", "v2", "v1", "v2"].map(str::to_owned).into())
    );
    assert!(!node.path("cosmovisor/genesis/upgrade-info.json").exists(), "no upgrade leads to the first release");
}

/// Whether an upgrade was committed.
fn is_committed(node: &Node) -> bool {
    let home = node.path("");
    let history = Command::new(env!("CARGO_BIN_EXE_omnivisor"))
        .args(["upgrade", "history", "--json", "--home", home.to_str().unwrap()])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&history.stdout).replace(' ', "");
    text.contains(r#""outcome":"committed""#)
}

#[test]
fn where_the_evidence_is_not_enough_the_node_is_launched_as_current_says() {
    let mut node = with_data_up_to(60);
    // Nobody remembers that the data was ever higher.
    link(&node, "upgrades/v2");
    node.start();
    node.wait_for_line("fakenode v2 started at height 60");
    assert!(node.out().contains("launched as `current` says"), "{}", node.out());
    assert!(node.stop().success());

    let mut node = with_data_up_to(450);
    // Somebody put it there, and nobody knows for which height.
    node.install("upgrades/patched", &Profile::new("patched"));
    link(&node, "upgrades/patched");
    node.start();
    node.wait_for_line("fakenode patched started at height 450");
    assert!(node.stop().success());
}

#[test]
fn empty_data_belongs_to_whatever_current_names() {
    for (current, version) in [("genesis", "v1"), ("upgrades/v2", "v2")] {
        let mut node = Node::halting("", &["--comet"]);
        node.install("upgrades/v2", &Profile::new("v2"));
        applied(&node, "v2", 100);
        link(&node, current);
        // A replay from genesis, or a chain that was begun anew with the upgrade in it: nobody can tell.
        for height in [20, 40] {
            node.start();
            node.wait_for_height(height);
            assert!(node.stop().success());
        }
        assert_eq!((node.current().as_str(), node.launched()), (current, vec![version.to_owned(); 2]));
    }
}
