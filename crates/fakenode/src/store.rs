//! The data directory of a running node.
//!
//! Write-once: `blocks/NNNNNN.sst`, sealed by rename and never touched again, which a supervisor
//! may hard-link. Mutable in place, which it must copy: `WAL.log` (appended and cut), `MANIFEST` and
//! `CURRENT` (overwritten). A snapshot that links what it should copy no longer verifies once the
//! node has moved on. It must not sign or know the network's schedule.

use crate::block::{BLOCK_BYTES, Block};
use crate::error::Error;
use crate::files;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The manifest is overwritten in one piece, so it always has this size.
const MANIFEST_BYTES: usize = 128;
pub(crate) const CURRENT_CONTENT: &[u8] = b"MANIFEST\n";

/// Where things lie in a data directory.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn of(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn blocks(&self) -> PathBuf {
        self.of("blocks")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.of("WAL.log")
    }

    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        self.blocks().join(format!("{number:06}.sst"))
    }

    /// The data format of the directory; a new directory has none.
    pub(crate) fn format(&self) -> Result<Option<u64>, Error> {
        let path = self.of("format");
        let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
        let format = text.trim().parse();
        format.map(Some).map_err(|_| Error::damaged(&path, format!("`{}` is no number", text.trim())))
    }

    pub(crate) fn raise_format(&self, format: u64) -> Result<(), Error> {
        files::replace(&self.of("format"), format!("{format}\n").as_bytes())
    }

    /// How many segments follow each other from the first.
    pub(crate) fn count_segments(&self) -> u64 {
        let mut count = 0;
        while self.segment(count + 1).exists() {
            count += 1;
        }
        count
    }

    pub(crate) fn read_segment(&self, number: u64) -> Result<Vec<Block>, Error> {
        let path = self.segment(number);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        let (blocks, rest) = decode_blocks(&bytes);
        if rest > 0 || blocks.is_empty() {
            let reason = format!("block {} of the segment is damaged", blocks.len() + 1);
            return Err(Error::damaged(&path, reason));
        }
        Ok(blocks)
    }

    /// The blocks of the log, and the length of the torn tail behind them.
    pub(crate) fn read_log(&self) -> Result<(Vec<Block>, usize), Error> {
        let path = self.log();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let (blocks, torn) = decode_blocks(&bytes);
        if torn > BLOCK_BYTES {
            let reason = format!("block {} of the log is damaged and others follow it", blocks.len() + 1);
            return Err(Error::damaged(&path, reason));
        }
        Ok((blocks, torn))
    }

    pub(crate) fn read_manifest(&self) -> Result<Option<Manifest>, Error> {
        let path = self.of("MANIFEST");
        let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(Error::json(&path))
    }
}

/// What `MANIFEST` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) segments: u64,
    pub(crate) height: u64,
}

/// The blocks from the start of `bytes`, and how many bytes behind them are none.
fn decode_blocks(bytes: &[u8]) -> (Vec<Block>, usize) {
    let blocks: Vec<Block> = bytes.chunks(BLOCK_BYTES).map_while(Block::decode).collect();
    let rest = bytes.len() - blocks.len() * BLOCK_BYTES;
    (blocks, rest)
}

/// Proof that this process alone uses a data directory.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    pub(crate) fn take(paths: &Paths) -> Result<Self, Error> {
        files::make_directory(&paths.blocks())?;
        let file = files::try_lock(&paths.of("LOCK"))?.ok_or(Error::Locked)?;
        Ok(Self { _file: file })
    }
}

/// An open data directory, ready for the next block.
#[derive(Debug)]
pub(crate) struct Store {
    paths: Paths,
    _lock: DataLock,
    log: File,
    /// The blocks that are in the log and in no segment yet, encoded.
    unsealed: Vec<u8>,
    segments: u64,
    sealed_height: u64,
    height: u64,
    format: u64,
    version: String,
}

