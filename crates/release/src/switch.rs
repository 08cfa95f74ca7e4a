//! Which release is the current one, and the one rename that makes it another.

use std::path::{Component, Path, PathBuf};

use ov_sys::disk::{Disk, Kind};
use ov_sys::durable;
use ov_types::ReleaseName;

use crate::crash_point::CrashPoint;
use crate::error::{At, ReleaseError};
use crate::layout::Layout;
use crate::state::{State, state};
use crate::tree;

/// What `current` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurrentRelease {
    /// It names this release.
    Release(ReleaseName),
    /// There is no such name.
    Missing,
    /// It is a link to nothing; this is its text.
    Dangling(PathBuf),
    /// It is something else than a link.
    NotALink(Kind),
    /// It is a link to something that is not one of the releases.
    Outside(PathBuf),
}

impl CurrentRelease {
    /// The release, if it names one.
    pub fn release(self) -> Option<ReleaseName> {
        match self {
            CurrentRelease::Release(name) => Some(name),
            _ => None,
        }
    }
}

/// What a switch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    /// The release that `current` named before; switching back to it is the undo.
    pub from: Option<ReleaseName>,
    /// Whether anything had to be done.
    pub changed: bool,
}

/// Reads `current`.
pub fn current(disk: &dyn Disk, layout: &Layout) -> Result<CurrentRelease, ReleaseError> {
    let link = &layout.current;
    match disk.facts(link).at("look at", link)? {
        None => return Ok(CurrentRelease::Missing),
        Some(facts) if facts.kind != Kind::Link => return Ok(CurrentRelease::NotALink(facts.kind)),
        Some(_) => {}
    }
    let text = disk.read_link(link).at("read the link", link)?;
    let Some(facts) = tree::facts_followed(disk, link)? else { return Ok(CurrentRelease::Dangling(text)) };
    let target = normal(&link.parent().unwrap_or(Path::new("/")).join(&text));
    if let Some(name) = layout.names(&target) {
        return Ok(CurrentRelease::Release(name));
    }
    // The same directory may be spelt in another way: through a link above it, or through another link.
    for (name, directory) in candidates(layout, &target) {
        let there = tree::facts_followed(disk, &directory)?;
        if there.is_some_and(|there| (there.device, there.inode) == (facts.device, facts.inode)) {
            return Ok(CurrentRelease::Release(name));
        }
    }
    Ok(CurrentRelease::Outside(target))
}

/// Makes `current` name a complete release, in one rename.
pub fn switch(disk: &dyn Disk, layout: &Layout, to: &ReleaseName) -> Result<Switched, ReleaseError> {
    let before = current(disk, layout)?;
    if let CurrentRelease::NotALink(kind) = before {
        let what = match kind {
            Kind::Directory => "a directory",
            Kind::File => "a file",
            Kind::Link | Kind::Other => "something",
        };
        return Err(ReleaseError::NotALink { path: layout.current.clone(), what });
    }
    let there = state(disk, layout, to)?;
    if !matches!(there, State::Complete(_)) {
        return Err(ReleaseError::Incomplete { name: to.clone(), state: there.describe() });
    }
    let from = before.release();
    if from.as_ref() == Some(to) {
        // An earlier try may have stopped before its sync.
        crate::stage::sync_parent(disk, &layout.current)?;
        return Ok(Switched { from, changed: false });
    }
    let text = layout.link_text(to);
    durable::replace_link(disk, &layout.current, &text).at("replace", &layout.current)?;
    CrashPoint::Switched.reach();
    match current(disk, layout)? {
        CurrentRelease::Release(name) if name == *to => Ok(Switched { from, changed: true }),
        other => Err(ReleaseError::ReadBack { path: layout.current.clone(), found: format!("{other:?}") }),
    }
}

/// The releases that the last component of `target` may mean, and the placed ones.
fn candidates(layout: &Layout, target: &Path) -> Vec<(ReleaseName, PathBuf)> {
    let last = target.file_name().and_then(|name| name.to_str()).and_then(|name| ReleaseName::new(name).ok());
    let placed = layout.placed.iter().map(|(name, directory)| (name.clone(), directory.clone()));
    last.map(|name| (name.clone(), layout.directory(&name))).into_iter().chain(placed).collect()
}

/// Without `.` and `..`, by the text alone; a wrong guess is caught by comparing inodes.
fn normal(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            part => result.push(part),
        }
    }
    result
}
