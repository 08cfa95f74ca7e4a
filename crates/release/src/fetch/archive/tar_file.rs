//! Members of a tar archive, in the order of the stream.
//!
//! Headers are taken apart here and not by a library, for the long names that stand before a member have to be
//! bounded, and two ways to say one thing that differ are an attack on whoever reads the other one.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use super::{ArchiveError, Limits, Member, Visit, What, name, unreadable};

const BLOCK_BYTES: u64 = 512;
/// Long names, link texts, and lists of properties.
const EXTENSION_BYTES_MAX: u64 = 64 * 1024;
/// Headers that describe the member behind them.
const EXTENSIONS_IN_A_ROW_MAX: usize = 8;

/// What headers before a member said about it.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    count: usize,
}

pub(super) fn each_member<E: From<ArchiveError>>(
    reader: &mut dyn Read,
    limits: &Limits,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let mut ahead = Ahead::default();
    let mut count = 0;
    while let Some(header) = next_header(reader)? {
        let size = header.entry_size().map_err(|_| damaged("a member has no size"))?;
        if ahead.read(&header, size, reader)? {
            continue;
        }
        count += 1;
        if count > limits.members_max {
            return Err(ArchiveError::Many { allowed: limits.members_max }.into());
        }
        let said = std::mem::take(&mut ahead);
        let raw_name = said.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let (path, what) = judge(&header, &raw_name, said.link, size)?;
        let mut contents = (&mut *reader).take(size);
        visit(Member { path, what, size: Some(size), contents: &mut contents })?;
        let left = contents.limit();
        skip(reader, left + padding(size))?;
    }
    if ahead.count > 0 {
        return Err(damaged("it ends with a description of nothing").into());
    }
    // What is behind the end counts for nothing, but a stream that breaks off is damaged all the same.
    io::copy(reader, &mut io::sink()).map_err(unreadable)?;
    Ok(())
}

fn damaged(why: &str) -> ArchiveError {
    ArchiveError::Damaged(why.to_owned())
}

/// The next header; `None` at the end, which is a block of zeros or the end of the stream.
fn next_header(reader: &mut dyn Read) -> Result<Option<Header>, ArchiveError> {
    let mut header = Header::new_old();
    let block = header.as_mut_bytes();
    let mut read = 0;
    while read < block.len() {
        match reader.read(&mut block[read..]) {
            Ok(0) if read == 0 => return Ok(None),
            Ok(0) => return Err(unreadable(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sum: u32 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    if header.cksum().ok() != Some(sum) {
        return Err(damaged("the checksum of a header is wrong"));
    }
    Ok(Some(header))
}

impl Ahead {
    /// Takes a header that only describes the next one; false if it is a member itself.
    fn read(&mut self, header: &Header, size: u64, reader: &mut dyn Read) -> Result<bool, ArchiveError> {
        let kind = header.entry_type();
        let is_extension = matches!(
            kind,
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
        );
        if !is_extension {
            return Ok(false);
        }
        self.count += 1;
        if size > EXTENSION_BYTES_MAX || self.count > EXTENSIONS_IN_A_ROW_MAX {
            return Err(damaged("the description of a member is longer than any honest one"));
        }
        let mut bytes = Vec::new();
        (&mut *reader).take(size).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 != size {
            return Err(unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        skip(reader, padding(size))?;
        match kind {
            EntryType::GNULongName => once(&mut self.name, until_zero(bytes))?,
            EntryType::GNULongLink => once(&mut self.link, until_zero(bytes))?,
            EntryType::XHeader => self.read_properties(&bytes)?,
            // For all members: times, comments, and whatever cannot name one.
            _ => {}
        }
        Ok(true)
    }

    fn read_properties(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        for property in PaxExtensions::new(bytes) {
            let property = property.map_err(|_| damaged("the properties of a member cannot be read"))?;
            match property.key_bytes() {
                b"path" => once(&mut self.name, property.value_bytes().to_vec())?,
                b"linkpath" => once(&mut self.link, property.value_bytes().to_vec())?,
                b"size" => return Err(damaged("a member says its size twice")),
                key if key.starts_with(b"GNU.sparse.") => {
                    return Err(damaged("a member is sparse, which is not unpacked"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn once(place: &mut Option<Vec<u8>>, value: Vec<u8>) -> Result<(), ArchiveError> {
    if place.replace(value).is_some() { Err(damaged("a member has two names")) } else { Ok(()) }
}

fn until_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        bytes.truncate(end);
    }
    bytes
}

/// What a member is, if it may be.
fn judge(header: &Header, raw_name: &[u8], link: Option<Vec<u8>>, size: u64) -> Result<(String, What), ArchiveError> {
    let refused = |why: &str| ArchiveError::member(raw_name, why);
    let path = name::accept(raw_name).map_err(refused)?;
    let mode = header.mode().map_err(|_| refused("its mode cannot be read"))?;
    let what = match header.entry_type() {
        // Old archives mark directories by their names alone.
        EntryType::Regular if raw_name.ends_with(b"/") && size == 0 => What::Directory,
        EntryType::Regular | EntryType::Continuous => What::File { mode },
        EntryType::Directory if size == 0 => What::Directory,
        EntryType::Directory => return Err(refused("it is a directory with contents")),
        EntryType::Symlink => {
            let to = link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned)).unwrap_or_default();
            let to = String::from_utf8(to).map_err(|_| refused("it is a link to what is not UTF-8"))?;
            What::Link { to }
        }
        EntryType::Link => return Err(refused("it is a hard link")),
        EntryType::Char | EntryType::Block => return Err(refused("it is a device")),
        EntryType::Fifo => return Err(refused("it is a named pipe")),
        EntryType::GNUSparse => return Err(refused("it is sparse, which is not unpacked")),
        other => {
            let kind = char::from(other.as_byte()).escape_default().to_string();
            return Err(ArchiveError::member(raw_name, format!("it is of the unknown kind `{kind}`")));
        }
    };
    Ok((path, what))
}

fn padding(size: u64) -> u64 {
    (BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES
}

fn skip(reader: &mut dyn Read, bytes: u64) -> Result<(), ArchiveError> {
    let skipped = io::copy(&mut (&mut *reader).take(bytes), &mut io::sink()).map_err(unreadable)?;
    if skipped < bytes { Err(unreadable(io::ErrorKind::UnexpectedEof.into())) } else { Ok(()) }
}
