//! Which node a command is about.

use std::path::{Path, PathBuf};

use ov_sys::{Disk, durable};

use crate::failure::Failure;

/// The configuration's name in a home.
pub(crate) const CONFIGURATION: &str = "omnivisor.toml";

/// The home that was named, else the nearest folder from `here` upwards with a configuration, else `here`.
pub(crate) fn find(disk: &dyn Disk, named: Option<&Path>, here: &Path) -> PathBuf {
    if let Some(named) = named {
        let named = here.join(named);
        return std::path::absolute(&named).unwrap_or(named);
    }
    let has_configuration = |folder: &&Path| durable::exists(disk, &folder.join(CONFIGURATION)).unwrap_or(false);
    here.ancestors().find(has_configuration).unwrap_or(here).to_owned()
}

/// Where the program was called.
pub(crate) fn here() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::file("find the working directory", Path::new("."), &error))
}

/// A path as the daemon can use it, wherever it runs.
pub(crate) fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).map_err(|error| Failure::file("find", path, &error))?;
    path.into_os_string().into_string().map_err(|path| {
        let path = PathBuf::from(path);
        Failure::usage(format!("use {}", path.display()), "use a path that is text in UTF-8")
    })
}

/// What a release is to be staged from, as the daemon can use it: an address as it is, or a path.
pub(crate) fn source(given: &Path) -> Result<String, Failure> {
    match given.to_str().filter(|text| ov_daemon::fetch::is_address(text)) {
        Some(address) => Ok(address.to_owned()),
        None => absolute(given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;

    #[test]
    fn a_home_is_named_found_above_or_here() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        let below = top.join("node/data/deep");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(find(&RealDisk, None, &below), below);
        std::fs::write(top.join("node").join(CONFIGURATION), "").unwrap();
        assert_eq!(find(&RealDisk, None, &below), top.join("node"));
        assert_eq!(find(&RealDisk, Some(Path::new("./other/.")), &below), below.join("other"));
        assert_eq!(find(&RealDisk, Some(Path::new("/srv/n")), &below), Path::new("/srv/n"));
    }
}
