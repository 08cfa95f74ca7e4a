//! Trees of files: what is in one, its digest, and copying one.
//!
//! Links are never followed while walking. A link may only lead to a place inside its tree, so that a release
//! stays whole when what is around it changes.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use ov_sys::disk::{Disk, Facts, Kind};
use ov_sys::durable;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::error::{At, ReleaseError};

/// How deep a release may be nested.
const DEPTH_MAX: usize = 64;
/// How many names a release may hold.
pub(crate) const ENTRIES_MAX: usize = 200_000;

const COPY_BUFFER_BYTES: usize = 256 * 1024;

/// One name in a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// A directory.
    Directory {
        /// Path in the release.
        path: String,
        /// Permission bits.
        #[serde(with = "octal")]
        mode: u32,
    },
    /// A regular file.
    File {
        /// Path in the release.
        path: String,
        /// Permission bits.
        #[serde(with = "octal")]
        mode: u32,
        /// Bytes.
        size: u64,
        /// Digest of its contents.
        sha256: Digest,
    },
    /// A symbolic link.
    Link {
        /// Path in the release.
        path: String,
        /// Its text.
        to: String,
    },
}

impl Entry {
    /// Path in the release.
    pub fn path(&self) -> &str {
        match self {
            Entry::Directory { path, .. } | Entry::File { path, .. } | Entry::Link { path, .. } => path,
        }
    }

    /// Bytes of contents.
    pub fn size(&self) -> u64 {
        match self {
            Entry::File { size, .. } => *size,
            Entry::Directory { .. } | Entry::Link { .. } => 0,
        }
    }
}

/// Something that will be in a release: where its bytes are now, and what it will be.
#[derive(Debug)]
pub(crate) struct Planned {
    /// Path in the release.
    pub(crate) path: String,
    /// Where it is now; a directory that has to be made has no such place.
    pub(crate) from: PathBuf,
    pub(crate) what: PlannedKind,
}

#[derive(Debug)]
pub(crate) enum PlannedKind {
    Directory {
        mode: u32,
    },
    File {
        mode: u32,
        size: u64,
    },
    /// A file that is nowhere yet.
    Text {
        mode: u32,
        contents: Vec<u8>,
    },
    Link {
        to: String,
    },
}

