//! Logs: records cut into chunks that never cross a block. What was written lately stands in
//! such files, and so does the manifest.
//!
//! A chunk that is damaged costs the rest of its block and the record that it belongs to, as in the libraries; the end
//! of a log that a crash tore off costs nothing else.

use std::io::Read as _;
use std::path::Path;

use ov_sys::Disk;
use ov_sys::disk::Reader;

use super::Unreadable;
use super::bytes::{Bytes, checksum};

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES_MAX: usize = 19;
/// A record holds at most what one block of a chain brings.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// Logs are begun anew after a few mebibytes, manifests after 64.
const LOG_BYTES_MAX: u64 = 512 << 20;

/// One log, read from its beginning.
pub(super) struct Log {
    reader: Box<dyn Reader>,
    name: String,
    /// The number of the file: where files are used again, chunks of their earlier life carry another one.
    number: Option<u64>,
    block: Vec<u8>,
    at: usize,
    left: u64,
    is_over: bool,
}

/// Which part of a record a chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Full,
    First,
    Middle,
    Last,
}

/// What lies at a place of a block.
enum Chunk {
    Found(Part, std::ops::Range<usize>),
    /// Nothing more in this block.
    Rest,
    /// Left over from an earlier life of the file.
    Foreign,
}

impl Log {
    pub(super) fn open(disk: &dyn Disk, path: &Path, number: Option<u64>) -> Result<Self, Unreadable> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let reader = disk.open(path).map_err(|error| Unreadable::disk(&name, error))?;
        Ok(Self { reader, name, number, block: Vec::new(), at: 0, left: LOG_BYTES_MAX, is_over: false })
    }

    /// The next whole record.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        let mut record: Option<Vec<u8>> = None;
        loop {
            match self.chunk() {
                Chunk::Found(part, range) => {
                    let payload = self.block.get(range).unwrap_or_default();
                    match part {
                        Part::Full => return Ok(Some(payload.to_vec())),
                        Part::First => record = Some(payload.to_vec()),
                        Part::Middle | Part::Last => {
                            // Without its beginning it is the end of a record that was damaged.
                            let Some(begun) = &mut record else { continue };
                            if begun.len() + payload.len() > RECORD_BYTES_MAX {
                                return Err(Unreadable::Unknown("a record is longer than 64 MiB"));
                            }
                            begun.extend_from_slice(payload);
                        }
                    }
                    if part == Part::Last {
                        return Ok(record);
                    }
                }
                Chunk::Foreign => return Ok(None),
                Chunk::Rest => {
                    if self.was_cut_short() {
                        record = None;
                    }
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Whether the block ends before its chunks do: then what follows does not belong to them. Where not even a header
    /// has room, there is none.
    fn was_cut_short(&self) -> bool {
        self.block.len().saturating_sub(self.at) >= HEADER_BYTES_MAX
    }

    fn chunk(&mut self) -> Chunk {
        let block = self.block.get(self.at..).unwrap_or_default();
        let Some((part, own_number, header, length)) = header(block) else { return Chunk::Rest };
        let Some(chunk) = block.get(..header + length) else { return Chunk::Rest };
        let said = Bytes(chunk).fixed32();
        if said != chunk.get(6..).map(checksum) {
            return Chunk::Rest;
        }
        if own_number.zip(self.number).is_some_and(|(own, number)| u64::from(own) != number & 0xffff_ffff) {
            return Chunk::Foreign;
        }
        let begin = self.at + header;
        self.at = begin + length;
        Chunk::Found(part, begin..self.at)
    }

    /// Reads the next block.
    fn fill(&mut self) -> Result<bool, Unreadable> {
        if self.is_over {
            return Ok(false);
        }
        self.block.clear();
        self.at = 0;
        let mut piece = (&mut self.reader).take(BLOCK_BYTES as u64);
        let read = piece.read_to_end(&mut self.block).map_err(|error| Unreadable::disk(&self.name, error))?;
        self.is_over = read < BLOCK_BYTES;
        self.left = self.left.saturating_sub(read as u64);
        if self.left == 0 {
            return Err(Unreadable::Unknown("a log is longer than 512 MiB"));
        }
        Ok(read > 0)
    }
}

/// The part of a record, the number of the log if it is told, and how long header and payload are.
fn header(block: &[u8]) -> Option<(Part, Option<u32>, usize, usize)> {
    let mut bytes = Bytes(block);
    let _checksum = bytes.fixed32()?;
    let length = usize::from(u16::from_le_bytes(bytes.take(2)?.try_into().ok()?));
    let kind = bytes.byte()?;
    let (kind, number, header) = match kind {
        1..=4 => (kind, None, 7),
        // Files that are used again.
        5..=8 => (kind - 4, Some(bytes.fixed32()?), 11),
        // The same, and how far the file was synced.
        9..=12 => (kind - 8, Some(bytes.fixed32()?), HEADER_BYTES_MAX),
        _ => return None,
    };
    let part = match kind {
        1 => Part::Full,
        2 => Part::First,
        3 => Part::Middle,
        _ => Part::Last,
    };
    Some((part, number, header, length))
}
