//! Values that must not be seen: kept apart from everything that is printed, logged or compared by eye.
//!
//! A secret says where its value stands. Its value leaves this module only through [`Secret::read`], when it is used.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ov_sys::Disk;

/// The longest secret.
const LEN_MAX: u64 = 64 * 1024;

/// Where a value stands that must not be seen.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// In the configuration itself. Allowed for addresses, which are often harmless.
    Text(String),
    /// In a file; white space around it does not count.
    File(PathBuf),
    /// In a variable of the daemon's environment.
    Variable(String),
}

/// Why a secret could not be read. Never says what it is.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("read the secret in {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a text.
    #[error("read the secret in {}: it is not UTF-8", path.display())]
    NotText {
        /// Which.
        path: PathBuf,
    },
    /// There is no such variable.
    #[error("read a secret: the environment has no variable `{name}`")]
    Variable {
        /// Which.
        name: String,
    },
    /// There is nothing in it.
    #[error("read a secret: {place} is empty")]
    Empty {
        /// Where it should be.
        place: String,
    },
}

impl Secret {
    /// The value. `variable` looks into the daemon's environment.
    pub fn read(&self, disk: &dyn Disk, variable: impl Fn(&str) -> Option<String>) -> Result<String, SecretError> {
        let text = match self {
            Secret::Text(text) => text.clone(),
            Secret::File(path) => text_of(disk, path)?,
            Secret::Variable(name) => variable(name).ok_or_else(|| SecretError::Variable { name: name.clone() })?,
        };
        match text.trim() {
            "" => Err(SecretError::Empty { place: self.place() }),
            text => Ok(text.to_owned()),
        }
    }

    /// Where it stands.
    pub fn place(&self) -> String {
        match self {
            Secret::Text(_) => "the configuration".to_owned(),
            Secret::File(path) => format!("file {}", path.display()),
            Secret::Variable(name) => format!("variable {name}"),
        }
    }
}

fn text_of(disk: &dyn Disk, path: &Path) -> Result<String, SecretError> {
    let bytes = disk.read(path, LEN_MAX).map_err(|source| SecretError::File { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|_| SecretError::NotText { path: path.to_owned() })
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.place())
    }
}

/// An address as it may be shown: scheme, host and port; what may carry a secret (user, path, query) is left out.
pub fn shown_address(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "an address".to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let more = if rest.len() > authority.len() { "/…" } else { "" };
    format!("{scheme}://{host}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::Text("https://hooks.example/T0/hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(the configuration)");
    }

    #[test]
    fn a_secret_is_read_from_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, " hunter2\n").unwrap();
        let variable = |name: &str| (name == "TOKEN").then(|| "hunter3".to_owned());
        let read = |secret: Secret| secret.read(&RealDisk, variable);
        assert_eq!(read(Secret::File(path.clone())).unwrap(), "hunter2");
        assert_eq!(read(Secret::Variable("TOKEN".to_owned())).unwrap(), "hunter3");
        let missing = read(Secret::Variable("TOKEM".to_owned())).unwrap_err();
        assert_eq!(missing.to_string(), "read a secret: the environment has no variable `TOKEM`");
        std::fs::write(&path, "\n").unwrap();
        let empty = read(Secret::File(path.clone())).unwrap_err().to_string();
        assert_eq!(empty, format!("read a secret: file {} is empty", path.display()));
    }

    #[test]
    fn an_address_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("https://user:pass@hooks.example:8443/T0/x?token=y", "https://hooks.example:8443/…"),
            ("http://localhost", "http://localhost"),
            ("http://localhost?token=y", "http://localhost/…"),
            ("nonsense with token", "an address"),
        ] {
            assert_eq!(shown_address(url), shown);
        }
    }
}
