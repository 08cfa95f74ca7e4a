//! Snapshots that somebody may still go back to are not removed, neither by hand while an upgrade needs them, nor by
//! retention; and what a file system can share is shared.

use std::fs;
use std::path::Path;
use std::process::Command;

use fakenode::Profile;
use ov_testkit::{Mount, TestNode, wait_until};
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Step, Trigger};

use super::support::{PROGRAM, ask, ask_json, ask_well, running, says};

fn names(node: &TestNode) -> Vec<String> {
    let listed = ask_json(node, &["snapshot", "list"]);
    listed.as_array().unwrap().iter().map(|each| each["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_snapshot_that_a_running_upgrade_needs_is_not_removed() {
    let mut node = running(&[], "[upgrade.prove]\nsoak = \"20s\"\nwithin = \"50s\"\n");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    wait_until("the new release to be proven", || {
        matches!(node.phase(plan), PlanPhase::Forward { step: Step::Prove, .. })
    });
    let kept = names(&node);
    let refused = ask(&node, &["snapshot", "remove", &kept[0]]);
    assert_eq!(refused.code, 7, "{refused:?}");
    says(&refused.err, &["OV-SNP-005", "nothing was removed"]);
    assert_eq!(names(&node), kept);
    ask_well(&node, &["snapshot", "verify", &kept[0]]);
    ask_well(&node, &["upgrade", "rollback", "--wait=1m"]);
    // Nothing needs it any more.
    ask_well(&node, &["snapshot", "remove", &kept[0]]);
    assert!(names(&node).is_empty());
    node.stop();
}

#[test]
fn the_snapshot_of_the_last_committed_upgrade_outlives_retention() {
    let mut node = running(&[], "[snapshots]\nkeep-last = 1\n");
    let first = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(first), Outcome::Committed);
    // The way back by hand is an upgrade too. The data of before the first is what somebody may want then.
    ask_well(&node, &["upgrade", "rollback", "--wait=1m"]);
    assert_eq!(node.current(), "v1");
    let back = names(&node);
    assert_eq!(back, ["upgrade-1-v2", "upgrade-2-v1"]);
    // With the next one forward it is over.
    let next = node.plan(&Profile::new("v3"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(next), Outcome::Committed);
    assert_eq!(names(&node), ["upgrade-3-v3"]);
    node.stop();
}

/// Bytes in use on the file system of a path.
fn bytes_used(path: &Path) -> u64 {
    assert!(Command::new("sync").arg("--file-system").arg(path).status().unwrap().success());
    let output = Command::new("df").args(["--block-size=1", "--output=used"]).arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().trim().parse().unwrap()
}

/// A life of snapshots on a file system that shares blocks between files.
fn blocks_are_shared_on(kind: &str, options: &[&str], image_bytes: u64) {
    const DATA_BYTES: u64 = 32 << 20;
    let mut node = TestNode::bare(Path::new(PROGRAM));
    let disk = node.path("disk");
    fs::create_dir(&disk).unwrap();
    let Some(_mount) = Mount::image(&disk, kind, options, image_bytes) else { return };
    fs::create_dir(disk.join("data")).unwrap();
    std::os::unix::fs::symlink("disk/data", node.path("data")).unwrap();
    let keep = "[paths]\ndata = \"disk/data\"\nsnapshots = \"disk/snapshots\"\n\
                [upgrade.keep]\nmethod = \"reflink\"\nformat-file = \"format\"\n";
    node.write_configuration(&node.configuration(&["--data-bytes", "32MiB"], keep));
    node.start_with(&Profile::new("v1"));
    node.start();
    node.wait_for_up("main");
    node.wait_for_height(3);
    says(&ask(&node, &["doctor"]).out, &["disk.reflink"]);
    let before = bytes_used(&disk);
    assert!(before > DATA_BYTES, "the data is not there: {before}");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let kept = names(&node);
    // An empty file has no blocks to be shared.
    says(&ask_well(&node, &["upgrade", "history"]), &["files reflinked, 0 linked, "]);
    let name = ask_json(&node, &["status"])["node"].as_str().unwrap().to_owned();
    ask_well(&node, &["snapshot", "restore", &kept[0], "--confirm", &name]);
    node.wait_for_up("main");
    let height = node.height().unwrap();
    node.wait_for_height(height + 3);
    // Data, snapshot and the data from before the restore: once on the disk.
    let grown = bytes_used(&disk).saturating_sub(before);
    assert!(grown < DATA_BYTES / 2, "{grown} more bytes are in use for three times the same data");
    assert_eq!(ask(&node, &["snapshot", "verify", &kept[0]]).code, 0);
    assert_eq!(fs::read_dir(disk.join("snapshots")).unwrap().count(), 1);
    assert!(node.stop().status.success());
    node.check_data();
}

#[test]
fn blocks_are_shared_on_xfs() {
    blocks_are_shared_on("xfs", &["-q", "-m", "reflink=1"], 320 << 20);
}

#[test]
fn blocks_are_shared_on_btrfs() {
    blocks_are_shared_on("btrfs", &["-q"], 256 << 20);
}
