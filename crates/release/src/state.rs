//! Whether a release is whole.

use std::path::Path;

use ov_sys::disk::{Disk, Kind};
use ov_types::ReleaseName;

use crate::error::{At, ReleaseError};
use crate::layout::Layout;
use crate::provenance::{self, Provenance};
use crate::tree::{self, Entry};

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoroughness {
    /// Names, kinds, sizes and permissions: cheap enough to do before every switch.
    Facts,
    /// Every byte as well.
    Contents,
}

/// What a release is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing is there.
    Missing,
    /// A directory without provenance: made by hand, or by something that did not finish.
    Unknown,
    /// The provenance is there, and this is wrong with what it describes.
    Damaged(Vec<String>),
    /// Whole.
    Complete(Provenance),
}

impl State {
    /// The provenance of a whole release.
    pub fn complete(self) -> Option<Provenance> {
        match self {
            State::Complete(provenance) => Some(provenance),
            State::Missing | State::Unknown | State::Damaged(_) => None,
        }
    }

    /// For people, to follow "it is".
    pub fn describe(&self) -> String {
        match self {
            State::Missing => "missing".to_owned(),
            State::Unknown => "without provenance".to_owned(),
            State::Damaged(wrong) => format!("damaged: {}", wrong.join("; ")),
            State::Complete(_) => "complete".to_owned(),
        }
    }
}

/// Whether somebody put the release into its place by hand, and it was taken on as it was: then what lies there is
/// theirs to change.
pub fn was_adopted(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<bool, ReleaseError> {
    let provenance = provenance::read(disk, &layout.provenance(name))?;
    Ok(provenance.is_some_and(|provenance| provenance.source == adopted_source(&layout.directory(name))))
}

/// What the provenance says of a release that was put into its place by hand.
pub(crate) fn adopted_source(directory: &Path) -> String {
    format!("adopted from {}", directory.display())
}

/// What the release is, by names, kinds, sizes and permissions.
pub fn state(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<State, ReleaseError> {
    look(disk, layout, name, Thoroughness::Facts)
}

/// What the release is, every byte read again.
pub fn verify(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<State, ReleaseError> {
    look(disk, layout, name, Thoroughness::Contents)
}

fn look(disk: &dyn Disk, layout: &Layout, name: &ReleaseName, how: Thoroughness) -> Result<State, ReleaseError> {
    let directory = layout.directory(name);
    let there = disk.facts(&directory).at("look at", &directory)?;
    let provenance = match provenance::read(disk, &layout.provenance(name)) {
        // A release whose provenance cannot be understood must not stop the others from being seen.
        Err(ReleaseError::Provenance { source, .. }) => {
            return Ok(State::Damaged(vec![format!("its provenance is unreadable: {source}")]));
        }
        provenance => provenance?,
    };
    match (there, provenance) {
        (None, None) => Ok(State::Missing),
        (None, Some(_)) => Ok(State::Damaged(vec!["its directory is missing".to_owned()])),
        (Some(_), None) => Ok(State::Unknown),
        (Some(facts), Some(_)) if facts.kind != Kind::Directory => {
            Ok(State::Damaged(vec!["it is not a directory".to_owned()]))
        }
        (Some(_), Some(provenance)) if provenance.name != *name => {
            Ok(State::Damaged(vec![format!("its provenance is that of `{}`", provenance.name)]))
        }
        (Some(_), Some(provenance)) => {
            let wrong = differences(disk, &directory, &provenance.entries, how)?;
            Ok(if wrong.is_empty() { State::Complete(provenance) } else { State::Damaged(wrong) })
        }
    }
}

/// How a tree differs from its entries. Names that are not among the entries do not count: programs leave caches
/// and logs behind in their own directories.
pub(crate) fn differences(
    disk: &dyn Disk,
    root: &Path,
    entries: &[Entry],
    how: Thoroughness,
) -> Result<Vec<String>, ReleaseError> {
    /// More than these do not help anybody.
    const SHOWN_MAX: usize = 8;
    let mut wrong = Vec::new();
    for entry in entries {
        if let Some(why) = difference(disk, &root.join(entry.path()), entry, how)? {
            wrong.push(format!("`{}` {why}", entry.path()));
        }
        if wrong.len() >= SHOWN_MAX {
            break;
        }
    }
    Ok(wrong)
}

fn difference(
    disk: &dyn Disk,
    path: &Path,
    entry: &Entry,
    how: Thoroughness,
) -> Result<Option<&'static str>, ReleaseError> {
    let Some(facts) = disk.facts(path).at("look at", path)? else { return Ok(Some("is missing")) };
    Ok(match (entry, facts.kind) {
        // What a directory may be used for is the owner's business; that it is one is ours.
        (Entry::Directory { .. }, Kind::Directory) => None,
        (Entry::Link { to, .. }, Kind::Link) => {
            let text = disk.read_link(path).at("read the link", path)?;
            (text != Path::new(to)).then_some("leads elsewhere")
        }
        (Entry::File { mode, size, sha256, .. }, Kind::File) => {
            if facts.len != *size {
                Some("has another size")
            } else if facts.mode & mode & 0o111 != mode & 0o111 {
                Some("is not executable any more")
            } else if how == Thoroughness::Contents && tree::digest_file(disk, path)?.1 != *sha256 {
                Some("has other contents")
            } else {
                None
            }
        }
        _ => Some("is of another kind"),
    })
}
