//! From the name of an upgrade, which is anybody's text, to the folder of its release.
//!
//! The name is lowered, unless that is switched off, and percent-escaped like a segment of a URL's path. Two names that
//! lead to one folder are one upgrade.

use std::fmt::Write as _;

use ov_types::ReleaseName;

/// The folder of the first release, and what `current` says while it runs.
pub const GENESIS: &str = "genesis";

/// Whether names are lowered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Recase {
    /// They are.
    #[default]
    Lower,
    /// They are used as they are.
    Keep,
}

impl Recase {
    /// The name as it is used from here on.
    pub fn apply(self, name: &str) -> String {
        match self {
            Recase::Lower => name.to_lowercase(),
            Recase::Keep => name.to_owned(),
        }
    }
}

/// Why no release can be called as an upgrade is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableName {
    /// There is none.
    #[error("name cannot be empty")]
    Empty,
    /// That folder holds the first release.
    #[error("an upgrade cannot be called `{0}`: the first release is called so")]
    Genesis(String),
    /// It cannot be a folder of ours.
    #[error("the upgrade `{0}` cannot have a folder: {1}")]
    Folder(String, String),
}

/// The release that an upgrade leads to: the name of its folder below `upgrades`.
pub fn release_of(name: &str, recase: Recase) -> Result<ReleaseName, UnusableName> {
    let name = recase.apply(name);
    if name.trim().is_empty() {
        return Err(UnusableName::Empty);
    }
    if name.eq_ignore_ascii_case(GENESIS) {
        return Err(UnusableName::Genesis(name));
    }
    ReleaseName::new(escape(&name)).map_err(|error| UnusableName::Folder(name, error.to_string()))
}

/// Escapes what may not stand in one segment of a URL's path.
pub fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+=:@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Whether two releases are one for an upgrade: the original compares without regard to case.
pub fn same(a: &ReleaseName, b: &ReleaseName) -> bool {
    a.as_str().to_lowercase() == b.as_str().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folder(name: &str, recase: Recase) -> Result<String, UnusableName> {
        release_of(name, recase).map(String::from)
    }

    #[test]
    fn names_become_folders_as_there() {
        for (name, lowered, kept) in [
            ("v2", "v2", "v2"),
            ("myUpgrade", "myupgrade", "myUpgrade"),
            ("some spaces", "some%20spaces", "some%20spaces"),
            ("a/b;c,d?e", "a%2Fb%3Bc%2Cd%3Fe", "a%2Fb%3Bc%2Cd%3Fe"),
            ("V1.2-rc_1~$&+=:@", "v1.2-rc_1~$&+=:@", "V1.2-rc_1~$&+=:@"),
            ("Größe", "gr%C3%B6%C3%9Fe", "Gr%C3%B6%C3%9Fe"),
            ("100%", "100%25", "100%25"),
        ] {
            assert_eq!(folder(name, Recase::Lower).as_deref(), Ok(lowered));
            assert_eq!(folder(name, Recase::Keep).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn names_that_nothing_can_be_called_are_refused() {
        assert_eq!(folder("", Recase::Lower), Err(UnusableName::Empty));
        assert_eq!(folder(" \n", Recase::Lower), Err(UnusableName::Empty));
        for name in ["genesis", "Genesis"] {
            assert!(matches!(folder(name, Recase::Keep), Err(UnusableName::Genesis(_))), "{name}");
        }
        for name in ["..", ".", ".hidden", "-flag", &"x".repeat(200), &"ü".repeat(50)] {
            assert!(matches!(folder(name, Recase::Lower), Err(UnusableName::Folder(..))), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_folder_is_one_safe_component(name in ".{0,60}", keep: bool) {
            let recase = if keep { Recase::Keep } else { Recase::Lower };
            if let Ok(folder) = folder(&name, recase) {
                prop_assert!(!folder.contains('/') && !folder.starts_with('.') && folder.is_ascii());
                prop_assert!(folder != GENESIS);
            }
        }
    }
}
