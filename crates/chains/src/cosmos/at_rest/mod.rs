//! How high the data of a node is while nothing of the node runs, from its files alone.
//!
//! A block is stored before it is carried out, and the state is written down after that. So a node that died says two
//! things: up to which block its state says that all was carried out, and which block it stored last, which may have been
//! carried out or not. A node that halts for an upgrade has stored the block that it halts for, and not carried it out.
//!
//! The log of the consensus is asked only where neither can be read: a node that catches up writes nothing there, so that
//! it tells no more than a height which the data is not below.

mod consensus_log;
mod proto;
#[cfg(test)]
mod tests;

use std::path::Path;

use ov_sys::Disk;
use ov_types::Height;

use crate::leveldb::{self, Unreadable};
use crate::shape::HeightFiles;

/// How high the data of a node is that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeightAtRest {
    /// All blocks up to this one were carried out.
    pub at_least: Height,
    /// No block above this one was carried out; `None` where that is not known.
    pub at_most: Option<Height>,
}

impl HeightAtRest {
    /// The height itself, unless only a bound is known. Of a block that may have been carried out or not, it is not said
    /// that it was.
    pub fn certain(&self) -> Option<Height> {
        self.at_most.map(|_| self.at_least)
    }
}

/// Reads the height of a node that does not run. `None`: there is no data, or none that tells a height.
pub fn height_at_rest(disk: &dyn Disk, files: &HeightFiles) -> Result<Option<HeightAtRest>, Unreadable> {
    let stored = stored(disk, &files.databases);
    let carried_out = carried_out(disk, &files.databases);
    if let Some(known) = together(stored.as_ref().ok().copied().flatten(), carried_out.as_ref().ok().copied().flatten())
    {
        return Ok(Some(known));
    }
    if let Some(ended) = consensus_log::last_end(disk, &files.consensus_log).filter(|ended| *ended > 1) {
        return Ok(Some(HeightAtRest { at_least: Height(ended - 1), at_most: None }));
    }
    stored.and(carried_out).map(|_| None)
}

/// What both databases say together.
fn together(stored: Option<u64>, carried_out: Option<u64>) -> Option<HeightAtRest> {
    let (at_least, at_most) = match (stored, carried_out) {
        (Some(stored), Some(done)) => (done.max(stored.saturating_sub(1)), stored.max(done)),
        (Some(stored), None) => (stored.saturating_sub(1), stored),
        (None, Some(done)) => (done, done.saturating_add(1)),
        (None, None) => return None,
    };
    Some(HeightAtRest { at_least: Height(at_least), at_most: Some(Height(at_most)) })
}

/// The last block that was stored.
fn stored(disk: &dyn Disk, databases: &Path) -> Result<Option<u64>, Unreadable> {
    height_under(disk, &databases.join("blockstore.db"), b"blockStore", 2)
}

/// The last block of which the node wrote down that it was carried out.
fn carried_out(disk: &dyn Disk, databases: &Path) -> Result<Option<u64>, Unreadable> {
    height_under(disk, &databases.join("state.db"), b"stateKey", 3)
}

/// The height in one field of the message under a key. None at all is 0, and tells nothing.
fn height_under(disk: &dyn Disk, directory: &Path, key: &[u8], field: u64) -> Result<Option<u64>, Unreadable> {
    let Some(message) = leveldb::read(disk, directory, key)? else { return Ok(None) };
    let height = proto::number(&message, field).ok_or(Unreadable::Damaged("the height stands in no message"))?;
    Ok(Some(height).filter(|height| (1..=i64::MAX.unsigned_abs()).contains(height)))
}
