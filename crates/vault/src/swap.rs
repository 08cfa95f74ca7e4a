//! Putting one directory in the place of another, so that the old or the new one is there, whole, whatever happens.
//!
//! Where the file system can swap two names, that is one step. Where it cannot, there is a moment without data; a
//! marker beside it, written before and removed after, lets [`repair`] finish what was begun. The marker knows the
//! new directory by its inode, because names alone cannot tell whether two of them were swapped.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Facts};
use ov_sys::durable;
use serde::{Deserialize, Serialize};

use crate::crash_point::CrashPoint;
use crate::error::{At, VaultError};
use crate::manifest::{self, Format, InvalidManifest};
use crate::path_text::PathText;
use crate::scan::resolve;

/// The largest marker that is read.
const LEN_MAX: u64 = 64 << 10;
/// What the root of every btrfs subvolume has.
const BTRFS_ROOT_INODE: u64 = 256;
/// More turns than the longest way from a marker to its removal takes.
const TURNS_MAX: usize = 8;

/// What a swap that was stopped came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repaired {
    /// The new data is in place; the old is kept here, if there was any.
    Finished(Option<PathBuf>),
    /// The old data is in place.
    Abandoned,
}

/// Says which directories change places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    format: Format,
    /// The name under which the new data was built.
    fresh: PathText,
    /// The name that the old data gets.
    kept: PathText,
    /// The new directory's inode.
    fresh_inode: u64,
}

/// Reads a marker; total over all inputs.
pub fn parse_marker(bytes: &[u8]) -> Result<(), InvalidManifest> {
    parse(bytes).map(drop)
}

fn parse(bytes: &[u8]) -> Result<Marker, InvalidManifest> {
    manifest::check_format(bytes)?;
    let marker: Marker = manifest::from_json(bytes)?;
    for (at, name) in [("fresh", &marker.fresh), ("kept", &marker.kept)] {
        if !name.is_inside() || name.path().components().count() != 1 {
            return Err(InvalidManifest::Path { path: name.clone().into(), at: at.to_owned() });
        }
    }
    Ok(marker)
}

/// A data directory, and the names beside it that belong to restores.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    parent: PathBuf,
    name: OsString,
}

impl Place {
    /// Follows a link to where the data really is.
    pub(crate) fn of(disk: &dyn Disk, data: &Path) -> Result<Self, VaultError> {
        let (real, _) = resolve(disk, data)?;
        let unfit = |why| VaultError::Unfit { path: real.clone(), why };
        let name = real.file_name().ok_or_else(|| unfit("it has no name that could be given to another"))?;
        let parent = real.parent().ok_or_else(|| unfit("nothing can lie beside it"))?;
        let (data_facts, parent_facts) = (disk.facts(&real).at("look at", &real)?, disk.facts(parent));
        let parent_facts = parent_facts.at("look at", parent)?.ok_or_else(|| unfit("its folder does not exist"))?;
        // A btrfs subvolume has a device number of its own too, but can be renamed. A whole btrfs that is mounted
        // there looks the same; the kernel will refuse that one, with nothing changed.
        let is_mount = |facts: Facts| facts.device != parent_facts.device && facts.inode != BTRFS_ROOT_INODE;
        if data_facts.is_some_and(is_mount) {
            return Err(unfit("it is a mount point, which cannot be swapped: let the data be a directory below it"));
        }
        Ok(Self { parent: parent.to_owned(), name: name.to_owned() })
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    pub(crate) fn parent(&self) -> &Path {
        &self.parent
    }

    /// A name beside the data: its own between these two.
    pub(crate) fn beside(&self, before: &str, after: &str) -> PathBuf {
        let mut name = OsString::from(before);
        name.push(&self.name);
        name.push(after);
        self.parent.join(name)
    }

    /// `<data><suffix>`, or the first of `<data><suffix>-2` … that is not in use.
    pub(crate) fn free(&self, disk: &dyn Disk, suffix: &str) -> Result<PathBuf, VaultError> {
        let mut candidate = self.beside("", suffix);
        let mut number = 2_u32;
        while durable::exists(disk, &candidate).at("look at", &candidate)? {
            candidate = self.beside("", &format!("{suffix}-{number}"));
            number += 1;
        }
        Ok(candidate)
    }

    fn marker(&self) -> PathBuf {
        self.beside(".", ".swap.json")
    }

    /// Removes half-built data of restores that were stopped. Not while a marker may still need it.
    pub(crate) fn sweep(&self, disk: &dyn Disk) -> Result<(), VaultError> {
        let prefix = self.beside(".", ".restoring-");
        let prefix = prefix.file_name().unwrap_or_default().as_encoded_bytes().to_owned();
        for name in disk.list(&self.parent).at("list", &self.parent)? {
            if name.as_encoded_bytes().starts_with(&prefix) {
                let path = self.parent.join(name);
                durable::remove_tree(disk, &path).at("remove", &path)?;
            }
        }
        Ok(())
    }
}

/// How far a swap is, by what lies where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// The old data is in place and the new one ready.
    NotBegun,
    /// The two have changed places; the old one still has the other's name.
    Exchanged,
    /// The old data was moved aside, and nothing is in place.
    Vacant,
    /// The new data is in place and the old one has its new name.
    Done,
    /// The new data is gone. Nothing of ours does that.
    Lost,
}

