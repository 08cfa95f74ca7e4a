//! Where the releases of a node lie.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ov_types::ReleaseName;

use crate::error::ReleaseError;
use crate::tree::Entry;

/// Where the releases of a node lie. The chain adapter decides; nothing is read or made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The folder with one directory per release.
    pub releases: PathBuf,
    /// The link that names the release to run.
    pub current: PathBuf,
    /// Releases whose directory is not `<releases>/<name>`, such as the first one of some families.
    pub placed: BTreeMap<ReleaseName, PathBuf>,
    /// Whether `current` is written with the whole path.
    pub absolute_link: bool,
    /// A file that each release has, if the family has such: a folder without it is none.
    pub launch_file: Option<String>,
}

impl Layout {
    /// All releases in one folder.
    pub fn new(releases: PathBuf, current: PathBuf) -> Self {
        Self { releases, current, placed: BTreeMap::new(), absolute_link: false, launch_file: None }
    }

    /// Our own convention: `<home>/releases/<name>/` and `<home>/current`.
    pub fn of_home(home: &Path) -> Self {
        Self::new(home.join("releases"), home.join("current"))
    }

    /// What of a release is kept as it is: how it is launched is its operator's to change.
    pub(crate) fn kept(&self, entries: Vec<Entry>) -> Vec<Entry> {
        let is_kept = |entry: &Entry| self.launch_file.as_deref() != Some(entry.path());
        entries.into_iter().filter(is_kept).collect()
    }

    /// Refuses what does not say how it is launched, where each release has to.
    pub(crate) fn check_launch_file(&self, name: &ReleaseName, entries: &[Entry]) -> Result<(), ReleaseError> {
        match &self.launch_file {
            Some(file) if entries.iter().all(|entry| entry.path() != file) => {
                Err(ReleaseError::Incomplete { name: name.clone(), state: format!("without {file}") })
            }
            _ => Ok(()),
        }
    }

    /// The directory of a release.
    pub fn directory(&self, name: &ReleaseName) -> PathBuf {
        self.placed.get(name).cloned().unwrap_or_else(|| self.releases.join(name))
    }

    /// The file that says where a release came from; while it is missing, the release does not count.
    pub fn provenance(&self, name: &ReleaseName) -> PathBuf {
        self.beside(name, "", ".release.json")
    }

    /// What `current` says to name a release: relative where that works without climbing, so that a home can be
    /// moved or mounted elsewhere; unless the whole path is wanted.
    pub fn link_text(&self, name: &ReleaseName) -> PathBuf {
        let directory = self.directory(name);
        if self.absolute_link {
            return directory;
        }
        let relative = self.current.parent().and_then(|parent| directory.strip_prefix(parent).ok());
        relative.map_or_else(|| directory.clone(), Path::to_owned)
    }

    /// Every release that is meant when `path` is meant: the placed ones first.
    pub(crate) fn names(&self, directory: &Path) -> Option<ReleaseName> {
        if let Some((name, _)) = self.placed.iter().find(|(_, placed)| placed.as_path() == directory) {
            return Some(name.clone());
        }
        let name = directory.strip_prefix(&self.releases).ok()?.to_str()?;
        ReleaseName::new(name).ok().filter(|name| !self.placed.contains_key(name))
    }

    /// Where a release is put together.
    pub(crate) fn staging(&self, name: &ReleaseName) -> PathBuf {
        self.beside(name, ".staging-", "")
    }

    /// The provenance of a release whose directory is about to be renamed into place.
    pub(crate) fn pending(&self, name: &ReleaseName) -> PathBuf {
        self.beside(name, ".staging-", ".release.json")
    }

    /// Where what a release is made of is fetched to.
    pub(crate) fn fetching(&self, name: &ReleaseName) -> PathBuf {
        self.beside(name, ".fetching-", "")
    }

    /// Where a release goes to be removed.
    pub(crate) fn removing(&self, name: &ReleaseName) -> PathBuf {
        self.beside(name, ".removing-", "")
    }

    /// The folder that a release lies in.
    pub(crate) fn parent(&self, name: &ReleaseName) -> PathBuf {
        self.directory(name).parent().unwrap_or(Path::new("/")).to_owned()
    }

    fn beside(&self, name: &ReleaseName, prefix: &str, suffix: &str) -> PathBuf {
        let directory = self.directory(name);
        let mut file_name = OsString::from(prefix);
        file_name.push(directory.file_name().unwrap_or(name.as_ref().as_os_str()));
        file_name.push(suffix);
        directory.with_file_name(file_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ReleaseName {
        ReleaseName::new(text).unwrap()
    }

    #[test]
    fn the_link_is_relative_when_the_releases_are_below_it() {
        let layout = Layout::of_home(Path::new("/home/node"));
        assert_eq!(layout.link_text(&name("v1")), Path::new("releases/v1"));
        let apart = Layout { releases: "/opt/releases".into(), ..layout };
        assert_eq!(apart.link_text(&name("v1")), Path::new("/opt/releases/v1"));
        let whole = Layout { absolute_link: true, ..Layout::of_home(Path::new("/home/node")) };
        assert_eq!(whole.link_text(&name("v1")), Path::new("/home/node/releases/v1"));
    }

    #[test]
    fn a_placed_release_keeps_its_directory_and_its_name() {
        let mut layout = Layout::of_home(Path::new("/home/node"));
        layout.placed.insert(name("genesis"), "/home/node/genesis".into());
        assert_eq!(layout.directory(&name("genesis")), Path::new("/home/node/genesis"));
        assert_eq!(layout.provenance(&name("genesis")), Path::new("/home/node/genesis.release.json"));
        assert_eq!(layout.names(Path::new("/home/node/genesis")), Some(name("genesis")));
        assert_eq!(layout.names(Path::new("/home/node/releases/genesis")), None);
        assert_eq!(layout.names(Path::new("/home/node/releases/v2")), Some(name("v2")));
        assert_eq!(layout.names(Path::new("/home/node/releases/v2/bin")), None);
    }
}
