//! File systems of a test's own, where it may mount them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, unmounted when dropped.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts an empty one in memory, where that is allowed.
    pub fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        let good = mounted.is_ok_and(|output| output.status.success());
        if !good {
            println!("skipped: needs the right to mount");
        }
        good.then(|| Self { at: at.to_owned() })
    }

    /// Mounts a new file system of this kind from a file, where that is allowed and the program that makes it is there.
    /// The file has no name any more when this returns.
    pub fn image(at: &Path, kind: &str, options: &[&str], bytes: u64) -> Option<Self> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(bytes).unwrap();
        let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let good = done(Command::new(format!("mkfs.{kind}")).args(options).arg(image.path()))
            && done(Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(image.path()).arg(at));
        if !good {
            println!("skipped: needs mkfs.{kind}, and the right to mount a file");
        }
        good.then(|| Self { at: at.to_owned() })
    }

    /// Mounts it again with another option.
    pub fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.at).status().unwrap();
        assert!(done.success(), "remount {option}");
    }

    /// Takes all room there is.
    pub fn fill(&self) -> PathBuf {
        let count = fs::read_dir(&self.at).map_or(0, Iterator::count);
        let path = self.at.join(format!("ballast-{count}"));
        let block = vec![1; 64 * 1024];
        let mut file = fs::File::create(&path).unwrap();
        for size in [block.len(), 4096, 1] {
            while std::io::Write::write_all(&mut file, &block[..size]).is_ok() {}
        }
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // It may be gone already, with the folder that it was in.
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).output();
    }
}

/// Unmounts whatever is mounted below a folder that is to be removed: else the removal stops there, and leaves the rest.
pub(crate) fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
    for place in places.filter(|place| place.starts_with(folder) && *place != folder) {
        let _ = Command::new("umount").arg("--lazy").arg(place).output();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_which_something_is_mounted_can_be_removed() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("releases");
        fs::create_dir(&below).unwrap();
        let Some(mount) = Mount::tmpfs(&below, "size=1m") else { return };
        assert!(fs::remove_dir_all(folder.path()).is_err(), "it is in use");
        unmount_below(folder.path());
        folder.close().unwrap();
        drop(mount);
    }
}
