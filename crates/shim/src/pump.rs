//! The log pump: what a unit writes goes from a pipe into a file, and never comes back to stop it.
//!
//! Bytes go through one buffer, whatever they are; lines only matter when the file is rotated. The
//! rotated files in the order of their names and then the current file are exactly what the unit
//! wrote. When the file cannot be written the bytes are thrown away and counted, and once it can be
//! again a line in it tells how many are missing. Owns the pipe, the buffer and the open file.
//!
//! Moving them within the kernel would hold the pipe's lock for as long as the file is written: the
//! unit would wait for that, spinning.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use crate::memory;
use crate::protocol::Event;
use crate::spec::LogSettings;

mod file;
use file::LogFile;

/// As large as an unprivileged process may make it; a unit that bursts does not wait.
const PIPE_BYTES: usize = 1024 * 1024;
/// Large enough for the unit to go on while the file is written, small enough to stay in the processor's cache.
const BUFFER_BYTES: usize = 256 * 1024;
/// With less than this the buffer is not worth giving back.
const BUFFER_BYTES_KEPT: usize = 16 * 1024;
/// How much is moved before the shim looks at its other duties.
const TURN_BYTES_MAX: usize = 8 * PIPE_BYTES;
/// How far behind the limit a rotation waits for the end of a line.
const LINE_WAIT_BYTES: u64 = 64 * 1024;
/// How long until a file that could not be written is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The pump of one unit, over all its runs.
#[derive(Debug)]
pub(crate) struct Pump {
    reader: OwnedFd,
    writer: OwnedFd,
    settings: LogSettings,
    file: Option<LogFile>,
    /// Made when something is pumped first. Its pages take memory as far as they were used.
    buffer: Vec<u8>,
    used_bytes: usize,
    /// Set while the file cannot be written.
    loss: Option<Loss>,
    lost_bytes: u64,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Loss {
    bytes: u64,
    reason: String,
    retry_at: Instant,
}

impl Pump {
    pub(crate) fn new(settings: LogSettings) -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        // Only our end: the unit expects a pipe that makes it wait, as any other.
        rustix::io::ioctl_fionbio(&reader, true)?;
        // Where the user's quota for pipes is used up the pipe stays as it is.
        let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
        Ok(Self {
            reader,
            writer,
            settings,
            file: None,
            buffer: Vec::new(),
            used_bytes: 0,
            loss: None,
            lost_bytes: 0,
            events: Vec::new(),
        })
    }