/// Whether a path is relative and cannot lead upwards.
pub(crate) fn is_inside(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Follows `path` while it is a link; the name it ends at may be missing.
pub(crate) fn resolve(disk: &dyn Disk, path: &Path) -> Result<PathBuf, ReleaseError> {
    end_of(disk, path).map(|(end, _)| end)
}

/// Facts about what `path` leads to, links followed.
pub(crate) fn facts_followed(disk: &dyn Disk, path: &Path) -> Result<Option<Facts>, ReleaseError> {
    end_of(disk, path).map(|(_, facts)| facts)
}

fn end_of(disk: &dyn Disk, path: &Path) -> Result<(PathBuf, Option<Facts>), ReleaseError> {
    let circle = || ReleaseError::Unfit { path: path.to_owned(), why: "it leads through too many links" };
    durable::resolve(disk, path).at("look at", path)?.ok_or_else(circle)
}

/// Everything below `root`, sorted by path.
pub(crate) fn walk(disk: &dyn Disk, root: &Path) -> Result<Vec<Planned>, ReleaseError> {
    let mut found = Vec::new();
    let mut open = vec![(root.to_owned(), String::new(), 0)];
    while let Some((directory, prefix, depth)) = open.pop() {
        for name in disk.list(&directory).at("list", &directory)? {
            let from = directory.join(&name);
            let unfit = |why| ReleaseError::Unfit { path: from.clone(), why };
            if depth >= DEPTH_MAX || found.len() >= ENTRIES_MAX {
                return Err(unfit("it is nested too deep, or one of too many"));
            }
            let name = name.to_str().ok_or_else(|| unfit("its name is not UTF-8"))?;
            let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            // Set-id bits would let the program become somebody else; nothing we run needs them.
            let Some(facts) = disk.facts(&from).at("look at", &from)? else { continue };
            let mode = facts.mode & 0o777;
            let what = match facts.kind {
                Kind::Directory => {
                    open.push((from.clone(), path.clone(), depth + 1));
                    PlannedKind::Directory { mode }
                }
                Kind::File => PlannedKind::File { mode, size: facts.len },
                Kind::Link => PlannedKind::Link { to: link_inside(disk, &from, depth)? },
                Kind::Other => return Err(unfit("it is neither a file, a directory nor a link")),
            };
            found.push(Planned { path, from, what });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The text of a link that stays in the tree. Climbing is allowed only at the beginning of the text: after a
/// name, which may itself be a link, `..` need not lead back to where it seems to.
fn link_inside(disk: &dyn Disk, link: &Path, depth: usize) -> Result<String, ReleaseError> {
    let text = disk.read_link(link).at("read the link", link)?;
    match text.to_str() {
        Some(inside) if text_stays_inside(&text, depth) => Ok(inside.to_owned()),
        _ => Err(ReleaseError::Unfit { path: link.to_owned(), why: "it is a link that may lead out of the release" }),
    }
}

/// Whether the text of a link that lies `depth` directories deep is sure to stay in the tree.
pub(crate) fn text_stays_inside(text: &Path, depth: usize) -> bool {
    let climbs = text.components().take_while(|part| *part == Component::ParentDir).count();
    let mut rest = text.components().skip(climbs);
    climbs <= depth && rest.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The entries that these plans amount to, every byte read; copied to `to`, if given, and synced.
pub(crate) fn transfer(disk: &dyn Disk, planned: &[Planned], to: Option<&Path>) -> Result<Vec<Entry>, ReleaseError> {
    let mut entries = Vec::with_capacity(planned.len());
    for plan in planned {
        let copy = to.map(|root| root.join(&plan.path));
        let path = plan.path.clone();
        entries.push(match &plan.what {
            PlannedKind::Directory { mode } => {
                if let Some(copy) = &copy {
                    // Writable for us until its contents are in place.
                    disk.make_directory(copy, mode | 0o700).at("make", copy)?;
                }
                Entry::Directory { path, mode: mode | 0o700 }
            }
            PlannedKind::Link { to } => {
                if let Some(copy) = &copy {
                    disk.make_link(Path::new(to), copy).at("make the link", copy)?;
                }
                Entry::Link { path, to: to.clone() }
            }
            PlannedKind::File { mode, .. } => {
                let (size, sha256) = transfer_file(disk, &plan.from, copy.as_deref(), *mode)?;
                Entry::File { path, mode: *mode, size, sha256 }
            }
            PlannedKind::Text { mode, contents } => {
                if let Some(copy) = &copy {
                    let mut writer = disk.create(copy, *mode).at("create", copy)?;
                    writer.write_all(contents).at("write", copy)?;
                    writer.sync().at("sync", copy)?;
                }
                Entry::File { path, mode: *mode, size: contents.len() as u64, sha256: Digest::of(contents) }
            }
        });
    }
    if let Some(root) = to {
        sync_directories(disk, root, &entries)?;
    }
    Ok(entries)
}

/// Syncs every directory of a tree, the deepest first.
pub(crate) fn sync_directories(disk: &dyn Disk, root: &Path, entries: &[Entry]) -> Result<(), ReleaseError> {
    for entry in entries.iter().rev() {
        if let Entry::Directory { path, .. } = entry {
            let path = root.join(path);
            disk.sync_directory(&path).at("sync", &path)?;
        }
    }
    disk.sync_directory(root).at("sync", root)
}

fn transfer_file(disk: &dyn Disk, from: &Path, to: Option<&Path>, mode: u32) -> Result<(u64, Digest), ReleaseError> {
    let mut reader = disk.open(from).at("open", from)?;
    let mut writer = match to {
        Some(to) => Some((disk.create(to, mode).at("create", to)?, to)),
        None => None,
    };
    let mut hasher = Hasher::default();
    let mut size = 0;
    let mut buffer = vec![0; COPY_BUFFER_BYTES];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).at("read", from),
        };
        hasher.update(&buffer[..count]);
        if let Some((writer, to)) = &mut writer {
            writer.write_all(&buffer[..count]).at("write", to)?;
        }
        size += count as u64;
    }
    if let Some((writer, to)) = &mut writer {
        writer.sync().at("sync", to)?;
    }
    Ok((size, hasher.finish()))
}

/// Digest of a file's contents, and its size.
pub(crate) fn digest_file(disk: &dyn Disk, path: &Path) -> Result<(u64, Digest), ReleaseError> {
    transfer_file(disk, path, None, 0)
}

/// One digest for a whole tree: of one line per entry, in the order of their paths.
pub(crate) fn digest(entries: &[Entry]) -> Digest {
    let lines: BTreeMap<&str, String> = entries.iter().map(|entry| (entry.path(), line(entry))).collect();
    let mut hasher = Hasher::default();
    for line in lines.values() {
        hasher.update(line.as_bytes());
    }
    hasher.finish()
}

/// `{:?}` quotes and escapes, so that no name can imitate the end of a line.
fn line(entry: &Entry) -> String {
    match entry {
        Entry::Directory { path, mode } => format!("directory {mode:o} {path:?}\n"),
        Entry::File { path, mode, size, sha256 } => format!("file {mode:o} {size} {sha256} {path:?}\n"),
        Entry::Link { path, to } => format!("link {to:?} {path:?}\n"),
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
