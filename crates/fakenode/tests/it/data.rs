//! The data directory: what survives, what is refused, what is noticed.

use crate::stage::{Stage, text, wait_for};
use fakenode::{Profile, VersionSpan, verify_data};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

#[test]
fn kill_after_kill_loses_no_height() {
    let stage = Stage::new();
    let mut last = 0;
    for _ in 0..8 {
        let mut node = stage.start("--block-ms 1 --segment-blocks 3");
        node.await_height(last + 5);
        node.kill();
        let report = stage.assert_ok();
        assert!(report.last_height >= last + 5);
        last = report.last_height;
    }
    assert_eq!(stage.assert_ok().first_height, 1);
}

#[test]
fn segments_are_written_once() {
    let stage = Stage::new();
    let node = stage.start("--block-ms 1 --segment-blocks 2 --initial-height 1000");
    node.await_height(1004);
    let first = stage.data().join("blocks/000001.sst");
    let before = fs::metadata(&first).unwrap();
    node.await_height(1010);
    let after = fs::metadata(&first).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec()), (after.ino(), after.mtime_nsec()));
    assert_eq!(after.permissions().mode() & 0o777, 0o444);
    drop(node);
    assert_eq!(stage.assert_ok().first_height, 1000);
}

#[test]
fn one_process_for_one_data_directory() {
    let stage = Stage::new();
    let node = stage.start("--block-ms 10");
    node.await_height(1);
    let inherited = fs::read(stage.home().join("inherited.json")).unwrap();
    let mut second = stage.start("");
    assert_eq!(second.await_end().code(), Some(1));
    assert_eq!(second.output(), "fakenode: database is locked\n");
    assert_eq!(fs::read(stage.home().join("inherited.json")).unwrap(), inherited);
    drop(node);
    let report = stage.verify();
    assert_eq!(report.violations[0].kind, "two-processes");
    assert!(!report.ok && report.problems.is_empty());
}

#[test]
fn blocks_can_stop_and_go_on() {
    let stage = Stage::new();
    let node = stage.start("--http 127.0.0.1:0 --block-ms 5 --stop-blocks");
    let height = || node.get_json("/status")["result"]["sync_info"]["latest_block_height"].clone();
    node.await_line("started at height 0");
    assert_eq!(height(), "0");
    assert_eq!(node.control(r#"{"stop_blocks": false}"#), 200);
    wait_for("a block", || (height() != "0").then_some(()));
}

#[test]
fn bulk_data_is_made_once_and_checked() {
    let stage = Stage::new();
    for _ in 0..2 {
        let mut node = stage.start("--block-ms 1 --data-bytes 3MiB");
        node.await_line("committed");
        node.stop();
    }
    assert_eq!(stage.assert_ok().bulk_files, 1);
    assert_eq!(fs::metadata(stage.data().join("blocks/bulk-000001.sst")).unwrap().len(), 3 << 20);
}

fn make_data(stage: &Stage) {
    let mut node = stage.start("--block-ms 1 --segment-blocks 5 --crash-after 13");
    node.await_end();
    stage.assert_ok();
}

#[test]
fn a_torn_log_is_cut_and_a_damaged_one_refused() {
    let stage = Stage::new();
    make_data(&stage);
    let log = stage.data().join("WAL.log");
    let bytes = fs::read(&log).unwrap();
    fs::write(&log, &bytes[..bytes.len() - 5]).unwrap();
    assert_eq!(stage.assert_ok().last_height, 12);
    let mut node = stage.start("--block-ms 1 --segment-blocks 5 --crash-after 1");
    node.await_end();
    assert_eq!(stage.assert_ok().last_height, 13);
    let mut bytes = fs::read(&log).unwrap();
    bytes[40] ^= 1;
    fs::write(&log, bytes).unwrap();
    assert!(!stage.verify().ok);
    let mut node = stage.start("");
    assert_eq!(node.await_end().code(), Some(1));
    assert!(node.output().contains("WAL.log"), "{}", node.output());
}

/// Each way of losing or changing something, done to a good directory.
#[test]
fn verify_notices_what_is_missing_or_changed() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("segment lost", |data| fs::remove_file(data.join("blocks/000001.sst")).unwrap()),
        ("segment changed", |data| {
            let path = data.join("blocks/000002.sst");
            let mut bytes = fs::read(&path).unwrap();
            bytes[100] ^= 1;
            fs::remove_file(&path).unwrap();
            fs::write(&path, bytes).unwrap();
        }),
        ("manifest lost", |data| fs::remove_file(data.join("MANIFEST")).unwrap()),
        ("current lost", |data| fs::remove_file(data.join("CURRENT")).unwrap()),
        ("format lost", |data| fs::remove_file(data.join("format")).unwrap()),
        ("format changed", |data| fs::write(data.join("format"), "7\n").unwrap()),
    ];
    for (name, damage) in damages {
        let stage = Stage::new();
        make_data(&stage);
        damage(&stage.data());
        let report = stage.verify();
        assert!(!report.ok && !report.problems.is_empty(), "{name}");
    }
}

