//! What a data node keeps in Vega's home: its database, and the index of its history behind a lock as LevelDB has it.

use crate::error::Error;
use crate::files;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// One segment of the history, as commands print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its first block.
    pub from_height: u64,
    /// Its last block.
    pub to_height: u64,
    /// What it is called.
    pub history_segment_id: String,
    /// What the one before is called; empty for the first.
    pub previous_history_segment_id: String,
}

/// The folders of a data node in a home.
#[derive(Debug, Clone)]
pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    pub(super) fn new(home: &Path) -> Self {
        Self { root: home.join("state/data-node") }
    }

    /// Where a living data node answers commands.
    pub(super) fn api(&self) -> PathBuf {
        self.root.join("api.sock")
    }

    /// The last segment, which must be looked up by nobody but the holder of the index.
    pub(super) fn latest(&self) -> Result<Option<Segment>, Error> {
        let path = self.root.join("networkhistory/segments.json");
        let Some(text) = files::read_if_there(&path)? else { return Ok(None) };
        let segments: Vec<Segment> = serde_json::from_str(&text).map_err(Error::json(&path))?;
        Ok(segments.into_iter().next_back())
    }

    /// The right to use the index, if nobody else has it.
    pub(super) fn try_index(&self) -> Result<Option<File>, Error> {
        let folder = self.root.join("networkhistory");
        files::make_directory(&folder)?;
        files::try_lock(&folder.join("LOCK"))
    }

    /// Adds the segment that ends with this block, unless it is there.
    pub(super) fn add_segment(&self, to_height: u64) -> Result<(), Error> {
        let path = self.root.join("networkhistory/segments.json");
        let text = files::read_if_there(&path)?.unwrap_or_else(|| "[]".to_owned());
        let mut segments: Vec<Segment> = serde_json::from_str(&text).map_err(Error::json(&path))?;
        let (before, previous) = segments.last().map_or((0, ""), |last| (last.to_height, &last.history_segment_id));
        if to_height <= before {
            return Ok(());
        }
        let segment = Segment {
            from_height: before + 1,
            to_height,
            history_segment_id: format!("QmFake{to_height:08}"),
            previous_history_segment_id: previous.to_owned(),
        };
        segments.push(segment);
        files::replace_json(&path, &segments)
    }

    /// Opens the database. Says whether it was left by a process that was killed.
    pub(super) fn open_database(&self) -> Result<(Database, bool), Error> {
        let folder = self.root.join("postgres");
        files::make_directory(&folder)?;
        let database = Database { folder };
        let is_dirty = database.mark().exists();
        files::replace(&database.mark(), b"somebody uses it\n")?;
        Ok((database, is_dirty))
    }
}

/// A database that must be closed, or else it is dirty.
#[derive(Debug)]
pub(super) struct Database {
    folder: PathBuf,
}

impl Database {
    fn mark(&self) -> PathBuf {
        self.folder.join("postmaster.pid")
    }

    /// The last block in it.
    pub(super) fn height(&self) -> Result<u64, Error> {
        let text = files::read_if_there(&self.folder.join("height"))?.unwrap_or_default();
        Ok(text.trim().parse().unwrap_or(0))
    }

    pub(super) fn set_height(&self, height: u64) -> Result<(), Error> {
        // By rename, so that a kill leaves a number, but not made durable: a power cut is not what is played here.
        let (new, path) = (self.folder.join("height.new"), self.folder.join("height"));
        fs::write(&new, height.to_string()).and_then(|()| fs::rename(&new, &path)).map_err(Error::io("write", &path))
    }

    pub(super) fn close(&self) -> Result<(), Error> {
        fs::remove_file(self.mark()).map_err(Error::io("remove", &self.mark()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_follow_each_other() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(home.path());
        let index = place.try_index().unwrap();
        assert!(index.is_some() && place.try_index().unwrap().is_none());
        assert_eq!(place.latest().unwrap(), None);
        for height in [10, 20, 15, 20] {
            place.add_segment(height).unwrap();
        }
        let latest = place.latest().unwrap().unwrap();
        assert_eq!((latest.from_height, latest.to_height), (11, 20));
        assert_eq!(latest.previous_history_segment_id, "QmFake00000010");
    }

    #[test]
    fn a_database_that_was_not_closed_is_dirty() {
        let home = tempfile::tempdir().unwrap();
        let place = Place::new(home.path());
        let (database, was_dirty) = place.open_database().unwrap();
        database.set_height(7).unwrap();
        assert_eq!((was_dirty, database.height().unwrap()), (false, 7));
        assert!(place.open_database().unwrap().1);
        database.close().unwrap();
        assert!(!place.open_database().unwrap().1);
    }
}
