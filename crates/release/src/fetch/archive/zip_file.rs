//! Members of a zip archive, by its directory.
//!
//! A zip says everything twice, and archives in which the two differ, overlap or leave gaps for others to read are
//! made to deceive: here the directory and the members' own headers have to agree. Stored and deflated members are
//! read; encrypted ones, other methods and archives in parts are not.

use std::io::{self, Read, SeekFrom};

use flate2::bufread::DeflateDecoder;
use flate2::{Crc, CrcReader};

use super::{ArchiveError, Limits, Member, Source, Visit, What, name, unreadable};

const END_BYTES: u64 = 22;
const END64_BYTES: u64 = 56;
const LOCATOR64_BYTES: u64 = 20;
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
const COMMENT_BYTES_MAX: u64 = u16::MAX as u64;
const LINK_BYTES_MAX: u64 = 4000;
const SIZE_IN_EXTRA: u64 = u32::MAX as u64;

/// Where the directory lies.
struct Directory {
    offset: u64,
    len: u64,
    entries: u64,
}

/// A line of the directory.
struct Line {
    name: Vec<u8>,
    made_by_unix: bool,
    flags: u16,
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
    offset: u64,
    attributes: u32,
}

pub(super) fn each_member<E: From<ArchiveError>>(
    source: &mut dyn Source,
    len: u64,
    allowed: u64,
    limits: &Limits,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let directory = find_directory(source, len)?;
    if directory.entries > limits.members_max as u64 {
        return Err(ArchiveError::Many { allowed: limits.members_max }.into());
    }
    let lines = read_directory(source, &directory)?;
    let size = lines.iter().fold(0_u64, |sum, line| sum.saturating_add(line.size));
    if size > allowed {
        return Err(ArchiveError::Large { allowed }.into());
    }
    check_overlaps(&lines, directory.offset)?;
    for line in &lines {
        visit_line(source, line, &directory, visit)?;
    }
    Ok(())
}

fn damaged(why: &str) -> ArchiveError {
    ArchiveError::Damaged(why.to_owned())
}

/// Little-endian numbers out of a record whose length is known.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes.iter().skip(at).take(len).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::try_from(number(bytes, at, 2)).unwrap_or_default()
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::try_from(number(bytes, at, 4)).unwrap_or_default()
}

