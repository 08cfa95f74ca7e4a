//! The checks of settings that need the disk: folders that must be there.
//!
//! Looks, and changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use ov_sys::disk::{Facts, Kind};
use ov_sys::{Disk, durable};

use super::settings::{BACKUP_DIR, HOME, NAME, Settings};

/// What is wrong with the name and the home, without a look at the disk: all that `init` needs.
pub fn names(settings: &Settings) -> Vec<String> {
    let mut problems = Vec::new();
    if settings.name.is_empty() {
        problems.push(format!("{NAME} is not set"));
    }
    if settings.home.is_empty() {
        problems.push(format!("{HOME} is not set"));
    } else if !Path::new(&settings.home).is_absolute() {
        problems.push(format!("{HOME} must be an absolute path"));
    }
    if settings.name.contains('/') || settings.name == "." || settings.name == ".." {
        problems.push(format!("{NAME} must be the name of a file, got {:?}", settings.name));
    }
    problems
}

/// All that is wrong.
pub(super) fn all(disk: &dyn Disk, settings: &Settings) -> Vec<String> {
    let mut problems = names(settings);
    let root = settings.root();
    if Path::new(&settings.home).is_absolute() {
        match directory(disk, &root) {
            Ok(true) => {}
            Ok(false) => problems.push(format!("{} is not a directory", root.display())),
            Err(why) => problems.push(format!("cannot stat home dir: {why}")),
        }
    }
    if !settings.skip_backup {
        problems.extend(backup_dir(disk, &settings.backup_dir));
    }
    problems
}

fn backup_dir(disk: &dyn Disk, text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(format!("{BACKUP_DIR} must not be empty"));
    }
    if !Path::new(text).is_absolute() {
        return Some(format!("{text} must be an absolute path"));
    }
    match directory(disk, Path::new(text)) {
        Ok(true) => None,
        Ok(false) => Some(format!("{text:?} must be a valid directory")),
        Err(why) => Some(format!("{text:?} must be a valid directory: {why}")),
    }
}

/// Whether this is a directory, links followed; or why that cannot be told, as the original would say it.
fn directory(disk: &dyn Disk, path: &Path) -> Result<bool, String> {
    match followed(disk, path) {
        Ok(Some((_, facts))) => Ok(facts.kind == Kind::Directory),
        Ok(None) => Err(format!("stat {}: no such file or directory", path.display())),
        Err(error) => Err(format!("stat {}: {error}", path.display())),
    }
}

/// What a path leads to, links followed: where that is, and the facts about it. `None` when nothing is there.
pub fn followed(disk: &dyn Disk, path: &Path) -> io::Result<Option<(PathBuf, Facts)>> {
    match durable::resolve(disk, path)? {
        Some((end, facts)) => Ok(facts.map(|facts| (end, facts))),
        None => Err(io::Error::new(io::ErrorKind::InvalidInput, "too many levels of symbolic links")),
    }
}
