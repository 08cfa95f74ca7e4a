//! The newest segment, open for writing.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ov_sys::disk::Tail;
use ov_sys::{Disk, durable};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::JournalError;
use crate::line::{self, NUMBER_MAX, Part, RECORD_BYTES_MAX};
use crate::segment::{self, Header, SEGMENT_BYTES_LIMIT};
use crate::{CrashPoint, Entry, Sequence};

const SEGMENT_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// How a journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Above this length of the newest segment, [`Journal::is_full`] asks for a rotation.
    pub segment_bytes_max: u64,
    /// How many older segments a rotation leaves.
    pub older_segments_max: usize,
    /// Version of the program, for whoever reads the journal later.
    pub writer: String,
}

impl Options {
    /// 4 MiB a segment, eight older ones.
    pub fn new(writer: impl Into<String>) -> Self {
        Self { segment_bytes_max: 4 * 1024 * 1024, older_segments_max: 8, writer: writer.into() }
    }
}

/// The journal of records `R`, open for writing by one process, which holds the node's lock.
pub struct Journal<R> {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    options: Options,
    path: PathBuf,
    tail: Box<dyn Tail>,
    /// Length of the newest segment.
    bytes: u64,
    next: Sequence,
    poisoned: bool,
    records: PhantomData<fn(R)>,
}

impl<R> std::fmt::Debug for Journal<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Journal")
            .field("path", &self.path)
            .field("next", &self.next)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

impl<R: Serialize + DeserializeOwned> Journal<R> {
    /// Opens the journal in `directory`, makes it if there is none, and returns what the newest segment holds:
    /// the restated records and all since.
    ///
    /// What is returned is durable. The segment is written anew even if nothing was wrong with it: whether its
    /// bytes ever reached the device cannot be learned from reading them, as the process that wrote them may
    /// have died on a failed sync.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: Options,
    ) -> Result<(Self, Vec<Entry<R>>), JournalError> {
        durable::make_directories(&*disk, directory, DIRECTORY_MODE).map_err(|source| JournalError::Disk {
            action: "make directory",
            path: directory.to_owned(),
            source,
        })?;
        let Some(first) = segment::list(&*disk, directory)?.last().copied() else {
            let journal = Self::begin(disk, directory.to_owned(), options, Sequence(1), &[])?;
            return Ok((journal, Vec::new()));
        };
        let path = segment::path_of(directory, first);
        let bytes = read(&*disk, &path)?;
        let scan = segment::scan(&bytes, &path, first, true)?;
        scan.header.check_writable(&path)?;
        let entries = scan.entries(&path)?;
        let kept = &bytes[..scan.accepted_bytes];
        let tail = place(&*disk, &path, kept)?;
        CrashPoint::Opened.reach();
        let (bytes, next) = (kept.len() as u64, scan.next(first));
        let directory = directory.to_owned();
        let journal = Self { disk, directory, options, path, tail, bytes, next, poisoned: false, records: PhantomData };
        Ok((journal, entries))
    }

    /// Puts a new segment in place: whole, or not at all.
    fn begin(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        options: Options,
        first: Sequence,
        restated: &[R],
    ) -> Result<Self, JournalError> {
        let path = segment::path_of(&directory, first);
        let mut records = vec![encode(&Header::new(&options.writer))?];
        records.extend(restated.iter().map(encode).collect::<Result<Vec<_>, _>>()?);
        let bytes = lines(first, &records, &path, 0)?;
        let tail = place(&*disk, &path, &bytes)?;
        let (bytes, next) = (bytes.len() as u64, Sequence(first.0 + records.len() as u64));
        Ok(Self { disk, directory, options, path, tail, bytes, next, poisoned: false, records: PhantomData })
    }

    /// Appends all records as one: they are durable when this returns, and otherwise will be found all or not at
    /// all. Returns the number of the last one. After a failed write or sync every later call fails.
    pub fn append(&mut self, records: &[R]) -> Result<Sequence, JournalError> {
        self.check_usable()?;
        let records = records.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        let bytes = lines(self.next, &records, &self.path, self.bytes)?;
        if !bytes.is_empty() {
            self.poisoned = true;
            self.tail.append(&bytes).map_err(|source| self.disk_error("append to journal", source))?;
            CrashPoint::Written.reach();
            // Never tried again on failure: a second sync may succeed without the bytes of the first.
            self.tail.sync().map_err(|source| self.disk_error("sync journal", source))?;
            CrashPoint::Synced.reach();
            self.poisoned = false;
        }
        self.bytes += bytes.len() as u64;
        self.next = Sequence(self.next.0 + records.len() as u64);
        Ok(Sequence(self.next.0 - 1))
    }

    /// Starts a new segment with records that restate all that is still of interest, and removes the oldest
    /// segments beyond the number to keep.
    pub fn rotate(&mut self, restated: &[R]) -> Result<Sequence, JournalError> {
        self.check_usable()?;
        let (disk, directory, options) = (Arc::clone(&self.disk), self.directory.clone(), self.options.clone());
        *self = Self::begin(disk, directory, options, self.next, restated).inspect_err(|error| {
            // Half-way, nobody knows which segment is the newest after the next crash.
            self.poisoned = matches!(error, JournalError::Disk { .. });
        })?;
        CrashPoint::Rotated.reach();
        self.remove_oldest();
        Ok(Sequence(self.next.0 - 1))
    }

    /// Whether the newest segment is longer than it should be: time to rotate.
    pub fn is_full(&self) -> bool {
        self.bytes > self.options.segment_bytes_max
    }

    /// The number the next record will get.
    pub fn next(&self) -> Sequence {
        self.next
    }

    /// The file written to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_usable(&self) -> Result<(), JournalError> {
        if self.poisoned { Err(JournalError::Poisoned { path: self.path.clone() }) } else { Ok(()) }
    }

    fn disk_error(&self, action: &'static str, source: std::io::Error) -> JournalError {
        JournalError::Disk { action, path: self.path.clone(), source }
    }

    /// A segment too many harms nobody, and the next rotation tries again; hence no error.
    fn remove_oldest(&self) {
        let Ok(firsts) = segment::list(&*self.disk, &self.directory) else { return };
        let kept = self.options.older_segments_max.saturating_add(1);
        for first in &firsts[..firsts.len().saturating_sub(kept)] {
            if self.disk.remove_file(&segment::path_of(&self.directory, *first)).is_err() {
                return;
            }
        }
    }
}

pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, JournalError> {
    disk.read(path, SEGMENT_BYTES_LIMIT).map_err(|source| JournalError::Disk {
        action: "read journal",
        path: path.to_owned(),
        source,
    })
}

/// Gives the segment these bytes, durably, and opens it at its end.
fn place(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<Box<dyn Tail>, JournalError> {
    durable::replace(disk, path, bytes, SEGMENT_MODE)
        .and_then(|()| disk.append(path))
        .map_err(|source| JournalError::Disk { action: "write journal", path: path.to_owned(), source })
}

fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, JournalError> {
    let json = serde_json::to_vec(record).map_err(|source| JournalError::Encode { source })?;
    if json.len() > RECORD_BYTES_MAX {
        return Err(JournalError::RecordTooLarge { bytes: json.len() });
    }
    Ok(json)
}

/// The lines of one append to a segment that has `before` bytes.
fn lines(first: Sequence, records: &[Vec<u8>], path: &Path, before: u64) -> Result<Vec<u8>, JournalError> {
    let too_large = || JournalError::SegmentTooLarge { path: path.to_owned() };
    let count = u32::try_from(records.len()).map_err(|_| too_large())?;
    if first.0.saturating_add(u64::from(count)) > NUMBER_MAX {
        return Err(JournalError::NumbersExhausted { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    for ((sequence, index), json) in (first.0..).zip(1..=count).zip(records) {
        line::encode(&mut bytes, Sequence(sequence), Part { index, count }, json);
    }
    if before + bytes.len() as u64 > SEGMENT_BYTES_LIMIT {
        return Err(too_large());
    }
    Ok(bytes)
}
