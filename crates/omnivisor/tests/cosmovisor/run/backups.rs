//! What is kept of the data before an upgrade: where and under which name people look for it, and back again.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output};

use fakenode::Profile;
use ov_testkit::Mount;

use super::node::Node;

/// The names in a folder that backups have.
fn backups(folder: &PathBuf) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.contains("data-backup")).collect();
    names.sort();
    names
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The day as the drop-in sees it.
fn today() -> String {
    let out = Command::new("date").args(["-u", "+%-Y-%-m-%-d"]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[test]
fn each_upgrade_keeps_the_data_under_the_originals_name_made_unique() {
    let mut node = Node::new("v2@30,v3@60");
    node.set("TZ", "UTC");
    node.stage("v2");
    node.install("upgrades/v3", &Profile::new("v3").with("handles", vec!["v2", "v3"]));
    // The data lies on another disk.
    let real = node.path("disk/data");
    fs::create_dir_all(&real).unwrap();
    fs::remove_dir(node.path("data")).unwrap();
    symlink("disk/data", node.path("data")).unwrap();
    let before = today();
    node.start();
    node.wait_for_height(70);
    let kept = backups(&node.path(""));
    let days = [before, today()].map(|day| [format!("data-backup-{day}"), format!("data-backup-{day}-2")]);
    assert!(kept.len() == 2 && kept.iter().all(|name| days.concat().contains(name)), "{kept:?}");
    for (name, height) in kept.iter().zip([29, 59]) {
        let copy = node.path(name);
        assert!(!fs::symlink_metadata(&copy).unwrap().is_symlink(), "the data is there, and no link to the live one");
        assert_eq!(fakenode::verify_data(&copy).unwrap().last_height, height);
    }
    assert!(fs::symlink_metadata(node.path("data")).unwrap().is_symlink());
    let listed = node.omnivisor(&["snapshot", "list"]);
    assert!(listed.status.success() && text(&listed).contains("upgrade-2-v3"), "{}", text(&listed));
    let verified = node.omnivisor(&["snapshot", "verify", "upgrade-2-v3"]);
    assert!(verified.status.success(), "{}", text(&verified));
    let name = node.name();
    ov_testkit::wait_until("the upgrade to be over and its backup put back", || {
        node.omnivisor(&["snapshot", "restore", "upgrade-2-v3", "--confirm", &name]).status.success()
    });
    node.wait_for_height(70);
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@29", "v2@59"]);
}

#[test]
fn backups_go_where_they_are_wanted_or_are_not_made() {
    let mut node = Node::new("v2@30");
    let folder = node.path("elsewhere");
    fs::create_dir(&folder).unwrap();
    node.set("DAEMON_DATA_BACKUP_DIR", folder.to_str().unwrap());
    node.stage("v2");
    node.start();
    node.wait_for_height(40);
    assert!(node.stop().success());
    assert_eq!((backups(&folder).len(), backups(&node.path("")).len()), (1, 0));
    assert!(node.out().contains("INF starting to take backup of data directory module=cosmovisor\n"));

    let mut node = Node::new("v2@30");
    node.set("UNSAFE_SKIP_BACKUP", "true");
    node.stage("v2");
    node.start();
    node.wait_for_height(40);
    assert!(node.stop().success());
    assert!(backups(&node.path("")).is_empty() && !node.out().contains("backup"));
}

#[test]
fn room_for_the_backup_is_looked_for_where_it_goes_before_the_upgrade_is_armed() {
    let mut node = Node::new("");
    let folder = node.path("backups");
    fs::create_dir(&folder).unwrap();
    let Some(mount) = Mount::tmpfs(&folder, "size=32m") else { return };
    node.set("DAEMON_DATA_BACKUP_DIR", folder.to_str().unwrap());
    node.stage("v2");
    node.write_plan(r#"[{"name":"v2","height":1000000}]"#);
    fs::rename(node.path("data/upgrade-info.json"), node.path("data/upgrade-info.json.batch")).unwrap();
    node.start();
    node.wait_for_line("only 32.0 MiB are free");
    mount.remount("size=2g");
    node.wait_for_line("is armed");
    assert!(node.stop().success());
}
