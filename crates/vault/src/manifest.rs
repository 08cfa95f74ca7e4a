//! What a snapshot holds, in a file written after everything else (`docs/formats/snapshot.md`).

use std::path::Path;

use ov_sys::disk::{Disk, Facts};
use ov_types::{Height, ReleaseName, SnapshotId};
use serde::{Deserialize, Serialize};

use crate::error::{At, VaultError};
use crate::path_text::PathText;

/// Its name in the snapshot's directory.
pub(crate) const FILE_NAME: &str = "manifest.json";
/// Where the data is in the snapshot's directory.
pub(crate) const DATA_NAME: &str = "data";
/// The largest manifest that is read.
const LEN_MAX: u64 = 2 << 30;

/// The format that this program writes.
const WRITTEN: Format = Format { major: 1, minor: 0 };

/// Version of a file's format: a reader refuses another major, and ignores what a newer minor adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Format {
    pub(crate) major: u32,
    pub(crate) minor: u32,
}

/// Why and of what a snapshot was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The release that wrote the data.
    pub release: Option<ReleaseName>,
    /// The height the node had reached.
    pub height: Option<Height>,
    /// What the format marker said.
    pub data_format: Option<String>,
    /// Why it was taken, for people.
    pub reason: String,
}

/// How a file came into the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It shares the blocks of the original until one of them is changed.
    Reflink,
    /// It is the original under a second name.
    Link,
    /// Its bytes were copied.
    Copy,
}

/// Permission bits and owner of an original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Permission bits.
    #[serde(with = "octal")]
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Attributes {
    pub(crate) fn of(facts: &Facts) -> Self {
        Self { mode: facts.mode, uid: facts.uid, gid: facts.gid }
    }
}

/// One name in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// A directory.
    Directory {
        /// Path in the data directory.
        path: PathText,
        /// Permission bits and owner of the original.
        #[serde(flatten)]
        attributes: Attributes,
    },
    /// A regular file.
    File {
        /// Path in the data directory.
        path: PathText,
        /// Permission bits and owner of the original.
        #[serde(flatten)]
        attributes: Attributes,
        /// Bytes.
        size: u64,
        /// Last modification of the original, in nanoseconds since 1970 in UTC.
        modified_ns: i64,
        /// How it came here.
        how: How,
        /// Digest of its contents, once it is known.
        blake3: Option<String>,
    },
    /// A symbolic link.
    Link {
        /// Path in the data directory.
        path: PathText,
        /// Its text.
        to: PathText,
    },
}

impl Entry {
    /// Path in the data directory.
    pub fn path(&self) -> &Path {
        match self {
            Entry::Directory { path, .. } | Entry::File { path, .. } | Entry::Link { path, .. } => path.path(),
        }
    }
}

/// What a list shows of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub(crate) format: Format,
    /// The snapshot.
    pub id: SnapshotId,
    /// When it was begun, in milliseconds since 1970 in UTC.
    pub taken_at_ms: i64,
    /// Why and of what it was taken.
    pub about: About,
    /// How many files it has.
    #[serde(default)]
    pub files: u64,
    /// Bytes in all its files, shared ones counted in full.
    pub size: u64,
    /// Bytes that were copied rather than shared.
    pub copied: u64,
    /// Whether every file's digest is known.
    pub sealed: bool,
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: Summary,
    /// Permission bits and owner of the data directory itself.
    pub root: Attributes,
    /// Every file, directory and link, parents before what is in them.
    pub entries: Vec<Entry>,
    /// Sockets, pipes and devices, which no snapshot can hold.
    pub left_out: Vec<PathText>,
}

/// What is wrong in a manifest.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
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
    /// A path that leads out of the snapshot.
    #[error("accept the path `{path}` at `{at}`: it leads out of the snapshot, or is there twice")]
    Path {
        /// The offending path.
        path: String,
        /// The place in the document.
        at: String,
    },
    /// It describes something else.
    #[error("accept it: it is the manifest of `{found}`")]
    Other {
        /// What it describes.
        found: SnapshotId,
    },
}

