//! Bytes that are not what was written: refused or cut, never taken for something else, never a panic.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{HEADER, Note, bytes, disk_with, line, open, segment, total};
use ov_journal::{Damage, Entry, JournalError, Parsed, history};
use ov_sys::Disk;
use proptest::prelude::*;

/// A segment that restates one record and has three appends, of one, three and one records.
fn sample() -> Vec<u8> {
    let note = |number| serde_json::to_string(&Note::counted(number)).unwrap();
    [
        line(1, "1/2", HEADER),
        line(2, "2/2", r#"{"kind":"total","number":10}"#),
        line(3, "1/1", &note(11)),
        line(4, "1/3", &note(12)),
        line(5, "2/3", &note(13)),
        line(6, "3/3", &note(14)),
        line(7, "1/1", &note(15)),
    ]
    .concat()
    .into_bytes()
}

fn whole() -> Vec<Entry<Note>> {
    open(&disk_with(&sample())).unwrap().1
}

/// Opens a segment with these bytes; whatever comes back must be a beginning of the truth.
fn check(bytes: &[u8]) -> Result<u64, JournalError> {
    let disk = disk_with(bytes);
    match open(&disk) {
        Ok((_, entries)) => {
            assert_eq!(entries, whole()[..entries.len()], "a record nobody wrote was accepted");
            assert!([10, 11, 14, 15].contains(&total(&entries)), "half an append was accepted");
            Ok(total(&entries))
        }
        Err(error) => {
            assert_eq!(common::bytes(&disk, 1), bytes, "a refused journal was changed");
            Err(error)
        }
    }
}

fn damage_of(bytes: &[u8]) -> (Damage, u64, u64) {
    match check(bytes) {
        Err(JournalError::Damaged { damage, line, offset, .. }) => (damage, line, offset),
        other => panic!("not refused: {other:?}"),
    }
}

/// Byte ranges of the lines.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

#[test]
fn the_sample_is_read_whole() {
    let entries = whole();
    assert_eq!(total(&entries), 15);
    assert_eq!(entries.iter().map(|entry| entry.sequence.0).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 7]);
    assert_eq!(entries.iter().filter(|entry| entry.restated).count(), 1);
}

#[test]
fn every_length_is_cut_to_whole_appends_or_refused() {
    let (bytes, starts) = (sample(), starts(&sample()));
    for len in 0..=bytes.len() {
        let expected = match len {
            len if len < starts[2] => None,
            len if len < starts[3] => Some(10),
            len if len < starts[6] => Some(11),
            len if len < starts[7] => Some(14),
            _ => Some(15),
        };
        match check(&bytes[..len]) {
            Ok(total) => assert_eq!(Some(total), expected, "length {len}"),
            Err(JournalError::Damaged { damage: Damage::Opening, .. }) => assert_eq!(expected, None, "length {len}"),
            Err(error) => panic!("length {len}: {error}"),
        }
    }
}

#[test]
fn every_changed_bit_is_found() {
    let (bytes, starts) = (sample(), starts(&sample()));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut other = bytes.clone();
            other[at] ^= 1 << bit;
            match check(&other) {
                Ok(total) => assert!(at >= starts[6] && total == 14, "byte {at}, bit {bit}: {total}"),
                Err(JournalError::Damaged { damage, .. }) => {
                    assert!(at < starts[6], "byte {at}, bit {bit}");
                    assert_eq!(damage == Damage::Opening, at < starts[2], "byte {at}, bit {bit}");
                }
                Err(error) => panic!("byte {at}, bit {bit}: {error}"),
            }
        }
    }
}

#[test]
fn a_torn_append_is_cut_however_it_tore() {
    let (bytes, starts) = (sample(), starts(&sample()));
    // The append of three is the last one.
    let torn = &bytes[..starts[6]];
    for from in starts[3]..torn.len() {
        for to in [from + 1, starts[4], starts[5], torn.len() - 1, torn.len()] {
            if from < to {
                let mut zeros = torn.to_vec();
                zeros[from..to].fill(0);
                assert_eq!(check(&zeros).unwrap(), 11, "zeros from {from} to {to}");
            }
        }
    }
}

