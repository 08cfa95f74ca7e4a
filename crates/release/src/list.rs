//! Which releases there are, and which may go.

use std::collections::BTreeSet;

use ov_sys::disk::{Disk, Kind};
use ov_sys::durable;
use ov_types::ReleaseName;

use crate::error::{At, ReleaseError};
use crate::layout::Layout;
use crate::state::{State, state};
use crate::switch::current;
use crate::withdraw::{finish_withdrawal, remove_leftovers, remove_trees, withdraw};

/// A release as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The release.
    pub name: ReleaseName,
    /// Whether `current` names it.
    pub current: bool,
    /// What it is on the disk.
    pub state: State,
}

impl Listed {
    /// When it was staged, if it is complete.
    pub fn staged_at_ms(&self) -> Option<i64> {
        match &self.state {
            State::Complete(provenance) => Some(provenance.staged_at_ms),
            State::Missing | State::Unknown | State::Damaged(_) => None,
        }
    }
}

/// All releases, sorted by name.
pub fn list(disk: &dyn Disk, layout: &Layout) -> Result<Vec<Listed>, ReleaseError> {
    let current = current(disk, layout)?.release();
    let mut listed = Vec::new();
    for name in names(disk, layout)? {
        let state = state(disk, layout, &name)?;
        if state != State::Missing {
            listed.push(Listed { current: current.as_ref() == Some(&name), name, state });
        }
    }
    Ok(listed)
}

/// Removes complete releases beyond the `keep_last` staged last; never the current one and never a protected one
/// (the release to go back to, and those that plans name). Returns what was removed.
pub fn prune(
    disk: &dyn Disk,
    layout: &Layout,
    keep_last: usize,
    protected: &BTreeSet<ReleaseName>,
) -> Result<Vec<ReleaseName>, ReleaseError> {
    let mut complete: Vec<_> = list(disk, layout)?
        .into_iter()
        .filter_map(|listed| listed.staged_at_ms().map(|at_ms| (at_ms, listed.current, listed.name)))
        .collect();
    complete.sort_by(|a, b| b.cmp(a));
    let mut removed = Vec::new();
    for (_, is_current, name) in complete.into_iter().skip(keep_last) {
        if !is_current && !protected.contains(&name) {
            withdraw(disk, layout, &name)?;
            removed.push(name);
        }
    }
    Ok(removed)
}

/// Removes what interrupted stagings and withdrawals left behind. Must not run beside one.
pub fn sweep(disk: &dyn Disk, layout: &Layout) -> Result<(), ReleaseError> {
    let mut names = names(disk, layout)?;
    for folder in folders(layout) {
        for name in entries(disk, &folder)? {
            let hidden = [".staging-", ".removing-"].iter().find_map(|prefix| name.strip_prefix(prefix));
            let hidden = hidden.map(|name| name.strip_suffix(".release.json").unwrap_or(name));
            names.extend(hidden.and_then(|name| ReleaseName::new(name).ok()));
        }
    }
    for name in names {
        finish_withdrawal(disk, layout, &name)?;
        // A pending provenance whose tree is in place belongs to a staging that only its repetition may finish.
        match state(disk, layout, &name)? {
            State::Unknown => remove_trees(disk, layout, &name)?,
            _ => remove_leftovers(disk, layout, &name)?,
        }
    }
    Ok(())
}

fn names(disk: &dyn Disk, layout: &Layout) -> Result<BTreeSet<ReleaseName>, ReleaseError> {
    let mut names: BTreeSet<_> = layout.placed.keys().cloned().collect();
    for entry in entries(disk, &layout.releases)? {
        let path = layout.releases.join(&entry);
        // A release that has lost its directory shows as damaged rather than not at all.
        let name = entry.strip_suffix(".release.json").unwrap_or(&entry);
        let is_directory = disk.facts(&path).at("look at", &path)?.is_some_and(|facts| facts.kind == Kind::Directory);
        let is_release = match &layout.launch_file {
            Some(file) if is_directory => durable::exists(disk, &path.join(file)).at("look at", &path)?,
            _ => is_directory,
        };
        if is_release || name != entry {
            names.extend(layout.names(&layout.releases.join(name)));
        }
    }
    Ok(names)
}

fn folders(layout: &Layout) -> BTreeSet<std::path::PathBuf> {
    let placed = layout.placed.values().filter_map(|directory| directory.parent());
    placed.chain([layout.releases.as_path()]).map(std::path::Path::to_owned).collect()
}

/// UTF-8 names in a folder; none when it is missing. Others cannot be names of releases.
fn entries(disk: &dyn Disk, folder: &std::path::Path) -> Result<Vec<String>, ReleaseError> {
    if !durable::exists(disk, folder).at("look at", folder)? {
        return Ok(Vec::new());
    }
    let entries = disk.list(folder).at("list", folder)?;
    Ok(entries.into_iter().filter_map(|name| name.into_string().ok()).collect())
}
