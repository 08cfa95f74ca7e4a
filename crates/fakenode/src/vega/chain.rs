//! What a core keeps in Vega's home: the height of its block store, and its local snapshots.
//!
//! A core that starts loads a snapshot and carries out again what the block store has above it. Loading an older one
//! than the newest discards all above it, as the real tree of snapshots does.

use crate::error::Error;
use crate::files;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How many snapshots are kept.
const SNAPSHOTS_MAX: usize = 10;
/// What LevelDB says of a lock that somebody else holds.
pub(super) const LEVEL_DB_IN_USE: &str = "resource temporarily unavailable";

/// One local snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) height: u64,
    /// The running number of the tree.
    pub(super) version: u64,
    /// The proposals that the network was done with, as `tag@height`.
    pub(super) done: Vec<String>,
}

/// The folder of the snapshots of a home.
pub(super) fn snapshots_folder(home: &Path) -> PathBuf {
    home.join("state/node/snapshots")
}

/// All snapshots of a folder, the oldest first.
pub(super) fn list(folder: &Path) -> Result<Vec<Snapshot>, Error> {
    let mut found: Vec<Snapshot> = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
            found.push(serde_json::from_str(&text).map_err(Error::json(&path))?);
        }
    }
    found.sort_by_key(|snapshot| snapshot.height);
    Ok(found)
}

/// The state of one core, which nobody else may open.
#[derive(Debug)]
pub(super) struct Chain {
    snapshots: PathBuf,
    blocks: File,
    blocks_path: PathBuf,
    /// The snapshot that was loaded, or what it would be before the first block.
    pub(super) loaded: Snapshot,
    /// How many newer ones were discarded for it.
    pub(super) discarded: usize,
    _lock: File,
}

impl Chain {
    /// Opens the state and loads the snapshot of that height, or the newest one at 0.
    pub(super) fn open(home: &Path, from_height: u64) -> Result<Self, Error> {
        let snapshots = snapshots_folder(home);
        files::make_directory(&snapshots)?;
        let in_use = || Error::damaged(&snapshots, LEVEL_DB_IN_USE);
        let lock = files::try_lock(&snapshots.join("LOCK"))?.ok_or_else(in_use)?;
        let local = list(&snapshots)?;
        let first = Snapshot { height: 0, version: 0, done: Vec::new() };
        let loaded = match (from_height, local.last()) {
            (_, None) => first,
            (0, Some(newest)) => newest.clone(),
            (wanted, Some(_)) => {
                let exact = local.iter().find(|snapshot| snapshot.height == wanted).cloned();
                exact
                    .ok_or_else(|| Error::damaged(&snapshots, format!("no snapshot found for block height {wanted}")))?
            }
        };
        let newer: Vec<&Snapshot> = local.iter().filter(|snapshot| snapshot.height > loaded.height).collect();
        for snapshot in &newer {
            remove(&snapshots, snapshot.height)?;
        }
        let discarded = newer.len();
        let blocks_path = home.join("state/node/block-store");
        let blocks = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&blocks_path);
        let blocks = blocks.map_err(Error::io("open", &blocks_path))?;
        Ok(Self { snapshots, blocks, blocks_path, loaded, discarded, _lock: lock })
    }

    /// The height of the newest block that is stored, carried out or not.
    pub(super) fn stored(&self) -> Result<u64, Error> {
        let mut bytes = [0; 8];
        match self.blocks.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(u64::from_be_bytes(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(Error::io("read", &self.blocks_path)(error)),
        }
    }

    pub(super) fn store(&self, height: u64) -> Result<(), Error> {
        if height <= self.stored()? {
            return Ok(());
        }
        self.blocks.write_all_at(&height.to_be_bytes(), 0).map_err(Error::io("write", &self.blocks_path))
    }

    /// Takes a snapshot, and removes the oldest ones beyond the limit.
    pub(super) fn take_snapshot(&self, height: u64, done: &[String]) -> Result<(), Error> {
        let local = list(&self.snapshots)?;
        let version = local.last().map_or(self.loaded.version, |newest| newest.version) + 1;
        let snapshot = Snapshot { height, version, done: done.to_vec() };
        files::replace_json(&path(&self.snapshots, height), &snapshot)?;
        let surplus = (local.len() + 1).saturating_sub(SNAPSHOTS_MAX);
        local.iter().take(surplus).try_for_each(|oldest| remove(&self.snapshots, oldest.height))
    }
}

fn path(folder: &Path, height: u64) -> PathBuf {
    folder.join(format!("{height:012}.json"))
}

fn remove(folder: &Path, height: u64) -> Result<(), Error> {
    let path = path(folder, height);
    fs::remove_file(&path).map_err(Error::io("remove", &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(home: &Path) -> Vec<u64> {
        list(&snapshots_folder(home)).unwrap().into_iter().map(|snapshot| snapshot.height).collect()
    }

    #[test]
    fn ten_snapshots_are_kept_and_an_older_one_discards_the_newer() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let chain = Chain::open(home, 7).unwrap();
        assert_eq!(chain.loaded.height, 0, "without any, there is nothing to match");
        for height in (5..=60).step_by(5) {
            chain.store(height).unwrap();
            chain.take_snapshot(height, &[]).unwrap();
        }
        assert_eq!(heights(home), (15..=60).step_by(5).collect::<Vec<u64>>());
        assert!(Chain::open(home, 0).is_err(), "one process at a time");
        drop(chain);
        assert!(Chain::open(home, 10).is_err(), "too old");
        assert!(Chain::open(home, 52).is_err(), "no exact match");
        let chain = Chain::open(home, 50).unwrap();
        assert_eq!((chain.loaded.height, chain.discarded, chain.stored().unwrap()), (50, 2, 60));
        assert_eq!(heights(home).last(), Some(&50));
        chain.store(55).unwrap();
        assert_eq!(chain.stored().unwrap(), 60, "the block store does not forget");
        drop(chain);
        assert_eq!(Chain::open(home, 0).unwrap().loaded.height, 50);
    }
}