#[test]
fn a_tail_of_zeros_is_cut_and_the_journal_goes_on() {
    let disk = disk_with(&[sample(), vec![0; 5000]].concat());
    let (mut journal, entries) = open(&disk).unwrap();
    assert_eq!(total(&entries), 15);
    assert_eq!(bytes(&disk, 1), sample());
    journal.append(&[Note::counted(16)]).unwrap();
    assert_eq!(total(&open(&disk).unwrap().1), 16);
}

#[test]
fn missing_and_repeated_lines_are_a_gap() {
    let (bytes, starts) = (sample(), starts(&sample()));
    for missing in 1..6 {
        let without = [&bytes[..starts[missing]], &bytes[starts[missing + 1]..]].concat();
        let expected = (Damage::Gap, missing as u64 + 1, starts[missing] as u64);
        assert_eq!(damage_of(&without), expected, "without line {}", missing + 1);
    }
    let again = [&bytes[..], &bytes[starts[6]..]].concat();
    assert_eq!(damage_of(&again).0, Damage::Gap);
}

#[test]
fn a_refusal_names_file_line_and_byte_and_leaves_everything() {
    let (mut bytes, starts) = (sample(), starts(&sample()));
    bytes[starts[3] + 30] ^= 1;
    let error = check(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "read journal `{}`, line 4 (byte {}): the line is damaged, and intact ones follow; nothing was changed",
            segment(1).display(),
            starts[3]
        )
    );
    assert!(error.hint().contains("backup"));
}

#[test]
fn an_intact_line_without_json_is_foreign() {
    let bytes = [line(1, "1/1", HEADER), line(2, "1/1", "not json")].concat();
    let start = line(1, "1/1", HEADER).len() as u64;
    assert_eq!(damage_of(bytes.as_bytes()), (Damage::Foreign, 2, start));
    for header in ["{}", r#"{"format":"other","major":1,"minor":0,"writer":""}"#] {
        assert_eq!(damage_of(line(1, "1/1", header).as_bytes()), (Damage::Foreign, 1, 0));
    }
}

#[test]
fn an_older_segment_is_history_and_must_be_whole() {
    let disk = disk_with(&sample());
    let (mut journal, _) = open(&disk).unwrap();
    journal.rotate(&[Note::Total { number: 15 }]).unwrap();
    let all: Vec<Entry<Note>> = history(&disk, common::DIRECTORY.as_ref()).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(all.len(), 7);
    disk.damage(&segment(1), sample().len() - 5, 1).unwrap();
    // Recovery needs the newest segment only.
    assert_eq!(total(&open(&disk).unwrap().1), 15);
    let found: Vec<_> = history::<Note>(&disk, common::DIRECTORY.as_ref()).unwrap().collect();
    assert!(matches!(found[..], [Err(JournalError::Damaged { damage: Damage::Older, line: 7, .. })]), "{found:?}");
    disk.remove_file(&segment(1)).unwrap();
    disk.plant(&segment(5), line(5, "1/1", HEADER).as_bytes(), 0o600).unwrap();
    let found: Vec<_> = history::<Note>(&disk, common::DIRECTORY.as_ref()).unwrap().collect();
    assert!(matches!(found[..], [Err(JournalError::Damaged { damage: Damage::Gap, .. })]), "{found:?}");
}

#[test]
fn an_unreadable_file_is_an_error_of_the_disk() {
    let disk = disk_with(&sample());
    disk.make_unreadable(&segment(1)).unwrap();
    assert!(matches!(open(&disk).unwrap_err(), JournalError::Disk { action: "read journal", .. }));
}

#[test]
fn unknown_records_are_handed_over_as_they_are() {
    let text = r#"{"kind":"from-the-future","number":1}"#;
    let disk = disk_with([line(1, "1/1", HEADER), line(2, "1/1", text)].concat().as_bytes());
    let (_, entries) = open(&disk).unwrap();
    assert_eq!(entries[0].record, Parsed::Unknown(serde_json::from_str(text).unwrap()));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = check(&bytes);
    }

    #[test]
    fn no_patch_makes_it_believe(
        at in 0_usize..600, patch in prop::collection::vec(any::<u8>(), 0..80), gone in 0_usize..80
    ) {
        let bytes = sample();
        let at = at.min(bytes.len());
        let end = (at + gone).min(bytes.len());
        let _ = check(&[&bytes[..at], &patch, &bytes[end..]].concat());
    }
}
