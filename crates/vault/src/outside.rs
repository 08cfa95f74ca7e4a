//! Snapshots whose data lies elsewhere, in a folder that is nothing but a copy of the data: where other programs, and
//! people, look for it. The snapshot holds a link to that folder, and everything else is as with any other.
//!
//! The link is made first, so that whatever a stopped try left behind is found by it. While it is built, the folder has
//! a hidden name beside its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Kind};
use ov_sys::durable;

use crate::error::{At, VaultError};
use crate::manifest::DATA_NAME;
use crate::scan::resolve;

/// Where the folder is while it is built.
pub(crate) fn hidden(place: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(".taking");
    place.with_file_name(name)
}

/// The first of `name`, `name-2`, `name-3` … in a folder that is not in use.
pub fn free_place(disk: &dyn Disk, folder: &Path, name: &str) -> Result<PathBuf, VaultError> {
    let mut place = folder.join(name);
    for number in 2_u32.. {
        if !durable::exists(disk, &place).at("look at", &place)? {
            break;
        }
        place = folder.join(format!("{name}-{number}"));
    }
    Ok(place)
}

/// Refuses a folder in the data, which would hold itself.
pub(crate) fn refuse_inside(disk: &dyn Disk, place: &Path, root: &Path) -> Result<(), VaultError> {
    let folder = place.parent().unwrap_or(Path::new("/"));
    let (folder, _) = resolve(disk, folder)?;
    if folder.starts_with(root) {
        return Err(VaultError::Unfit { path: folder, why: "snapshots may not be kept in the data they are of" });
    }
    Ok(())
}

/// Gives the finished folder its name.
pub(crate) fn reveal(disk: &dyn Disk, place: &Path) -> Result<(), VaultError> {
    let folder = place.parent().unwrap_or(Path::new("/"));
    disk.rename(&hidden(place), place).at("rename to", place)?;
    disk.sync_directory(folder).at("sync", folder)
}

/// Removes a snapshot's directory, and what its link leads to.
pub(crate) fn remove(disk: &dyn Disk, directory: &Path) -> Result<(), VaultError> {
    let link = directory.join(DATA_NAME);
    if disk.facts(&link).at("look at", &link)?.is_some_and(|facts| facts.kind == Kind::Link) {
        let place = disk.read_link(&link).at("read the link", &link)?;
        for leftover in [hidden(&place), place] {
            durable::remove_tree(disk, &leftover).at("remove", &leftover)?;
        }
    }
    durable::remove_tree(disk, directory).at("remove", directory)
}
