//! One segment: its name, its header, and what its bytes hold. Pure but for [`list`].

use std::io;
use std::path::{Path, PathBuf};

use ov_sys::Disk;
use serde::{Deserialize, Serialize};

use crate::error::{Damage, JournalError};
use crate::line::{self, Line, Part};
use crate::recovery::{Found, Shape, Verdict, decide};
use crate::{Entry, Parsed, Sequence};

/// The format's name, in every header.
pub const FORMAT: &str = "omnivisor-journal";
/// Raised when old readers would misread.
pub const MAJOR: u32 = 1;
/// Raised when old readers may read, and must not write.
pub const MINOR: u32 = 0;

/// No segment grows beyond this, and no reader takes more.
pub(crate) const SEGMENT_BYTES_LIMIT: u64 = 64 * 1024 * 1024;

const EXTENSION: &str = "ovj";
const NAME_DIGITS: usize = 12;

/// The first record of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    format: String,
    major: u32,
    minor: u32,
    /// Version of the program that made the segment.
    writer: String,
}

impl Header {
    pub(crate) fn new(writer: &str) -> Self {
        Self { format: FORMAT.to_owned(), major: MAJOR, minor: MINOR, writer: writer.to_owned() }
    }

    /// Whether the segment may be written to by us.
    pub(crate) fn check_writable(&self, path: &Path) -> Result<(), JournalError> {
        if self.minor > MINOR {
            return Err(JournalError::NewerMinor {
                path: path.to_owned(),
                minor: self.minor,
                writer: self.writer.clone(),
            });
        }
        Ok(())
    }
}

/// The name of the segment whose first line has this number.
pub(crate) fn path_of(directory: &Path, first: Sequence) -> PathBuf {
    directory.join(format!("{:0width$}.{EXTENSION}", first.0, width = NAME_DIGITS))
}

/// The first numbers of all segments, oldest first. Other names are not ours.
pub(crate) fn list(disk: &dyn Disk, directory: &Path) -> Result<Vec<Sequence>, JournalError> {
    let names = match disk.list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        result => result.map_err(|source| JournalError::Disk { action: "list", path: directory.to_owned(), source })?,
    };
    let mut firsts: Vec<Sequence> = names.iter().filter_map(|name| first_of(Path::new(name))).collect();
    firsts.sort_unstable();
    Ok(firsts)
}

fn first_of(name: &Path) -> Option<Sequence> {
    let stem = name.file_stem()?.to_str()?;
    let ours = stem.len() == NAME_DIGITS && name.extension()?.to_str()? == EXTENSION;
    ours.then(|| line::digits(stem.as_bytes()).map(Sequence)).flatten()
}

/// An intact line and where it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    line: Line<'a>,
    offset: usize,
}

/// A segment's bytes, read.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    pub(crate) header: Header,
    /// The records, the header left out, of all whole appends.
    pub(crate) lines: Vec<Placed<'a>>,
    /// How many of them belong to the opening.
    pub(crate) restated: usize,
    /// Length of what was accepted.
    pub(crate) accepted_bytes: usize,
}

impl Scan<'_> {
    /// The number after the last one accepted.
    pub(crate) fn next(&self, first: Sequence) -> Sequence {
        Sequence(first.0 + 1 + self.lines.len() as u64)
    }

    /// The records as the caller wants them.
    pub(crate) fn entries<R: serde::de::DeserializeOwned>(&self, path: &Path) -> Result<Vec<Entry<R>>, JournalError> {
        let parse = |(index, Placed { line, .. }): (usize, &Placed<'_>)| {
            let record = match serde_json::from_slice(line.json) {
                Ok(record) => Parsed::Known(record),
                Err(_) => match serde_json::from_slice(line.json) {
                    Ok(value) => Parsed::Unknown(value),
                    Err(_) => return Err(self.foreign(path, index)),
                },
            };
            Ok(Entry { sequence: line.sequence, restated: index < self.restated, record })
        };
        self.lines.iter().enumerate().map(parse).collect()
    }

    fn foreign(&self, path: &Path, index: usize) -> JournalError {
        JournalError::Damaged {
            path: path.to_owned(),
            // The header is the first line.
            line: index as u64 + 2,
            offset: self.lines[index].offset as u64,
            damage: Damage::Foreign,
        }
    }
}

/// Reads the bytes of the segment at `path`, which by its name begins with `first`.
pub(crate) fn scan<'a>(bytes: &'a [u8], path: &Path, first: Sequence, newest: bool) -> Result<Scan<'a>, JournalError> {
    let mut reading = Reading { bytes, offset: 0, header: None, lines: Vec::new(), before: None, accepted: None };
    loop {
        let whole = reading.before.is_some_and(Part::ends);
        if whole {
            reading.accept();
            if reading.offset == bytes.len() {
                break;
            }
        }
        let expected = Sequence(first.0 + reading.lines.len() as u64);
        let (line, shape, end) = reading.look(expected);
        let followed = shape != Shape::InOrder && begins_append(&bytes[reading.offset..]);
        let found = Found { shape, opening: reading.accepted.is_none(), newest, followed };
        match (decide(found), line) {
            (Verdict::Accept, Some(line)) => reading.take(line, end, path)?,
            (Verdict::CutTail, _) => break,
            (Verdict::Refuse(damage), _) => return Err(reading.damaged(path, damage)),
            (Verdict::Accept | Verdict::Impossible, _) => return Err(reading.damaged(path, Damage::Middle)),
        }
    }
    reading.finish(path)
}

