//! Why something with snapshots failed.

use std::io;
use std::path::{Path, PathBuf};

use ov_types::SnapshotId;

use crate::manifest::InvalidManifest;
use crate::sign_state::SignStateProblem;

/// Why something with snapshots failed. The node's data was not changed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
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
    /// A manifest, or the marker of a swap, does not parse.
    #[error("read `{}`", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: InvalidManifest,
    },
    /// Something lies or looks other than it must.
    #[error("use `{}`: {why}", path.display())]
    Unfit {
        /// The offending name.
        path: PathBuf,
        /// Why not.
        why: &'static str,
    },
    /// The disk is too full.
    #[error("write to `{}`: {need} bytes are needed and {have} are free", path.display())]
    Room {
        /// Where.
        path: PathBuf,
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        have: u64,
    },
    /// A snapshot of that name is there.
    #[error("take snapshot `{0}`: there is one of that name")]
    Exists(SnapshotId),
    /// There is no complete snapshot of that name.
    #[error("find snapshot `{0}`")]
    Missing(SnapshotId),
    /// The snapshot is not what its manifest says.
    #[error("use snapshot `{id}`: `{}` {what}", path.display())]
    Damaged {
        /// The snapshot.
        id: SnapshotId,
        /// The file in it.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What was signed forbids it.
    #[error("keep the sign state safe")]
    SignState(#[source] SignStateProblem),
}

/// Adds what was tried, and where, to an error of the disk.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, VaultError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, VaultError> {
        self.map_err(|source| VaultError::Disk { action, path: path.to_owned(), source })
    }
}
