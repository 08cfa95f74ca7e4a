//! The node's program, before it is launched.

use std::path::Path;

use ov_chains::cosmos::followed;
use ov_sys::disk::Kind;
use ov_sys::{Disk as _, RealDisk};

use super::complaint::Complaint;

/// Makes sure that this is a program: a regular file, links followed, that everybody may execute.
pub(crate) fn ensure_program(path: &Path) -> Result<(), Complaint> {
    let found = followed(&RealDisk, path).map_err(|error| Complaint::file("", "stat", path, &error))?;
    let Some((real, facts)) = found else {
        return Err(Complaint::new(format!("stat {}: no such file or directory", path.display())));
    };
    if facts.kind != Kind::File {
        return Err(Complaint::new(format!("{} is not a regular file", path.display())));
    }
    if facts.mode & 0o111 == 0o111 {
        return Ok(());
    }
    RealDisk.set_mode(&real, facts.mode | 0o111).map_err(|error| Complaint::file("", "chmod", path, &error))
}
