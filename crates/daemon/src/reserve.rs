//! Room set aside on the node's disk, so that a full disk does not keep a daemon from coming back.
//!
//! Opening the journal writes its newest segment anew, which needs room for one. The reserve is a file that holds as
//! much and nothing else: a daemon that finds no room gives it up, and one that finds plenty lays it down again. It
//! owns that one file; whether it is there decides nothing else.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ov_sys::{Disk, Random, durable};

/// Room for a full segment beside the old one, and for what is appended until somebody has made room.
const RESERVE_BYTES: u64 = 8 * 1024 * 1024;

/// Below so many times that much, the reserve would take what others need.
const PLENTY: u64 = 16;

const CHUNK_BYTES: usize = 256 * 1024;

/// The reserve of a node.
#[derive(Debug)]
pub(crate) struct Reserve {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl Reserve {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Self {
        Self { disk, path }
    }

    /// Gives the room back to the disk; false if there was none to give.
    pub(crate) fn give_up(&self) -> bool {
        self.disk.remove_file(&self.path).is_ok()
    }

    /// Lays it down where there is plenty of room. It is not synced: nobody needs it after a power cut, and the next
    /// daemon looks again.
    pub(crate) fn lay_down(&self) -> io::Result<()> {
        let there = self.disk.facts(&self.path)?.map_or(0, |facts| facts.len);
        let room = self.path.parent().map(|folder| self.disk.room(folder)).transpose()?;
        if there == RESERVE_BYTES || room.is_none_or(|room| room.free < PLENTY * RESERVE_BYTES) {
            return Ok(());
        }
        let laid = self.write();
        if laid.is_err() {
            let _ = self.disk.remove_file(&self.path);
        }
        laid
    }

    fn write(&self) -> io::Result<()> {
        if durable::exists(&*self.disk, &self.path)? {
            self.disk.remove_file(&self.path)?;
        }
        let mut writer = self.disk.create(&self.path, 0o600)?;
        // Not zeros: file systems that leave those out, or compress, would set nothing aside.
        let mut chance = Random::new(CHUNK_BYTES as u64);
        let chunk: Vec<u8> = (0..CHUNK_BYTES / 8).flat_map(|_| chance.number().to_le_bytes()).collect();
        for _ in 0..RESERVE_BYTES / CHUNK_BYTES as u64 {
            writer.write_all(&chunk)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;

    #[test]
    fn it_is_laid_down_once_and_given_up_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reserve");
        let reserve = Reserve::new(Arc::new(RealDisk), path.clone());
        assert!(!reserve.give_up());
        reserve.lay_down().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), RESERVE_BYTES);
        std::fs::write(&path, "cut short").unwrap();
        reserve.lay_down().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), RESERVE_BYTES);
        assert!(reserve.give_up() && !reserve.give_up());
    }
}
