//! Snapshots: how they are taken, what they hold, and how they come back.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fakenode::Profile;
use ov_client::ClientError;
use ov_testkit::{TestNode, wait_for, wait_until};
use ov_types::api::{Acknowledged, NewSnapshot, PlanPhase, RestoreSnapshot};
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, SnapshotId, Step, Trigger};

use super::support::{
    LONG_SOAK, PROGRAM, QUICK, finish, kept_data, names_in, plan_status, refusal, running, running_as, told,
    wait_for_problem,
};

/// The usual rules of `fakenode`'s data, with this method.
fn keep_by(method: &str) -> String {
    format!(
        "{QUICK}\n[upgrade.keep]\nmethod = \"{method}\"\nwrite-once = [\"blocks/*.sst\"]\nformat-file = \"format\"\n"
    )
}

fn upgraded_by(method: &str) -> (TestNode, ov_types::PlanId) {
    let node = running(&["--segment-blocks", "5"], &keep_by(method));
    node.wait_for_height(12);
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    (node, plan)
}

/// Names and inodes of the write-once files in a folder of blocks.
fn segments(blocks: &Path) -> BTreeSet<(String, u64)> {
    let sealed =
        names_in(blocks).into_iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "sst"));
    sealed.map(|name| (name.clone(), fs::metadata(blocks.join(name)).unwrap().ino())).collect()
}

fn only_snapshot(node: &TestNode) -> SnapshotId {
    let snapshots = node.client().snapshots().unwrap();
    assert!(snapshots.len() == 1 && snapshots[0].complete, "{snapshots:?}");
    assert_eq!(snapshots[0].release.as_ref().unwrap().as_str(), "v1");
    snapshots[0].id.clone()
}

fn data_of(node: &TestNode, id: &SnapshotId) -> PathBuf {
    node.path("snapshots").join(id).join("data")
}

fn take(node: &TestNode) -> SnapshotId {
    node.client().take_snapshot(&NewSnapshot::default()).unwrap().snapshot.unwrap()
}

fn restore(node: &TestNode, id: &SnapshotId) -> Result<Acknowledged, ClientError> {
    node.client().restore_snapshot(id, &RestoreSnapshot { confirm: node.status().node, height: None })
}

#[test]
fn write_once_files_are_linked_and_the_rest_is_copied() {
    let (node, _) = upgraded_by("hard-link");
    let data = data_of(&node, &only_snapshot(&node));
    let kept = segments(&data.join("blocks"));
    assert!(!kept.is_empty() && kept.is_subset(&segments(&node.path("data/blocks"))), "the same files: {kept:?}");
    let mutable = |root: &Path| fs::metadata(root.join("MANIFEST")).or_else(|_| fs::metadata(root.join("format")));
    assert_ne!(mutable(&data).unwrap().ino(), mutable(&node.path("data")).unwrap().ino(), "what changes is copied");
    finish(node);
}

#[test]
fn a_copy_shares_nothing() {
    let (node, _) = upgraded_by("copy");
    let id = only_snapshot(&node);
    let kept = segments(&data_of(&node, &id).join("blocks"));
    assert!(!kept.is_empty() && kept.is_disjoint(&segments(&node.path("data/blocks"))));
    assert_eq!(fakenode::verify_data(&data_of(&node, &id)).unwrap().problems, Vec::<String>::new());
    finish(node);
}

#[test]
fn the_best_way_is_found() {
    let (node, plan) = upgraded_by("auto");
    let id = only_snapshot(&node);
    assert!(plan_status(&node, plan).steps.contains(&Step::Keep));
    assert_eq!(fakenode::verify_data(&data_of(&node, &id)).unwrap().problems, Vec::<String>::new());
    finish(node);
}

#[test]
fn without_snapshots_none_is_taken() {
    let (node, plan) = upgraded_by("off");
    assert!(!plan_status(&node, plan).steps.contains(&Step::Keep));
    assert_eq!(node.client().snapshots().unwrap(), []);
    finish(node);
}

#[test]
fn blocks_that_cannot_be_shared_are_not_copied_against_the_rules() {
    let node = running(&[], &keep_by("reflink"));
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    let because = wait_for("the plan to be blocked, or not", || match node.phase(plan) {
        PlanPhase::Forward { problem, .. } => problem.map(Some),
        PlanPhase::Ended { .. } => Some(None),
        _ => None,
    });
    let Some(because) = because else {
        println!("skipped: needs a file system without reflinks");
        return;
    };
    assert_eq!(because.code, "OV-UPG-015", "it is seen before anything is stopped");
    assert!(told(&because).contains("disk.reflink"), "{because:?}");
    assert_eq!(node.current(), "v1");
    assert_eq!(names_in(&node.path("snapshots")), Vec::<String>::new());
    finish(node);
}

