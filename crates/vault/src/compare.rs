//! Whether data is still what a snapshot was taken of. Only looks; reads no contents.

use std::path::Path;

use ov_sys::disk::{Disk, Kind};
use ov_types::SnapshotId;

use crate::error::{At, VaultError};
use crate::manifest::{self, Entry};
use crate::rules::DataRules;
use crate::scan::{Found, resolve, scan};
use crate::take::nanoseconds;

/// Whether nothing was written to the data since the snapshot was taken: the same names, and every file of the same
/// size and time. What belongs to the host alone does not count.
pub fn is_as_taken(
    disk: &dyn Disk,
    snapshots: &Path,
    id: &SnapshotId,
    data: &Path,
    rules: &DataRules,
) -> Result<bool, VaultError> {
    let taken = manifest::read(disk, snapshots, id)?.entries;
    let (root, there) = resolve(disk, data)?;
    if there.is_none() {
        return Ok(false);
    }
    let now = scan(disk, &root, rules, None)?.data;
    if taken.len() != now.len() {
        return Ok(false);
    }
    let mut taken: Vec<&Entry> = taken.iter().collect();
    taken.sort_by(|a, b| a.path().cmp(b.path()));
    for (entry, found) in taken.into_iter().zip(&now) {
        if !is_same(disk, &root, entry, found)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_same(disk: &dyn Disk, root: &Path, entry: &Entry, found: &Found) -> Result<bool, VaultError> {
    if entry.path() != found.path {
        return Ok(false);
    }
    Ok(match (entry, found.facts.kind) {
        (Entry::File { size, modified_ns, .. }, Kind::File) => {
            (*size, *modified_ns) == (found.facts.len, nanoseconds(found.facts.modified))
        }
        (Entry::Directory { .. }, Kind::Directory) => true,
        (Entry::Link { to, .. }, Kind::Link) => {
            let path = root.join(&found.path);
            disk.read_link(&path).at("read the link", &path)? == to.path()
        }
        _ => false,
    })
}
