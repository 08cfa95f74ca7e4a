//! The file beside a release that says what it is and where it came from (`docs/formats/release.md`).

use ov_sys::disk::Disk;
use ov_types::ReleaseName;
use serde::{Deserialize, Serialize};
use std::path::Path;

use crate::digest::Digest;
use crate::error::{At, ReleaseError};
use crate::tree::{self, Entry};

/// The largest provenance file that is read.
const LEN_MAX: u64 = 64 << 20;

/// The format that this program writes.
const WRITTEN: Format = Format { major: 1, minor: 1 };

/// Version of the file's format: a reader refuses another major, and ignores what a newer minor adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    major: u32,
    minor: u32,
}

/// What was fetched to make a release of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Where from, without what is secret in the address.
    pub address: String,
    /// Bytes that were fetched.
    pub size: u64,
    /// Digest of these bytes.
    pub sha256: Digest,
    /// What they were compared with; without it, nothing said what they should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// Who signed them, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
}

/// What a release is and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    format: Format,
    /// The release.
    pub name: ReleaseName,
    /// The program to run, relative to the release's directory; empty when it lies elsewhere.
    pub program: String,
    /// Where it came from, for people.
    pub source: String,
    /// When it was staged, in milliseconds since 1970 in UTC.
    pub staged_at_ms: i64,
    /// What was fetched for it, if it was (since 1.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Box<Fetched>>,
    /// Bytes in all its files.
    pub size: u64,
    /// Digest of `entries`: equal for equal trees.
    pub tree: Digest,
    /// Every file, directory and link, sorted by path.
    pub entries: Vec<Entry>,
}

/// What is wrong in a provenance file.
#[derive(Debug, thiserror::Error)]
pub enum InvalidProvenance {
    /// Not the JSON we expect.
    #[error("parse it at `{path}`")]
    Json {
        /// The place in the document.
        path: String,
        /// What was wrong there.
        source: serde_json::Error,
    },
    /// Written by a program with another idea of the format.
    #[error("use format {found}: this program reads 1.x")]
    Format {
        /// The major version found.
        found: u32,
    },
    /// A path that leads out of the release, or a digest that does not fit.
    #[error("accept `{what}`: {why}")]
    Content {
        /// The offending value.
        what: String,
        /// Why.
        why: &'static str,
    },
}

impl Provenance {
    pub(crate) fn new(
        name: ReleaseName,
        program: String,
        source: String,
        staged_at_ms: i64,
        entries: Vec<Entry>,
    ) -> Self {
        let size = entries.iter().map(Entry::size).sum();
        let tree = tree::digest(&entries);
        Self { format: WRITTEN, name, program, source, staged_at_ms, fetched: None, size, tree, entries }
    }

    pub(crate) fn with_fetched(self, fetched: Fetched) -> Self {
        Self { fetched: Some(Box::new(fetched)), ..self }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and lists alone: serialising them into memory cannot fail.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

/// Reads a provenance; total over all inputs.
pub fn parse(bytes: &[u8]) -> Result<Provenance, InvalidProvenance> {
    #[derive(Deserialize)]
    struct Header {
        format: Format,
    }
    let header: Header = from_json(bytes)?;
    if header.format.major != WRITTEN.major {
        return Err(InvalidProvenance::Format { found: header.format.major });
    }
    let provenance: Provenance = from_json(bytes)?;
    let program = Some(provenance.program.as_str()).filter(|program| !program.is_empty());
    let paths = provenance.entries.iter().map(Entry::path).chain(program);
    for path in paths {
        if !tree::is_inside(Path::new(path)) {
            return Err(InvalidProvenance::Content { what: path.to_owned(), why: "it leads out of the release" });
        }
    }
    if tree::digest(&provenance.entries) != provenance.tree {
        let what = provenance.tree.to_string();
        return Err(InvalidProvenance::Content { what, why: "it is not the digest of the entries" });
    }
    Ok(provenance)
}

fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, InvalidProvenance> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| InvalidProvenance::Json { path: error.path().to_string(), source: error.into_inner() })?;
    reader.end().map_err(|source| InvalidProvenance::Json { path: ".".to_owned(), source })?;
    Ok(value)
}

/// Reads the provenance at `path`; `None` when there is none.
pub(crate) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Provenance>, ReleaseError> {
    if disk.facts(path).at("look at", path)?.is_none() {
        return Ok(None);
    }
    let bytes = disk.read(path, LEN_MAX).at("read", path)?;
    match parse(&bytes) {
        Ok(provenance) => Ok(Some(provenance)),
        Err(source) => Err(ReleaseError::Provenance { path: path.to_owned(), source }),
    }
}
