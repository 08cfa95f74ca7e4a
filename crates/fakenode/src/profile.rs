//! Which version an installed copy of fakenode is, and which switches that release has by nature.
//!
//! A profile lies beside the executable as `fakenode.json`, or inside it behind the ELF image, so
//! that a release that consists of one file has its own version, bytes and digest.

use crate::error::Error;
use crate::files;
use crate::switches::Switches;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Ends an executable that carries its profile; the eight bytes before it are the profile's length.
const EMBEDDED_MAGIC: &[u8; 8] = b"FNPROFIL";
const EMBEDDED_TRAILER_BYTES: u64 = 16;
const EMBEDDED_PROFILE_BYTES_MAX: u64 = 64 * 1024;

/// A release of fakenode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// What it calls itself.
    pub version: String,
    /// Its own defaults for switches.
    #[serde(flatten)]
    pub switches: Map<String, Value>,
}

impl Profile {
    /// A well-behaved release.
    pub fn new(version: &str) -> Self {
        Self { version: version.to_owned(), switches: Map::new() }
    }

    /// The same release with one switch set by nature.
    #[must_use]
    pub fn with(mut self, switch: &str, value: impl Into<Value>) -> Self {
        self.switches.insert(switch.to_owned(), value.into());
        self
    }

    /// Lays out a release directory: `bin/fakenode`, a hard link where possible, and its profile.
    /// Returns the path of the executable.
    pub fn install(&self, directory: &Path, executable: &Path) -> Result<PathBuf, Error> {
        self.install_as(&directory.join("bin"), "fakenode", executable)
    }

    /// Puts the program there under another name, a hard link where possible, its profile beside it.
    pub fn install_as(&self, directory: &Path, name: &str, executable: &Path) -> Result<PathBuf, Error> {
        let text = self.to_text()?;
        let installed = Self::make_way(directory, name)?;
        if fs::hard_link(executable, &installed).is_err() {
            write_executable(executable, &[], &installed)?;
        }
        files::replace(&sidecar(&installed), text.as_bytes())?;
        Ok(installed)
    }

    /// The bytes that are behind a program's own if its profile is inside.
    pub fn trailer(&self) -> Result<Vec<u8>, Error> {
        let text = self.to_text()?;
        Ok([text.as_bytes(), &(text.len() as u64).to_le_bytes(), EMBEDDED_MAGIC].concat())
    }

    /// Lays out a release directory with nothing but `bin/fakenode`, its profile inside. It is a
    /// copy, hence slower than [`Profile::install`], but each version has its own digest.
    pub fn install_single_file(&self, directory: &Path, executable: &Path) -> Result<PathBuf, Error> {
        let trailer = self.trailer()?;
        let installed = Self::make_way(&directory.join("bin"), "fakenode")?;
        write_executable(executable, &trailer, &installed)?;
        Ok(installed)
    }

    /// The profile of an executable: beside it, inside it, else `FAKENODE_VERSION`, else `v0.0.0`.
    pub fn of(executable: &Path) -> Result<Self, Error> {
        let beside = sidecar(executable);
        if let Some(text) = files::read_if_there(&beside)? {
            return Self::parse(&text, &beside);
        }
        if let Some(text) = embedded(executable)? {
            return Self::parse(&text, executable);
        }
        let version = std::env::var("FAKENODE_VERSION").unwrap_or_else(|_| "v0.0.0".to_owned());
        Ok(Self::new(&version))
    }

    /// The profile of the running program. Links to it are resolved by the kernel.
    pub(crate) fn of_this_program() -> Result<Self, Error> {
        let link = Path::new("/proc/self/exe");
        Self::of(&fs::read_link(link).map_err(Error::io("resolve", link))?)
    }

    /// Refuses switches that nobody knows, so that a misspelt profile cannot make a good release.
    fn to_text(&self) -> Result<String, Error> {
        Switches::from_layers([&self.switches])?;
        serde_json::to_string_pretty(self).map_err(Error::Switches)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let profile: Self = serde_json::from_str(text).map_err(Error::json(path))?;
        Switches::from_layers([&profile.switches])?;
        Ok(profile)
    }

    /// Makes the folder and the way free for a new executable, without touching links to an old one.
    fn make_way(folder: &Path, name: &str) -> Result<PathBuf, Error> {
        files::make_directory(folder)?;
        let installed = folder.join(name);
        for stale in [&installed, &sidecar(&installed)] {
            match fs::remove_file(stale) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", stale)(error));
                }
                _ => {}
            }
        }
        Ok(installed)
    }
}

fn sidecar(executable: &Path) -> PathBuf {
    executable.with_file_name("fakenode.json")
}

/// Writes an executable and something behind it, by way of another process. If this process held it
/// open for writing, a child that another thread forks at that moment would hold it too, and whoever
/// executes it meanwhile would be told "text file busy".
fn write_executable(from: &Path, behind: &[u8], to: &Path) -> Result<(), Error> {
    const SCRIPT: &str = r#"cat -- "$0" - > "$1" && chmod 755 "$1""#;
    let written =
        Command::new("sh").args(["-c", SCRIPT]).args([from, to]).stdin(Stdio::piped()).spawn().and_then(|mut shell| {
            if let Some(mut input) = shell.stdin.take() {
                input.write_all(behind)?;
            }
            let status = shell.wait()?;
            status.success().then_some(()).ok_or_else(|| io::Error::other(status.to_string()))
        });
    written.map_err(Error::io("write", to))
}

fn embedded(executable: &Path) -> Result<Option<String>, Error> {
    read_embedded(executable).map_err(Error::io("read profile of", executable))
}

fn read_embedded(executable: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(executable)?;
    let size = file.metadata()?.len();
    if size < EMBEDDED_TRAILER_BYTES {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(size - EMBEDDED_TRAILER_BYTES))?;
    let mut length = [0; 8];
    let mut magic = [0; 8];
    file.read_exact(&mut length)?;
    file.read_exact(&mut magic)?;
    let length = u64::from_le_bytes(length);
    if &magic != EMBEDDED_MAGIC || length > EMBEDDED_PROFILE_BYTES_MAX.min(size - EMBEDDED_TRAILER_BYTES) {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(size - EMBEDDED_TRAILER_BYTES - length))?;
    let mut text = String::new();
    file.take(length).read_to_string(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(folder: &Path) -> PathBuf {
        let path = folder.join("program");
        fs::write(&path, b"the bytes of a program").unwrap();
        path
    }

    #[test]
    fn an_installed_release_knows_its_profile() {
        let folder = tempfile::tempdir().unwrap();
        let program = executable(folder.path());
        let profile = Profile::new("v2").with("crash_at", 7).with("handles", vec!["v2"]);
        for install in [Profile::install, Profile::install_single_file] {
            let installed = install(&profile, &folder.path().join("release"), &program).unwrap();
            assert_eq!(Profile::of(&installed).unwrap(), profile);
        }
        assert_eq!(fs::read(&program).unwrap(), b"the bytes of a program");
    }

    #[test]
    fn a_misspelt_switch_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let program = executable(folder.path());
        let profile = Profile::new("v2").with("crash_att", 7);
        assert!(profile.install(&folder.path().join("release"), &program).is_err());
        fs::write(folder.path().join("fakenode.json"), r#"{"version":"v1","crash_att":7}"#).unwrap();
        assert!(Profile::of(&program).is_err());
    }

    #[test]
    fn a_plain_executable_has_a_version_too() {
        let folder = tempfile::tempdir().unwrap();
        let version = Profile::of(&executable(folder.path())).unwrap().version;
        assert!(version.starts_with('v'), "{version}");
    }
}
