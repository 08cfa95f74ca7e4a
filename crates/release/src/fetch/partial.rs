//! A file that is being fetched, beside the releases: its bytes, and a note by which a later try goes on with them.
//!
//! The note never says more than is on the device: bytes are synced before it is written. What a power cut left
//! behind the noted bytes is cut off. A note that cannot be read is none: then it is begun anew.

use std::io;
use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Tail};
use ov_sys::durable;
use ov_types::ReleaseName;
use serde::{Deserialize, Serialize};

use super::checksum::{Algorithm, Checksum, Digesters};
use crate::digest::Digest;
use crate::error::{At, ReleaseError};
use crate::layout::Layout;

/// Bytes between two notes: what a crash may cost at most.
const NOTE_EVERY_BYTES: u64 = 16 << 20;
const NOTE_LEN_MAX: u64 = 64 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;
const MAJOR: u32 = 1;

/// By what a server tells one version of a file from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Validator {
    /// A strong entity tag.
    Etag(String),
    /// When it was changed last.
    Modified(String),
}

/// What is known of the file that the bytes are the beginning of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    format: (u32, u32),
    /// Digest of the address.
    pub(super) of: Digest,
    pub(super) validator: Option<Validator>,
    pub(super) total: Option<u64>,
    /// Bytes that are on the device.
    kept: u64,
    /// Whether these are all.
    whole: bool,
}

impl Note {
    fn new(of: Digest) -> Self {
        Self { format: (MAJOR, 0), of, validator: None, total: None, kept: 0, whole: false }
    }
}

/// Bytes that are on their way.
pub(super) struct Partial<'a> {
    disk: &'a dyn Disk,
    folder: PathBuf,
    path: PathBuf,
    tail: Box<dyn Tail>,
    digesters: Digesters,
    wanted: Option<Algorithm>,
    written: u64,
    pub(super) note: Note,
}

/// Bytes that are all there.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) sha256: Digest,
    pub(super) checksum: Checksum,
}

impl<'a> Partial<'a> {
    /// Goes on with what an earlier try noted of the file `of`, or begins it.
    pub(super) fn open(
        disk: &'a dyn Disk,
        layout: &Layout,
        name: &ReleaseName,
        of: Digest,
        wanted: Option<Algorithm>,
    ) -> Result<Self, ReleaseError> {
        let folder = layout.fetching(name);
        durable::make_directories(disk, &folder, 0o700).at("make", &folder)?;
        let path = folder.join("download");
        let there = disk.facts(&path).at("look at", &path)?.map_or(0, |facts| facts.len);
        let noted = read_note(disk, &folder).filter(|note| note.of == of && note.kept <= there);
        let tail = disk.append(&path).at("open", &path)?;
        let (is_noted, note) = (noted.is_some(), noted.unwrap_or_else(|| Note::new(of)));
        let digesters = Digesters::new(wanted);
        let mut partial = Self { disk, folder, path, tail, digesters, wanted, written: 0, note };
        if is_noted {
            partial.disk.truncate(&partial.path, partial.note.kept).at("cut", &partial.path)?;
            partial.digest_kept()?;
        } else {
            partial.begin_anew()?;
        }
        Ok(partial)
    }

    fn digest_kept(&mut self) -> Result<(), ReleaseError> {
        let mut reader = self.disk.open(&self.path).at("open", &self.path)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    self.digesters.update(&buffer[..count]);
                    self.written += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at("read", &self.path),
            }
        }
    }

    /// Bytes so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether an earlier try had all bytes.
    pub(super) fn is_whole(&self) -> bool {
        self.note.whole && self.written == self.note.kept
    }

    /// Forgets all bytes.
    pub(super) fn begin_anew(&mut self) -> Result<(), ReleaseError> {
        self.note = Note::new(self.note.of);
        // Before the bytes: a note must not speak of bytes that are not there, or are those of another file.
        self.write_note()?;
        self.disk.truncate(&self.path, 0).at("cut", &self.path)?;
        self.digesters = Digesters::new(self.wanted);
        self.written = 0;
        Ok(())
    }

    /// Adds bytes at the end.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), ReleaseError> {
        self.tail.append(bytes).at("write", &self.path)?;
        self.digesters.update(bytes);
        self.written += bytes.len() as u64;
        if self.written - self.note.kept >= NOTE_EVERY_BYTES {
            self.keep()?;
        }
        Ok(())
    }

    /// Makes the bytes so far durable, and notes them.
    pub(super) fn keep(&mut self) -> Result<(), ReleaseError> {
        if self.written > self.note.kept {
            self.tail.sync().at("sync", &self.path)?;
            self.note.kept = self.written;
            self.write_note()?;
            super::CrashPoint::Kept.reach();
        }
        Ok(())
    }

    /// These are all bytes.
    pub(super) fn finish(mut self) -> Result<Whole, ReleaseError> {
        if !self.is_whole() {
            self.tail.sync().at("sync", &self.path)?;
            self.note.kept = self.written;
            self.note.whole = true;
            self.write_note()?;
            super::CrashPoint::Downloaded.reach();
        }
        let (sha256, checksum) = self.digesters.finish();
        Ok(Whole { path: self.path, size: self.written, sha256, checksum })
    }

    fn write_note(&self) -> Result<(), ReleaseError> {
        let path = note_path(&self.folder);
        // Texts and numbers alone: serialising them into memory cannot fail.
        let bytes = serde_json::to_vec(&self.note).unwrap_or_default();
        durable::replace(self.disk, &path, &bytes, 0o600).at("write", &path)
    }
}

fn note_path(folder: &Path) -> PathBuf {
    folder.join("download.json")
}

fn read_note(disk: &dyn Disk, folder: &Path) -> Option<Note> {
    let bytes = disk.read(&note_path(folder), NOTE_LEN_MAX).ok()?;
    parse_note(&bytes)
}

/// Reads a note; total over all inputs.
fn parse_note(bytes: &[u8]) -> Option<Note> {
    serde_json::from_slice::<Note>(bytes).ok().filter(|note| note.format.0 == MAJOR)
}

/// Removes what fetching a release left. Must not run beside a fetch of it.
pub fn discard(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<(), ReleaseError> {
    let folder = layout.fetching(name);
    if durable::exists(disk, &folder).at("look at", &folder)? {
        durable::remove_tree(disk, &folder).at("remove", &folder)?;
    }
    Ok(())
}
