//! Looks for a text in what a unit has written since its launch.
//!
//! Follows the pump's log file through rotations: the file that was being read is finished first, under whatever name
//! it has by then, then come the later ones in their order. Remembers only how far it has read.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, TryLockError};

use ov_sys::disk::Reader;
use ov_sys::{Disk, durable};
use ov_types::RunId;

use crate::compress::{Rotated, rotated};

/// Bytes read for one answer: more is looked at when asked again, so that a flood does not hold a thread.
const LOOK_BYTES_MAX: usize = 64 << 20;
const BUFFER_BYTES: usize = 64 * 1024;

/// Where a log stood at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogMark {
    pub(super) log: PathBuf,
    /// The counter that the file gets when it is rotated.
    pub(super) counter: u64,
    pub(super) offset: u64,
}

impl LogMark {
    /// Where the log stands now: what is written from here on counts.
    pub fn now(disk: &dyn Disk, log: &Path) -> io::Result<Self> {
        let counter = rotated(disk, log)?.last().map_or(0, |newest| newest.counter) + 1;
        let offset = disk.facts(log)?.map_or(0, |facts| facts.len);
        Ok(Self { log: log.to_owned(), counter, offset })
    }

    /// Keeps it in the unit's directory for the daemons that find this run of the unit running.
    pub fn keep(&self, disk: &dyn Disk, directory: &Path, run: RunId) -> io::Result<()> {
        let Self { log, counter, offset } = self;
        let text = format!("{FIRST_LINE}0\nrun {run}\ncounter {counter}\noffset {offset}\nlog {}\n", log.display());
        durable::make_directories(disk, directory, 0o700)?;
        durable::replace(disk, &directory.join(MARK_FILE), text.as_bytes(), 0o600)
    }

    /// What was kept for this run and this log.
    pub fn kept(disk: &dyn Disk, directory: &Path, log: &Path, run: RunId) -> Option<Self> {
        let bytes = disk.read(&directory.join(MARK_FILE), MARK_BYTES_MAX).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?;
        let mut lines = text.lines();
        lines.next().filter(|first| first.starts_with(FIRST_LINE))?;
        let value = |name: &str| lines.clone().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let is_of_this = value("run")? == run.to_string() && value("log")? == log.to_str()?;
        let mark = Self {
            log: log.to_owned(),
            counter: value("counter")?.parse().ok()?,
            offset: value("offset")?.parse().ok()?,
        };
        is_of_this.then_some(mark)
    }
}

/// The file in a unit's directory that holds the mark of its last launch.
const MARK_FILE: &str = "log-mark";
const MARK_BYTES_MAX: u64 = 8_192;
const FIRST_LINE: &str = "omnivisor-log-mark 1.";

/// How far a log was read.
pub(super) struct Follower {
    /// The file to read, and what to pass over in it unless it is open already.
    at: LogMark,
    reader: Option<Box<dyn Reader>>,
    wanted: Vec<u8>,
    found: bool,
    /// The end of what was searched: the text may have begun there.
    tail: Vec<u8>,
}

/// Looks as far as there is something to read. May wait for the disk.
pub(super) fn look(disk: &dyn Disk, follower: &Mutex<Follower>) -> Result<bool, String> {
    // An earlier look that nobody waits for any more may still wait for the disk.
    let mut follower = match follower.try_lock() {
        Ok(follower) => follower,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return Err("its output is still being read".to_owned()),
    };
    follower.look(disk).map_err(|error| format!("its output cannot be read: {error}"))
}

impl Follower {
    pub(super) fn new(mark: LogMark, wanted: &str) -> Self {
        let wanted = wanted.as_bytes().to_vec();
        Self { at: mark, reader: None, wanted, found: false, tail: Vec::new() }
    }