impl Manifest {
    pub(crate) fn new(
        id: SnapshotId,
        taken_at_ms: i64,
        about: About,
        root: Attributes,
        entries: Vec<Entry>,
        left_out: Vec<PathText>,
    ) -> Self {
        let (mut files, mut size, mut copied, mut sealed) = (0, 0, 0, true);
        for entry in &entries {
            if let Entry::File { size: len, how, blake3, .. } = entry {
                files += 1;
                size += len;
                copied += if *how == How::Copy { *len } else { 0 };
                sealed &= blake3.is_some();
            }
        }
        let summary = Summary { format: WRITTEN, id, taken_at_ms, about, files, size, copied, sealed };
        Self { summary, root, entries, left_out }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// Whether this program may write it back: not what a newer one has written.
    pub(crate) fn is_ours(&self) -> bool {
        self.summary.format == WRITTEN
    }
}

/// One JSON document and a newline. Strings, numbers and lists alone: serialising them into memory cannot fail.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Reads a manifest; total over all inputs.
pub fn parse(bytes: &[u8]) -> Result<Manifest, InvalidManifest> {
    check_format(bytes)?;
    let manifest: Manifest = from_json(bytes)?;
    let mut seen = std::collections::HashSet::with_capacity(manifest.entries.len());
    for (index, entry) in manifest.entries.iter().enumerate() {
        let (Entry::Directory { path, .. } | Entry::File { path, .. } | Entry::Link { path, .. }) = entry;
        if !path.is_inside() || !seen.insert(path) {
            return Err(InvalidManifest::Path { path: path.clone().into(), at: format!("entries[{index}].path") });
        }
    }
    Ok(manifest)
}

/// Refuses another major version before anything else is looked at.
pub(crate) fn check_format(bytes: &[u8]) -> Result<(), InvalidManifest> {
    #[derive(Deserialize)]
    struct Header {
        format: Format,
    }
    let Header { format } = from_json(bytes)?;
    if format.major == WRITTEN.major { Ok(()) } else { Err(InvalidManifest::Format { found: format.major }) }
}

pub(crate) fn from_json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, InvalidManifest> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| InvalidManifest::Json { path: error.path().to_string(), source: error.into_inner() })?;
    reader.end().map_err(|source| InvalidManifest::Json { path: ".".to_owned(), source })?;
    Ok(value)
}

/// Reads the manifest of a snapshot.
pub(crate) fn read(disk: &dyn Disk, snapshots: &Path, id: &SnapshotId) -> Result<Manifest, VaultError> {
    read_as(disk, snapshots, id, parse, |manifest| &manifest.summary)
}

/// Reads what a list shows of a snapshot.
pub(crate) fn read_summary(disk: &dyn Disk, snapshots: &Path, id: &SnapshotId) -> Result<Summary, VaultError> {
    let parse = |bytes: &[u8]| check_format(bytes).and_then(|()| from_json(bytes));
    read_as(disk, snapshots, id, parse, |summary| summary)
}

fn read_as<T>(
    disk: &dyn Disk,
    snapshots: &Path,
    id: &SnapshotId,
    parse: impl Fn(&[u8]) -> Result<T, InvalidManifest>,
    summary: impl Fn(&T) -> &Summary,
) -> Result<T, VaultError> {
    let path = snapshots.join(id).join(FILE_NAME);
    if disk.facts(&path).at("look at", &path)?.is_none() {
        return Err(VaultError::Missing(id.clone()));
    }
    let bytes = disk.read(&path, LEN_MAX).at("read", &path)?;
    let invalid = |source| VaultError::Manifest { path: path.clone(), source };
    let value = parse(&bytes).map_err(invalid)?;
    match summary(&value) {
        summary if summary.id == *id => Ok(value),
        summary => Err(invalid(InvalidManifest::Other { found: summary.id.clone() })),
    }
}

/// Permission bits as people write them: `"0755"`.
pub(crate) mod octal {
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{mode:04o}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o7777);
        mode.ok_or_else(|| de::Error::custom(format_args!("`{text}` is not an octal mode")))
    }
}
