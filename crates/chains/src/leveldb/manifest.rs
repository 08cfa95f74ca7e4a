//! The manifest: which tables live, and which logs are not in any of them yet.
//!
//! Of the tables only those are remembered in which the wanted key may be: a large database has a few hundred thousand.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ov_sys::Disk;

use super::Unreadable;
use super::bytes::Bytes;
use super::log::Log;

/// How keys are ordered: by their bytes.
const ORDER: &[u8] = b"leveldb.BytewiseComparator";
const NAME_BYTES_MAX: u64 = 1 << 10;
/// Each level of a database has one table with a key, the first one a few more.
const TABLES_MAX: usize = 1_000;
/// Behind the key that a person wrote: when, and how.
const TRAILER_BYTES: usize = 8;

/// What matters of it.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    /// The tables in which the key may be, by number, with their levels.
    pub(super) tables: BTreeMap<u64, u64>,
    log: u64,
    log_before: u64,
}

/// The name of the manifest that counts; `None` where there is no database.
pub(super) fn current(disk: &dyn Disk, directory: &Path) -> Result<Option<String>, Unreadable> {
    let marked = marked(disk, directory)?;
    if marked.is_some() {
        return Ok(marked);
    }
    let text = match disk.read(&directory.join("CURRENT"), NAME_BYTES_MAX) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Unreadable::disk("CURRENT", error)),
    };
    let name = String::from_utf8(text).unwrap_or_default();
    let name = name.trim_end();
    let number = name.strip_prefix("MANIFEST-").unwrap_or_default();
    if number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Unreadable::Damaged("CURRENT names no manifest"));
    }
    Ok(Some(name.to_owned()))
}

/// Newer dialects name it in the name of an empty file, with a number that rises.
fn marked(disk: &dyn Disk, directory: &Path) -> Result<Option<String>, Unreadable> {
    let names = match disk.list(directory) {
        Ok(names) => names,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Unreadable::disk("the directory", error)),
    };
    let marks = names.iter().filter_map(|name| {
        let (number, manifest) = name.to_str()?.strip_prefix("marker.manifest.")?.split_once('.')?;
        let is_one = manifest.strip_prefix("MANIFEST-")?.bytes().all(|digit| digit.is_ascii_digit());
        is_one.then_some((number.parse::<u64>().ok()?, manifest.to_owned()))
    });
    Ok(marks.max().map(|(_, manifest)| manifest))
}

impl Manifest {
    pub(super) fn read(disk: &dyn Disk, path: &Path, key: &[u8]) -> Result<Self, Unreadable> {
        let mut log = Log::open(disk, path, None)?;
        let mut manifest = Self::default();
        while let Some(edit) = log.next()? {
            manifest.apply(&edit, key)?;
        }
        Ok(manifest)
    }

    pub(super) fn needs_log(&self, number: u64) -> bool {
        number >= self.log || (number == self.log_before && number > 0)
    }

    /// Takes in one change.
    pub(super) fn apply(&mut self, edit: &[u8], key: &[u8]) -> Result<(), Unreadable> {
        const CUT: Unreadable = Unreadable::Damaged("a manifest that breaks off");
        let mut edit = Bytes(edit);
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        while !edit.is_empty() {
            match edit.varint().ok_or(CUT)? {
                1 => {
                    if edit.text().ok_or(CUT)? != ORDER {
                        return Err(Unreadable::Unknown("its keys are in an order of their own"));
                    }
                }
                2 => self.log = edit.varint().ok_or(CUT)?,
                9 => self.log_before = edit.varint().ok_or(CUT)?,
                // The next number of a file, the last of a writing, a table that others are made of.
                3 | 4 | 106 => drop(edit.varint().ok_or(CUT)?),
                5 => drop(edit.varint().zip(edit.text()).ok_or(CUT)?),
                105 => drop(edit.varint().zip(edit.varint()).ok_or(CUT)?),
                6 => gone.push(edit.varint().zip(edit.varint()).ok_or(CUT)?),
                tag @ (7 | 100 | 102 | 103) => {
                    let table = table(&mut edit, tag)?;
                    new.extend(table.may_hold(key).then_some((table.number, table.level)));
                }
                _ => return Err(Unreadable::Unknown("its manifest tells what only other dialects tell")),
            }
        }
        for (level, number) in gone {
            if self.tables.get(&number) == Some(&level) {
                self.tables.remove(&number);
            }
        }
        self.tables.extend(new);
        if self.tables.len() > TABLES_MAX {
            return Err(Unreadable::Unknown("more than 1000 tables may hold the key"));
        }
        Ok(())
    }
}

/// A table that was added.
struct Table<'a> {
    level: u64,
    number: u64,
    smallest: &'a [u8],
    largest: &'a [u8],
}

impl Table<'_> {
    fn may_hold(&self, key: &[u8]) -> bool {
        user_key(self.smallest) <= Some(key) && user_key(self.largest).is_some_and(|largest| largest >= key)
    }
}

/// The key that a person wrote, of one in a table.
pub(super) fn user_key(key: &[u8]) -> Option<&[u8]> {
    key.len().checked_sub(TRAILER_BYTES).and_then(|length| key.get(..length))
}

fn table<'a>(edit: &mut Bytes<'a>, tag: u64) -> Result<Table<'a>, Unreadable> {
    const CUT: Unreadable = Unreadable::Damaged("a manifest that breaks off");
    let (level, number) = edit.varint().zip(edit.varint()).ok_or(CUT)?;
    if tag == 102 {
        edit.varint().ok_or(CUT)?;
    }
    edit.varint().ok_or(CUT)?;
    let (smallest, largest) = edit.text().zip(edit.text()).ok_or(CUT)?;
    if tag != 7 {
        // Of which writings.
        edit.varint().zip(edit.varint()).ok_or(CUT)?;
    }
    if tag == 103 {
        more(edit)?;
    }
    Ok(Table { level, number, smallest, largest })
}

/// What newer dialects tell of a table besides.
fn more(edit: &mut Bytes<'_>) -> Result<(), Unreadable> {
    const CUT: Unreadable = Unreadable::Damaged("a manifest that breaks off");
    loop {
        match edit.varint().ok_or(CUT)? {
            1 => return Ok(()),
            // From this bit on, what is not known must not be passed over.
            tag if tag & 64 != 0 => return Err(Unreadable::Unknown("a table is a part of another one")),
            _ => drop(edit.text().ok_or(CUT)?),
        }
    }
}
