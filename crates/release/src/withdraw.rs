//! Taking a release away again.

use std::path::Path;

use ov_sys::disk::Disk;
use ov_sys::durable;
use ov_types::ReleaseName;

use crate::crash_point::CrashPoint;
use crate::error::{At, ReleaseError};
use crate::fetch;
use crate::layout::Layout;
use crate::state::{State, state};
use crate::switch::{CurrentRelease, current};

/// Removes a release that is not the current one; whether another plan wants it is for the caller to know. Says
/// whether there was anything to remove. A directory without provenance is not ours and stays.
pub fn withdraw(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<bool, ReleaseError> {
    if current(disk, layout)? == CurrentRelease::Release(name.clone()) {
        return Err(ReleaseError::Current { name: name.clone() });
    }
    let there = match state(disk, layout, name)? {
        State::Missing | State::Unknown => false,
        State::Damaged(_) | State::Complete(_) => true,
    };
    if there {
        remove(disk, layout, name)?;
    } else {
        // An earlier try may have stopped between its renames and its removals.
        remove_leftovers(disk, layout, name)?;
    }
    // Nobody goes on with fetching what is withdrawn.
    fetch::discard(disk, layout, name)?;
    Ok(there)
}

/// Moves the tree out of sight in one step, then its provenance, and only then deletes: a release is never seen
/// with half of its files. All of it happens in one directory, which keeps the order, and the removals sync it.
pub(crate) fn remove(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<(), ReleaseError> {
    let (directory, removing, provenance) = (layout.directory(name), layout.removing(name), layout.provenance(name));
    if durable::exists(disk, &directory).at("look at", &directory)? {
        durable::remove_tree(disk, &removing).at("remove", &removing)?;
        disk.rename(&directory, &removing).at("rename", &directory)?;
    }
    CrashPoint::Hidden.reach();
    durable::remove_tree(disk, &provenance).at("remove", &provenance)?;
    CrashPoint::Withdrawn.reach();
    remove_leftovers(disk, layout, name)
}

/// If an earlier try moved the tree away but kept the provenance, removes the provenance.
pub(crate) fn finish_withdrawal(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<(), ReleaseError> {
    let there = |path: &Path| durable::exists(disk, path).at("look at", path);
    if there(&layout.removing(name))? && !there(&layout.directory(name))? {
        let provenance = layout.provenance(name);
        durable::remove_tree(disk, &provenance).at("remove", &provenance)?;
    }
    Ok(())
}

pub(crate) fn remove_leftovers(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<(), ReleaseError> {
    remove_trees(disk, layout, name)?;
    let pending = layout.pending(name);
    durable::remove_tree(disk, &pending).at("remove", &pending)
}

/// Removes trees that are half-built or half-removed.
pub(crate) fn remove_trees(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<(), ReleaseError> {
    for tree in [layout.removing(name), layout.staging(name)] {
        durable::remove_tree(disk, &tree).at("remove", &tree)?;
    }
    Ok(())
}
