//! A small record type, and lines made without the crate's help.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ov_journal::{Entry, Journal, JournalError, Options, Parsed};
use ov_sys::{Disk, SimDisk, durable};
use serde::{Deserialize, Serialize};

pub(crate) const DIRECTORY: &str = "/home/.omnivisor/journal";
pub(crate) const HEADER: &str = r#"{"format":"omnivisor-journal","major":1,"minor":0,"writer":"0.1.0"}"#;

/// What the tests write: a count, so that a state is a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub(crate) enum Note {
    /// One more.
    Counted { number: u64, filler: String },
    /// So many until here.
    Total { number: u64 },
}

impl Note {
    pub(crate) fn counted(number: u64) -> Self {
        Note::Counted { number, filler: String::new() }
    }
}

pub(crate) type NoteJournal = Journal<Note>;
pub(crate) type Opened = Result<(NoteJournal, Vec<Entry<Note>>), JournalError>;

pub(crate) fn open(disk: &SimDisk) -> Opened {
    open_with(disk, Options::new("0.1.0"))
}

pub(crate) fn open_with(disk: &SimDisk, options: Options) -> Opened {
    Journal::open(Arc::new(disk.clone()), Path::new(DIRECTORY), options)
}

/// A disk whose journal has one segment with these bytes.
pub(crate) fn disk_with(bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new(1);
    durable::make_directories(&disk, Path::new(DIRECTORY), 0o700).unwrap();
    disk.plant(&segment(1), bytes, 0o600).unwrap();
    disk
}

pub(crate) fn segment(first: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{first:012}.ovj"))
}

pub(crate) fn bytes(disk: &SimDisk, first: u64) -> Vec<u8> {
    disk.read(&segment(first), 1 << 30).unwrap()
}

/// A line as `docs/formats/journal.md` has it.
pub(crate) fn line(number: u64, part: &str, json: &str) -> String {
    let checksum = crc32c::crc32c(format!("{number:012} {part} {json}").as_bytes());
    format!("{number:012} {checksum:08x} {part} {json}\n")
}

/// The fold: how many were counted. Fails on a hole.
pub(crate) fn total(entries: &[Entry<Note>]) -> u64 {
    entries.iter().fold(0, |total, entry| match &entry.record {
        Parsed::Known(Note::Counted { number, .. }) => {
            assert_eq!(*number, total + 1, "a record is missing or comes twice");
            *number
        }
        Parsed::Known(Note::Total { number }) => *number,
        Parsed::Unknown(value) => panic!("unknown record {value}"),
    })
}
