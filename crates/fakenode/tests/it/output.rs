//! Output in bulk, whose every byte is checked.

use crate::stage::{Node, Stage};
use fakenode::pattern::Checker;
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn every_byte_of_a_flood_can_be_checked() {
    let stage = Stage::new();
    for (switches, newlines) in [("", true), ("--flood-newlines=false", false)] {
        let mut node = stage.start(&format!("--quiet --flood-bytes 5000001 --flood-exit 4 {switches}"));
        assert_eq!(node.await_end().code(), Some(4));
        let bytes = node.raw_output();
        assert_eq!(bytes.len(), 5_000_001);
        assert_eq!(bytes.contains(&b'\n'), newlines);
        assert_eq!(Checker::new(newlines).feed(&bytes), Ok(()));
    }
}

#[test]
fn a_flood_can_be_slow_and_beside_other_lines() {
    let stage = Stage::new();
    let began = Instant::now();
    let switches = "--flood-bytes 40KiB --flood-bytes-per-second 100KiB --flood-exit 0 --block-ms 20";
    let mut node = stage.start(switches);
    assert_eq!(node.await_end().code(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(350));
    assert!(node.output().contains("committed block"));
}

#[test]
fn it_ends_when_nobody_reads() {
    let stage = Stage::new();
    std::fs::create_dir_all(stage.home()).unwrap();
    let mut command = stage.command(&stage.home(), "--block-ms 5");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut reader = child.stdout.take().unwrap();
    reader.read_exact(&mut [0; 10]).unwrap();
    drop(reader);
    let status = crate::stage::wait_for("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(141));
}

#[test]
fn a_full_disk_behind_the_log_does_not_end_it() {
    let stage = Stage::new();
    std::fs::create_dir_all(stage.home()).unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = stage.command(&stage.home(), "--block-ms 5 --crash-after 20 --crash-exit 6");
    let mut child = command.stdout(full).spawn().unwrap();
    let status = crate::stage::wait_for("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(6));
    let mut node = Node::spawn(stage.command(&stage.home(), "--block-ms 5"), &stage.home());
    node.await_height(21);
    assert_eq!(node.stop(), Some(0));
}