    fn look(&mut self, disk: &dyn Disk) -> io::Result<bool> {
        let mut budget = LOOK_BYTES_MAX;
        while !self.found && budget > 0 {
            // Asked before reading: a file that was rotated away by now gets no more bytes.
            let is_over = self.oldest_rotated(disk)?;
            if self.reader.is_none() && !self.open(disk, is_over.as_ref())? {
                break;
            }
            self.read_on(&mut budget)?;
            match is_over {
                Some(file) if budget > 0 => {
                    self.reader = None;
                    self.at = LogMark { counter: file.counter + 1, offset: 0, log: self.at.log.clone() };
                }
                _ => break,
            }
        }
        Ok(self.found)
    }

    /// The oldest file that was rotated away and not read to its end.
    fn oldest_rotated(&self, disk: &dyn Disk) -> io::Result<Option<Rotated>> {
        Ok(rotated(disk, &self.at.log)?.into_iter().find(|file| !file.compressed && file.counter >= self.at.counter))
    }

    /// Opens that file, or else the one being written. False when there is none.
    fn open(&mut self, disk: &dyn Disk, oldest: Option<&Rotated>) -> io::Result<bool> {
        let path = oldest.map_or(&self.at.log, |file| &file.path);
        let mut reader = match disk.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            reader => reader?,
        };
        if oldest.is_none() && self.oldest_rotated(disk)?.is_some() {
            // Rotated while it was opened, so this may be its successor. The next look knows better.
            return Ok(false);
        }
        // When the file itself was removed meanwhile, the later ones count from their beginning.
        if oldest.is_none_or(|file| file.counter == self.at.counter) {
            io::copy(&mut (&mut reader).take(self.at.offset), &mut io::sink())?;
        }
        self.reader = Some(reader);
        Ok(true)
    }

    /// Searches the open file to its present end, or until the budget is used up.
    fn read_on(&mut self, budget: &mut usize) -> io::Result<()> {
        let Some(reader) = &mut self.reader else { return Ok(()) };
        let mut buffer = vec![0; BUFFER_BYTES];
        while !self.found && *budget > 0 {
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            *budget = budget.saturating_sub(count);
            self.tail.extend_from_slice(&buffer[..count]);
            self.found = contains(&self.tail, &self.wanted);
            let kept = self.wanted.len().saturating_sub(1).min(self.tail.len());
            self.tail.drain(..self.tail.len() - kept);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("at", &self.at).field("found", &self.found).finish_non_exhaustive()
    }
}

