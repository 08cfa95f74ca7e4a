//! What is wrong with a configuration, all of it at once, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The path of a key: `unit.main.stop.grace`, `webhook[0].url`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(Vec<Segment>);

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Segment {
    Name(String),
    Index(usize),
}

impl Key {
    /// A path written with dots; its names must not contain any.
    pub(crate) fn of(path: &str) -> Self {
        Self(path.split('.').map(|name| Segment::Name(name.to_owned())).collect())
    }

    pub(crate) fn name(&self, name: &str) -> Self {
        self.with(Segment::Name(name.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    fn with(&self, segment: Segment) -> Self {
        Self(self.0.iter().cloned().chain([segment]).collect())
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether a problem with `broken` already says what is wrong here.
    pub(crate) fn is_told_by(&self, broken: &Key) -> bool {
        let direct_parent = broken.0.len() == self.0.len() + 1 && broken.0.starts_with(&self.0);
        self.0.starts_with(&broken.0) || direct_parent
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Name(name) => {
                    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                    let dot = if position == 0 { "" } else { "." };
                    if !name.is_empty() && name.bytes().all(bare) {
                        write!(f, "{dot}{name}")?;
                    } else {
                        write!(f, "{dot}{name:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The line it is about, counted from 1.
    pub line: usize,
    /// The path of the key; empty when the file as a whole is meant.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => f.write_str(&self.message),
            key => write!(f, "{key}: {}", self.message),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error("read the configuration {}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The home cannot be used.
    #[error("use {} as a home: {why}", home.display())]
    Home {
        /// That home.
        home: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// Something in it is wrong; everything that could be found is named.
    #[error("use the configuration {}", Listing { file, problems })]
    Wrong {
        /// The file.
        file: PathBuf,
        /// What is wrong, in the order of the lines. Never empty.
        problems: Vec<ConfigProblem>,
    },
}

/// The file, and under it one line for each problem.
struct Listing<'a> {
    file: &'a Path,
    problems: &'a [ConfigProblem],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let file = self.file.display();
        write!(f, "{file}: {count} problem{}", if count == 1 { "" } else { "s" })?;
        for problem in self.problems {
            write!(f, "\n  {file}:{}: {problem}", problem.line)?;
        }
        Ok(())
    }
}

impl ConfigError {
    /// The error as an operator sees it.
    pub fn problem(&self) -> ov_types::Problem {
        let told = match self {
            ConfigError::Unreadable { source, .. } => {
                ov_types::Problem::permanent("OV-CFG-001", self.to_string()).because(source)
            }
            ConfigError::Home { .. } => ov_types::Problem::permanent("OV-CFG-002", self.to_string()),
            ConfigError::Wrong { file, problems } => {
                let summary = format!("use the configuration {}", file.display());
                let first = ov_types::Problem::permanent("OV-CFG-003", summary);
                problems
                    .iter()
                    .fold(first, |told, problem| told.cause(format!("{}:{}: {problem}", file.display(), problem.line)))
            }
        };
        if let ConfigError::Unreadable { source, .. } = self
            && source.kind() == io::ErrorKind::NotFound
        {
            return told.hint("`omnivisor init` writes one; `--home` names another home");
        }
        told.hint("`omnivisor schema` prints every key with its meaning; so does docs/configuration.md")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_by_itself_what_is_above_it_and_what_is_right_below() {
        let key = Key::of("probe.height");
        for (broken, told) in [
            ("probe.height", true),
            ("probe", true),
            ("probe.height.http", true),
            ("probe.height.http.x", false),
            ("probe.version", false),
        ] {
            assert_eq!(key.is_told_by(&Key::of(broken)), told, "{broken}");
        }
    }

    #[test]
    fn keys_are_printed_as_they_could_be_written() {
        assert_eq!(Key::of("unit").name("a b").name("stop").to_string(), "unit.\"a b\".stop");
        assert_eq!(Key::of("webhook").index(1).name("url").to_string(), "webhook[1].url");
    }
}
