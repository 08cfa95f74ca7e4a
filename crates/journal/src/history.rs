//! Reads all segments there are, without writing: also while the daemon writes, also when it is down.

use std::collections::VecDeque;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use ov_sys::Disk;
use serde::de::DeserializeOwned;

use crate::error::JournalError;
use crate::segment;
use crate::{Entry, Sequence, journal};

/// All records of the journal in `directory`, oldest first; none if there is no journal.
///
/// Restated records come again, marked as such. An append that is being written is left out. A newer minor
/// version is read as far as this one understands it.
pub fn history<'a, R: DeserializeOwned>(disk: &'a dyn Disk, directory: &Path) -> Result<History<'a, R>, JournalError> {
    Ok(History {
        disk,
        directory: directory.to_owned(),
        segments: segment::list(disk, directory)?.into(),
        expected: None,
        entries: VecDeque::new(),
        records: PhantomData,
    })
}

/// See [`history`]. Ends after the first error.
#[derive(Debug)]
pub struct History<'a, R> {
    disk: &'a dyn Disk,
    directory: PathBuf,
    segments: VecDeque<Sequence>,
    /// With which number the next segment must begin.
    expected: Option<Sequence>,
    entries: VecDeque<Entry<R>>,
    records: PhantomData<R>,
}

impl<R: DeserializeOwned> History<'_, R> {
    /// Reads the next segment. False when there is none.
    fn read_segment(&mut self) -> Result<bool, JournalError> {
        let Some(first) = self.segments.pop_front() else { return Ok(false) };
        let path = segment::path_of(&self.directory, first);
        let bytes = match journal::read(self.disk, &path) {
            // The daemon has removed it since we looked; what it held is history no more.
            Err(JournalError::Disk { source, .. })
                if source.kind() == io::ErrorKind::NotFound && self.expected.is_none() =>
            {
                return Ok(true);
            }
            result => result?,
        };
        if self.expected.is_some_and(|expected| expected != first) {
            return Err(segment::gap_before(&path));
        }
        let scan = segment::scan(&bytes, &path, first, self.segments.is_empty())?;
        self.entries = scan.entries(&path)?.into();
        self.expected = Some(scan.next(first));
        Ok(true)
    }
}

impl<R: DeserializeOwned> Iterator for History<'_, R> {
    type Item = Result<Entry<R>, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Some(Ok(entry));
            }
            match self.read_segment() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.segments.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}
