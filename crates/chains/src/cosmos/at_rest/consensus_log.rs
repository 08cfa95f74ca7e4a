//! The log of the consensus: which height ended last. It is the same whatever database a node uses.
//!
//! Each file is read from its beginning, in pieces: what lies in its messages was sent by strangers, so an end of a height
//! must not be looked for anywhere but where a message begins. The newest file is read first, and most often alone.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use ov_sys::Disk;

use super::proto;

/// A file is begun anew after 10 MiB, or a little more.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Messages are no longer than a mebibyte, and a head.
const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// Each file holds hundreds of heights, but for chains with large blocks.
const FILES_MAX: usize = 8;

/// The last height that ended, as far as the newest files tell.
pub(super) fn last_end(disk: &dyn Disk, log: &Path) -> Option<u64> {
    newest_first(disk, log).into_iter().take(FILES_MAX).find_map(|path| last_end_in(disk, &path))
}

/// The file that is written, and those before it: `wal`, `wal.007`, `wal.006` and so on.
fn newest_first(disk: &dyn Disk, log: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else {
        return Vec::new();
    };
    let number = |there: &std::ffi::OsString| {
        let number = there.to_str()?.strip_prefix(name)?.strip_prefix('.')?;
        number.parse::<u64>().ok()
    };
    let names = disk.list(directory).unwrap_or_default();
    let mut rotated: Vec<u64> = names.iter().filter_map(number).collect();
    rotated.sort_unstable_by(|one, other| other.cmp(one));
    let rotated = rotated.into_iter().map(|number| directory.join(format!("{name}.{number:03}")));
    std::iter::once(log.to_owned()).chain(rotated).collect()
}

fn last_end_in(disk: &dyn Disk, path: &Path) -> Option<u64> {
    let mut reader = BufReader::new(disk.open(path).ok()?.take(FILE_BYTES_MAX));
    let (mut last, mut message) = (None, Vec::new());
    // Behind a message that is damaged nobody knows where the next one begins.
    while next(&mut reader, &mut message).is_some() {
        last = end_of_height(&message).or(last);
    }
    last
}

/// Reads a message: its checksum, its length, itself.
fn next(reader: &mut impl Read, message: &mut Vec<u8>) -> Option<()> {
    let (mut checksum, mut length) = ([0; 4], [0; 4]);
    reader.read_exact(&mut checksum).ok()?;
    reader.read_exact(&mut length).ok()?;
    let (checksum, length) = (u32::from_be_bytes(checksum), u32::from_be_bytes(length));
    let length = usize::try_from(length).ok().filter(|length| (1..=MESSAGE_BYTES_MAX).contains(length))?;
    message.clear();
    reader.take(length as u64).read_to_end(message).ok()?;
    (message.len() == length && crc32c::crc32c(message) == checksum).then_some(())
}

/// The height that a message says has ended, if it says that.
fn end_of_height(timed: &[u8]) -> Option<u64> {
    let end = proto::message(proto::message(timed, 2)?, 4)?;
    proto::number(end, 1).filter(|height| i64::try_from(*height).is_ok())
}
