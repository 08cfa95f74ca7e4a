//! Digests of what was cloned or linked, computed when the node is up again; and whether a snapshot still is what
//! its manifest says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Kind};
use ov_sys::durable;
use ov_types::SnapshotId;

use crate::error::{At, VaultError};
use crate::manifest::{self, DATA_NAME, Entry, FILE_NAME, Manifest};
use crate::rules::DataRules;
use crate::scan;
use crate::ways::{self, Progress, Watcher};

/// Something in a snapshot that is not what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Path in the data.
    pub path: PathBuf,
    /// What is wrong, to follow the path: "is missing".
    pub what: &'static str,
}

/// Computes the digests that are not known yet and writes them into the manifest. Says whether there were any.
pub fn seal(disk: &dyn Disk, snapshots: &Path, id: &SnapshotId, watch: Watcher<'_>) -> Result<bool, VaultError> {
    let mut manifest = manifest::read(disk, snapshots, id)?;
    if manifest.summary.sealed || !manifest.is_ours() {
        // An earlier try may have stopped before its last sync.
        let place = snapshots.join(id);
        disk.sync_directory(&place).at("sync", &place)?;
        return Ok(false);
    }
    let data = snapshots.join(id).join(DATA_NAME);
    let mut progress = Progress { done: 0, total: manifest.summary.size - manifest.summary.copied };
    for entry in &mut manifest.entries {
        if let Some(what) = look(disk, &data, entry)? {
            return Err(VaultError::Damaged { id: id.clone(), path: entry.path().to_owned(), what });
        }
        if let Entry::File { path, size, blake3: blake3 @ None, .. } = entry {
            *blake3 = Some(ways::digest(disk, &data.join(path.path()))?);
            progress.done += *size;
            watch(progress);
        }
    }
    manifest.summary.sealed = true;
    let path = snapshots.join(id).join(FILE_NAME);
    durable::replace(disk, &path, &manifest.to_bytes(), 0o600).at("write", &path)?;
    Ok(true)
}

/// Everything in a snapshot that is not what its manifest says; every byte is read where the digest is known.
pub fn verify(
    disk: &dyn Disk,
    snapshots: &Path,
    id: &SnapshotId,
    watch: Watcher<'_>,
) -> Result<Vec<Wrong>, VaultError> {
    let manifest = manifest::read(disk, snapshots, id)?;
    let data = snapshots.join(id).join(DATA_NAME);
    let mut wrong = differences(disk, &data, &manifest)?;
    let broken: BTreeSet<PathBuf> = wrong.iter().map(|wrong| wrong.path.clone()).collect();
    let mut progress = Progress { done: 0, total: manifest.summary.size };
    for entry in &manifest.entries {
        let Entry::File { path, size, blake3, .. } = entry else { continue };
        if let (Some(expected), false) = (blake3, broken.contains(path.path()))
            && ways::digest(disk, &data.join(path.path()))? != *expected
        {
            wrong.push(Wrong { path: path.path().to_owned(), what: "has other contents" });
        }
        progress.done += size;
        watch(progress);
    }
    Ok(wrong)
}

/// What can be seen without reading bytes: names missing or too many, kinds, sizes.
pub(crate) fn differences(disk: &dyn Disk, data: &Path, manifest: &Manifest) -> Result<Vec<Wrong>, VaultError> {
    let mut wrong = Vec::new();
    for entry in &manifest.entries {
        if let Some(what) = look(disk, data, entry)? {
            wrong.push(Wrong { path: entry.path().to_owned(), what });
        }
    }
    if !durable::exists(disk, data).at("look at", data)? {
        return Ok(wrong);
    }
    let known: BTreeSet<&Path> = manifest.entries.iter().map(Entry::path).collect();
    let there = scan::scan(disk, data, &DataRules::default(), None)?;
    let extra = there.data.into_iter().chain(there.host_only).map(|found| found.path).chain(there.others);
    let extra = extra.filter(|path| !known.contains(path.as_path()));
    wrong.extend(extra.map(|path| Wrong { path, what: "is not in the manifest" }));
    Ok(wrong)
}

fn look(disk: &dyn Disk, data: &Path, entry: &Entry) -> Result<Option<&'static str>, VaultError> {
    let path = data.join(entry.path());
    let Some(facts) = disk.facts(&path).at("look at", &path)? else { return Ok(Some("is missing")) };
    Ok(match (entry, facts.kind) {
        (Entry::Directory { .. }, Kind::Directory) => None,
        (Entry::File { size, .. }, Kind::File) => (facts.len != *size).then_some("has another size"),
        (Entry::Link { to, .. }, Kind::Link) => {
            let text = disk.read_link(&path).at("read the link", &path)?;
            (text != to.path()).then_some("leads elsewhere")
        }
        _ => Some("is of another kind"),
    })
}
