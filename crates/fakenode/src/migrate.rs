//! Raising the data format at the first start of a newer version.
//!
//! Segments are rewritten one by one, and the marker is raised last: a migration that was cut short
//! goes on at the next start of the same version, and no older version opens what it left.

use crate::block::Block;
use crate::error::Error;
use crate::files;
use crate::store::{DataLock, Paths, write_once};

/// What has to be done before this version can open the directory.
#[derive(Debug)]
pub(crate) struct Migration {
    pub(crate) from: u64,
    segments: u64,
}

impl Migration {
    /// Nothing, a migration, or the refusal of data that a newer version wrote.
    pub(crate) fn needed(_lock: &DataLock, paths: &Paths, supported: u64) -> Result<Option<Self>, Error> {
        let segments = paths.count_segments();
        let Some(marker) = paths.format()? else {
            paths.raise_format(supported)?;
            return Ok(None);
        };
        let begun = match segments {
            0 => marker,
            _ => paths.read_segment(1)?.first().map_or(marker, |block| block.format),
        };
        let found = marker.max(begun);
        if found > supported {
            return Err(Error::FormatTooNew { found, supported });
        }
        Ok((marker < supported).then_some(Self { from: marker, segments }))
    }

    /// How many steps there are; the log is the last.
    pub(crate) fn steps(&self) -> u64 {
        self.segments + 1
    }

    /// Carries out one step, counted from 1. Repeating a step changes nothing.
    pub(crate) fn step(&self, paths: &Paths, number: u64, format: u64) -> Result<(), Error> {
        if number <= self.segments {
            let blocks = paths.read_segment(number)?;
            return write_once(&paths.segment(number), &convert(blocks, format));
        }
        let (blocks, _torn) = paths.read_log()?;
        files::replace(&paths.log(), &convert(blocks, format))?;
        paths.raise_format(format)
    }
}

fn convert(blocks: Vec<Block>, format: u64) -> Vec<u8> {
    blocks.into_iter().flat_map(|block| Block { format, ..block }.encode()).collect()
}
