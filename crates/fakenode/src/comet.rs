//! The height in databases, as CometBFT keeps it in LevelDB: `blockstore.db`, written before a block is carried out, and
//! `state.db`, written after.
//!
//! Only ever a log, and a manifest that says so: a database of one key does not come to need tables. Written here by
//! hand, so that whoever reads them is not tested by itself.

use crate::error::Error;
use crate::files;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
const LOG: &str = "000002.log";

/// Both databases of a running node.
#[derive(Debug)]
pub(crate) struct Databases {
    blocks: Database,
    states: Database,
}

impl Databases {
    /// Begins both anew, at the height that the data has.
    pub(crate) fn begin(data: &Path, height: u64) -> Result<Self, Error> {
        let blocks = Database::begin(&data.join("blockstore.db"), b"blockStore", &stored(height))?;
        let states = Database::begin(&data.join("state.db"), b"stateKey", &carried_out(height))?;
        Ok(Self { blocks, states })
    }

    /// This block is stored, and not carried out yet.
    pub(crate) fn store(&mut self, height: u64) -> Result<(), Error> {
        self.blocks.put(&stored(height))
    }

    /// This block was carried out.
    pub(crate) fn carry_out(&mut self, height: u64) -> Result<(), Error> {
        self.states.put(&carried_out(height))
    }
}

/// A database of one key.
#[derive(Debug)]
struct Database {
    path: PathBuf,
    log: File,
    key: &'static [u8],
    written: usize,
    sequence: u64,
}

impl Database {
    fn begin(directory: &Path, key: &'static [u8], value: &[u8]) -> Result<Self, Error> {
        files::make_directory(directory)?;
        // How keys are ordered, the log, the next number of a file, the last writing.
        let edit = [&[1, 26][..], b"leveldb.BytewiseComparator", &[2, 2, 3, 3, 4, 0]].concat();
        files::replace(&directory.join("MANIFEST-000001"), &framed(&edit, 0))?;
        files::replace(&directory.join("CURRENT"), b"MANIFEST-000001\n")?;
        let path = directory.join(LOG);
        let first = framed(&batch(1, key, value), 0);
        files::replace(&path, &first)?;
        let log = OpenOptions::new().append(true).open(&path).map_err(Error::io("open", &path))?;
        Ok(Self { path, log, key, written: first.len(), sequence: 1 })
    }

    fn put(&mut self, value: &[u8]) -> Result<(), Error> {
        self.sequence += 1;
        let bytes = framed(&batch(self.sequence, self.key, value), self.written % BLOCK_BYTES);
        self.written += bytes.len();
        self.log.write_all(&bytes).map_err(Error::io("append to", &self.path))
    }
}

/// The state of the block store: its lowest and its highest block.
fn stored(height: u64) -> Vec<u8> {
    [&[0x08, 1, 0x10][..], &varint(height)].concat()
}

/// The state: the name of the chain, and the last block.
fn carried_out(height: u64) -> Vec<u8> {
    [&[0x12, 4][..], b"fake", &[0x18], &varint(height)].concat()
}

/// One writing of one key.
fn batch(sequence: u64, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = sequence.to_le_bytes().to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.push(1);
    for text in [key, value] {
        bytes.extend(varint(text.len() as u64));
        bytes.extend(text);
    }
    bytes
}

/// A record as it stands in a log, in chunks that do not cross a block; `at`: how far the present block is filled.
fn framed(record: &[u8], at: usize) -> Vec<u8> {
    let (mut bytes, mut rest, mut at, mut is_first) = (Vec::new(), record, at, true);
    loop {
        let room = BLOCK_BYTES - at;
        if room < HEADER_BYTES {
            bytes.resize(bytes.len() + room, 0);
            at = 0;
            continue;
        }
        let (chunk, left) = rest.split_at(rest.len().min(room - HEADER_BYTES));
        let kind = match (is_first, left.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let covered = [&[kind], chunk].concat();
        let checksum = crc32c::crc32c(&covered).rotate_right(15).wrapping_add(0xa282_ead8);
        bytes.extend(checksum.to_le_bytes());
        bytes.extend(u16::try_from(chunk.len()).unwrap_or_default().to_le_bytes());
        bytes.extend(covered);
        if left.is_empty() {
            return bytes;
        }
        (rest, at, is_first) = (left, 0, false);
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = value.to_le_bytes()[0] & 0x7f;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_where_blocks_end() {
        assert_eq!(framed(b"abc", 0).len(), HEADER_BYTES + 3);
        let cut = framed(b"abc", BLOCK_BYTES - HEADER_BYTES - 1);
        assert_eq!((cut.len(), cut[6], cut[8 + 6]), (2 * HEADER_BYTES + 3, 2, 4));
        let moved = framed(b"abc", BLOCK_BYTES - 3);
        assert_eq!((&moved[..3], moved.len(), moved[3 + 6]), (&[0, 0, 0][..], 3 + HEADER_BYTES + 3, 1));
    }

    #[test]
    fn numbers_have_seven_bits_a_byte() {
        assert_eq!((varint(0), varint(127), varint(300)), (vec![0], vec![127], vec![0xac, 0x02]));
    }
}
