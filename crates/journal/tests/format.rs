//! The format stays what the first release wrote, and other versions are told apart.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{HEADER, Note, bytes, disk_with, line, open, open_with, total};
use ov_journal::{Entry, Journal, JournalError, Options, Sequence, history};
use ov_sys::{Disk, RealDisk, SimDisk};

/// Written by the first version, and never changed again.
const FIXTURES: [(u64, &[u8]); 2] =
    [(1, include_bytes!("fixtures/1.0/000000000001.ovj")), (6, include_bytes!("fixtures/1.0/000000000006.ovj"))];

/// The calls that made the fixtures.
fn write_fixtures(disk: &SimDisk) {
    let (mut journal, _) = open(disk).unwrap();
    journal.append(&[Note::counted(1)]).unwrap();
    let quoted = Note::Counted { number: 3, filler: "\"quoted\", a line\nand ünïcode".to_owned() };
    journal.append(&[Note::counted(2), quoted, Note::counted(4)]).unwrap();
    journal.rotate(&[Note::Total { number: 4 }]).unwrap();
    journal.append(&[Note::counted(5)]).unwrap();
}

#[test]
fn what_is_written_is_what_the_first_version_wrote() {
    let disk = SimDisk::new(1);
    write_fixtures(&disk);
    for (first, fixture) in FIXTURES {
        assert_eq!(String::from_utf8(bytes(&disk, first)).unwrap(), String::from_utf8_lossy(fixture));
    }
}

#[test]
fn what_the_first_version_wrote_is_read_and_continued() {
    let directory = tempfile::tempdir().unwrap();
    for (first, fixture) in FIXTURES {
        std::fs::write(directory.path().join(format!("{first:012}.ovj")), fixture).unwrap();
    }
    let all: Vec<Entry<Note>> = history(&RealDisk, directory.path()).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(all.iter().map(|entry| entry.sequence.0).collect::<Vec<_>>(), [2, 3, 4, 5, 7, 8]);
    assert_eq!(all.iter().filter(|entry| entry.restated).count(), 1);
    assert_eq!(total(&all), 5);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (mut journal, entries) =
        Journal::<Note>::open(Arc::clone(&disk), directory.path(), Options::new("0.2.0")).unwrap();
    assert_eq!(total(&entries), 5);
    assert_eq!(journal.append(&[Note::counted(6)]).unwrap(), Sequence(9));
    let text = std::fs::read(directory.path().join("000000000006.ovj")).unwrap();
    assert_eq!(
        text.strip_prefix(FIXTURES[1].1).unwrap(),
        line(9, "1/1", r#"{"kind":"counted","number":6,"filler":""}"#).as_bytes()
    );
}

#[test]
fn a_newer_minor_version_is_read_and_never_written() {
    let header = HEADER.replace(r#""minor":0"#, r#""minor":1,"new":{}"#).replace("0.1.0", "0.9.0");
    let before = [line(1, "1/1", &header), line(2, "1/1", r#"{"kind":"total","number":7,"also":1}"#)].concat();
    let disk = disk_with(before.as_bytes());
    let error = open(&disk).unwrap_err();
    assert!(matches!(error, JournalError::NewerMinor { minor: 1, .. }));
    assert!(error.to_string().contains("format 1.1, written by version 0.9.0"), "{error}");
    assert_eq!(bytes(&disk, 1), before.as_bytes());
    let all: Vec<_> = history(&disk, Path::new(common::DIRECTORY)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(total(&all), 7);
}

#[test]
fn another_major_version_is_refused_whatever_follows_its_header() {
    let header = HEADER.replace(r#""major":1"#, r#""major":2"#);
    let disk = disk_with(format!("{}something else\n", line(1, "1/9", &header)).as_bytes());
    assert!(matches!(open(&disk).unwrap_err(), JournalError::OtherMajor { major: 2, .. }));
    let found: Vec<_> = history::<Note>(&disk, Path::new(common::DIRECTORY)).unwrap().collect();
    assert!(matches!(found[..], [Err(JournalError::OtherMajor { .. })]));
}

#[test]
fn rotation_keeps_as_many_as_told_and_other_files_are_left_alone() {
    let disk = SimDisk::new(1);
    let options = Options { segment_bytes_max: 200, older_segments_max: 2, writer: "0.1.0".to_owned() };
    let (mut journal, _) = open_with(&disk, options.clone()).unwrap();
    for name in ["notes.txt", "1.ovj", "00000000000x.ovj"] {
        disk.plant(&Path::new(common::DIRECTORY).join(name), b"", 0o600).unwrap();
    }
    let mut number = 0;
    for _ in 0..5 {
        while !journal.is_full() {
            number += 1;
            journal.append(&[Note::counted(number)]).unwrap();
        }
        journal.rotate(&[Note::Total { number }]).unwrap();
    }
    let names = disk.list(Path::new(common::DIRECTORY)).unwrap();
    assert_eq!(names.len(), 3 + 3, "{names:?}");
    let all: Vec<_> = history(&disk, Path::new(common::DIRECTORY)).unwrap().collect::<Result<_, _>>().unwrap();
    let once: Vec<Entry<Note>> = all.into_iter().filter(|entry| !entry.restated).collect();
    // Behind the last one stand only the header and the total of the newest segment.
    assert_eq!(once.last().unwrap().sequence.0 + 3, journal.next().0);
    assert_eq!(total(&open_with(&disk, options).unwrap().1), number);
}

#[test]
fn history_of_nothing_is_empty_and_a_record_too_long_harms_nothing() {
    let disk = SimDisk::new(1);
    assert_eq!(history::<Note>(&disk, Path::new(common::DIRECTORY)).unwrap().count(), 0);
    let (mut journal, _) = open(&disk).unwrap();
    let long = Note::Counted { number: 1, filler: "x".repeat(ov_journal::RECORD_BYTES_MAX) };
    assert!(matches!(journal.append(std::slice::from_ref(&long)).unwrap_err(), JournalError::RecordTooLarge { .. }));
    assert!(matches!(journal.rotate(&[long]).unwrap_err(), JournalError::RecordTooLarge { .. }));
    assert_eq!(journal.append(&[]).unwrap(), Sequence(1));
    assert_eq!(journal.append(&[Note::counted(1)]).unwrap(), Sequence(2));
}

#[test]
fn the_history_is_read_while_an_append_is_half_written() {
    let disk = SimDisk::new(1);
    write_fixtures(&disk);
    let mut tail = disk.append(&common::segment(6)).unwrap();
    tail.append(b"000000000009 deadbeef 1/1 {\"kind\"").unwrap();
    let all: Vec<_> = history(&disk, Path::new(common::DIRECTORY)).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(total(&all), 5);
}
