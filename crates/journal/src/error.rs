//! What can go wrong with a journal, and what to do about it.

use std::io;
use std::path::PathBuf;

use crate::line::RECORD_BYTES_MAX;
use crate::segment::{MAJOR, MINOR, SEGMENT_BYTES_LIMIT};

/// Why a segment is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The records that every segment starts with, which appear together or not at all, are not whole.
    Opening,
    /// A line is unreadable though later appends are there, hence it was acknowledged once.
    Middle,
    /// A segment that has a successor does not end with a whole append.
    Older,
    /// The line is intact but not the one that must come here.
    Gap,
    /// The line is intact but what it holds is not JSON, or the first line is not a header.
    Foreign,
}

impl Damage {
    fn text(self) -> &'static str {
        match self {
            Damage::Opening => "the opening records of the segment are damaged",
            Damage::Middle => "the line is damaged, and intact ones follow",
            Damage::Older => "the line is damaged, in a segment that was complete",
            Damage::Gap => "the line is intact, but others are missing before it",
            Damage::Foreign => "the line is intact, but not one of a journal",
        }
    }
}

/// An error of the journal. Each fits "failed to …".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk did not do what it was asked.
    #[error("{action} `{path}`")]
    Disk {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The segment is damaged in a way that a crash cannot explain. Nothing was changed.
    #[error("read journal `{path}`, line {line} (byte {offset}): {}; nothing was changed", damage.text())]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Line, counted from one.
        line: u64,
        /// Where the line begins, counted from zero.
        offset: u64,
        /// In what way.
        damage: Damage,
    },
    /// Written by a version that knows more; it may be read, and must not be written to.
    #[error(
        "write journal `{path}`: it has format {MAJOR}.{minor}, written by version {writer}, \
         and this version writes {MAJOR}.{MINOR}"
    )]
    NewerMinor {
        /// The segment.
        path: PathBuf,
        /// Its minor version.
        minor: u32,
        /// The program version that wrote it.
        writer: String,
    },
    /// Written by a version whose format this one does not know.
    #[error(
        "read journal `{path}`: it has format {major}, written by version {writer}, and this version reads {MAJOR}"
    )]
    OtherMajor {
        /// The segment.
        path: PathBuf,
        /// Its major version.
        major: u32,
        /// The program version that wrote it.
        writer: String,
    },
    /// An earlier write failed, so that nobody knows what is on the device.
    #[error("append to journal `{path}`: an earlier write failed, and it was not opened anew since")]
    Poisoned {
        /// The segment.
        path: PathBuf,
    },
    /// A record is longer than a reader would accept. Nothing was written.
    #[error("append a record of {bytes} bytes to the journal: at most {RECORD_BYTES_MAX} are allowed")]
    RecordTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The segment would become longer than a reader would accept. Nothing was written.
    #[error("append to journal `{path}`: it would grow beyond {SEGMENT_BYTES_LIMIT} bytes")]
    SegmentTooLarge {
        /// The segment.
        path: PathBuf,
    },
    /// The numbers of twelve digits are used up; no journal gets there by itself. Nothing was written.
    #[error("append to journal `{path}`: its numbers are used up")]
    NumbersExhausted {
        /// The segment.
        path: PathBuf,
    },
    /// A record has no form in JSON. Nothing was written.
    #[error("write a record as JSON")]
    Encode {
        /// Why not.
        source: serde_json::Error,
    },
}

impl JournalError {
    /// What an operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            JournalError::Disk { .. } => "check the disk (free space, permissions, kernel log), then start again",
            JournalError::Damaged { .. } => {
                "copy the journal directory away, look at the line named, and restore the file from a backup; \
                 do not edit it in place"
            }
            JournalError::NewerMinor { .. } | JournalError::OtherMajor { .. } => {
                "use the version that wrote it, or a later one"
            }
            JournalError::Poisoned { .. } => "start the daemon anew once the disk works again",
            JournalError::RecordTooLarge { .. }
            | JournalError::SegmentTooLarge { .. }
            | JournalError::NumbersExhausted { .. }
            | JournalError::Encode { .. } => "report this as a fault of the program",
        }
    }
}
