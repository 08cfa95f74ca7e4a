//! Patterns that name files in a data directory.
//!
//! A pattern with a `/` is about the whole path in the data directory, one without about the last name alone. `?`
//! is one byte, `*` any number within a name, `**` any number of names.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A list of patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Globs(Vec<String>);

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidGlob(String);

impl fmt::Display for InvalidGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "use the pattern `{}`: it is empty, absolute, or has an empty, `.` or `..` part", self.0)
    }
}

impl std::error::Error for InvalidGlob {}

impl Globs {
    /// Accepts patterns that can match something.
    pub fn new(patterns: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, InvalidGlob> {
        let patterns: Vec<String> = patterns.into_iter().map(Into::into).collect();
        match patterns.iter().find(|pattern| pattern.split('/').any(|part| matches!(part, "" | "." | ".."))) {
            Some(pattern) => Err(InvalidGlob(pattern.clone())),
            None => Ok(Self(patterns)),
        }
    }

    /// Whether any pattern names this path, given relative to the data directory.
    pub fn matches(&self, path: &Path) -> bool {
        let names: Vec<&[u8]> = path.iter().map(OsStrExt::as_bytes).collect();
        self.0.iter().any(|pattern| {
            if !pattern.contains('/') {
                return names.last().is_some_and(|name| name_matches(pattern.as_bytes(), name));
            }
            let parts: Vec<&[u8]> = pattern.split('/').map(str::as_bytes).collect();
            wildcard(&parts, &names, |part| *part == b"**", |part, name| name_matches(part, name))
        })
    }
}

impl TryFrom<Vec<String>> for Globs {
    type Error = InvalidGlob;

    fn try_from(patterns: Vec<String>) -> Result<Self, InvalidGlob> {
        Self::new(patterns)
    }
}

impl From<Globs> for Vec<String> {
    fn from(globs: Globs) -> Self {
        globs.0
    }
}

fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    wildcard(pattern, name, |byte| *byte == b'*', |byte, other| *byte == b'?' || byte == other)
}

/// Matches a sequence against a pattern in which some items stand for any number. Going back only to the last such
/// item is enough, which keeps it from taking exponential time.
fn wildcard<P, T>(pattern: &[P], text: &[T], is_star: impl Fn(&P) -> bool, same: impl Fn(&P, &T) -> bool) -> bool {
    let (mut at_pattern, mut at_text) = (0, 0);
    let mut retry = None;
    while at_text < text.len() {
        match pattern.get(at_pattern) {
            Some(item) if is_star(item) => {
                at_pattern += 1;
                retry = Some((at_pattern, at_text));
            }
            Some(item) if same(item, &text[at_text]) => {
                at_pattern += 1;
                at_text += 1;
            }
            _ => {
                let Some((after_star, taken_to)) = retry else { return false };
                retry = Some((after_star, taken_to + 1));
                (at_pattern, at_text) = (after_star, taken_to + 1);
            }
        }
    }
    pattern[at_pattern..].iter().all(is_star)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Globs::new([pattern]).unwrap().matches(Path::new(path))
    }

    #[test]
    fn patterns_mean_what_the_documentation_says() {
        for (pattern, path, expected) in [
            ("*.sst", "000123.sst", true),
            ("*.sst", "state.db/000123.sst", true),
            ("*.sst", "000123.sst.tmp", false),
            ("blocks/*.sst", "blocks/1.sst", true),
            ("blocks/*.sst", "blocks/a/1.sst", false),
            ("blocks/*.sst", "state/blocks/1.sst", false),
            ("blocks/**/*.sst", "blocks/1.sst", true),
            ("blocks/**/*.sst", "blocks/a/b/1.sst", true),
            ("**/keys/**", "a/keys/b", true),
            ("**/keys/**", "keys", true),
            ("LOCK", "a/LOCK", true),
            ("LOCK", "a/LOCK2", false),
            ("?.log", "1.log", true),
            ("?.log", "12.log", false),
            ("*a*b", "xxaxxb", true),
            ("*a*b", "xxaxxbc", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_that_can_match_nothing_are_refused() {
        for pattern in ["", "/a", "a//b", "a/", "../a", "./a"] {
            assert!(Globs::new([pattern]).is_err(), "{pattern:?}");
        }
    }

    /// The definition, word for word.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|taken| by_definition(rest, &text[taken..])),
            Some((first, rest)) => text
                .split_first()
                .is_some_and(|(byte, more)| (*first == b'?' || first == byte) && by_definition(rest, more)),
        }
    }

    proptest! {
        #[test]
        fn names_match_as_defined(pattern in "[ab*?]{0,7}", name in "[ab]{0,8}") {
            prop_assert_eq!(
                name_matches(pattern.as_bytes(), name.as_bytes()),
                by_definition(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
