//! A table of the original's files, read as the original reads it: a key is looked for letter for letter and then
//! without regard to case, and what nobody knows is let pass, though not in silence.
//!
//! Everything that is found is told at once; a value that is wrong leaves its default behind.

use toml::{Table, Value};

use crate::words::nearest;

/// What there is to tell about a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    /// What works, and should be looked at.
    pub warnings: Vec<String>,
    /// What cannot be worked with.
    pub problems: Vec<String>,
}

/// One table, and how to call it.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    table: &'a Table,
    path: String,
}

/// The table of a file, or why it is none, in the original's words.
pub(super) fn document(bytes: &[u8]) -> Result<Table, String> {
    let looks_like =
        |what| Err(format!("the content looks like it contains {what}, be sure your file has TOML formatting"));
    match bytes.first() {
        None => return Err("empty file".to_owned()),
        Some(b'<') => return looks_like("HTML"),
        Some(b'{') => return looks_like("JSON"),
        Some(_) => {}
    }
    let invalid = |why: &str| format!("invalid TOML document: {why}");
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8 text"))?;
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        invalid(&format!("line {line}: {}", error.message()))
    })
}

impl<'a> Fields<'a> {
    /// The outermost table of a file.
    pub(super) fn of_file(table: &'a Table) -> Self {
        Self { table, path: String::new() }
    }

    /// How a key of this table is called.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The key as it is written, and what stands there.
    pub(super) fn entry(&self, key: &str) -> Option<(&'a str, &'a Value)> {
        let exact = self.table.get_key_value(key);
        let same = || self.table.iter().find(|(written, _)| written.to_lowercase() == key.to_lowercase());
        exact.or_else(same).map(|(written, value)| (written.as_str(), value))
    }

    /// Every key with what stands there.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.table.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// A table below this one.
    pub(super) fn table(&self, key: &str, remarks: &mut Remarks) -> Option<Fields<'a>> {
        match self.entry(key)?.1 {
            Value::Table(table) => Some(Self { table, path: self.path(key) }),
            other => {
                remarks.wrong(&self.path(key), "a table", other);
                None
            }
        }
    }

    pub(super) fn text(&self, key: &str, remarks: &mut Remarks) -> Option<String> {
        match self.entry(key)?.1 {
            Value::String(text) => Some(text.clone()),
            other => {
                remarks.wrong(&self.path(key), "a text", other);
                None
            }
        }
    }

    pub(super) fn switch(&self, key: &str, remarks: &mut Remarks) -> Option<bool> {
        match self.entry(key)?.1 {
            Value::Boolean(is_on) => Some(*is_on),
            other => {
                remarks.wrong(&self.path(key), "true or false", other);
                None
            }
        }
    }

    /// A number of times or of seconds. Below zero it means what zero does, as there.
    pub(super) fn number(&self, key: &str, remarks: &mut Remarks) -> Option<u64> {
        match self.entry(key)?.1 {
            Value::Integer(number) => Some(u64::try_from(*number).unwrap_or_else(|_| {
                remarks.warnings.push(format!("{} is {number}, which means 0", self.path(key)));
                0
            })),
            other => {
                remarks.wrong(&self.path(key), "a whole number", other);
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str, remarks: &mut Remarks) -> Option<Vec<String>> {
        let value = self.entry(key)?.1;
        let texts = value.as_array().and_then(|list| list.iter().map(|it| it.as_str().map(str::to_owned)).collect());
        if texts.is_none() {
            remarks.wrong(&self.path(key), "a list of texts", value);
        }
        texts
    }

    /// Warns of every key but these.
    pub(super) fn only(&self, known: &[&str], remarks: &mut Remarks) {
        for (written, _) in self.entries() {
            let is_read = |key: &&&str| self.entry(key).is_some_and(|(read, _)| read == written);
            if known.iter().find(is_read).is_some() {
                continue;
            }
            let path = self.path(written);
            let twin = known.iter().find(|key| key.to_lowercase() == written.to_lowercase());
            remarks.warnings.push(match (twin, nearest(written, known.iter().copied())) {
                (Some(twin), _) => format!("{path} means nothing beside {}", self.path(twin)),
                (None, Some(meant)) => format!("{path} means nothing: is {} meant?", self.path(meant)),
                (None, None) => format!("{path} means nothing"),
            });
        }
    }
}

impl Remarks {
    /// A value is of another kind.
    pub(super) fn wrong(&mut self, path: &str, expected: &str, found: &Value) {
        self.problems.push(format!("{path} must be {expected}, and not {}", found.type_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_toml_is_told_in_the_originals_words() {
        for (bytes, why) in [
            (&b""[..], "empty file"),
            (b"<html>", "the content looks like it contains HTML, be sure your file has TOML formatting"),
            (b"{}", "the content looks like it contains JSON, be sure your file has TOML formatting"),
            (b"a = \xff", "invalid TOML document: it is not UTF-8 text"),
        ] {
            assert_eq!(document(bytes), Err(why.to_owned()));
        }
        let why = document(b"a = 1\nb = \n").unwrap_err();
        assert!(why.starts_with("invalid TOML document: line 2: "), "{why}");
        assert_eq!(document(b"\n").map(|table| table.len()), Ok(0));
    }

    #[test]
    fn a_key_is_found_whatever_its_case_and_its_own_spelling_first() {
        let table = document(b"Name = 'a'\nENABLED = true\nenabled = false\nnmae = 1\nzzz = 2").unwrap();
        let fields = Fields::of_file(&table);
        let mut remarks = Remarks::default();
        assert_eq!(fields.text("name", &mut remarks).as_deref(), Some("a"));
        assert_eq!(fields.switch("enabled", &mut remarks), Some(false));
        assert_eq!(fields.switch("Enabled", &mut Remarks::default()), Some(true), "the first of them");
        fields.only(&["name", "enabled"], &mut remarks);
        let warnings =
            ["ENABLED means nothing beside enabled", "nmae means nothing: is name meant?", "zzz means nothing"];
        assert_eq!((remarks.warnings, remarks.problems), (warnings.map(str::to_owned).to_vec(), vec![]));
    }

    #[test]
    fn values_of_another_kind_are_all_told() {
        let table = document(b"t = 1\nn = 1.5\ns = 'x'\nl = ['a', 1]\nneg = -3\n[a]\n").unwrap();
        let fields = Fields::of_file(&table);
        let mut remarks = Remarks::default();
        assert_eq!(fields.text("t", &mut remarks), None);
        assert_eq!(fields.number("n", &mut remarks), None);
        assert_eq!(fields.switch("s", &mut remarks), None);
        assert_eq!(fields.texts("l", &mut remarks), None);
        assert_eq!(fields.text("a", &mut remarks), None);
        assert!(fields.table("t", &mut remarks).is_none());
        assert_eq!(fields.number("neg", &mut remarks), Some(0));
        assert_eq!(fields.number("gone", &mut remarks), None);
        let problems = [
            "t must be a text, and not integer",
            "n must be a whole number, and not float",
            "s must be true or false, and not string",
            "l must be a list of texts, and not array",
            "a must be a text, and not table",
            "t must be a table, and not integer",
        ];
        assert_eq!(remarks.problems, problems);
        assert_eq!(remarks.warnings, ["neg is -3, which means 0"]);
    }
}