pub(super) fn contains(text: &[u8], wanted: &[u8]) -> bool {
    let Some(first) = wanted.first() else { return true };
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| byte == first) {
        rest = &rest[start..];
        if rest.starts_with(wanted) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    use ov_sys::RealDisk;
    use proptest::prelude::*;

    struct Log {
        folder: tempfile::TempDir,
        rotations: u64,
    }

    impl Log {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap(), rotations: 0 }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("main.log")
        }

        fn write(&self, text: &str) {
            let mut file = fs::OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn rotate(&mut self) -> PathBuf {
            self.rotations += 1;
            let to = self.folder.path().join(format!("main.log.20261120T061500Z-{:06}", self.rotations));
            fs::rename(self.path(), &to).unwrap();
            to
        }

        fn follow(&self, wanted: &str) -> Follower {
            Follower::new(LogMark::now(&RealDisk, &self.path()).unwrap(), wanted)
        }
    }

    #[test]
    fn only_what_is_written_after_the_mark_counts() {
        let log = Log::new();
        log.write(
            "ready
rea",
        );
        let mut follower = log.follow("ready");
        assert!(!follower.look(&RealDisk).unwrap());
        log.write(
            "dy
not yet
rea",
        );
        assert!(!follower.look(&RealDisk).unwrap());
        log.write(
            "dy
",
        );
        assert!(follower.look(&RealDisk).unwrap());
        assert!(follower.look(&RealDisk).unwrap(), "once seen, it stays seen");
    }

    #[test]
    fn the_next_daemon_finds_the_mark_of_this_run_and_no_other() {
        let log = Log::new();
        log.write("ready\n");
        let mark = LogMark::now(&RealDisk, &log.path()).unwrap();
        let unit = log.path().with_file_name("units");
        assert_eq!(LogMark::kept(&RealDisk, &unit, &log.path(), RunId(7)), None);
        mark.keep(&RealDisk, &unit, RunId(7)).unwrap();
        assert_eq!(LogMark::kept(&RealDisk, &unit, &log.path(), RunId(7)), Some(mark));
        assert_eq!(LogMark::kept(&RealDisk, &unit, &log.path(), RunId(8)), None, "of another run");
        assert_eq!(LogMark::kept(&RealDisk, &unit, Path::new("/other.log"), RunId(7)), None, "of another log");
        std::fs::write(unit.join(MARK_FILE), "omnivisor-log-mark 1.0\nrun 7\ncoun").unwrap();
        assert_eq!(LogMark::kept(&RealDisk, &unit, &log.path(), RunId(7)), None, "torn");
    }

    #[test]
    fn a_log_that_appears_later_is_read_from_its_beginning() {
        let log = Log::new();
        let mut follower = log.follow("ready");
        assert!(!follower.look(&RealDisk).unwrap());
        log.write("ready");
        assert!(follower.look(&RealDisk).unwrap());
    }

    #[test]
    fn every_file_between_two_looks_is_read() {
        for looks_early in [false, true] {
            let mut log = Log::new();
            log.write(
                "old ready
",
            );
            log.rotate();
            log.write(
                "ready before
",
            );
            let mut follower = log.follow("ready");
            if looks_early {
                assert!(!follower.look(&RealDisk).unwrap());
            }
            log.write(
                "first
",
            );
            log.rotate();
            log.write(
                "second: ready
",
            );
            log.rotate();
            log.write(
                "third
",
            );
            assert!(follower.look(&RealDisk).unwrap());
        }
    }

    #[test]
    fn the_end_of_a_file_rotated_under_the_reader_is_not_lost() {
        let mut log = Log::new();
        let mut follower = log.follow("ready");
        log.write(
            "starting
",
        );
        assert!(!follower.look(&RealDisk).unwrap());
        log.write(
            "ready
",
        );
        log.rotate();
        log.write(
            "later
",
        );
        assert!(follower.look(&RealDisk).unwrap());
    }

    #[test]
    fn files_removed_meanwhile_are_passed_over() {
        let mut log = Log::new();
        log.write("0123456789");
        let mut follower = log.follow("ready");
        fs::remove_file(log.rotate()).unwrap();
        log.write("ready");
        log.rotate();
        assert!(follower.look(&RealDisk).unwrap(), "the offset belongs to the file that is gone");
    }

    #[test]
    fn a_look_that_waits_for_the_disk_holds_no_other() {
        let log = Log::new();
        let follower = Mutex::new(log.follow("ready"));
        let held = follower.lock().unwrap();
        assert_eq!(look(&RealDisk, &follower), Err("its output is still being read".to_owned()));
        drop(held);
        assert_eq!(look(&RealDisk, &follower), Ok(false));
    }

    proptest! {
        #[test]
        fn a_text_is_found_wherever_the_pieces_are_cut(
            before in "[abc]{0,20}", wanted in "[abc]{1,4}", after in "[abc]{0,20}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6), rotate: bool,
        ) {
            let text = format!("{before}{wanted}{after}");
            let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(text.len())).chain([0, text.len()]).collect();
            at.sort_unstable();
            let mut log = Log::new();
            let mut follower = log.follow(&wanted);
            let mut seen = false;
            for piece in at.windows(2) {
                log.write(&text[piece[0]..piece[1]]);
                seen = follower.look(&RealDisk).unwrap();
                if rotate {
                    log.rotate();
                }
            }
            prop_assert!(seen);
        }
    }
}
