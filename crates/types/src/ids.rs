//! Names and numbers that identify things, each its own type so that none is taken for another.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    what: &'static str,
    text: String,
    why: &'static str,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a {}: {}", self.text, self.what, self.why)
    }
}

impl std::error::Error for InvalidName {}

/// The longest name: with our prefixes and suffixes it still fits into one path component.
const NAME_LEN_MAX: usize = 128;

/// Punctuation in the names of units.
const PLAIN: &str = "._-+";
/// Punctuation in names that may be made from other people's words: also what a URL's path segment may hold, so that
/// an escaped name is a name.
const ESCAPED: &str = "._-+%$&=:@~";

fn check_name(what: &'static str, punctuation: &'static str, text: &str) -> Result<(), InvalidName> {
    let invalid = |why| Err(InvalidName { what, text: text.chars().take(NAME_LEN_MAX).collect(), why });
    if text.is_empty() {
        return invalid("it is empty");
    }
    if text.len() > NAME_LEN_MAX {
        return invalid("it is longer than 128 bytes");
    }
    if text.starts_with('.') || text.starts_with('-') {
        return invalid("it may not begin with `.` or `-`");
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || punctuation.as_bytes().contains(&byte)) {
        return invalid(match punctuation {
            PLAIN => "only letters, digits and `. _ - +` are allowed",
            _ => "only letters, digits and `. _ - + % $ & = : @ ~` are allowed",
        });
    }
    Ok(())
}

/// Defines a name: a text that is safe as one component of a path.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $punctuation:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Accepts a text that is safe as one component of a path.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                check_name($what, $punctuation, &text)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl AsRef<std::path::Path> for $type {
            fn as_ref(&self) -> &std::path::Path {
                std::path::Path::new(&self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of a unit: `main`, or a helper's.
    UnitName,
    "unit name",
    PLAIN
);
name!(
    /// The name of a group of units that live and die together.
    GroupName,
    "group name",
    PLAIN
);
name!(
    /// The name of a release: its folder below the releases folder.
    ReleaseName,
    "release name",
    ESCAPED
);
name!(
    /// The name of a snapshot: its folder below the snapshots folder.
    SnapshotId,
    "snapshot name",
    ESCAPED
);

impl UnitName {
    /// The main process of a node.
    pub fn main() -> Self {
        Self("main".to_owned())
    }

    /// Whether this is the main process.
    pub fn is_main(&self) -> bool {
        self.0 == "main"
    }
}

/// Defines a number with a meaning.
macro_rules! number {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(transparent)]
        pub struct $type(pub u64);

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// A block height.
    Height
);
number!(
    /// A plan, and the upgrade that carries it out: counted per node, never used twice.
    PlanId
);
number!(
    /// One launch of a unit: counted per unit, never used twice.
    RunId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_path_components() {
        for good in ["main", "v1.2.3", "v0.50.0-rc.1+build", "A", "0", "some%20spaces", "$a&b=c:d@e~f", "%2E%2E"] {
            assert_eq!(ReleaseName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", ".hidden", "-flag", "a/b", "a b", "a\\b", "a\n", "ü", "a\0", &"x".repeat(129)] {
            assert!(ReleaseName::new(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn units_have_plain_names() {
        assert!(UnitName::new("v1.2_3-4+5").is_ok());
        for bad in ["a%20b", "a:b", "a@b", "a=b"] {
            assert!(UnitName::new(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn names_are_checked_when_they_are_read() {
        assert!(serde_json::from_str::<UnitName>("\"../main\"").is_err());
        assert_eq!(serde_json::from_str::<UnitName>("\"main\"").unwrap(), UnitName::main());
    }
}