impl Store {
    /// Recovers the directory: cuts a torn tail of the log and forgets what a segment already holds.
    /// The directory must be of this format, see [`crate::migrate`].
    pub(crate) fn open(
        lock: DataLock,
        paths: Paths,
        format: u64,
        version: &str,
        initial_height: u64,
    ) -> Result<Self, Error> {
        let segments = paths.count_segments();
        let sealed_height = match segments {
            0 => None,
            last => paths.read_segment(last)?.last().map(|block| block.height),
        };
        let (logged, _torn) = paths.read_log()?;
        let first_height = logged.first().map_or(initial_height.max(1), |block| block.height);
        let sealed_height = sealed_height.unwrap_or(first_height - 1);
        let unsealed: Vec<Block> = logged.into_iter().filter(|block| block.height > sealed_height).collect();
        if let Some(first) = unsealed.first().filter(|first| first.height != sealed_height + 1) {
            let reason = format!("it begins with height {} instead of {}", first.height, sealed_height + 1);
            return Err(Error::damaged(&paths.log(), reason));
        }
        let height = unsealed.last().map_or(sealed_height, |block| block.height);
        let unsealed: Vec<u8> = unsealed.iter().flat_map(Block::encode).collect();
        let log =
            OpenOptions::new().create(true).append(true).open(paths.log()).map_err(Error::io("open", &paths.log()))?;
        let mut store = Self {
            paths,
            _lock: lock,
            log,
            unsealed,
            segments,
            sealed_height,
            height,
            format,
            version: version.to_owned(),
        };
        store.rewrite_log()?;
        store.write_manifest()?;
        Ok(store)
    }

    /// The height of the last block; one below the first if there is none.
    pub(crate) fn height(&self) -> u64 {
        self.height
    }

    /// Adds the next block, and seals a segment when enough are in the log.
    pub(crate) fn append(&mut self, segment_blocks: u64) -> Result<(), Error> {
        let block = Block { height: self.height + 1, format: self.format, version: self.version.clone() };
        let bytes = block.encode();
        self.log.write_all(&bytes).map_err(Error::io("append to", &self.paths.log()))?;
        self.unsealed.extend_from_slice(&bytes);
        self.height += 1;
        if self.unsealed.len() / BLOCK_BYTES >= usize::try_from(segment_blocks).unwrap_or(usize::MAX) {
            self.seal()?;
        }
        Ok(())
    }

    /// Makes everything durable.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.log.sync_all().map_err(Error::io("sync", &self.paths.log()))
    }

    fn seal(&mut self) -> Result<(), Error> {
        write_once(&self.paths.segment(self.segments + 1), &self.unsealed)?;
        self.segments += 1;
        self.sealed_height = self.height;
        self.write_manifest()?;
        self.unsealed.clear();
        self.rewrite_log()
    }

    fn write_manifest(&self) -> Result<(), Error> {
        let manifest = Manifest { segments: self.segments, height: self.sealed_height };
        let path = self.paths.of("MANIFEST");
        let mut text = serde_json::to_vec(&manifest).map_err(Error::json(&path))?;
        text.resize(MANIFEST_BYTES - 1, b' ');
        text.push(b'\n');
        overwrite(&path, &text)?;
        overwrite(&self.paths.of("CURRENT"), CURRENT_CONTENT)
    }

    fn rewrite_log(&mut self) -> Result<(), Error> {
        let path = self.paths.log();
        let cut = self.log.set_len(0).and_then(|()| self.log.write_all(&self.unsealed));
        cut.and_then(|()| self.log.sync_all()).map_err(Error::io("rewrite", &path))
    }
}

/// Puts a file in place complete or not at all, and takes the right to write it away.
pub(crate) fn write_once(path: &Path, content: &[u8]) -> Result<(), Error> {
    files::replace(path, content)?;
    fs::set_permissions(path, Permissions::from_mode(0o444)).map_err(Error::io("set mode of", path))
}

/// Changes a file in place, which also changes every hard link to it.
fn overwrite(path: &Path, content: &[u8]) -> Result<(), Error> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .and_then(|file| file.write_all_at(content, 0))
        .map_err(Error::io("overwrite", path))
}
