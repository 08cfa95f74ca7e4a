//! What can go wrong in a fakenode. Messages fit "failed to …" and never contain their source.

use std::io;
use std::path::{Path, PathBuf};

/// The one error of this program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("{action} `{}`", path.display())]
    Io {
        /// The verb, such as `read`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file did not hold the JSON it should.
    #[error("parse `{}`", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A switch has a value that it cannot take, or nobody knows the switch.
    #[error("apply switches")]
    Switches(#[source] serde_json::Error),
    /// Another process holds the data directory. The words are those of goleveldb users.
    #[error("database is locked")]
    Locked,
    /// Another process signs with the same key.
    #[error("take the signing key: another process signs with it")]
    KeyInUse,
    /// The key file is missing and the switches say that it may not be made.
    #[error("read the signing key: `{}` is missing", .0.display())]
    KeyMissing(PathBuf),
    /// A newer version raised the data format.
    #[error("open data of format {found}: this version reads up to format {supported}")]
    FormatTooNew {
        /// The format of the data directory.
        found: u64,
        /// The newest format that this version reads.
        supported: u64,
    },
    /// The data directory contradicts itself.
    #[error("read `{}`: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What contradicts what.
        reason: String,
    },
    /// A new version was started before its upgrade height.
    #[error(
        "begin block: BINARY UPDATED BEFORE TRIGGER! UPGRADE \"{name}\" - in binary but not executed on chain, it is due at height {height}"
    )]
    TooEarly {
        /// The upgrade that this version handles.
        name: String,
        /// When it is due.
        height: u64,
    },
    /// The HTTP server could not listen, or a request to it failed.
    #[error("{action} `{address}`")]
    Network {
        /// The verb, such as `listen on`.
        action: &'static str,
        /// The address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The system refused something that is not about a file.
    #[error("{action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The command line makes no sense.
    #[error("understand the command line: {0}")]
    Usage(String),
}

impl Error {
    /// Wraps the error of a file operation; made for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Wraps a parse error; made for `map_err`.
    pub(crate) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Json { path, source }
    }

    /// The data directory contradicts itself.
    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}
