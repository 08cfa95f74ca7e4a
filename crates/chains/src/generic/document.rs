//! A configuration file as it was written: its tree with positions, and what was found wrong with it so far.
//!
//! Checks the tree against the schema, so that every wrong key and value is found at once; what was found wrong is
//! taken out of the tree, so that the rest can still be read and looked at.

use std::ops::Range;

use serde::Deserialize as _;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::file::{File, check_key, check_text};
use super::problem::{ConfigProblem, Key, Segment};
use crate::family::{Defaults, over};
use crate::words;

/// A configuration file as it was written.
pub(crate) struct Document<'a> {
    text: &'a str,
    root: Spanned<DeTable<'a>>,
    problems: Vec<ConfigProblem>,
    /// Keys that were found wrong: whatever follows from them is not told a second time.
    broken: Vec<Key>,
}

impl<'a> Document<'a> {
    /// Reads the tree. What is not TOML is told; then the tree is of no use.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Vec<ConfigProblem>> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(Self { text, root, problems: Vec::new(), broken: Vec::new() });
        }
        let told = |error: &toml::de::Error| ConfigProblem {
            line: line_at(text.as_bytes(), error.span().unwrap_or_default().start),
            key: String::new(),
            // Only the message: the error itself also shows the line, which may hold a secret.
            message: format!("this is not TOML: {}", error.message()),
        };
        let mut problems: Vec<_> = errors.iter().map(told).collect();
        problems.dedup();
        Err(problems)
    }

    /// Tells everything that the schema forbids.
    pub(crate) fn check(&mut self, schema: &Value) {
        let mut found = Vec::new();
        check_table(self.root.get_ref(), schema, &Key::default(), &mut found);
        for finding in found {
            self.tell_at(&finding.key, finding.span, finding.message);
            self.broken.extend(finding.meant);
            self.broken.push(finding.key);
        }
    }

    /// Reads what was not found wrong. `None` when even that cannot be read, which is told then.
    pub(crate) fn read(&mut self) -> Option<File> {
        let read = File::deserialize(self.rest());
        self.told(read)
    }

    /// The same over settings that hold where the file says nothing; or tells what a family finds wrong.
    pub(crate) fn read_over(&mut self, defaults: Defaults) -> Option<File> {
        match defaults {
            Ok(defaults) if defaults.is_empty() => self.read(),
            Ok(defaults) => {
                let written = toml::Table::deserialize(self.rest());
                let written = self.told(written)?;
                let merged = File::deserialize(toml::Value::Table(over(defaults, written)));
                self.told(merged)
            }
            Err(wrong) => {
                for wrong in wrong {
                    self.tell(&wrong.key, wrong.message);
                }
                None
            }
        }
    }

    /// What was not found wrong.
    fn rest(&self) -> toml::de::Deserializer<'a> {
        let mut tree = self.root.clone();
        for key in &self.broken {
            remove(tree.get_mut(), key.segments());
        }
        toml::de::Deserializer::from(tree)
    }

    fn told<T>(&mut self, read: Result<T, toml::de::Error>) -> Option<T> {
        let tell = |error: toml::de::Error| {
            self.tell_at(&Key::default(), error.span().unwrap_or_default(), error.message().to_owned());
        };
        read.map_err(tell).ok()
    }

    /// Whether a key is there.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.nearest(key).1 == key.segments().len()
    }

    /// Tells that something is wrong with a key, unless what is known to be wrong already says so.
    pub(crate) fn tell(&mut self, key: &Key, message: impl Into<String>) {
        if !self.broken.iter().any(|broken| key.is_told_by(broken)) {
            let span = self.nearest(key).0;
            self.tell_at(key, span, message.into());
        }
    }

    fn tell_at(&mut self, key: &Key, span: Range<usize>, message: String) {
        self.problems.push(ConfigProblem {
            line: line_at(self.text.as_bytes(), span.start),
            key: key.to_string(),
            message,
        });
    }

    /// Where the key is written, or the nearest one above it; and how many of its segments are there.
    fn nearest(&self, key: &Key) -> (Range<usize>, usize) {
        let mut span = 0..0;
        let mut table = Some(self.root.get_ref());
        let mut list = None;
        for (depth, segment) in key.segments().iter().enumerate() {
            let value = match segment {
                Segment::Name(name) => {
                    table.and_then(|table| table.get_key_value(name.as_str())).map(|(name, value)| {
                        span = name.span();
                        value
                    })
                }
                Segment::Index(index) => {
                    list.and_then(|list: &DeArray<'_>| list.get(*index)).inspect(|value| span = value.span())
                }
            };
            let Some(value) = value else {
                return (span, depth);
            };
            table = value.get_ref().as_table();
            list = value.get_ref().as_array();
        }
        (span, key.segments().len())
    }

    /// Everything that is wrong, in the order of the lines.
    pub(crate) fn into_problems(mut self) -> Vec<ConfigProblem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
    }
}

