//! Why something with releases failed.

use std::io;
use std::path::{Path, PathBuf};

use ov_types::ReleaseName;

use crate::provenance::InvalidProvenance;

/// Why something with releases failed. Nothing a caller can see was changed, unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A call to the disk failed.
    #[error("{action} `{}`", path.display())]
    Disk {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A provenance file does not parse.
    #[error("read the provenance `{}`", path.display())]
    Provenance {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: InvalidProvenance,
    },
    /// The source or the staged tree holds something a release cannot hold.
    #[error("use `{}` in a release: {why}", path.display())]
    Unfit {
        /// The offending name.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// The bytes are not the expected ones.
    #[error("stage release `{name}`: the program's digest is {found}, expected {expected}")]
    Digest {
        /// The release.
        name: ReleaseName,
        /// What was asked for.
        expected: crate::Digest,
        /// What was found.
        found: crate::Digest,
    },
    /// The disk is too full.
    #[error("stage release `{name}`: it needs {need} bytes and {have} are free")]
    Room {
        /// The release.
        name: ReleaseName,
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        have: u64,
    },
    /// Another release has this name.
    #[error("stage release `{name}`: a complete release of that name with other contents is there")]
    Occupied {
        /// The release.
        name: ReleaseName,
    },
    /// A directory with this name was not put there by us.
    #[error("stage release `{name}`: `{}` exists and was not staged by us; adopt it, or move it away", path.display())]
    Foreign {
        /// The release.
        name: ReleaseName,
        /// The directory.
        path: PathBuf,
    },
    /// The release cannot be run as it is.
    #[error("use release `{name}`: it is {state}")]
    Incomplete {
        /// The release.
        name: ReleaseName,
        /// What it is instead of complete.
        state: String,
    },
    /// The release is the current one.
    #[error("change release `{name}`: it is the current one")]
    Current {
        /// The release.
        name: ReleaseName,
    },
    /// `current` is not ours to replace.
    #[error("replace `{}`: it is {what}, not a link; move it away first", path.display())]
    NotALink {
        /// The name.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// What was written does not read back.
    #[error("read back `{}`: it holds {found}", path.display())]
    ReadBack {
        /// The name.
        path: PathBuf,
        /// What was read.
        found: String,
    },
}

/// Adds what was tried, and where, to an error of the disk.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, ReleaseError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, ReleaseError> {
        self.map_err(|source| ReleaseError::Disk { action, path: path.to_owned(), source })
    }
}