#[test]
fn snapshots_by_hand_have_names_of_their_own() {
    let node = running(&[], "");
    let ids: BTreeSet<SnapshotId> = (0..3).map(|_| take(&node)).collect();
    assert_eq!(ids.len(), 3);
    for id in &ids {
        let verified = node.omnivisor(&["snapshot", "verify", id.as_str()]);
        assert!(verified.status.success(), "{verified:?}");
        assert!(node.omnivisor(&["snapshot", "remove", id.as_str()]).status.success());
    }
    assert_eq!(names_in(&node.path("snapshots")), Vec::<String>::new());
    finish(node);
}

#[test]
fn a_changed_file_in_a_snapshot_is_found() {
    let node = running(&[], &keep_by("copy"));
    let id = take(&node);
    let file = data_of(&node, &id).join("format");
    let before = fs::read(&file).unwrap();
    fs::write(&file, vec![b'7'; before.len()]).unwrap();
    let verified = node.omnivisor(&["snapshot", "verify", id.as_str()]);
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    assert!(String::from_utf8_lossy(&verified.stdout).contains("format"), "{verified:?}");
    fs::remove_file(&file).unwrap();
    let refused = refusal(restore(&node, &id));
    assert!(refused.contains("is missing") && refused.contains("was not changed"), "{refused}");
    assert_eq!(kept_data(&node), Vec::<PathBuf>::new());
    finish(node);
}

#[test]
fn old_snapshots_make_room_for_new_ones() {
    let node = running(&[], "\n[snapshots]\nkeep-last = 1\n");
    for release in ["v2", "v3", "v4"] {
        let plan = node.plan(&Profile::new(release), Trigger::Now, FailurePolicy::Rollback);
        assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    }
    assert_eq!(names_in(&node.path("snapshots")), ["upgrade-3-v4"]);
    finish(node);
}

#[test]
fn a_restore_by_hand_keeps_the_present_data_aside() {
    let node = running(&[], "");
    let id = take(&node);
    let _ = node.wait_for_up("main");
    let then = node.height().unwrap();
    node.wait_for_height(then + 20);
    let refused = node.omnivisor(&["snapshot", "restore", id.as_str(), "--confirm", "somebody-else"]);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    let said = restore(&node, &id).unwrap().message;
    assert!(said.contains("data.before-restore"), "{said}");
    let aside = fakenode::verify_data(&kept_data(&node)[0]).unwrap();
    assert!(aside.problems.is_empty() && aside.last_height >= then + 20, "{aside:?}");
    finish(node);
}

#[test]
fn data_behind_a_link_is_restored_where_it_is() {
    let mut node = TestNode::new(Path::new(PROGRAM), &[], &[QUICK, LONG_SOAK].concat());
    node.start_with(&Profile::new("v1"));
    fs::create_dir_all(node.path("disk/real")).unwrap();
    std::os::unix::fs::symlink("disk/real", node.path("data")).unwrap();
    node.start();
    let _ = node.wait_for_up("main");
    node.wait_for_height(3);
    let bad = Profile::new("v2").with("data_format", 2).with("crash_after", 1);
    let plan = node.plan(&bad, Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    assert_eq!(fs::read_link(node.path("data")).unwrap(), Path::new("disk/real"), "the link stays");
    assert_eq!(fs::read_to_string(node.path("disk/real/format")).unwrap().trim(), "1");
    let beside = names_in(&node.path("disk"));
    assert!(beside.iter().any(|name| name.starts_with("real.before-restore-")), "{beside:?}");
    finish(node);
}

#[test]
fn a_node_without_data_has_nothing_to_keep() {
    let waits = Profile::new("v1").with("start_delay_ms", 600_000);
    let mut node = TestNode::new(Path::new(PROGRAM), &[], "");
    node.start_with(&waits);
    node.start();
    let _ = node.wait_for_up("main");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_eq!(node.client().snapshots().unwrap(), []);
    finish(node);
}

#[test]
fn without_room_nothing_is_changed() {
    let node = running_as(&Profile::new("v1").with("data_bytes", 8 << 20), &[], &keep_by("copy"));
    fs::create_dir_all(node.path("snapshots")).unwrap();
    let Some(_mounted) = Small::mount(&node.path("snapshots")) else {
        println!("skipped: needs the right to mount a tmpfs");
        return;
    };
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    let because = wait_for_problem(&node, plan);
    assert_eq!(because.code, "OV-UPG-015", "it is seen before anything is stopped");
    assert!(told(&because).contains("disk.") && told(&because).contains("MiB"), "{because:?}");
    assert_eq!(node.current(), "v1");
    assert_eq!(names_in(&node.path("snapshots")), Vec::<String>::new(), "the leftovers take no room");
    wait_until("v1 to run on", || node.unit("main").pid.is_some());
    finish(node);
}

/// A tmpfs of one MiB, unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "omnivisor-test"]).arg(at);
        mount.output().ok()?.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
