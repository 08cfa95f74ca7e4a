//! Catalogs: where releases are found by their names, when nobody names an address.
//!
//! A catalog is asked afresh each time; what it says is an address and what the bytes there come to. Bringing them is
//! the business of a fetch like any other.

use std::path::PathBuf;

use ov_types::{Lasting, ReleaseName};

use super::address::Address;
use super::archive::Limits;
use super::checksum::Checksum;
use super::download::DownloadError;
use super::error::FetchError;
use super::github::{self, GitHub};
use super::release::{World, line};
use super::tries::Patience;

/// How many names of what is there an error tells.
const NAMES_SHOWN_MAX: usize = 20;

/// A place where releases are found by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Catalog {
    /// The releases of a repository at GitHub, or at a server with the same API.
    GitHub(GitHub),
}

/// Where a release is.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its address, with the checksum that the server itself tells.
    pub address: Address,
    /// The checksum that its publisher put beside it.
    pub checksum: Option<Checksum>,
    /// Where that is, for people.
    pub origin: String,
}

/// Why a release was not found in a catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// There is no such release, or not yet.
    #[error("find release `{name}` in {place}: it is not published there{}", also(newest.as_deref()))]
    NotPublished {
        /// The catalog.
        place: String,
        /// The name that was looked for.
        name: String,
        /// The newest that is there.
        newest: Option<String>,
    },
    /// There is no such catalog.
    #[error("find {place}: there is no such repository, or none that we may see")]
    NoRepository {
        /// The catalog.
        place: String,
    },
    /// The release has other files.
    #[error("find `{wanted}` in release `{name}` of {place}{note}: there {}", listed(there))]
    NoFile {
        /// The catalog.
        place: String,
        /// The release.
        name: String,
        /// What was looked for.
        wanted: String,
        /// What may be wrong with that.
        note: String,
        /// What is there.
        there: Vec<String>,
    },
    /// It did not answer.
    #[error("ask {place}")]
    Asked {
        /// The catalog.
        place: String,
        /// Why not.
        source: DownloadError,
    },
    /// Its answer is not what it should be.
    #[error("understand what {place} says")]
    Unreadable {
        /// The catalog.
        place: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// What it says of a file cannot be true.
    #[error("use what {place} says of `{name}`: {why}")]
    Untrue {
        /// The catalog.
        place: String,
        /// The file.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

fn also(newest: Option<&str>) -> String {
    newest.map_or_else(String::new, |newest| format!("; the newest is `{}`", plain(newest)))
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_SHOWN_MAX).map(|name| format!("`{}`", plain(name))).collect();
    match names.len() {
        0 => "are no files, or not yet".to_owned(),
        1 => format!("is only {}", shown.join("")),
        NAMES_SHOWN_MAX.. if names.len() > NAMES_SHOWN_MAX => {
            format!("are {} and {} more", shown.join(", "), names.len() - NAMES_SHOWN_MAX)
        }
        _ => format!("are {}", shown.join(", ")),
    }
}

/// Names come from strangers.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect()
}

impl CatalogError {
    /// Whether trying again may help without a person. What is not published yet may be later, file by file.
    pub(super) fn lasting(&self) -> Lasting {
        let passes = match self {
            Self::NotPublished { .. } | Self::NoFile { .. } => true,
            Self::Asked { source, .. } => source.may_pass_later(),
            Self::NoRepository { .. } | Self::Unreadable { .. } | Self::Untrue { .. } => false,
        };
        if passes { Lasting::Transient } else { Lasting::Permanent }
    }
}

impl Catalog {
    /// Where a release is.
    pub fn find(&self, world: World<'_>, release: &ReleaseName, patience: Patience) -> Result<Found, FetchError> {
        let mut line = line(world, PathBuf::from("/"), patience, &Limits::default());
        match self {
            Catalog::GitHub(github) => github::find(&mut line, github, release),
        }
    }

    /// Asks whether it is there, and tells in a sentence what it says.
    pub fn greet(&self, world: World<'_>, patience: Patience) -> Result<String, FetchError> {
        let mut line = line(world, PathBuf::from("/"), patience, &Limits::default());
        match self {
            Catalog::GitHub(github) => Ok(github::greet(&mut line, github)?),
        }
    }

    /// What it is, for people.
    pub fn place(&self) -> String {
        match self {
            Catalog::GitHub(github) => github.place(),
        }
    }
}
