//! Tables: sorted keys in blocks, an index over the blocks, and a footer that says where the index is.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use ov_sys::Disk;
use ov_sys::disk::Reader;

use super::batch::{DELETE, DELETE_SIZED, SET, SET_WITH_DELETE, SINGLE_DELETE};
use super::bytes::{Bytes, checksum};
use super::manifest::user_key;
use super::{Newest, Unreadable};

const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const MAGIC_OF_ROCKS: u64 = 0x88e2_41b7_85f4_cff7;
const FOOTER_BYTES: usize = 48;
const FOOTER_BYTES_OF_ROCKS: usize = 53;
/// A block holds one value at least, and that may be a large one.
const BLOCK_BYTES_MAX: usize = 64 << 20;
const PROPERTIES: &[u8] = b"rocksdb.properties";
const INDEX_KIND: &[u8] = b"rocksdb.block.based.table.index.type";
/// Blocks that are looked at in one table: a key stands in one, or at the border of two.
const BLOCKS_MAX: usize = 8;

const CUT: Unreadable = Unreadable::Damaged("a table that breaks off");

/// Looks for a key in a table.
pub(super) fn look(
    disk: &dyn Disk,
    directory: &Path,
    number: u64,
    key: &[u8],
    newest: &mut Newest,
) -> Result<(), Unreadable> {
    let mut table = Table::open(disk, directory, number)?;
    let footer = table.footer()?;
    let has_two_levels = footer.is_of_rocks && table.has_two_levels(footer.meta)?;
    let index = table.block(footer.index)?;
    let mut blocks = Vec::new();
    for handle in handles(&index, key)? {
        if has_two_levels {
            blocks.extend(handles(&table.block(handle)?, key)?);
        } else {
            blocks.push(handle);
        }
    }
    for handle in blocks {
        if look_into(&table.block(handle)?, key, newest)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Where a block lies.
#[derive(Debug, Clone, Copy)]
struct Handle {
    at: u64,
    length: usize,
}

impl Handle {
    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        let (at, length) = bytes.varint().zip(bytes.length())?;
        Some(Self { at, length })
    }
}

struct Footer {
    meta: Handle,
    index: Handle,
    is_of_rocks: bool,
}

struct Table {
    reader: Box<dyn Reader>,
    name: String,
}

impl Table {
    fn open(disk: &dyn Disk, directory: &Path, number: u64) -> Result<Self, Unreadable> {
        let mut name = format!("{number:06}.ldb");
        let mut opened = disk.open(&directory.join(&name));
        if opened.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            // What it was called in earlier versions, and is in other dialects.
            name = format!("{number:06}.sst");
            opened = disk.open(&directory.join(&name));
        }
        let reader = opened.map_err(|error| Unreadable::disk(&name, error))?;
        Ok(Self { reader, name })
    }

    fn footer(&mut self) -> Result<Footer, Unreadable> {
        let failed = |error| Unreadable::disk(&self.name, error);
        let length = self.reader.seek(SeekFrom::End(0)).map_err(failed)?;
        let at = length.saturating_sub(FOOTER_BYTES_OF_ROCKS as u64);
        let end = self.bytes(at, usize::try_from(length - at).map_err(|_| CUT)?)?;
        let magic = end.len().checked_sub(8).and_then(|at| end.get(at..)).and_then(|magic| Bytes(magic).fixed64());
        let (footer, is_of_rocks) = match magic.ok_or(CUT)? {
            MAGIC => (end.len().checked_sub(FOOTER_BYTES).and_then(|at| end.get(at..)).ok_or(CUT)?, false),
            MAGIC_OF_ROCKS if end.len() == FOOTER_BYTES_OF_ROCKS => {
                // Which kind of checksums.
                if end.first() != Some(&1) {
                    return Err(Unreadable::Unknown("its tables have other checksums"));
                }
                (end.get(1..).ok_or(CUT)?, true)
            }
            _ => return Err(Unreadable::Unknown("its tables are of another dialect")),
        };
        let mut bytes = Bytes(footer);
        let (meta, index) = Handle::read(&mut bytes).zip(Handle::read(&mut bytes)).ok_or(CUT)?;
        Ok(Footer { meta, index, is_of_rocks })
    }

    fn bytes(&mut self, at: u64, length: usize) -> Result<Vec<u8>, Unreadable> {
        if length > BLOCK_BYTES_MAX {
            return Err(Unreadable::Unknown("a block of a table is longer than 64 MiB"));
        }
        let failed = |error| Unreadable::disk(&self.name, error);
        self.reader.seek(SeekFrom::Start(at)).map_err(failed)?;
        let mut bytes = Vec::new();
        (&mut self.reader).take(length as u64).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() == length { Ok(bytes) } else { Err(CUT) }
    }

    /// A block as it was before it was compressed.
    fn block(&mut self, handle: Handle) -> Result<Vec<u8>, Unreadable> {
        // Behind it: how it is compressed, and a checksum over both.
        let mut bytes = self.bytes(handle.at, handle.length.checked_add(5).ok_or(CUT)?)?;
        let (covered, said) = bytes.split_at_checked(handle.length + 1).ok_or(CUT)?;
        if Bytes(said).fixed32() != Some(checksum(covered)) {
            return Err(Unreadable::Damaged("a block of a table does not have its checksum"));
        }
        let compression = covered.last().copied();
        bytes.truncate(handle.length);
        match compression {
            Some(0) => Ok(bytes),
            Some(1) => uncompressed(&bytes),
            _ => Err(Unreadable::Unknown("its tables are compressed in another way")),
        }
    }

    /// Whether the index leads to other blocks of the index.
    fn has_two_levels(&mut self, meta: Handle) -> Result<bool, Unreadable> {
        let Some(handle) = find(&self.block(meta)?, PROPERTIES)? else { return Ok(false) };
        let handle = Handle::read(&mut Bytes(&handle)).ok_or(CUT)?;
        let kind = find(&self.block(handle)?, INDEX_KIND)?;
        match kind.as_deref().and_then(|kind| Bytes(kind).fixed32()) {
            None | Some(0) => Ok(false),
            Some(2) => Ok(true),
            Some(_) => Err(Unreadable::Unknown("its tables have another kind of index")),
        }
    }
}

