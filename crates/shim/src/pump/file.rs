//! The file that the pump writes, and its rotated predecessors.
//!
//! Nobody else writes it. Owns the position in the file and the decision where it may be cut.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::{LINE_WAIT_BYTES, byte_at};
use crate::Rotation;
use crate::clock::{compact_utc, now_unix_ms};
use crate::spec::LogSettings;

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// Where the next byte goes.
    position: u64,
    born_at: Instant,
    /// Set when a rotation is due: where the file was then.
    rotate_from: Option<u64>,
    /// A rotation that failed is not tried again before the file has grown by another limit.
    limit_base: u64,
}

impl LogFile {
    /// Opens the log and goes to its end.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).mode(0o640).open(path)?;
        let position = file.seek(SeekFrom::End(0))?;
        let born = file.metadata().and_then(|metadata| metadata.created()).ok();
        let age = born.and_then(|born| SystemTime::now().duration_since(born).ok());
        let now = Instant::now();
        Ok(Self {
            path: path.to_owned(),
            file,
            position,
            born_at: age.and_then(|age| now.checked_sub(age)).unwrap_or(now),
            rotate_from: None,
            limit_base: 0,
        })
    }

    /// Whether the file still has a name. Follows one that somebody cut short, instead of leaving
    /// a hole in it.
    pub(super) fn is_in_place(&mut self) -> io::Result<bool> {
        let metadata = self.file.metadata()?;
        if metadata.len() < self.position {
            self.position = self.file.seek(SeekFrom::End(0))?;
        }
        Ok(metadata.nlink() > 0)
    }

    /// How many bytes fit before the limit; none when a rotation is due.
    pub(super) fn room(&self, settings: &LogSettings) -> u64 {
        match (self.rotate_from, settings.bytes_max) {
            (Some(_), _) => 0,
            (None, 0) => u64::MAX,
            (None, bytes_max) => (self.limit_base + bytes_max).saturating_sub(self.position),
        }
    }

    /// When the file is so old that it is to be rotated.
    pub(super) fn aged_at(&self, settings: &LogSettings) -> Option<Instant> {
        let waits = settings.rotate_every_seconds > 0 && self.rotate_from.is_none();
        let age = Duration::from_secs(settings.rotate_every_seconds);
        if waits { self.born_at.checked_add(age) } else { None }
    }

    pub(super) fn ask_for_rotation(&mut self) {
        // An empty file is as good as a new one.
        if self.position == 0 {
            self.born_at = Instant::now();
        } else {
            self.rotate_from.get_or_insert(self.position);
        }
    }

    /// Whether a rotation is due and the file ends with a whole line, or has waited long enough.
    pub(super) fn may_rotate_here(&mut self, settings: &LogSettings) -> bool {
        if self.room(settings) > 0 || self.position == 0 {
            return false;
        }
        let from = *self.rotate_from.get_or_insert(self.position);
        let ends_line = byte_at(&self.file, self.position - 1).is_ok_and(|byte| byte == b'\n');
        ends_line || self.position >= from + LINE_WAIT_BYTES
    }

    /// Gives up a rotation that failed.
    pub(super) fn forgive_rotation(&mut self) {
        self.rotate_from = None;
        self.limit_base = self.position;
        self.born_at = Instant::now();
    }

    /// Renames the file, and removes the oldest that are too many. The counter alone decides the
    /// order; the time in the name never goes back even if the clock does, so that names sort too.
    pub(super) fn rotate(&mut self, settings: &LogSettings) -> io::Result<PathBuf> {
        let rotated = rotated_files(&self.path)?;
        let (stamp, counter) = match rotated.last() {
            Some((_, last)) => (last.stamp.as_str(), last.counter + 1),
            None => ("", 1),
        };
        let now = compact_utc(now_unix_ms() / 1000);
        let path = Rotation::path(&self.path, stamp.max(&now), counter);
        fs::rename(&self.path, &path)?;
        let keep = usize::try_from(settings.keep).unwrap_or(usize::MAX);
        // One that is being compressed is there under two names, and counts once.
        let counters: BTreeSet<u64> = rotated.iter().map(|(_, file)| file.counter).chain([counter]).collect();
        if keep > 0
            && let Some(oldest_kept) = counters.iter().nth_back(keep - 1)
        {
            for (old, _) in rotated.iter().filter(|(_, file)| file.counter < *oldest_kept) {
                // It may be in somebody's hands; the next rotation tries again.
                let _ = fs::remove_file(old);
            }
        }
        Ok(path)
    }

    /// What of these bytes belongs into this file: up to the limit, or up to the end of the line behind that.
    pub(super) fn part_of<'a>(&mut self, bytes: &'a [u8], settings: &LogSettings) -> &'a [u8] {
        let room = self.room(settings);
        let up_to = |length: u64| {
            let length = usize::try_from(length).unwrap_or(usize::MAX).min(bytes.len());
            bytes.get(..length).unwrap_or_default()
        };
        if room > 0 {
            return up_to(room);
        }
        let from = *self.rotate_from.get_or_insert(self.position);
        let rest = up_to((from + LINE_WAIT_BYTES).saturating_sub(self.position));
        let line_end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        rest.get(..line_end).unwrap_or_default()
    }

    /// Writes all of it, or as much as fits: `written` counts it.
    pub(super) fn write(&mut self, bytes: &[u8], written: &mut usize) -> io::Result<()> {
        while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    *written += count;
                    self.position += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes the line that tells of lost bytes, whole or not at all.
    pub(super) fn tell_loss(&mut self, bytes: u64, reason: &str) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let start = self.position;
        let ends_line = start == 0 || byte_at(&self.file, start - 1)? == b'\n';
        let line_end = if ends_line { "" } else { "\n" };
        let line = format!("{line_end}[omnivisor] {bytes} bytes of output were lost: {reason}\n");
        self.write(line.as_bytes(), &mut 0).inspect_err(|_| {
            let _ = self.file.set_len(start);
            let _ = self.file.seek(SeekFrom::Start(start));
            self.position = start;
        })
    }
}

/// The rotated files of a log, oldest first, packed ones included.
fn rotated_files(log: &Path) -> io::Result<Vec<(PathBuf, Rotation)>> {
    let directory = match log.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        found.extend(Rotation::of(log, &entry.file_name()).map(|rotation| (entry.path(), rotation)));
    }
    found.sort_by_key(|(_, rotation)| rotation.counter);
    Ok(found)
}
