//! Changes that are atomic *and* survive a power cut, composed from single [`Disk`] calls.
//!
//! Each function is idempotent after any crash: run again, it replaces what an earlier try left behind
//! and ends in the same state. One writer per directory is assumed; the node's lock is what makes it so.
//! Nothing here holds state or knows what the files mean.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{iter, thread};

use crate::disk::{Disk, Facts, Kind};

/// How deep a tree may be nested before [`remove_tree`] refuses to go on.
pub const TREE_DEPTH_MAX: usize = 128;

const COPY_BUFFER_BYTES: usize = 256 * 1024;

/// So many links in a row are followed, as the kernel does.
const LINKS_MAX: usize = 40;

/// Whether the name is taken, by anything, also by a link that leads nowhere.
pub fn exists(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    Ok(disk.facts(path)?.is_some())
}

/// Where a name leads to, through links, and what is there, if anything. `None` when the links lead in a circle.
pub fn resolve(disk: &dyn Disk, path: &Path) -> io::Result<Option<(PathBuf, Option<Facts>)>> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match disk.facts(&path)? {
            Some(facts) if facts.kind == Kind::Link => {
                let text = disk.read_link(&path)?;
                path = path.parent().map_or_else(|| text.clone(), |folder| folder.join(&text));
            }
            facts => return Ok(Some((path, facts))),
        }
    }
    Ok(None)
}

/// Facts about what a name leads to, through links. `None` when nothing is there, or when the links lead in a circle.
pub fn followed(disk: &dyn Disk, path: &Path) -> io::Result<Option<Facts>> {
    Ok(resolve(disk, path)?.and_then(|(_, facts)| facts))
}

/// Gives `path` these contents in one step: readers see the old or the new ones, never a mixture, and
/// after the return the new ones survive a power cut. A link at `path` is replaced, not followed.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = beside(path)?;
    clear(disk, &beside)?;
    let written = write_new(disk, &beside, bytes, mode).and_then(|()| disk.rename(&beside, path));
    if let Err(error) = written {
        // On a full disk the leftover would hold the very room that is missing.
        let _ = disk.remove_file(&beside);
        return Err(error);
    }
    disk.sync_directory(parent(path)?)
}

/// Points the symbolic link at `link` to `text` in one step; creates it if missing.
pub fn replace_link(disk: &dyn Disk, link: &Path, text: &Path) -> io::Result<()> {
    let beside = beside(link)?;
    clear(disk, &beside)?;
    disk.make_link(text, &beside)?;
    if let Err(error) = disk.rename(&beside, link) {
        let _ = disk.remove_file(&beside);
        return Err(error);
    }
    disk.sync_directory(parent(link)?)
}

/// Makes `path` and every missing directory above it, durably. New ones get these permission bits.
pub fn make_directories(disk: &dyn Disk, path: &Path, mode: u32) -> io::Result<()> {
    let mut missing = Vec::new();
    for ancestor in path.ancestors() {
        if exists(disk, ancestor)? {
            break;
        }
        missing.push(ancestor);
    }
    for directory in missing.iter().rev() {
        disk.make_directory(directory, mode)?;
    }
    // A directory that is already there may have been made by a process that was killed before it could
    // sync, so every name on the way is synced, not only the new ones.
    for ancestor in path.ancestors().skip(1) {
        match disk.sync_directory(ancestor) {
            // Not readable for us, hence not a place where we made something.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            result => result?,
        }
    }
    // Last, because through a link it may be a file: then this is the error that says so.
    disk.sync_directory(path)
}

/// Syncs files and directories, in any order. Several at a time, where the disk wants that: they share a commit of the file
/// system's journal, for which each would wait alone. Told is the first of what fails; nothing else is left out for it.
pub fn sync_each(disk: &dyn Disk, files: &[PathBuf], directories: &[PathBuf]) -> io::Result<()> {
    let next = AtomicUsize::new(0);
    let sync_next = || {
        let index = next.fetch_add(1, Ordering::Relaxed);
        match files.get(index) {
            Some(file) => Some(disk.sync_file(file)),
            None => directories.get(index - files.len()).map(|directory| disk.sync_directory(directory)),
        }
    };
    let sync = || iter::from_fn(sync_next).fold(Ok(()), Result::and);
    let helpers = 1..disk.syncs_at_once().min(files.len() + directories.len());
    thread::scope(|scope| {
        // Where there is no thread to be had, whoever is there does the work.
        let helpers: Vec<_> = helpers.filter_map(|_| thread::Builder::new().spawn_scoped(scope, sync).ok()).collect();
        let own = sync();
        let ended =
            helpers.into_iter().map(|helper| helper.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())));
        ended.fold(own, Result::and)
    })
}

/// Removes whatever is at `path`, a tree included, and makes that durable. Links are removed, never
/// followed. Nothing there is success.
pub fn remove_tree(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    clear(disk, path)?;
    match disk.sync_directory(parent(path)?) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Copies a regular file with its permission bits to `to`, and syncs the copy (not its directory).
/// A file already at `to` is a leftover and gives way. Returns the bytes copied.
pub fn copy_file(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<u64> {
    let (mut writer, copied) = copy_open(disk, from, to)?;
    writer.sync()?;
    Ok(copied)
}

/// As [`copy_file`], leaving the sync to the caller, who copies many files and then syncs the file
/// system once.
pub fn copy_file_unsynced(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<u64> {
    let (_writer, copied) = copy_open(disk, from, to)?;
    Ok(copied)
}

fn copy_open(disk: &dyn Disk, from: &Path, to: &Path) -> io::Result<(Box<dyn crate::disk::Writer>, u64)> {
    let facts = disk.facts(from)?.ok_or(io::ErrorKind::NotFound)?;
    if facts.kind != Kind::File {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    match disk.facts(to)? {
        None => {}
        // The name is given up rather than written through: other links to the inode stay as they are.
        Some(leftover) if leftover.kind == Kind::File => disk.remove_file(to)?,
        Some(_) => return Err(io::ErrorKind::AlreadyExists.into()),
    }
    let mut reader = disk.open(from)?;
    let mut writer = disk.create(to, facts.mode)?;
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    let mut copied = 0;
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok((writer, copied)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        writer.write_all(&buffer[..count])?;
        copied += count as u64;
    }
}

fn write_new(disk: &dyn Disk, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut writer = disk.create(path, mode)?;
    writer.write_all(bytes)?;
    writer.sync()
}

/// Removes whatever is at `path` without syncing.
fn clear(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    clear_below(disk, path, TREE_DEPTH_MAX)
}

fn clear_below(disk: &dyn Disk, path: &Path, depth_left: usize) -> io::Result<()> {
    let Some(facts) = disk.facts(path)? else { return Ok(()) };
    if facts.kind != Kind::Directory {
        return disk.remove_file(path);
    }
    let Some(depth_left) = depth_left.checked_sub(1) else {
        let text = format!("nested more than {TREE_DEPTH_MAX} directories deep");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    // Releases are kept read-only; whoever may remove them may also open them first.
    if facts.mode & 0o700 != 0o700 {
        disk.set_mode(path, facts.mode | 0o700)?;
    }
    for name in disk.list(path)? {
        clear_below(disk, &path.join(name), depth_left)?;
    }
    disk.remove_directory(path)
}

/// `.<name>.new`, in the same directory and hence on the same file system.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(path.with_file_name(hidden))
}

fn parent(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
