//! File systems to measure on: the one that is there, and others in a file, mounted for as long as they are needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::peers::find;

const IMAGE_BYTES: u64 = 12 << 30;

/// A folder on a file system of a known kind.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) folder: PathBuf,
    mounted: bool,
}

impl Volume {
    /// A folder on the file system that is there.
    pub(super) fn here(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).context("make a folder")?;
        Ok(Self { folder: folder.to_owned(), mounted: false })
    }

    /// A file system of its own, made by a command that is given the image's path.
    pub(super) fn in_a_file(folder: &Path, make: &[&str]) -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "mount a file system: that needs root");
        ensure!(find(make[0]).is_some(), "make the file system: `{}` is not installed", make[0]);
        let (image, place) = (folder.join("image"), folder.join("volume"));
        fs::create_dir_all(&place).context("make a folder")?;
        fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES)).context("make an image")?;
        tool(Command::new(make[0]).args(&make[1..]).arg(&image))?;
        tool(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&place))?;
        Ok(Self { folder: place, mounted: true })
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        if self.mounted {
            let _ = tool(Command::new("umount").arg(&self.folder));
        }
    }
}

/// The kind of file system a folder lies on.
pub(super) fn kind(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let of = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?, fields.next()?);
        folder.starts_with(place).then(|| (place.len(), kind.to_owned()))
    };
    mounts.lines().filter_map(of).max().map_or_else(|| "unknown".to_owned(), |(_, kind)| kind)
}

/// Runs a tool to its end; what it says is part of the error.
pub(super) fn tool(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("start {name}"))?;
    ensure!(output.status.success(), "run {name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
