//! The durable log of what was decided and done: after a crash, the only truth.
//!
//! A directory of segments, each a text file with one record a line, checksummed and numbered without a
//! gap (`docs/formats/journal.md`). Only the newest segment is written to. It starts with records that
//! restate everything still of interest, so that recovery reads one file; older ones are history.
//!
//! The promises:
//!
//! * An append that returned is there after any crash; all its records, and everything before it.
//! * An append that failed is there wholly or not at all, and the journal writes nothing more until it is
//!   opened anew, which reads back what there is and writes it to a new file.
//! * Recovery cuts nothing but a last append that never returned. Any other damage is refused and
//!   explained, and the file is left as it is.
//!
//! The journal knows nothing about what its records mean, and does not lock: the caller holds the node's
//! lock. What was read is decided by one table, [`recovery::CASES`].

mod crash_point;
mod error;
mod history;
mod journal;
mod line;
pub mod recovery;
mod segment;

use std::fmt;

pub use crash_point::CrashPoint;
pub use error::{Damage, JournalError};
pub use history::{History, history};
pub use journal::{Journal, Options};
pub use line::RECORD_BYTES_MAX;
pub use segment::{FORMAT, MAJOR, MINOR, check_segment};

/// The number of a line: one more than the line before, through all segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A record read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<R> {
    /// Its number.
    pub sequence: Sequence,
    /// Whether it says again what earlier segments said already.
    pub restated: bool,
    /// The record.
    pub record: Parsed<R>,
}

/// A record as far as this version understands it.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed<R> {
    /// Understood.
    Known(R),
    /// Intact, but written by a version that knows more. Whether that is acceptable is for the caller.
    Unknown(serde_json::Value),
}

impl<R> Parsed<R> {
    /// The record, if understood.
    pub fn known(self) -> Option<R> {
        match self {
            Parsed::Known(record) => Some(record),
            Parsed::Unknown(_) => None,
        }
    }
}
