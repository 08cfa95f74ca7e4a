//! What is in a data directory.

use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Facts, Kind};
use ov_sys::durable;

use crate::error::{At, VaultError};
use crate::rules::DataRules;

/// How deep a data directory may be nested.
const DEPTH_MAX: usize = 100;

/// One name in a data directory.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Path in the data directory.
    pub(crate) path: PathBuf,
    pub(crate) facts: Facts,
}

/// What is in a data directory, parents before what is in them.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Files, directories and links that belong into a snapshot.
    pub(crate) data: Vec<Found>,
    /// Those that belong to the host.
    pub(crate) host_only: Vec<Found>,
    /// Sockets, pipes and devices.
    pub(crate) others: Vec<PathBuf>,
}

/// Follows `path` while it is a link, to the directory it means; that may be missing.
pub(crate) fn resolve(disk: &dyn Disk, path: &Path) -> Result<(PathBuf, Option<Facts>), VaultError> {
    match durable::resolve(disk, path).at("look at", path)? {
        None => Err(VaultError::Unfit { path: path.to_owned(), why: "it leads through too many links" }),
        Some((end, Some(facts))) if facts.kind != Kind::Directory => {
            Err(VaultError::Unfit { path: end, why: "it is not a directory" })
        }
        Some(found) => Ok(found),
    }
}

/// Walks a data directory. Links are not followed. `foreign` is a directory that must not lie in it.
pub(crate) fn scan(
    disk: &dyn Disk,
    root: &Path,
    rules: &DataRules,
    foreign: Option<&Facts>,
) -> Result<Scan, VaultError> {
    let mut scan = Scan::default();
    let mut open = vec![(PathBuf::new(), 0, false)];
    while let Some((directory, depth, inherited)) = open.pop() {
        let absolute = root.join(&directory);
        for name in disk.list(&absolute).at("list", &absolute)? {
            let path = directory.join(name);
            let full = root.join(&path);
            let Some(facts) = disk.facts(&full).at("look at", &full)? else { continue };
            if foreign.is_some_and(|foreign| (foreign.device, foreign.inode) == (facts.device, facts.inode)) {
                return Err(VaultError::Unfit { path: full, why: "snapshots may not be kept in the data they are of" });
            }
            if depth >= DEPTH_MAX {
                return Err(VaultError::Unfit { path: full, why: "it is nested too deep" });
            }
            let host_only = !rules.is_sign_state(&path) && (inherited || rules.names_host_only(&path));
            if facts.kind == Kind::Directory {
                open.push((path.clone(), depth + 1, host_only));
            }
            match (facts.kind, host_only) {
                (Kind::Other, _) => scan.others.push(path),
                (_, true) => scan.host_only.push(Found { path, facts }),
                (_, false) => scan.data.push(Found { path, facts }),
            }
        }
    }
    // Sorting by parts puts every directory before what is in it.
    scan.data.sort_by(|a, b| a.path.cmp(&b.path));
    scan.host_only.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(scan)
}
