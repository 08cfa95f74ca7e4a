//! Reads one key of a database of the LevelDB family, and touches nothing: no lock is taken, no file is made, no log is
//! replayed into a table, as every library for these databases does when it opens one.
//!
//! Made for databases that nobody has open. Of one that is being written the answer may be old, or an error; never
//! something that was not written, since every piece that is believed carries a checksum. Everything that is read is
//! bounded. What belongs to other dialects of the family (merges, deleted ranges, other compressions) is refused, not
//! guessed at.

mod batch;
mod bytes;
mod log;
mod manifest;
mod table;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use ov_sys::Disk;

pub(crate) use bytes::Bytes;
use log::Log;
use manifest::Manifest;

/// Log files that are looked at: a database has one or two, and a few more where it died again and again.
const LOGS_MAX: usize = 64;

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The disk does not give it.
    #[error("read {name}")]
    Disk {
        /// Which file.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not as it was written.
    #[error("make sense of the database: {0}")]
    Damaged(&'static str),
    /// It is written in a way that we do not know.
    #[error("understand the database: {0}")]
    Unknown(&'static str),
}

impl Unreadable {
    fn disk(name: &str, source: io::Error) -> Self {
        Unreadable::Disk { name: name.to_owned(), source }
    }
}

/// What was written last under a key, as far as it was seen.
#[derive(Debug, Default)]
struct Newest {
    sequence: Option<u64>,
    value: Option<Vec<u8>>,
}

impl Newest {
    /// Takes in one writing of the key; `None` is its removal.
    fn offer(&mut self, sequence: u64, value: Option<&[u8]>) {
        if self.sequence <= Some(sequence) {
            (self.sequence, self.value) = (Some(sequence), value.map(<[u8]>::to_vec));
        }
    }
}

/// The value of a key, in the database in this directory. `None`: there is no such key, or no database.
pub(crate) fn read(disk: &dyn Disk, directory: &Path, key: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
    let Some(name) = manifest::current(disk, directory)? else { return Ok(None) };
    let manifest = Manifest::read(disk, &directory.join(&name), key)?;
    let mut newest = Newest::default();
    for number in manifest.tables.keys() {
        table::look(disk, directory, *number, key, &mut newest)?;
    }
    for (number, name) in logs(disk, directory, &manifest)? {
        let mut log = Log::open(disk, &directory.join(name), Some(number))?;
        while let Some(record) = log.next()? {
            batch::look(&record, key, &mut newest)?;
        }
    }
    Ok(newest.value)
}

/// The logs whose contents are in no table yet, oldest first.
fn logs(disk: &dyn Disk, directory: &Path, manifest: &Manifest) -> Result<Vec<(u64, String)>, Unreadable> {
    let names = disk.list(directory).map_err(|error| Unreadable::disk("the directory", error))?;
    let numbered = |name: std::ffi::OsString| {
        let name = name.into_string().ok()?;
        let number: u64 = name.strip_suffix(".log")?.parse().ok()?;
        manifest.needs_log(number).then_some((number, name))
    };
    let mut logs: Vec<(u64, String)> = names.into_iter().filter_map(numbered).collect();
    if logs.len() > LOGS_MAX {
        return Err(Unreadable::Unknown("it has more than 64 logs"));
    }
    logs.sort();
    Ok(logs)
}
