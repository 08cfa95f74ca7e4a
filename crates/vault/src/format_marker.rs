//! The file by which a program says in which format its data is.

use std::path::Path;

use ov_sys::Disk;

use crate::error::{At, VaultError};

/// The largest marker that is read: it holds a version.
const LEN_MAX: u64 = 64 << 10;

/// What the marker says, without the white space around it; `None` when there is no marker. After an upgrade
/// another text than before means that the data was raised and the old release needs the old data.
pub fn format_marker(disk: &dyn Disk, path: &Path) -> Result<Option<String>, VaultError> {
    if disk.facts(path).at("look at", path)?.is_none() {
        return Ok(None);
    }
    let bytes = disk.read(path, LEN_MAX).at("read", path)?;
    Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
}
