//! `omnivisor.toml`: read, checked, and given meaning; for a node about which everything stands there, and for those
//! whose family supplies what they leave out.

mod build;
mod document;
mod file;
mod init;
mod problem;
mod schema;

use std::path::Path;

use ov_sys::Disk;

use crate::family::{Family, Scene};
use crate::shape::NodeShape;
use document::Document;

pub(crate) use file::{Cosmos, File};
pub use init::{Init, init_template};
pub(crate) use problem::Key;
pub use problem::{ConfigError, ConfigProblem};
pub(crate) use schema::schema;

/// The name of the configuration in a home.
const FILE_NAME: &str = "omnivisor.toml";
/// The longest configuration file.
const FILE_LEN_MAX: u64 = 1024 * 1024;

/// Reads the configuration of a home: its `omnivisor.toml`, or another file.
pub fn load(disk: &dyn Disk, home: &Path, config: Option<&Path>) -> Result<NodeShape, ConfigError> {
    let unusable = |why| ConfigError::Home { home: home.to_owned(), why };
    if !home.is_absolute() {
        return Err(unusable("its path is not absolute"));
    }
    if home.to_str().is_none_or(|home| home.contains('\0')) {
        return Err(unusable("its path is not UTF-8"));
    }
    if home.parent().is_none() {
        return Err(unusable("it is the root of the file system"));
    }
    let file = config.map_or_else(|| home.join(FILE_NAME), Path::to_path_buf);
    let bytes = disk.read(&file, FILE_LEN_MAX);
    let bytes = bytes.map_err(|source| ConfigError::Unreadable { file: file.clone(), source })?;
    read(disk, &bytes, home, &file).map_err(|problems| ConfigError::Wrong { file, problems })
}

/// Reads a configuration from memory. `home` must be absolute, `file` is only named in messages; the disk tells what the
/// node itself is configured by.
pub fn read(disk: &dyn Disk, bytes: &[u8], home: &Path, file: &Path) -> Result<NodeShape, Vec<ConfigProblem>> {
    let text = std::str::from_utf8(bytes).map_err(|error| vec![not_text(bytes, error)])?;
    let mut document = Document::parse(text)?;
    document.check(schema());
    let shape = document.read().and_then(|own| {
        let family = Family::of(&own.chain);
        let scene = Scene { disk, home, file: &own };
        let settings = document.read_over(family.defaults(&scene))?;
        let mut shape = build::build(&mut document, &settings, home, file);
        family.finish(&scene, &mut shape);
        Some(shape)
    });
    match (shape, document.into_problems()) {
        (Some(shape), problems) if problems.is_empty() => Ok(shape),
        (_, problems) => Err(problems),
    }
}

fn not_text(bytes: &[u8], error: std::str::Utf8Error) -> ConfigProblem {
    let line = document::line_at(bytes, error.valid_up_to());
    ConfigProblem { line, key: String::new(), message: "this line is not UTF-8".to_owned() }
}