fn read_at(source: &mut dyn Source, at: u64, len: usize) -> Result<Vec<u8>, ArchiveError> {
    source.seek(SeekFrom::Start(at)).map_err(unreadable)?;
    let mut bytes = vec![0; len];
    source.read_exact(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn find_directory(source: &mut dyn Source, len: u64) -> Result<Directory, ArchiveError> {
    let Some(last) = len.checked_sub(END_BYTES) else { return Err(damaged("it is too short for a zip")) };
    let from = last.saturating_sub(COMMENT_BYTES_MAX);
    let tail = read_at(source, from, usize::try_from(len - from).map_err(|_| damaged("it is too long"))?)?;
    // The comment behind the end reaches to the end of the file, so that no other end can hide in it.
    let is_end = |at: &usize| {
        let record = &tail[*at..];
        record.starts_with(b"PK\x05\x06") && record.len() == 22 + usize::from(short(record, 20))
    };
    let last_at = usize::try_from(last - from).unwrap_or_default();
    let at = (0..=last_at).rev().find(is_end).ok_or_else(|| damaged("it is not a zip, or its end is missing"))?;
    let record = &tail[at..];
    if short(record, 4) != 0 || short(record, 6) != 0 || short(record, 8) != short(record, 10) {
        return Err(damaged("it is one part of several"));
    }
    let end = from + at as u64;
    let directory =
        Directory { entries: number(record, 10, 2), len: number(record, 12, 4), offset: number(record, 16, 4) };
    let needs_more =
        directory.entries == u64::from(u16::MAX) || directory.len == SIZE_IN_EXTRA || directory.offset == SIZE_IN_EXTRA;
    let (directory, end) = if needs_more { find_directory64(source, end)? } else { (directory, end) };
    if directory.offset.checked_add(directory.len) != Some(end) {
        return Err(damaged("its directory is not where it should be"));
    }
    Ok(directory)
}

fn find_directory64(source: &mut dyn Source, end: u64) -> Result<(Directory, u64), ArchiveError> {
    let wrong = || damaged("its large directory is not where it should be");
    let locator_at = end.checked_sub(LOCATOR64_BYTES).ok_or_else(wrong)?;
    let locator = read_at(source, locator_at, 20)?;
    let at = number(&locator, 8, 8);
    if !locator.starts_with(b"PK\x06\x07") || at.checked_add(END64_BYTES).is_none_or(|behind| behind > locator_at) {
        return Err(wrong());
    }
    let record = read_at(source, at, 56)?;
    let behind = at.checked_add(12).and_then(|begin| begin.checked_add(number(&record, 4, 8)));
    if !record.starts_with(b"PK\x06\x06") || behind != Some(locator_at) {
        return Err(wrong());
    }
    if long(&record, 16) != 0 || long(&record, 20) != 0 || number(&record, 24, 8) != number(&record, 32, 8) {
        return Err(damaged("it is one part of several"));
    }
    let directory =
        Directory { entries: number(&record, 32, 8), len: number(&record, 40, 8), offset: number(&record, 48, 8) };
    Ok((directory, at))
}

fn read_directory(source: &mut dyn Source, directory: &Directory) -> Result<Vec<Line>, ArchiveError> {
    let mut lines = Vec::new();
    let mut at = directory.offset;
    for _ in 0..directory.entries {
        let head = read_at(source, at, ENTRY_BYTES)?;
        if !head.starts_with(b"PK\x01\x02") {
            return Err(damaged("its directory breaks off"));
        }
        let lens = [28, 30, 32].map(|at| usize::from(short(&head, at)));
        let rest = read_at(source, at + ENTRY_BYTES as u64, lens.iter().sum())?;
        let (name, extra) = (&rest[..lens[0]], &rest[lens[0]..lens[0] + lens[1]]);
        lines.push(read_line(&head, name, extra)?);
        at += (ENTRY_BYTES + rest.len()) as u64;
    }
    if at != directory.offset + directory.len {
        return Err(damaged("its directory is not as long as it says"));
    }
    Ok(lines)
}

fn read_line(head: &[u8], name: &[u8], extra: &[u8]) -> Result<Line, ArchiveError> {
    let mut large = properties(extra).find(|(id, _)| *id == 1).map_or(&[][..], |(_, value)| value);
    let mut larger = |number64: u64| {
        if number64 != SIZE_IN_EXTRA {
            return Ok(number64);
        }
        let (first, rest) = large.split_at_checked(8).ok_or_else(|| damaged("a large size is missing"))?;
        large = rest;
        Ok(number(first, 0, 8))
    };
    let (size, compressed) = (larger(number(head, 24, 4))?, larger(number(head, 20, 4))?);
    let offset = larger(number(head, 42, 4))?;
    Ok(Line {
        name: name.to_vec(),
        made_by_unix: head[5] == 3,
        flags: short(head, 8),
        method: short(head, 10),
        crc: long(head, 16),
        compressed,
        size,
        offset,
        attributes: long(head, 38),
    })
}

/// The extra properties of a member: a number and a value each. What is cut short ends them.
fn properties(extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = extra;
    std::iter::from_fn(move || {
        let (head, after) = rest.split_at_checked(4)?;
        let (value, after) = after.split_at_checked(usize::from(short(head, 2)))?;
        rest = after;
        Some((short(head, 0), value))
    })
}

/// Members lie one behind the other, before the directory.
fn check_overlaps(lines: &[Line], directory: u64) -> Result<(), ArchiveError> {
    let mut places: Vec<_> = lines.iter().map(|line| (line.offset, line)).collect();
    places.sort_unstable_by_key(|(offset, _)| *offset);
    let ends = places.iter().skip(1).map(|(offset, _)| *offset).chain([directory]);
    for ((offset, line), end) in places.iter().zip(ends) {
        let least = (LOCAL_BYTES + line.name.len()) as u64;
        if offset.saturating_add(least).saturating_add(line.compressed) > end {
            return Err(ArchiveError::member(&line.name, "it overlaps with another member"));
        }
    }
    Ok(())
}

fn visit_line<E: From<ArchiveError>>(
    source: &mut dyn Source,
    line: &Line,
    directory: &Directory,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let refused = |why: &str| ArchiveError::member(&line.name, why);
    if line.flags & 0x2041 != 0 {
        return Err(refused("it is encrypted").into());
    }
    let begin = begin_of(source, line, directory)?;
    let path = name::accept(&line.name).map_err(refused)?;
    source.seek(SeekFrom::Start(begin)).map_err(unreadable)?;
    let compressed = io::BufReader::new(source.take(line.compressed));
    let contents: Box<dyn Read + '_> = match line.method {
        0 if line.compressed == line.size => Box::new(compressed),
        0 => return Err(refused("it is stored, and has two sizes").into()),
        8 => Box::new(DeflateDecoder::new(compressed)),
        other => {
            return Err(ArchiveError::member(
                &line.name,
                format!("it is compressed by method {other}, which is not read"),
            )
            .into());
        }
    };
    let mut contents = Checked { inner: CrcReader::new(contents), left: line.size, crc: line.crc };
    let what = what_of(line, &mut contents)?;
    visit(Member { path, what, size: Some(line.size), contents: &mut contents })
}

/// Where the contents of a member begin, if its own header agrees with the directory.
fn begin_of(source: &mut dyn Source, line: &Line, directory: &Directory) -> Result<u64, ArchiveError> {
    let differs = || ArchiveError::member(&line.name, "its header and the directory differ");
    let head = read_at(source, line.offset, LOCAL_BYTES)?;
    let lens = [26, 28].map(|at| usize::from(short(&head, at)));
    let name = read_at(source, line.offset + LOCAL_BYTES as u64, lens[0])?;
    if !head.starts_with(b"PK\x03\x04") || name != line.name || short(&head, 8) != line.method {
        return Err(differs());
    }
    let begin = line.offset + (LOCAL_BYTES + lens[0] + lens[1]) as u64;
    if begin.saturating_add(line.compressed) > directory.offset {
        return Err(differs());
    }
    Ok(begin)
}

fn what_of(line: &Line, contents: &mut dyn Read) -> Result<What, ArchiveError> {
    let refused = |why: &str| ArchiveError::member(&line.name, why);
    let is_named_directory = line.name.ends_with(b"/");
    let mode = line.attributes >> 16;
    let kind = if line.made_by_unix { mode & 0o170_000 } else { 0 };
    match kind {
        0o040_000 if line.size == 0 => Ok(What::Directory),
        0 | 0o100_000 if is_named_directory && line.size == 0 => Ok(What::Directory),
        0 | 0o100_000 | 0o040_000 if is_named_directory || kind == 0o040_000 => {
            Err(refused("it is a directory with contents"))
        }
        0 => Ok(What::File { mode: 0o644 }),
        0o100_000 => Ok(What::File { mode }),
        0o120_000 => {
            let mut to = Vec::new();
            contents.take(LINK_BYTES_MAX).read_to_end(&mut to).map_err(unreadable)?;
            let to = String::from_utf8(to).map_err(|_| refused("it is a link to what is not UTF-8"))?;
            Ok(What::Link { to })
        }
        0o020_000 | 0o060_000 => Err(refused("it is a device")),
        0o010_000 => Err(refused("it is a named pipe")),
        0o140_000 => Err(refused("it is a socket")),
        _ => Err(refused("it is of an unknown kind")),
    }
}

/// Contents that have to be as long as was said, and to have the checksum that was said.
struct Checked<R> {
    inner: CrcReader<R>,
    left: u64,
    crc: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wrong = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            let crc: &Crc = self.inner.crc();
            return match (self.left, crc.sum() == self.crc) {
                (0, true) => Ok(0),
                (0, false) => wrong("the checksum of a member is wrong"),
                _ => wrong("a member is shorter than it says"),
            };
        }
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return wrong("a member is longer than it says"),
        }
        Ok(count)
    }
}
