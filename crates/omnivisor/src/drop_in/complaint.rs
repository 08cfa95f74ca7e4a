//! Why a command of a drop-in failed, in the original's words; and its results' way to standard output.

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;

use ov_chains::cosmos::{UnusableName, WrongSettings, told};

/// Why a command failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    text: String,
    is_silent: bool,
    exit_code: u8,
}

impl Complaint {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_silent: false, exit_code: 1 }
    }

    /// A file could not be used: what was tried on it, and why not.
    pub(crate) fn file(before: &str, what: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("{before}{}", told(what, path, error)))
    }

    /// The same, with what it means in front.
    pub(crate) fn within(self, what: &str) -> Self {
        Self { text: format!("{what}: {}", self.text), ..self }
    }

    /// Whether there is nobody to tell.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// The same, with another exit code than scripts know from the original.
    pub(crate) fn with_exit_code(self, exit_code: u8) -> Self {
        Self { exit_code, ..self }
    }

    /// How the program ends.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_silent { 0 } else { self.exit_code }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<WrongSettings> for Complaint {
    fn from(wrong: WrongSettings) -> Self {
        Self::new(wrong.to_string())
    }
}

impl From<UnusableName> for Complaint {
    fn from(unusable: UnusableName) -> Self {
        Self::new(unusable.to_string())
    }
}

/// Writes a result. A reader who went away is no failure.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Complaint> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Complaint {
        text: format!("failed to write output: {error}"),
        is_silent: error.kind() == io::ErrorKind::BrokenPipe,
        exit_code: 1,
    })
}
