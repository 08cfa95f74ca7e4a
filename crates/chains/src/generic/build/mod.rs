//! Gives meaning to what was read: from the file's types to the shape, with every check that needs more than one value.
//!
//! A value that is wrong is told to the document and replaced by something harmless, so that everything else is still
//! looked at; the shape is thrown away if anything was told.

mod graph;
mod node;
mod place;
mod probe;
mod unit;

use std::path::{Path, PathBuf};

use super::document::Document;
use super::file::File;
use super::problem::Key;
use crate::shape::NodeShape;
use crate::template::{Places, Template};

/// What every part needs.
pub(super) struct Builder<'b, 'd> {
    pub(super) document: &'b mut Document<'d>,
    home: PathBuf,
    home_text: String,
    data_text: String,
}

/// Makes the shape. It is of use only if the document has no problems afterwards.
pub(super) fn build(document: &mut Document<'_>, file: &File, home: &Path, config: &Path) -> NodeShape {
    let home_text = home.to_string_lossy().into_owned();
    let mut builder = Builder { document, home: home.to_owned(), data_text: home_text.clone(), home_text };
    let layout = builder.layout(file, config);
    builder.data_text = layout.data.to_string_lossy().into_owned();
    builder.node(file, layout)
}

impl Builder<'_, '_> {
    /// A text of the node as a whole, or of a unit, in which the release may be named.
    fn template(&mut self, key: &Key, text: &str, unit: Option<&str>) -> Template {
        let places = Places { home: &self.home_text, data: Some(&self.data_text), unit, release: true };
        match Template::parse(text, &places) {
            Ok(template) => template,
            Err(error) => {
                self.document.tell(key, error.to_string());
                Template::default()
            }
        }
    }

    fn templates(&mut self, key: &Key, texts: &[String], unit: Option<&str>) -> Vec<Template> {
        texts.iter().enumerate().map(|(index, text)| self.template(&key.index(index), text, unit)).collect()
    }

    /// A program: required, and below the home unless it is absolute or of the release.
    fn program(&mut self, key: &Key, text: Option<&str>, unit: Option<&str>) -> Template {
        match text.map(str::trim) {
            None | Some("") => {
                self.document
                    .tell(key, "the program is missing: say which file to run, such as `\"current/bin/node\"`");
                Template::default()
            }
            Some(text) => self.template(key, text, unit).below(&self.home),
        }
    }

    /// A path in which the release may not be named.
    fn path(&mut self, key: &Key, text: &str, unit: Option<&str>) -> PathBuf {
        let data = self.data_text.clone();
        self.place(key, text, Some(&data), unit)
    }

    /// The same, where it may not be known yet where the data lie.
    fn place(&mut self, key: &Key, text: &str, data: Option<&str>, unit: Option<&str>) -> PathBuf {
        let places = Places { home: &self.home_text, data, unit, release: false };
        let wrong = match Template::parse(text, &places) {
            Ok(_) if text.trim().is_empty() => "this path is empty".to_owned(),
            Ok(template) => return clean(&template.below(&self.home).fill_path(Path::new(""))),
            Err(error) => error.to_string(),
        };
        self.document.tell(key, wrong);
        // A path that nothing else can have: it causes no further problem.
        self.home.join(key.to_string())
    }
}

/// The same path without `.` and doubled slashes.
fn clean(path: &Path) -> PathBuf {
    path.components().collect()
}
