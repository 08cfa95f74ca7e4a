//! Paths as text, without losing any byte: file names need not be UTF-8, JSON must be.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path whose text form escapes `%`, control characters and what is not UTF-8 as `%XX`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct PathText(PathBuf);

impl PathText {
    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether it is relative and cannot lead upwards.
    pub(crate) fn is_inside(&self) -> bool {
        let mut parts = self.0.components().peekable();
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    }
}

impl From<PathBuf> for PathText {
    fn from(path: PathBuf) -> Self {
        Self(path)
    }
}

impl From<String> for PathText {
    fn from(text: String) -> Self {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let escaped = (byte == b'%').then(|| after.get(..2).and_then(hexadecimal)).flatten();
            bytes.push(escaped.unwrap_or(byte));
            rest = if escaped.is_some() { &after[2..] } else { after };
        }
        Self(PathBuf::from(OsString::from_vec(bytes)))
    }
}

impl From<PathText> for String {
    fn from(path: PathText) -> String {
        let mut text = String::new();
        for chunk in path.0.as_os_str().as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                if character == '%' || character.is_control() {
                    character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| escape(&mut text, byte));
                } else {
                    text.push(character);
                }
            }
            chunk.invalid().iter().for_each(|byte| escape(&mut text, *byte));
        }
        text
    }
}

fn escape(text: &mut String, byte: u8) {
    // Writing into a string cannot fail.
    let _ = write!(text, "%{byte:02X}");
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digits = digits.iter().all(u8::is_ascii_hexdigit).then_some(digits)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_readable() {
        let text = String::from(PathText::from(PathBuf::from("state.db/000123.sst")));
        assert_eq!(text, "state.db/000123.sst");
        assert_eq!(String::from(PathText::from(PathBuf::from("50%\n"))), "50%25%0A");
    }

    #[test]
    fn only_paths_that_stay_below_are_inside() {
        for (text, inside) in [("a/b", true), ("", false), ("/a", false), ("..", false), ("a/../b", false)] {
            assert_eq!(PathText::from(text.to_owned()).is_inside(), inside, "{text:?}");
        }
        assert!(!PathText::from("%2E%2E/a".to_owned()).is_inside());
    }

    proptest! {
        #[test]
        fn every_name_survives(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let path = PathText::from(PathBuf::from(OsString::from_vec(bytes)));
            prop_assert_eq!(PathText::from(String::from(path.clone())), path);
        }
    }
}