    /// A write end for a process that is about to be launched.
    ///
    /// It is opened anew each time: a program that makes its output non-blocking must not do that
    /// to the next run. It can be read from as well, as that of a terminal can: as long as the
    /// process lives its pipe has a reader, so that a shim that is killed does not kill it with SIGPIPE,
    /// and it is ended in order like any other orphan.
    pub(crate) fn writer(&self) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.writer.as_raw_fd());
        File::options().read(true).write(true).open(path).map(OwnedFd::from)
    }

    pub(crate) fn reader(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.settings.path
    }

    pub(crate) fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    /// What there is to tell since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Changes the settings; what was written so far goes where it was meant to go.
    pub(crate) fn set(&mut self, settings: LogSettings) {
        if settings.path != self.settings.path {
            self.drain();
            self.file = None;
        }
        self.settings = settings;
    }

    /// Rotates as soon as the line that is being written ends.
    pub(crate) fn rotate(&mut self) {
        if let Some(file) = &mut self.file {
            file.ask_for_rotation();
        } else if let Ok(mut file) = LogFile::open(&self.settings.path) {
            file.ask_for_rotation();
            self.file = Some(file);
        }
        self.rotate_where_due();
    }

    /// When the pump wants to be called without having been given anything to read.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let retry = self.loss.as_ref().map(|loss| loss.retry_at);
        let aged = self.file.as_ref().and_then(|file| file.aged_at(&self.settings));
        [retry, aged].into_iter().flatten().min()
    }

    /// Does what its deadline was for.
    pub(crate) fn on_time(&mut self, now: Instant) {
        if self.loss.as_ref().is_some_and(|loss| loss.retry_at <= now) {
            self.try_to_recover(now);
        }
        let settings = &self.settings;
        if let Some(file) = &mut self.file
            && file.aged_at(settings).is_some_and(|aged_at| aged_at <= now)
        {
            file.ask_for_rotation();
            self.rotate_where_due();
        }
    }

    /// Moves what is in the pipe, but no more than the other duties of the shim allow.
    pub(crate) fn turn(&mut self) {
        self.move_up_to(TURN_BYTES_MAX);
    }

    /// Moves all that had been written when this was called.
    pub(crate) fn drain(&mut self) {
        self.move_up_to(PIPE_BYTES);
    }

    /// Whether it holds memory that it needs only while much is written.
    pub(crate) fn is_swollen(&self) -> bool {
        self.used_bytes > BUFFER_BYTES_KEPT
    }

    /// Gives that memory back.
    pub(crate) fn shrink(&mut self) {
        if self.is_swollen() {
            memory::clear(&mut self.buffer);
            self.used_bytes = 0;
        }
    }

    fn move_up_to(&mut self, bytes_max: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            buffer = vec![0; BUFFER_BYTES];
        }
        let mut left = bytes_max;
        while left > 0 {
            let bytes = match rustix::io::read(&self.reader, buffer.as_mut_slice()) {
                Err(Errno::INTR) => continue,
                // An empty pipe is the only reason.
                Ok(0) | Err(_) => break,
                Ok(bytes) => bytes,
            };
            self.used_bytes = self.used_bytes.max(bytes);
            self.write(buffer.get(..bytes).unwrap_or_default());
            // One that gave less than was asked for is empty.
            left = if bytes < BUFFER_BYTES { 0 } else { left.saturating_sub(bytes) };
        }
        self.buffer = buffer;
    }

    /// Writes bytes into the file, and rotates it where that is due; what cannot be written is lost.
    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.loss.is_none() {
            let mut written = 0;
            if let Err(error) = self.write_part(bytes, &mut written) {
                self.begin_loss(error.to_string());
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        self.count_lost(bytes.len());
    }

    /// Writes as much as belongs into the present file, if anything does.
    fn write_part(&mut self, bytes: &[u8], written: &mut usize) -> io::Result<()> {
        self.open_file()?;
        self.rotate_where_due();
        // One that was just rotated leaves room for another, which the next part opens.
        let Some(file) = &mut self.file else { return Ok(()) };
        let part = file.part_of(bytes, &self.settings);
        file.write(part, written)
    }

    /// Makes sure that there is a file, and that it is still the one that others see.
    fn open_file(&mut self) -> io::Result<()> {
        let in_place = self.file.as_mut().map_or(Ok(false), LogFile::is_in_place)?;
        if !in_place {
            self.file = Some(LogFile::open(&self.settings.path)?);
        }
        Ok(())
    }

    fn rotate_where_due(&mut self) {
        let Some(file) = &mut self.file else {
            return;
        };
        if !file.may_rotate_here(&self.settings) {
            return;
        }
        match file.rotate(&self.settings) {
            Ok(rotated) => {
                self.file = None;
                self.events.push(Event::Rotated { path: rotated });
            }
            Err(error) => {
                // Better a file that is too long than bytes that are lost.
                file.forgive_rotation();
                let path = self.settings.path.display();
                let text = format!("rotating the log `{path}`: {error}; it grows on");
                self.events.push(Event::Trouble { text });
            }
        }
    }

    fn begin_loss(&mut self, reason: String) {
        let retry_at = Instant::now() + RETRY_AFTER;
        self.events.push(Event::LogLost { bytes: 0, reason: reason.clone() });
        self.loss = Some(Loss { bytes: 0, reason, retry_at });
    }

    fn count_lost(&mut self, bytes: usize) {
        self.lost_bytes += bytes as u64;
        if let Some(loss) = &mut self.loss {
            loss.bytes += bytes as u64;
        }
    }

    /// Tells in the file what is missing; if that can be written, so can the rest.
    fn try_to_recover(&mut self, now: Instant) {
        let Some(loss) = self.loss.take() else {
            return;
        };
        let told = self.open_file().and_then(|()| match &mut self.file {
            Some(file) => file.tell_loss(loss.bytes, &loss.reason),
            None => Ok(()),
        });
        match told {
            Ok(()) => {
                self.events.push(Event::LogLost { bytes: loss.bytes, reason: loss.reason });
            }
            Err(error) => {
                let reason = error.to_string();
                self.loss = Some(Loss { reason, retry_at: now + RETRY_AFTER, ..loss });
            }
        }
    }
}