/// Puts `fresh` in the place of the data, and what was there under the name `kept`. Both lie beside the data, and
/// everything in `fresh` is durable.
pub(crate) fn swap(disk: &dyn Disk, place: &Place, fresh: &Path, kept: &Path) -> Result<(), VaultError> {
    let facts = disk.facts(fresh).at("look at", fresh)?;
    let fresh_inode = facts.ok_or(VaultError::Unfit { path: fresh.to_owned(), why: "it is gone" })?.inode;
    let name = |path: &Path| PathText::from(PathBuf::from(path.file_name().unwrap_or(OsStr::new(""))));
    let format = Format { major: 1, minor: 0 };
    let marker = Marker { format, fresh: name(fresh), kept: name(kept), fresh_inode };
    let path = place.marker();
    durable::replace(disk, &path, &manifest::to_bytes(&marker), 0o600).at("write", &path)?;
    CrashPoint::SwapMarked.reach();
    match forward(disk, place, &marker, true)? {
        Repaired::Finished(_) => Ok(()),
        Repaired::Abandoned => Err(VaultError::Unfit { path: fresh.to_owned(), why: "it is gone" }),
    }
}

/// Finishes or abandons a swap that was stopped; `None` when none was. To be called before anything uses the data.
pub fn repair(disk: &dyn Disk, data: &Path) -> Result<Option<Repaired>, VaultError> {
    let (real, _) = resolve(disk, data)?;
    let (Some(parent), Some(name)) = (real.parent(), real.file_name()) else { return Ok(None) };
    repair_at(disk, &Place { parent: parent.to_owned(), name: name.to_owned() })
}

pub(crate) fn repair_at(disk: &dyn Disk, place: &Place) -> Result<Option<Repaired>, VaultError> {
    let path = place.marker();
    if !durable::exists(disk, &path).at("look at", &path)? {
        return Ok(None);
    }
    let bytes = disk.read(&path, LEN_MAX).at("read", &path)?;
    let marker = parse(&bytes).map_err(|source| VaultError::Manifest { path, source })?;
    forward(disk, place, &marker, false).map(Some)
}

/// Goes on from wherever the swap is. One that was not begun is begun only if told so.
fn forward(disk: &dyn Disk, place: &Place, marker: &Marker, begin: bool) -> Result<Repaired, VaultError> {
    let (data, parent) = (place.data(), place.parent());
    let (fresh, kept) = (parent.join(marker.fresh.path()), parent.join(marker.kept.path()));
    // All names are in one directory, which keeps the order of its changes: one sync, before the marker goes, will do.
    let rename = |from: &Path, to: &Path| disk.rename(from, to).at("rename to", to);
    for _ in 0..TURNS_MAX {
        match position(disk, &data, &fresh, marker)? {
            Position::NotBegun if begin => match disk.exchange(&fresh, &data) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Unsupported => rename(&data, &kept)?,
                Err(error) => return Err(error).at("swap", &data),
            },
            turn @ (Position::Vacant | Position::Exchanged) => {
                CrashPoint::SwapBegun.reach();
                rename(&fresh, if turn == Position::Vacant { &data } else { &kept })?;
            }
            Position::Done => {
                CrashPoint::SwapNamed.reach();
                let there = durable::exists(disk, &kept).at("look at", &kept)?;
                remove_marker(disk, place)?;
                CrashPoint::SwapDone.reach();
                return Ok(Repaired::Finished(there.then_some(kept)));
            }
            Position::Lost if !durable::exists(disk, &data).at("look at", &data)? => rename(&kept, &data)?,
            Position::NotBegun | Position::Lost => {
                remove_marker(disk, place)?;
                return Ok(Repaired::Abandoned);
            }
        }
    }
    Err(VaultError::Unfit { path: data, why: "its names do not stay where they are put" })
}

fn position(disk: &dyn Disk, data: &Path, fresh: &Path, marker: &Marker) -> Result<Position, VaultError> {
    let is_new = |path: &Path| -> Result<Option<bool>, VaultError> {
        Ok(disk.facts(path).at("look at", path)?.map(|facts| facts.inode == marker.fresh_inode))
    };
    Ok(match (is_new(data)?, is_new(fresh)?) {
        (Some(true), Some(_)) => Position::Exchanged,
        (Some(true), None) => Position::Done,
        (Some(false), Some(true)) => Position::NotBegun,
        (None, Some(true)) => Position::Vacant,
        (_, Some(false) | None) => Position::Lost,
    })
}

fn remove_marker(disk: &dyn Disk, place: &Place) -> Result<(), VaultError> {
    // What the marker was for must be durable before it goes.
    disk.sync_directory(place.parent()).at("sync", place.parent())?;
    let path = place.marker();
    durable::remove_tree(disk, &path).at("remove", &path)
}