/// The mistake that the mutable files are there to reveal.
#[test]
fn a_snapshot_that_links_mutable_files_no_longer_verifies() {
    let stage = Stage::new();
    make_data(&stage);
    let [good, bad] = ["good", "bad"].map(|name| stage.path(name));
    for snapshot in [&good, &bad] {
        fs::create_dir_all(snapshot.join("blocks")).unwrap();
        for entry in fs::read_dir(stage.data().join("blocks")).unwrap() {
            let path = entry.unwrap().path();
            fs::hard_link(&path, snapshot.join("blocks").join(path.file_name().unwrap())).unwrap();
        }
        for name in ["MANIFEST", "CURRENT", "WAL.log", "format"] {
            let (from, to) = (stage.data().join(name), snapshot.join(name));
            let shared = snapshot == &bad;
            let put = if shared { fs::hard_link(from, to) } else { fs::copy(from, to).map(|_| ()) };
            put.unwrap();
        }
        assert!(verify_data(snapshot).unwrap().ok);
    }
    make_data(&stage);
    assert!(verify_data(&good).unwrap().ok);
    assert!(!verify_data(&bad).unwrap().ok);
    let output = stage.run(&format!("verify --data {}", bad.display()));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_newer_version_migrates_and_an_older_one_refuses() {
    let mut stage = Stage::new();
    stage.switch_to(&Profile::new("v1"));
    make_data(&stage);
    let v2 = Profile::new("v2").with("data_format", 2).with("migrate_ms", 50);
    stage.switch_to(&v2.clone().with("migrate_crash", true).with("crash_exit", 8));
    assert_eq!(stage.start("").await_end().code(), Some(8));
    assert!(!stage.verify().ok, "half of the data is of the new format");

    stage.switch_to(&Profile::new("v1"));
    let mut old = stage.start("");
    assert_eq!(old.await_end().code(), Some(1));
    assert!(old.output().contains("reads up to format 1"), "{}", old.output());

    stage.switch_to(&v2);
    let mut node = stage.start("--block-ms 1 --segment-blocks 5 --crash-after 4");
    node.await_end();
    assert!(node.output().contains("migrated data to format 2"));
    let report = stage.assert_ok();
    assert_eq!(report.format, 2);
    let span = |version: &str, from, to| VersionSpan { version: version.to_owned(), from, to };
    assert_eq!(report.versions, [span("v1", 1, 13), span("v2", 14, 17)]);

    stage.switch_to(&Profile::new("v1"));
    assert_eq!(stage.start("").await_end().code(), Some(1));
    stage.switch_to(&v2);
    let mut node = stage.start("--block-ms 1 --crash-after 1");
    node.await_end();
    assert!(!node.output().contains("migrat"), "{}", node.output());
}

#[test]
fn verify_of_nothing_is_not_ok() {
    let stage = Stage::new();
    let output = stage.run(&format!("verify --home {}", stage.path("nowhere").display()));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("no manifest"));
}

#[test]
fn the_height_can_be_kept_in_databases_too() {
    let stage = Stage::new();
    let log = |name: &str| fs::read(stage.data().join(name).join("000002.log")).unwrap_or_default();
    let mut node = stage.start("--comet --block-ms 1 --halt-at 4 --halt-exit 0");
    assert!(node.await_end().success());
    // The block that it halts for is stored, and not carried out.
    assert!(log("blockstore.db").ends_with(&[0x08, 1, 0x10, 4]) && log("state.db").ends_with(&[0x18, 3]));
    let before = log("state.db").len();
    let mut node = stage.start("--comet --max-height 3");
    node.await_line("started at height 3");
    node.kill();
    assert!(log("blockstore.db").ends_with(&[0x08, 1, 0x10, 3]) && log("state.db").len() < before);
    assert_eq!(fs::read(stage.data().join("state.db/CURRENT")).unwrap(), b"MANIFEST-000001\n");
}