/// Reads from a file at a place, for looking back at the last byte.
fn byte_at(file: &File, offset: u64) -> io::Result<u8> {
    let mut byte = [0];
    std::os::unix::fs::FileExt::read_exact_at(file, &mut byte, offset)?;
    Ok(byte[0])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;
    use crate::Rotation;

    fn pump(path: &Path, bytes_max: u64) -> (Pump, File) {
        let settings = LogSettings { path: path.to_owned(), bytes_max, ..LogSettings::default() };
        let pump = Pump::new(settings).unwrap();
        let writer = File::from(pump.writer().unwrap());
        (pump, writer)
    }

    /// All that was written, in order.
    fn content(directory: &Path) -> Vec<u8> {
        let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        // The current file has the shortest name, and comes last.
        files.sort_by_key(|path| (path.extension().is_some_and(|ending| ending == "log"), path.clone()));
        files.iter().flat_map(|path| fs::read(path).unwrap()).collect()
    }

    #[test]
    fn every_byte_arrives_in_order_and_files_end_with_lines() {
        let directory = tempfile::tempdir().unwrap();
        let (mut pump, mut writer) = pump(&directory.path().join("a.log"), 1000);
        let mut written = Vec::new();
        for number in 0..500 {
            let line = format!("{number} {}\n", "y".repeat(number % 90));
            writer.write_all(line.as_bytes()).unwrap();
            written.extend_from_slice(line.as_bytes());
            if number % 40 == 0 {
                pump.turn();
            }
        }
        pump.turn();
        assert!(content(directory.path()) == written, "other bytes came out");
        assert!(pump.take_events().len() > 10);
        assert_eq!(pump.lost_bytes(), 0);
        for file in fs::read_dir(directory.path()).unwrap() {
            let text = fs::read(file.unwrap().path()).unwrap();
            assert!(text.len() < 1100 && text.last().is_none_or(|byte| *byte == b'\n'));
        }
    }

    #[test]
    fn the_memory_of_a_burst_is_given_back_and_harms_no_byte() {
        let directory = tempfile::tempdir().unwrap();
        let (mut pump, mut writer) = pump(&directory.path().join("a.log"), 0);
        let burst: Vec<u8> = (0..PIPE_BYTES / 8).flat_map(usize::to_ne_bytes).collect();
        for round in 1..=2 {
            writer.write_all(&burst).unwrap();
            pump.turn();
            assert!(pump.is_swollen());
            pump.shrink();
            assert!(!pump.is_swollen());
            assert!(content(directory.path()) == burst.repeat(round), "other bytes came out");
        }
    }

    #[test]
    fn a_line_that_does_not_end_is_cut_after_a_while() {
        let directory = tempfile::tempdir().unwrap();
        let (mut pump, mut writer) = pump(&directory.path().join("a.log"), 1000);
        let written = vec![b'z'; 200_000];
        writer.write_all(&written).unwrap();
        pump.turn();
        assert!(content(directory.path()) == written, "other bytes came out");
        let limit = 1000 + usize::try_from(LINE_WAIT_BYTES).unwrap();
        let longest =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).max();
        assert_eq!(longest, Some(limit as u64));
    }

    #[test]
    fn names_sort_though_the_clock_goes_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        fs::write(Rotation::path(&path, "29991231T235959Z", 41), "1").unwrap();
        let (mut pump, mut writer) = pump(&path, 0);
        for line in ["2\n", "3\n"] {
            writer.write_all(line.as_bytes()).unwrap();
            pump.turn();
            pump.rotate();
        }
        writer.write_all(b"4").unwrap();
        pump.turn();
        assert_eq!(content(directory.path()), b"12\n3\n4");
    }

    #[test]
    fn what_is_left_in_the_old_file_goes_there_when_the_path_changes() {
        let directory = tempfile::tempdir().unwrap();
        let (old, new) = (directory.path().join("a.log"), directory.path().join("b.log"));
        let (mut pump, mut writer) = pump(&old, 0);
        writer.write_all(b"old").unwrap();
        pump.set(LogSettings { path: new.clone(), ..LogSettings::default() });
        writer.write_all(b"new").unwrap();
        pump.turn();
        assert_eq!((fs::read(old).unwrap(), fs::read(new).unwrap()), (b"old".to_vec(), b"new".to_vec()));
    }
}
