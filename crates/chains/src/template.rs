//! Texts with places to fill in: `{home}`, `{data}`, `{unit}`, `{release}`.
//!
//! Everything but the release is known when the configuration is read and filled in then; the release is filled in
//! when the text is used. A `{word}` that is no placeholder is an error; `{{word}}` stands for a literal `{word}`;
//! other braces mean nothing, so that JSON can stand in an argument.

use std::fmt;
use std::path::{Path, PathBuf};

/// What can be filled in while the configuration is read.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The node's home.
    pub home: &'a str,
    /// Its data directory.
    pub data: Option<&'a str>,
    /// The unit that the text is about.
    pub unit: Option<&'a str>,
    /// Whether the release may be named.
    pub release: bool,
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown placeholder `{{{word}}}` at character {position}; here {allowed} can be used")]
pub struct TemplateError {
    /// The word in braces.
    pub word: String,
    /// Where the brace is, counted from 1.
    pub position: usize,
    /// What could stand there.
    pub allowed: String,
}

/// A text in which only the release is still open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// The text between the places where the release is named: one more than there are such places.
    parts: Vec<String>,
}

impl Template {
    /// A text in which nothing is open.
    pub fn literal(text: impl Into<String>) -> Self {
        Self { parts: vec![text.into()] }
    }

    /// A path below the folder of the release, letter for letter.
    pub fn in_release(path: &str) -> Self {
        Self { parts: vec![String::new(), format!("/{path}")] }
    }

    /// Fills in what is known.
    pub fn parse(text: &str, places: &Places<'_>) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            part.push_str(&rest[..open]);
            rest = &rest[open..];
            if let Some((word, tail)) = word_in(rest, "{{", "}}") {
                part.push('{');
                part.push_str(word);
                part.push('}');
                rest = tail;
                continue;
            }
            let Some((word, tail)) = word_in(rest, "{", "}") else {
                part.push('{');
                rest = &rest[1..];
                continue;
            };
            match places.value(word) {
                Some(Place::Known(value)) => part.push_str(value),
                Some(Place::Release) => parts.push(std::mem::take(&mut part)),
                None => {
                    let position = text[..text.len() - rest.len()].chars().count() + 1;
                    return Err(TemplateError { word: word.to_owned(), position, allowed: places.allowed() });
                }
            }
            rest = tail;
        }
        part.push_str(rest);
        parts.push(part);
        Ok(Self { parts })
    }

    /// The text, with this release filled in.
    pub fn fill(&self, release: &Path) -> String {
        self.parts.join(&release.to_string_lossy())
    }

    /// The path, with this release filled in.
    pub fn fill_path(&self, release: &Path) -> PathBuf {
        PathBuf::from(self.fill(release))
    }

    /// Whether the text names the release.
    pub fn names_release(&self) -> bool {
        self.parts.len() > 1
    }

    /// The text, when it does not name the release.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [text] => Some(text),
            _ => None,
        }
    }

    /// The same path, below `folder` unless it is absolute or begins with the release.
    #[must_use]
    pub fn below(mut self, folder: &Path) -> Self {
        let begins_with_release = self.names_release() && self.parts.first().is_some_and(String::is_empty);
        if let Some(first) = self.parts.first_mut().filter(|_| !begins_with_release) {
            let joined = folder.join(first.as_str());
            *first = joined.to_string_lossy().into_owned();
        }
        self
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join("{release}"))
    }
}

/// What stands at a placeholder.
enum Place<'a> {
    /// This text.
    Known(&'a str),
    /// The release, which is filled in later.
    Release,
}

impl Places<'_> {
    fn value(&self, word: &str) -> Option<Place<'_>> {
        match word {
            "home" => Some(Place::Known(self.home)),
            "data" => self.data.map(Place::Known),
            "unit" => self.unit.map(Place::Known),
            "release" => self.release.then_some(Place::Release),
            _ => None,
        }
    }

    fn allowed(&self) -> String {
        ["home", "data", "unit", "release"]
            .into_iter()
            .filter(|word| self.value(word).is_some())
            .map(|word| format!("`{{{word}}}`"))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// The word between these braces at the beginning of `text`, and what follows.
fn word_in<'a>(text: &'a str, open: &str, close: &str) -> Option<(&'a str, &'a str)> {
    let rest = text.strip_prefix(open)?;
    let length = rest.find(|c: char| !(c.is_ascii_lowercase() || c == '-' || c == '_')).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(length);
    let rest = rest.strip_prefix(close)?;
    (!word.is_empty()).then_some((word, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACES: Places<'static> = Places { home: "/n", data: Some("/n/data"), unit: Some("main"), release: true };

    fn filled(text: &str) -> String {
        Template::parse(text, &PLACES).unwrap().fill(Path::new("/n/releases/v1"))
    }

    #[test]
    fn places_are_filled_in_and_other_braces_left_alone() {
        for (text, expected) in [
            ("plain", "plain"),
            ("{home}/x/{unit}", "/n/x/main"),
            ("{data}{data}", "/n/data/n/data"),
            ("{release}/bin/x", "/n/releases/v1/bin/x"),
            ("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"),
            ("{{home}}", "{home}"),
            ("{{{home}}}", "{{home}}"),
            ("{} { } {HOME} {", "{} { } {HOME} {"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn an_unknown_placeholder_is_named_with_its_position() {
        let error = Template::parse("äb{hoem}", &Places { unit: None, release: false, ..PLACES }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown placeholder `{hoem}` at character 3; here `{home}`, `{data}` can be used"
        );
    }

    #[test]
    fn relative_paths_are_put_below_a_folder() {
        let below = |text: &str| Template::parse(text, &PLACES).unwrap().below(Path::new("/n")).to_string();
        assert_eq!(below("current/bin/x"), "/n/current/bin/x");
        assert_eq!(below("/bin/x"), "/bin/x");
        assert_eq!(below("{release}/bin/x"), "{release}/bin/x");
        assert_eq!(below("x-{release}"), "/n/x-{release}");
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[{}a-z_ äx\"]{0,40}") {
            let _ = Template::parse(&text, &PLACES);
        }

        #[test]
        fn a_text_without_braces_means_itself(text in "[^{]{0,40}") {
            prop_assert_eq!(filled(&text), text);
        }
    }
}
