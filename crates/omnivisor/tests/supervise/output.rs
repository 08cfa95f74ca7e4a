//! "Output: inherited untouched (default in drop-ins) or pumped by the shim into size/time-rotated, optionally compressed
//! files; no line length limit; survives daemon death without losing or repeating a byte".

use std::fs;
use std::path::PathBuf;

use fakenode::pattern::Checker;
use ov_testkit::{Mount, TestNode, wait_until};
use ov_types::{EventKind, UnitState};

use super::common::{is_compressed, laid_out, shell, started, wait_for_event, whole_log};

const FLOOD: [&str; 3] = ["--quiet", "--flood-bytes", "2MiB"];
const FLOOD_BYTES: u64 = 2 << 20;

fn log_of(node: &TestNode) -> PathBuf {
    node.path(".omnivisor/logs/main.log")
}

fn rotated(node: &TestNode) -> Vec<PathBuf> {
    let entries = fs::read_dir(node.path(".omnivisor/logs")).unwrap().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_str().unwrap().starts_with("main.log."));
    ours.map(|entry| entry.path()).collect()
}

#[test]
fn inherited_output_is_the_daemons_own_and_no_file_is_made() {
    let more =
        format!("[unit.helper]\n{}output = \"inherit\"\n", shell("printf 'said %b untouched' '\\0001'; sleep 600"));
    let mut node = started("output = \"inherit\"", &[], &more);
    node.wait_for_height(3);
    wait_until("both to be heard", || {
        node.log().contains("committed block") && node.log().contains("said \u{1} untouched")
    });
    let daemon = node.daemon_pid();
    let own = fs::read_link(format!("/proc/{daemon}/fd/1")).unwrap();
    let theirs = fs::read_link(format!("/proc/{}/fd/1", node.wait_for_up("main"))).unwrap();
    assert_eq!(own, theirs, "no copy in between");
    assert!(!log_of(&node).exists());
    node.stop();
}

#[test]
fn inherited_output_survives_the_daemon() {
    let mut node = started("output = \"inherit\"", &[], "");
    node.wait_for_height(3);
    let log = node.log();
    node.kill_daemon();
    let height = node.height().unwrap();
    node.wait_for_height(height + 3);
    assert!(node.log().len() > log.len(), "its output still goes where it went");
    node.start();
    node.stop();
}

#[test]
fn pumped_output_is_rotated_by_size_compressed_and_only_so_many_files_stay() {
    let mut node = started("", &FLOOD, "[unit.main.log]\nmax-size = \"128KiB\"\nkeep = 3\n");
    wait_until("all but the newest to be compressed, and no more than three to stay", || {
        let names = rotated(&node);
        names.len() == 3 && names.iter().all(|path| is_compressed(path))
    });
    assert!(fs::metadata(log_of(&node)).unwrap().len() <= 128 << 10);
    node.stop();
}

#[test]
fn rotated_output_is_complete_also_where_it_was_compressed() {
    let mut node = started("", &FLOOD, "[unit.main.log]\nmax-size = \"128KiB\"\nkeep = 0\n");
    wait_until("the flood to be compressed", || {
        let names = rotated(&node);
        names.len() >= 15 && names.iter().all(|path| is_compressed(path))
    });
    assert!(node.stop().status.success());
    let mut checker = Checker::new(true);
    checker.feed(&whole_log(&log_of(&node))).expect("every byte, once and in order");
    assert_eq!(checker.offset(), FLOOD_BYTES);
}

#[test]
fn output_is_rotated_by_age() {
    let mut node = started("", &[], "[unit.main.log]\nrotate = \"1s\"\ncompress = false\n");
    wait_until("a rotation", || !rotated(&node).is_empty());
    assert!(rotated(&node).iter().all(|path| !is_compressed(path)));
    assert!(node.stop().status.success());
    let text = String::from_utf8(whole_log(&log_of(&node))).unwrap();
    let heights: Vec<&str> = text.lines().filter(|line| line.starts_with("committed block")).collect();
    let last = node.height().unwrap();
    assert_eq!(heights.len() as u64, last, "a line for each block, none lost or repeated");
}

#[test]
fn fifty_megabytes_without_a_newline_arrive_byte_by_byte() {
    const BYTES: u64 = 50 << 20;
    let flood = ["--quiet", "--flood-bytes", "50MiB", "--flood-newlines=false"];
    let mut node = started("", &flood, "[unit.main.log]\nmax-size = \"8MiB\"\nkeep = 0\ncompress = false\n");
    let size = || {
        let entries = fs::read_dir(node.path(".omnivisor/logs")).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum::<u64>()
    };
    wait_until("50 MB of output", || size() >= BYTES);
    node.wait_for_height(1);
    assert!(node.stop().status.success());
    let mut checker = Checker::new(false);
    checker.feed(&whole_log(&log_of(&node))).expect("every byte, once and in order");
    assert_eq!(checker.offset(), BYTES);
}

#[test]
fn the_last_words_of_a_crash_are_kept() {
    let more = format!("[unit.job]\n{}restart = \"never\"\n", shell("echo the last words; kill -9 $$"));
    let mut node = started("", &[], &more);
    node.wait_for_state("job", UnitState::Down);
    let log = fs::read_to_string(node.path(".omnivisor/logs/job.log")).unwrap();
    assert_eq!(log, "the last words\n");
    node.stop();
}

#[test]
fn a_full_disk_for_logs_never_blocks_the_node_and_is_told() {
    let node = laid_out("", &[], "");
    let folder = node.path("logs");
    fs::create_dir(&folder).unwrap();
    let Some(_mounted) = Mount::tmpfs(&folder, "size=256k") else { return };
    let mut node = node;
    let flood = ["--flood-bytes", "4MiB"];
    super::common::configure(&node, "", &flood, "[unit.main.log]\npath = \"{home}/logs/main.log\"\n");
    node.start();
    let reason = wait_for_event(&node, "the loss", |kind| match kind {
        EventKind::OutputLost { bytes: 0, reason, .. } => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("No space left"), "{reason}");
    let height = node.height().unwrap_or(0);
    node.wait_for_height(height + 10);
    assert_eq!(super::common::starts(&node, "main"), 1);
    // With room again, output is kept again.
    fs::write(folder.join("main.log"), "").unwrap();
    wait_until("output again", || {
        fs::read_to_string(folder.join("main.log")).is_ok_and(|text| text.contains("committed block"))
    });
    let lost = wait_for_event(&node, "the end of the loss", |kind| match kind {
        EventKind::OutputLost { bytes, .. } if *bytes > 0 => Some(*bytes),
        _ => None,
    });
    let log = fs::read_to_string(folder.join("main.log")).unwrap();
    assert!(log.contains(&format!("[omnivisor] {lost} bytes of output were lost")), "{log}");
    assert!(node.stop().status.success());
    node.check_data();
}
