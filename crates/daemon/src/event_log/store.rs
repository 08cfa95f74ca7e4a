//! The event log's files: appended to, rotated, read back.
//!
//! Owns the open tail and what is known about it. It must not fail its caller: every error becomes a count and
//! another try at the next event.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ov_sys::disk::Tail;
use ov_sys::{Disk, durable};
use ov_types::Event;

/// Where a file of events gives way to a new one. Two of them hold about as many events as the ring.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Most that is read back of one file: a file that is longer is not ours.
const READ_BYTES_MAX: u64 = 4 * FILE_BYTES_MAX;

/// Indices reserved at once: one durable write for each so many events.
const RESERVED_AT_ONCE: u64 = 1_000;

const PRIVATE: u32 = 0o600;
const PRIVATE_DIRECTORY: u32 = 0o700;

/// What was on disk.
pub(super) struct Found {
    /// Every event that could be read, by rising index.
    pub(super) events: VecDeque<Event>,
    /// The lowest index that was certainly never given out, as far as the reservation tells.
    pub(super) reserved: u64,
}

/// The files.
pub(super) struct Store {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// `None` until the first write, and again after one that failed.
    tail: Option<Box<dyn Tail>>,
    /// An upper bound of the length of the current file.
    len: u64,
    /// The last index on disk.
    written: u64,
    /// Indices below this one may be used.
    reserved: u64,
    /// Events that left the ring without ever having been written, and those that wait.
    lost: u64,
    waiting: u64,
}

impl Store {
    pub(super) fn open(disk: Arc<dyn Disk>, directory: &Path) -> io::Result<(Self, Found)> {
        durable::make_directories(&*disk, directory, PRIVATE_DIRECTORY)?;
        let reserved = read_reservation(&*disk, &directory.join("reserved"))?;
        let (events, len) = read(&*disk, directory)?;
        let found = Found { events, reserved };
        let written = found.events.back().map_or(0, |event| event.index);
        let store =
            Self { disk, directory: directory.to_owned(), tail: None, len, written, reserved, lost: 0, waiting: 0 };
        Ok((store, found))
    }

    /// Writes every event of the ring that is not on disk yet.
    pub(super) fn keep(&mut self, ring: &VecDeque<Event>) {
        let start = ring.partition_point(|event| event.index <= self.written);
        let pending: Vec<&Event> = ring.range(start..).collect();
        let Some(last) = pending.last() else { return };
        let pending_len = pending.len() as u64;
        // One came in; if the number of those that wait did not grow, the oldest fell out of the ring.
        self.lost += (self.waiting + 1).saturating_sub(pending_len);
        self.waiting = pending_len;
        if self.write(&pending, last.index).is_ok() {
            self.written = last.index;
            self.waiting = 0;
        }
    }

    /// Events that are not on disk.
    pub(super) fn unwritten(&self) -> u64 {
        self.lost + self.waiting
    }

    /// Makes `next` the lowest index that is not reserved.
    pub(super) fn release(&mut self, next: u64) {
        // Left reserved when it fails: the next daemon skips a few indices, which is allowed.
        let _ = self.reserve(next);
    }

    fn write(&mut self, events: &[&Event], last: u64) -> io::Result<()> {
        if last >= self.reserved {
            self.reserve(last.saturating_add(RESERVED_AT_ONCE))?;
        }
        if self.len >= FILE_BYTES_MAX {
            self.tail = None;
            self.disk.rename(&self.current(), &self.directory.join("previous.ndjson"))?;
            self.len = 0;
        }
        // A line that was torn by an earlier failure ends here; empty lines are nothing.
        let mut lines = if self.tail.is_none() && self.len > 0 { vec![b'\n'] } else { Vec::new() };
        for event in events {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        self.len = self.len.saturating_add(lines.len() as u64);
        let mut tail = match self.tail.take() {
            Some(tail) => tail,
            None => self.disk.append(&self.current())?,
        };
        tail.append(&lines)?;
        // Kept only when it took everything: after an error the next write starts a new line.
        self.tail = Some(tail);
        Ok(())
    }

    fn reserve(&mut self, below: u64) -> io::Result<()> {
        let text = format!("{below}\n");
        durable::replace(&*self.disk, &self.directory.join("reserved"), text.as_bytes(), PRIVATE)?;
        self.reserved = below;
        Ok(())
    }

    fn current(&self) -> PathBuf {
        self.directory.join("current.ndjson")
    }
}

/// Every event on disk, and the length of the current file.
pub(super) fn read(disk: &dyn Disk, directory: &Path) -> io::Result<(VecDeque<Event>, u64)> {
    let mut events = VecDeque::new();
    read_events(disk, &directory.join("previous.ndjson"), &mut events)?;
    let len = read_events(disk, &directory.join("current.ndjson"), &mut events)?;
    Ok((events, len))
}

/// Adds the events of a file, and returns its length. What is no event, or does not rise, is left out.
fn read_events(disk: &dyn Disk, path: &Path, events: &mut VecDeque<Event>) -> io::Result<u64> {
    let mut bytes = Vec::new();
    match disk.open(path) {
        Ok(reader) => reader.take(READ_BYTES_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<Event>(line) else { continue };
        if events.back().is_none_or(|last| last.index < event.index) {
            events.push_back(event);
        }
    }
    Ok(bytes.len() as u64)
}

/// The reservation; one when there is none, or none that can be read: then the events alone tell.
fn read_reservation(disk: &dyn Disk, path: &Path) -> io::Result<u64> {
    let bytes = match disk.read(path, 64) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::FileTooLarge) => return Ok(1),
        Err(error) => return Err(error),
    };
    Ok(std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1))
}