/// The line, counted from 1, of the byte at this place.
pub(super) fn line_at(bytes: &[u8], place: usize) -> usize {
    bytes.iter().take(place).filter(|byte| **byte == b'\n').count() + 1
}

fn remove(table: &mut DeTable<'_>, segments: &[Segment]) {
    match segments {
        [Segment::Name(name)] => drop(table.remove(name.as_str())),
        [Segment::Name(name), rest @ ..] => {
            if let Some(value) = table.get_mut(name.as_str()) {
                remove_below(value.get_mut(), rest);
            }
        }
        _ => {}
    }
}

/// An element of a list is not taken out, because that would move the others: it is emptied, or the list is.
fn remove_below(value: &mut DeValue<'_>, segments: &[Segment]) {
    match (&mut *value, segments) {
        (DeValue::Table(table), []) => table.clear(),
        (DeValue::Table(table), segments) => remove(table, segments),
        (DeValue::Array(list), [Segment::Index(index), rest @ ..]) if !rest.is_empty() || is_table(list, *index) => {
            if let Some(element) = list.get_mut(*index) {
                remove_below(element.get_mut(), rest);
            }
        }
        (DeValue::Array(_), _) => *value = DeValue::Array(DeArray::default()),
        _ => {}
    }
}

fn is_table(list: &DeArray<'_>, index: usize) -> bool {
    list.get(index).is_some_and(|element| element.get_ref().is_table())
}

/// Something that the schema forbids.
struct Found {
    key: Key,
    span: Range<usize>,
    message: String,
    /// The key that a misspelt one was meant to be.
    meant: Option<Key>,
}

fn check_table(table: &DeTable<'_>, schema: &Value, at: &Key, found: &mut Vec<Found>) {
    for (name, value) in table {
        let key = at.name(name.get_ref());
        if let Some(known) = schema["properties"].get(name.get_ref().as_ref()) {
            check_value(value, known, &key, found);
        } else if schema["additionalProperties"].is_object() {
            match check_key(name.get_ref(), schema) {
                Ok(()) => check_value(value, &schema["additionalProperties"], &key, found),
                Err(message) => found.push(Found { key, span: name.span(), message, meant: None }),
            }
        } else {
            let (message, meant) = unknown_key(name.get_ref(), schema);
            found.push(Found { span: name.span(), message, meant: meant.map(|name| at.name(name)), key });
        }
    }
}

/// What to say about a key that nobody knows, and which one it was meant to be.
fn unknown_key<'s>(name: &str, schema: &'s Value) -> (String, Option<&'s str>) {
    let known = schema["properties"].as_object();
    let names: Vec<&str> = known.into_iter().flat_map(|known| known.keys()).map(String::as_str).collect();
    let meant = words::nearest(name, names.iter().copied());
    let message = match meant {
        Some(meant) => format!("unknown key; did you mean `{meant}`?"),
        None => format!("unknown key; known here are {}", quoted(&names)),
    };
    (message, meant)
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn check_value(value: &Spanned<DeValue<'_>>, schema: &Value, key: &Key, found: &mut Vec<Found>) {
    let tell = |message| Found { key: key.clone(), span: value.span(), message, meant: None };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let kind = kind_of(value.get_ref());
    if !kinds.contains(&kind) {
        let expected = kinds.iter().map(|kind| in_words(kind)).collect::<Vec<_>>().join(" or ");
        found.push(tell(format!("this is {}, but {expected} is expected here", in_words(kind))));
        return;
    }
    match value.get_ref() {
        DeValue::String(text) => {
            if let Err(message) = check_text(text, schema) {
                found.push(tell(message));
            }
        }
        DeValue::Integer(number) => {
            let number = i128::from_str_radix(number.as_str(), number.radix()).ok();
            if let Err(message) = check_number(number, schema) {
                found.push(tell(message));
            }
        }
        DeValue::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                check_value(element, &schema["items"], &key.index(index), found);
            }
        }
        DeValue::Table(table) => check_table(table, schema, key, found),
        DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

fn check_number(number: Option<i128>, schema: &Value) -> Result<(), String> {
    let bound = |name: &str, default: i64| schema[name].as_i64().unwrap_or(default);
    let unsigned = schema["format"].as_str().is_some_and(|format| format.starts_with("uint"));
    let least = bound("minimum", if unsigned { 0 } else { i64::MIN });
    let most = bound("maximum", i64::MAX);
    match number {
        Some(number) if (i128::from(least)..=i128::from(most)).contains(&number) => Ok(()),
        _ if most == i64::MAX => Err(format!("this number is out of range: it must be at least {least}")),
        _ => Err(format!("this number is out of range: it must be from {least} to {most}")),
    }
}

/// The kind of a value, in the words of JSON Schema.
fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

/// The kind of a value, as an operator would say it.
fn in_words(kind: &str) -> &str {
    match kind {
        "string" => "a text in quotes",
        "integer" => "a whole number",
        "number" => "a number with a fraction",
        "boolean" => "`true` or `false`",
        "date" => "a date or time",
        "array" => "a list",
        "object" => "a table",
        other => other,
    }
}