/// How far a scan has come.
struct Reading<'a> {
    bytes: &'a [u8],
    offset: usize,
    header: Option<Header>,
    /// With the header's line.
    lines: Vec<Placed<'a>>,
    before: Option<Part>,
    accepted: Option<Accepted>,
}

/// The whole appends so far.
struct Accepted {
    opening_lines: usize,
    lines: usize,
    bytes: usize,
}

impl<'a> Reading<'a> {
    /// The line at the offset, how it looks, and where the next one begins.
    fn look(&self, expected: Sequence) -> (Option<Line<'a>>, Shape, usize) {
        let rest = &self.bytes[self.offset..];
        let Some(len) = rest.iter().position(|&byte| byte == b'\n') else {
            return (None, Shape::Unfinished, self.bytes.len());
        };
        let end = self.offset + len + 1;
        match line::decode(&rest[..len]) {
            None => (None, Shape::Garbled, end),
            Some(line) if line.sequence == expected && line.part.follows(self.before) => {
                (Some(line), Shape::InOrder, end)
            }
            Some(line) => (Some(line), Shape::OutOfOrder, end),
        }
    }

    fn take(&mut self, line: Line<'a>, end: usize, path: &Path) -> Result<(), JournalError> {
        if self.header.is_none() {
            // At once, as in another major version what follows may have another form.
            self.header = Some(read_header(line.json, path)?);
        }
        self.before = Some(line.part);
        self.lines.push(Placed { line, offset: self.offset });
        self.offset = end;
        Ok(())
    }

    fn accept(&mut self) {
        let (lines, bytes) = (self.lines.len(), self.offset);
        let opening_lines = self.accepted.as_ref().map_or(lines, |accepted| accepted.opening_lines);
        self.accepted = Some(Accepted { opening_lines, lines, bytes });
    }

    fn damaged(&self, path: &Path, damage: Damage) -> JournalError {
        JournalError::Damaged {
            path: path.to_owned(),
            line: self.lines.len() as u64 + 1,
            offset: self.offset as u64,
            damage,
        }
    }

    fn finish(mut self, path: &Path) -> Result<Scan<'a>, JournalError> {
        let (Some(header), Some(accepted)) = (self.header.take(), self.accepted.take()) else {
            return Err(self.damaged(path, Damage::Opening));
        };
        self.lines.truncate(accepted.lines);
        Ok(Scan {
            header,
            lines: self.lines.split_off(1),
            restated: accepted.opening_lines - 1,
            accepted_bytes: accepted.bytes,
        })
    }
}

/// Whether an intact line that begins an append stands behind the beginning of these bytes, be it in their first
/// line: if that has lost its end, the line behind it looks like a part of it.
fn begins_append(bytes: &[u8]) -> bool {
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let begins = |line: &[u8]| line::decode(line).is_some_and(|line| line.part.begins());
    let first = lines.next().unwrap_or_default();
    line::starts(first).filter(|&start| start > 0).any(|start| begins(&first[start..])) || lines.any(begins)
}

fn read_header(json: &[u8], path: &Path) -> Result<Header, JournalError> {
    let header: Header = match serde_json::from_slice(json) {
        Ok(header) => header,
        Err(_) => return Err(foreign_header(path)),
    };
    if header.format != FORMAT {
        return Err(foreign_header(path));
    }
    if header.major != MAJOR {
        return Err(JournalError::OtherMajor { path: path.to_owned(), major: header.major, writer: header.writer });
    }
    Ok(header)
}

/// The segment before this one does not reach up to it.
pub(crate) fn gap_before(path: &Path) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), line: 1, offset: 0, damage: Damage::Gap }
}

fn foreign_header(path: &Path) -> JournalError {
    JournalError::Damaged { path: path.to_owned(), line: 1, offset: 0, damage: Damage::Foreign }
}

/// Reads a segment from memory as recovery would, as the newest one, and tells how many records and bytes it would
/// accept. For fuzzing and for tools that check a copy.
pub fn check_segment(bytes: &[u8], first: Sequence) -> Result<(usize, usize), JournalError> {
    let path = path_of(Path::new(""), first);
    let scan = scan(bytes, &path, first, true)?;
    let entries = scan.entries::<serde_json::Value>(&path)?;
    Ok((entries.len(), scan.accepted_bytes))
}