fn uncompressed(bytes: &[u8]) -> Result<Vec<u8>, Unreadable> {
    let length = snap::raw::decompress_len(bytes).map_err(|_| CUT)?;
    if length > BLOCK_BYTES_MAX {
        return Err(Unreadable::Unknown("a block of a table is longer than 64 MiB"));
    }
    snap::raw::Decoder::new().decompress_vec(bytes).map_err(|_| CUT)
}

/// Calls for each entry of a block, with its key and value, until it is told to stop.
fn each(block: &[u8], mut look: impl FnMut(&[u8], &[u8]) -> Result<bool, Unreadable>) -> Result<(), Unreadable> {
    // At the end: where keys stand that are written whole, and how many of those there are.
    let entries = block.len().checked_sub(4).ok_or(CUT)?;
    let restarts = block.get(entries..).and_then(|count| Bytes(count).fixed32()).ok_or(CUT)?;
    let entries = usize::try_from(restarts).ok().and_then(|count| entries.checked_sub(count.checked_mul(4)?));
    let mut bytes = Bytes(entries.and_then(|entries| block.get(..entries)).ok_or(CUT)?);
    let mut key = Vec::new();
    while !bytes.is_empty() {
        let (shared, own) = bytes.length().zip(bytes.length()).ok_or(CUT)?;
        let length = bytes.length().ok_or(CUT)?;
        if shared > key.len() {
            return Err(CUT);
        }
        key.truncate(shared);
        key.extend_from_slice(bytes.take(own).ok_or(CUT)?);
        if look(&key, bytes.take(length).ok_or(CUT)?)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The value of a key in a block whose keys are what a person wrote.
fn find(block: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Unreadable> {
    let mut found = None;
    each(block, |there, value| {
        found = (there == key).then(|| value.to_vec());
        Ok(found.is_some())
    })?;
    Ok(found)
}

/// The blocks in which a key may stand, by an index: each of its keys is not before the last one of its block.
fn handles(index: &[u8], key: &[u8]) -> Result<Vec<Handle>, Unreadable> {
    let mut found = Vec::new();
    each(index, |last, handle| {
        let last = user_key(last).ok_or(CUT)?;
        if last >= key {
            found.push(Handle::read(&mut Bytes(handle)).ok_or(CUT)?);
        }
        Ok(last > key || found.len() == BLOCKS_MAX)
    })?;
    Ok(found)
}

/// Looks for a key in a block, and says whether that is the end of the search: the newest writing stands first.
fn look_into(block: &[u8], key: &[u8], newest: &mut Newest) -> Result<bool, Unreadable> {
    let mut is_over = false;
    each(block, |there, value| {
        let user = user_key(there).ok_or(CUT)?;
        is_over = user >= key;
        if user == key {
            let trailer = there.get(user.len()..).and_then(|trailer| Bytes(trailer).fixed64()).ok_or(CUT)?;
            let value = match trailer.to_le_bytes()[0] {
                SET | SET_WITH_DELETE => Some(value),
                DELETE | SINGLE_DELETE | DELETE_SIZED => None,
                _ => return Err(Unreadable::Unknown("a table does what only other dialects do")),
            };
            newest.offer(trailer >> 8, value);
        }
        Ok(is_over)
    })?;
    Ok(is_over)
}
