//! The ways to bring a file into another directory, and the choice among them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use ov_sys::disk::{Disk, Facts, Kind};
use ov_types::KeepMethod;

use crate::error::{At, VaultError};
use crate::manifest::How;
use crate::scan::Found;

/// Left free beyond what is needed: the journal and the node must go on writing.
const ROOM_MARGIN_BYTES: u64 = 16 << 20;

const COPY_BUFFER_BYTES: usize = 1 << 20;

/// Which ways may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// The fastest that is safe: reflink, else hard links for write-once files and copies of the rest.
    #[default]
    Auto,
    /// Reflink, or fail.
    Reflink,
    /// Hard links for write-once files and copies of the rest.
    HardLink,
    /// Copies.
    Copy,
}

impl Method {
    /// The method that a setting asks for, if it asks for a snapshot.
    pub fn of(setting: KeepMethod) -> Option<Self> {
        match setting {
            KeepMethod::Auto => Some(Self::Auto),
            KeepMethod::Reflink => Some(Self::Reflink),
            KeepMethod::HardLink => Some(Self::HardLink),
            KeepMethod::Copy => Some(Self::Copy),
            KeepMethod::Off => None,
        }
    }
}

/// How far something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes in place.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Who is told how far something is.
pub(crate) type Watcher<'a> = &'a mut dyn FnMut(Progress);

/// The choice among the ways into one directory, with the verdict on reflinks once per file system.
#[derive(Debug)]
pub(crate) struct Ways<'a> {
    disk: &'a dyn Disk,
    method: Method,
    target_device: u64,
    /// By the device that files come from, whether they can be reflinked from there.
    reflinks: BTreeMap<u64, bool>,
}

impl<'a> Ways<'a> {
    /// Tries reflinks into `target`, an empty directory, with the smallest file of each file system.
    pub(crate) fn probe(
        disk: &'a dyn Disk,
        method: Method,
        root: &Path,
        files: &[Found],
        target: &Path,
    ) -> Result<Self, VaultError> {
        let facts = disk.facts(target).at("look at", target)?;
        let target_device = facts.map_or(0, |facts| facts.device);
        let mut ways = Self { disk, method, target_device, reflinks: BTreeMap::new() };
        if !matches!(method, Method::Auto | Method::Reflink) {
            return Ok(ways);
        }
        let mut smallest: BTreeMap<u64, &Found> = BTreeMap::new();
        for file in files.iter().filter(|found| found.facts.kind == Kind::File && found.facts.len > 0) {
            let best = smallest.entry(file.facts.device).or_insert(file);
            if file.facts.len < best.facts.len {
                *best = file;
            }
        }
        let trial = target.join("trial");
        for (device, file) in smallest {
            let from = root.join(&file.path);
            let works = match disk.reflink(&from, &trial) {
                Ok(()) => true,
                Err(error) if is_impossible(&error) => false,
                Err(error) => return Err(error).at("clone", &from),
            };
            if works {
                disk.remove_file(&trial).at("remove", &trial)?;
            }
            ways.reflinks.insert(device, works);
        }
        Ok(ways)
    }

    /// The way for one file. Only write-once files may be shared.
    pub(crate) fn choose(&self, file: &Facts, write_once: bool) -> How {
        let reflink = file.len > 0 && self.reflinks.get(&file.device).copied().unwrap_or(false);
        let link = write_once && file.device == self.target_device;
        match self.method {
            Method::Auto | Method::Reflink if reflink => How::Reflink,
            Method::Auto | Method::HardLink if link => How::Link,
            _ => How::Copy,
        }
    }

    /// Refuses before anything is written when there is no room for what must be copied.
    pub(crate) fn check_room(
        &self,
        files: &[Found],
        is_write_once: impl Fn(&Found) -> bool,
        target: &Path,
    ) -> Result<(), VaultError> {
        let copied = files.iter().filter(|found| found.facts.kind == Kind::File);
        let copied = copied.filter(|found| self.choose(&found.facts, is_write_once(found)) == How::Copy);
        let need = copied.fold(ROOM_MARGIN_BYTES, |sum, found| sum.saturating_add(found.facts.len));
        let room = self.disk.room(target).at("measure the room at", target)?;
        if room.free < need {
            return Err(VaultError::Room { path: target.to_owned(), need, have: room.free });
        }
        if room.inodes_free < files.len() as u64 {
            return Err(VaultError::Unfit { path: target.to_owned(), why: "its file system has too few inodes left" });
        }
        Ok(())
    }

    /// Brings one file over, by the way chosen or, where the file system then refuses, by the next safe one. The
    /// digest comes with a copy, whose bytes are read anyway.
    pub(crate) fn transfer(
        &self,
        from: &Path,
        to: &Path,
        file: &Facts,
        write_once: bool,
    ) -> Result<(How, Option<String>), VaultError> {
        let how = self.choose(file, write_once);
        if how == How::Reflink {
            match self.disk.reflink(from, to) {
                Ok(()) => return Ok((How::Reflink, None)),
                Err(error) if is_impossible(&error) && self.method == Method::Auto => {}
                Err(error) => return Err(error).at("clone", from),
            }
        }
        let may_link = write_once && matches!(self.method, Method::Auto | Method::HardLink);
        if may_link && how != How::Copy {
            match self.disk.hard_link(from, to) {
                Ok(()) => return Ok((How::Link, None)),
                Err(error) if is_impossible(&error) => {}
                Err(error) => return Err(error).at("link", from),
            }
        }
        if self.method == Method::Reflink && file.len > 0 {
            return Err(VaultError::Unfit { path: from.to_owned(), why: "its file system cannot clone files" });
        }
        let digest = copy(self.disk, from, to, file.mode)?;
        Ok((How::Copy, Some(digest)))
    }
}

/// Whether an error means "not this way", rather than that something is wrong.
fn is_impossible(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::Unsupported | K::CrossesDevices | K::TooManyLinks | K::PermissionDenied)
}

/// Copies the bytes and says what they hash to.
fn copy(disk: &dyn Disk, from: &Path, to: &Path, mode: u32) -> Result<String, VaultError> {
    let mut writer = disk.create(to, mode).at("create", to)?;
    let mut hasher = blake3::Hasher::new();
    read_through(disk, from, |bytes| {
        hasher.update(bytes);
        writer.write_all(bytes).at("write", to)
    })?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// What the bytes of a file hash to.
pub(crate) fn digest(disk: &dyn Disk, path: &Path) -> Result<String, VaultError> {
    let mut hasher = blake3::Hasher::new();
    read_through(disk, path, |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn read_through(
    disk: &dyn Disk,
    path: &Path,
    mut each: impl FnMut(&[u8]) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    let mut reader = disk.open(path).at("open", path)?;
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => each(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).at("read", path),
        }
    }
}
