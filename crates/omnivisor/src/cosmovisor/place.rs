//! Puts a program file where it belongs: whole or not at all, executable, and without a byte written into a file that a
//! process may be running.

use std::path::{Path, PathBuf};

use crate::drop_in::Complaint;
use ov_sys::{Disk as _, RealDisk, durable};

const PROGRAM_MODE: u32 = 0o755;

/// Copies a program beside its place, and renames it. `from` was found already, links followed.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), Complaint> {
    let beside = beside(to)?;
    let copied = durable::copy_file(&RealDisk, from, &beside)
        .and_then(|_| RealDisk.set_mode(&beside, PROGRAM_MODE))
        .and_then(|()| RealDisk.sync_file(&beside))
        .and_then(|()| RealDisk.rename(&beside, to))
        .and_then(|()| RealDisk.sync_directory(to.parent().unwrap_or(Path::new("/"))));
    copied.map_err(|error| {
        // On a full disk the leftover would hold the very room that is missing.
        let _ = RealDisk.remove_file(&beside);
        Complaint::file("failed to write binary to location: ", "write", to, &error)
    })
}

fn beside(path: &Path) -> Result<PathBuf, Complaint> {
    let name = path.file_name().ok_or_else(|| Complaint::new(format!("{} names no file", path.display())))?;
    Ok(path.with_file_name(format!(".{}.new", name.to_string_lossy())))
}
