//! What a chain says about the files in its data directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::glob::Globs;

/// Names that hold keys or say who a node is, in the families we know. They belong to the host whatever a chain or a
/// configuration says: a key in a snapshot is a key in two places.
const ALWAYS_HOST_ONLY: [&str; 9] = [
    "priv_validator_key.json",
    "node_key.json",
    "nodekey",
    "addrbook.json",
    "keystore",
    "keyring-file",
    "keyring-test",
    "keyring-os",
    "slashing_protection.sqlite",
];

/// What a chain says about the files in its data directory. Files that no rule names are mutable data: they are
/// copied or cloned, never shared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRules {
    /// Files that are never changed once they are written: two names may share them.
    pub write_once: Globs,
    /// What belongs to this host and to no snapshot: signing key, node key, address book, slashing protection,
    /// locks. A restore keeps the live ones. A directory means everything below it. Well-known names of keys are
    /// always among them.
    pub host_only: Globs,
    /// The sign state, relative to the data directory: in snapshots, and after a restore never lower than before.
    pub sign_state: Option<PathBuf>,
}

impl DataRules {
    /// Whether two names may share this file.
    pub(crate) fn may_share(&self, path: &Path) -> bool {
        self.write_once.matches(path) && !self.is_sign_state(path)
    }

    /// Whether a path is that of the sign state.
    pub(crate) fn is_sign_state(&self, path: &Path) -> bool {
        self.sign_state.as_deref() == Some(path)
    }

    /// Whether a path belongs to the host by its own name.
    pub(crate) fn names_host_only(&self, path: &Path) -> bool {
        let is_known = |name: &OsStr| ALWAYS_HOST_ONLY.iter().any(|known| name == *known);
        !self.is_sign_state(path) && (path.file_name().is_some_and(is_known) || self.host_only.matches(path))
    }

    /// Whether a path, or a directory it lies in, belongs to the host.
    pub(crate) fn is_host_only(&self, path: &Path) -> bool {
        let mut above = path.ancestors().filter(|above| !above.as_os_str().is_empty());
        !self.is_sign_state(path) && above.any(|above| self.names_host_only(above))
    }
}
