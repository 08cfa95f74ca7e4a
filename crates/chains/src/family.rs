//! The families that `chain = "…"` can name: what each adds to the one configuration that every node has.
//!
//! A family supplies settings that hold where the file says nothing, in the very form of the file, so that there is one
//! builder and every key of the file overrides; and it finishes the shape by what no key can say. Owns nothing.

use std::path::Path;

use ov_sys::Disk;
use toml::{Table, Value};

use crate::cosmos;
use crate::generic::{File, Key};
use crate::shape::NodeShape;

/// What a family has to go by.
pub(crate) struct Scene<'a> {
    /// To look at what the node itself is configured by.
    pub(crate) disk: &'a dyn Disk,
    /// The home, an absolute path that is text.
    pub(crate) home: &'a Path,
    /// What the file says by itself.
    pub(crate) file: &'a File,
}

/// Something that a family finds wrong with its own section.
pub(crate) struct Wrong {
    pub(crate) key: Key,
    pub(crate) message: String,
}

/// Settings that hold where the file says nothing.
pub(crate) type Defaults = Result<Table, Vec<Wrong>>;

/// The word for no family.
pub const GENERIC: &str = "generic";

/// One family.
pub(crate) struct Family {
    /// Its word, and the name of its section.
    pub(crate) name: &'static str,
    /// What holds where the file says nothing.
    defaults: fn(&Scene<'_>) -> Defaults,
    /// Adds what no key can say.
    finish: fn(&Scene<'_>, &mut NodeShape),
}

/// All of them. The first is meant when the file names none.
const FAMILIES: [Family; 2] = [
    Family { name: GENERIC, defaults: nothing, finish: |_, _| () },
    Family { name: "cosmos", defaults: cosmos::defaults, finish: cosmos::finish },
];

/// No settings, and no section of another family.
fn nothing(scene: &Scene<'_>) -> Defaults {
    if scene.file.cosmos.is_none() {
        return Ok(Table::new());
    }
    Err(vec![Wrong { key: Key::of("cosmos"), message: "this means nothing without `chain = \"cosmos\"`".to_owned() }])
}

/// The words that can be written.
pub fn names() -> [&'static str; FAMILIES.len()] {
    FAMILIES.map(|family| family.name)
}

impl Family {
    /// The family of this name.
    pub(crate) fn of(name: &str) -> &'static Family {
        static KNOWN: [Family; FAMILIES.len()] = FAMILIES;
        KNOWN.iter().find(|family| family.name == name).unwrap_or(&KNOWN[0])
    }

    pub(crate) fn defaults(&self, scene: &Scene<'_>) -> Defaults {
        (self.defaults)(scene)
    }

    pub(crate) fn finish(&self, scene: &Scene<'_>, shape: &mut NodeShape) {
        (self.finish)(scene, shape);
    }
}

/// Sections that say one thing in several keys: whoever writes one writes the whole of it.
const WHOLE: [&str; 5] = ["ready", "health", "height", "version", "validator"];

/// Puts what is written over what holds by default.
pub(crate) fn over(defaults: Table, written: Table) -> Table {
    let mut merged = defaults;
    for (key, value) in written {
        let below = merged.remove(&key);
        let value = match (below, value) {
            (Some(Value::Table(below)), Value::Table(value)) if !WHOLE.contains(&key.as_str()) => {
                Value::Table(over(below, value))
            }
            (_, value) => value,
        };
        merged.insert(key, value);
    }
    merged
}
