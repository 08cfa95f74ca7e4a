//! Which snapshots there are, and which may go.

use std::collections::BTreeSet;
use std::path::Path;

use ov_sys::Disk;
use ov_sys::durable;
use ov_types::SnapshotId;

use crate::error::{At, VaultError};
use crate::manifest::{self, Summary};
use crate::outside;

/// A snapshot as a list shows it.
#[derive(Debug)]
pub struct Listed {
    /// The snapshot.
    pub id: SnapshotId,
    /// What its manifest says, or why that cannot be told.
    pub summary: Result<Summary, VaultError>,
}

/// What pruning keeps. A snapshot goes only when no rule but the last wants it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// This many of the newest.
    pub keep_last: usize,
    /// Those younger than this.
    pub keep_for_ms: Option<u64>,
    /// Beyond this many bytes, shared ones counted in full, the oldest go whatever the rules above say.
    pub bytes_max: Option<u64>,
}

/// All snapshots, sorted by name.
pub fn list(disk: &dyn Disk, snapshots: &Path) -> Result<Vec<Listed>, VaultError> {
    let ids = names(disk, snapshots)?.into_iter().filter_map(|name| SnapshotId::new(name).ok());
    Ok(ids.map(|id| Listed { summary: manifest::read_summary(disk, snapshots, &id), id }).collect())
}

/// Removes snapshots that the rules do not want; never the newest, and never a protected one (an unfinished upgrade
/// may have to go back to it). Those that cannot be read are left for a person. Returns what was removed.
pub fn prune(
    disk: &dyn Disk,
    snapshots: &Path,
    retention: Retention,
    protected: &BTreeSet<SnapshotId>,
    now_ms: i64,
) -> Result<Vec<SnapshotId>, VaultError> {
    let mut complete: Vec<Summary> =
        list(disk, snapshots)?.into_iter().filter_map(|listed| listed.summary.ok()).collect();
    complete.sort_by(|a, b| (b.taken_at_ms, &b.id).cmp(&(a.taken_at_ms, &a.id)));
    let mut bytes = 0_u64;
    let mut removed = Vec::new();
    for (rank, summary) in complete.into_iter().enumerate() {
        let age_ms = u64::try_from(now_ms.saturating_sub(summary.taken_at_ms)).unwrap_or(0);
        let wanted = rank < retention.keep_last || retention.keep_for_ms.is_some_and(|keep| age_ms < keep);
        let fits = retention.bytes_max.is_none_or(|max| bytes.saturating_add(summary.size) <= max);
        if rank == 0 || protected.contains(&summary.id) || (wanted && fits) {
            bytes = bytes.saturating_add(summary.size);
        } else {
            delete(disk, snapshots, &summary.id)?;
            removed.push(summary.id);
        }
    }
    Ok(removed)
}

/// Removes one snapshot; it vanishes in one step. Nothing there is success.
pub fn delete(disk: &dyn Disk, snapshots: &Path, id: &SnapshotId) -> Result<(), VaultError> {
    let (place, removing) = (snapshots.join(id), snapshots.join(format!(".removing-{id}")));
    if durable::exists(disk, &place).at("look at", &place)? {
        outside::remove(disk, &removing)?;
        disk.rename(&place, &removing).at("rename", &place)?;
        disk.sync_directory(snapshots).at("sync", snapshots)?;
    }
    outside::remove(disk, &removing)
}

/// Removes what interrupted takings and removals left behind. Must not run beside one.
pub fn sweep(disk: &dyn Disk, snapshots: &Path) -> Result<(), VaultError> {
    for name in names(disk, snapshots)? {
        if name.starts_with(".taking-") || name.starts_with(".removing-") {
            outside::remove(disk, &snapshots.join(name))?;
        }
    }
    Ok(())
}

/// UTF-8 names in the folder; none when it is missing. Others are not ours.
fn names(disk: &dyn Disk, snapshots: &Path) -> Result<Vec<String>, VaultError> {
    if !durable::exists(disk, snapshots).at("look at", snapshots)? {
        return Ok(Vec::new());
    }
    let names = disk.list(snapshots).at("list", snapshots)?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}
