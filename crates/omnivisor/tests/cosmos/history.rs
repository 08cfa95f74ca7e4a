//! A node that goes through the history of its chain, release after release, by a map of all of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use fakenode::Profile;
use ov_testkit::{TestNode, wait_until};
use ov_types::record::Outcome;
use serde_json::json;

use super::support::{PROGRAM, blocks, configuration, current, launched, plan_for, running};

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

/// `omnivisor init` of a Cosmos home with this map beside it; what it said.
fn init_by_map(node: &TestNode, more: &[&str]) -> std::process::Output {
    let map = node.path("chain.json").display().to_string();
    let words = ["init", "--chain", "cosmos", "--version-map", &map, "--program", "fakenode"];
    node.omnivisor(&[&words[..], more].concat())
}

#[test]
fn a_new_home_begins_with_the_release_that_makes_the_next_block() {
    let node = TestNode::bare(Path::new(PROGRAM));
    write_map(&node, &[("v2", 40), ("v3", 1 << 30)]);
    let no_source = init_by_map(&node, &[]);
    assert_eq!(no_source.status.code(), Some(7), "{no_source:?}");
    let said = String::from_utf8(no_source.stderr).unwrap();
    assert!(said.contains("OV-CLI-017") && said.contains("does not say where v1 is"), "{said}");
    assert!(!node.path("omnivisor.toml").exists(), "the command can be given again");

    let first = Profile::new("v1").install_single_file(&node.path("build"), PROGRAM.as_ref()).unwrap();
    let made = init_by_map(&node, &["--from", first.to_str().unwrap()]);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(current(&node), "upgrades/v1");
    assert!(load(&node).scouts.iter().any(|scout| scout.path() == Some(node.path("chain.json").as_path())));
}

#[test]
fn data_that_is_there_gets_the_release_that_fits_it() {
    let node = TestNode::bare(Path::new(PROGRAM));
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../chains/tests/heights/killed");
    for database in ["blockstore.db", "state.db"] {
        fs::create_dir_all(node.path("data").join(database)).unwrap();
        for file in fs::read_dir(fixture.join(database)).unwrap().flatten() {
            fs::copy(file.path(), node.path("data").join(database).join(file.file_name())).unwrap();
        }
    }
    let shape = ov_chains::read(
        &ov_sys::RealDisk,
        b"chain = \"cosmos\"\n[cosmos]\nprogram = \"fakenode\"\n",
        node.home(),
        Path::new("omnivisor.toml"),
    );
    let files = shape.unwrap().height_at_rest.unwrap();
    let height = ov_chains::height_at_rest(&ov_sys::RealDisk, &files).unwrap().unwrap().certain().unwrap().0;
    write_map(&node, &[("v2", height), ("v3", height + 1), ("v4", height + 2)]);
    let made = init_by_map(&node, &[]);
    assert!(made.status.success(), "{made:?}");
    assert_eq!(current(&node), "upgrades/v3");
    assert!(is_staged(&node, "v3"), "it was fetched");
}

fn put_data(node: &TestNode, from: &str, to: &str) {
    let (from, to) = (node.path(from), node.path(to));
    let _ = fs::remove_dir_all(&to);
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}

#[test]
fn data_of_another_time_gets_the_release_that_the_map_says() {
    let mut node = running(&["--comet", "--initial-height", "140", "--max-height", "150"], "");
    node.wait_for_height(150);
    assert!(node.stop().status.success());
    put_data(&node, "data", "old");
    // Beyond the upgrade to v2: that is fetched, and nothing is launched before.
    write_map(&node, &[("v2", 100), ("v3", 200)]);
    node.write_configuration(&configuration(&node, &["--comet"], MAP));
    node.start();
    wait_until("v3 to run", || launched(&node) == ["v1", "v2", "v3"]);
    assert_eq!(node.wait_for_end(plan_for(&node, "v3").plan.id), Outcome::Committed);
    assert!(node.stop().status.success());
    // Before the upgrade to v3 again, and only the map tells which release is right there.
    for name in ["v2", "v3"] {
        let _ = fs::remove_file(node.path("cosmovisor/upgrades").join(name).join("upgrade-info.json"));
    }
    put_data(&node, "old", "data");
    node.start();
    wait_until("v2 to run again", || launched(&node).last().map(String::as_str) == Some("v2"));
    assert_eq!(launched(&node).len(), 4, "nothing else was launched on that data: {:?}", launched(&node));
    assert!(node.stop().status.success());
}

fn load(node: &TestNode) -> ov_chains::NodeShape {
    ov_chains::load(&ov_sys::RealDisk, node.home(), None).unwrap()
}
