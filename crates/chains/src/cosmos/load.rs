//! The settings that a command works with: from the file that it was told to use, or from the environment; checked.
//!
//! Reads, and changes nothing.

use std::io;
use std::path::Path;

use ov_sys::Disk;

use super::check;
use super::extras::{Extras, extras};
use super::read::{self, Environment};
use super::settings::Settings;

const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Settings that cannot be used: everything that is wrong with them, a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("\n"))]
pub struct WrongSettings {
    /// What is wrong. Never empty.
    pub problems: Vec<String>,
}

/// Reads and checks the settings, ours included. `config` must be absolute.
pub fn load(
    disk: &dyn Disk,
    config: Option<&Path>,
    environment: Environment<'_>,
) -> Result<(Settings, Extras), WrongSettings> {
    let mut reading = match config {
        None => read::from_environment(environment),
        Some(file) => {
            let text = text(disk, file).map_err(|problem| WrongSettings { problems: vec![problem] })?;
            read::from_file(&text, environment)
        }
    };
    reading.problems.extend(check::all(disk, &reading.settings));
    let (extras, problems) = extras(environment);
    reading.problems.extend(problems);
    if reading.problems.is_empty() {
        return Ok((reading.settings, extras));
    }
    Err(WrongSettings { problems: reading.problems })
}

fn text(disk: &dyn Disk, file: &Path) -> Result<String, String> {
    let bytes = disk.read(file, CONFIG_BYTES_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("config not found: at {} : {}", file.display(), told("stat", file, &error))
        }
        _ => format!("failed to read config file: {}", told("open", file, &error)),
    })?;
    String::from_utf8(bytes).map_err(|_| "failed to read config file: it is not UTF-8 text".to_owned())
}

/// An error of the system in the words that operators know from the original.
pub fn told(what: &str, path: &Path, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        io::ErrorKind::AlreadyExists => "file exists".to_owned(),
        _ => error.to_string(),
    };
    format!("{what} {}: {why}", path.display())
}
