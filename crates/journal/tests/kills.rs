//! A real process on a real disk that kills itself at each crash point of the journal, again and again until it
//! gets through. This test program starts itself as that process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::{Note, NoteJournal, total};
use ov_journal::{CrashPoint, Journal, Options};
use ov_sys::{RealDisk, crash_point};

const DIRECTORY_VARIABLE: &str = "JOURNAL_TEST_DIRECTORY";
const SIGKILL: i32 = 9;
const ROUNDS: u64 = 6;

fn open(directory: &Path) -> (NoteJournal, u64) {
    let (journal, entries) = Journal::open(Arc::new(RealDisk), directory, Options::new("0.1.0")).unwrap();
    let total = total(&entries);
    (journal, total)
}

/// What the started process does: counts on in pairs, with rotations, and says what was acknowledged. Without the
/// variable it is an ordinary, passing test.
#[test]
fn child_that_writes() {
    let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) else { return };
    let (mut journal, mut number) = open(Path::new(&directory));
    for round in 0..ROUNDS {
        journal.append(&[Note::counted(number + 1), Note::counted(number + 2)]).unwrap();
        number += 2;
        println!("acknowledged {number}");
        if round % 2 == 1 {
            journal.rotate(&[Note::Total { number }]).unwrap();
        }
    }
}

/// Runs the child once. Returns the signal that ended it and the last number it had acknowledged.
fn run_child(directory: &Path, crash_at: &str) -> (Option<i32>, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_writes", "--nocapture", "--test-threads=1"])
        .env(DIRECTORY_VARIABLE, directory)
        .env(crash_point::VARIABLE, crash_at)
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let mut numbers = stdout.lines().filter_map(|line| line.split_once("acknowledged ")?.1.parse().ok());
    assert!(output.status.success() || output.status.signal().is_some(), "{stdout}");
    (output.status.signal(), numbers.next_back().unwrap_or_default())
}

#[test]
fn what_was_acknowledged_outlives_a_kill_at_every_point_and_visit() {
    for point in CrashPoint::ALL {
        let directory = tempfile::tempdir().unwrap();
        // The first opening makes the journal, and does not come by the point in question.
        let (_, mut found) = open(directory.path());
        let mut kills = 0;
        for visit in 1..=ROUNDS + 1 {
            let (signal, acknowledged) = run_child(directory.path(), &format!("{}#{visit}", point.name()));
            kills += u64::from(signal == Some(SIGKILL));
            let before = found;
            found = open(directory.path()).1;
            assert!(found >= acknowledged.max(before), "{}: {acknowledged} acknowledged, {found} found", point.name());
            assert_eq!(found % 2, 0, "{}: half an append", point.name());
        }
        let expected = match point {
            CrashPoint::Written | CrashPoint::Synced => ROUNDS,
            CrashPoint::Rotated => ROUNDS / 2,
            CrashPoint::Opened => 1,
        };
        assert_eq!(kills, expected, "{}", point.name());
    }
}
