//! Archives: their members one after the other, refused as soon as anything about them is hostile.
//!
//! An archive is gone through twice: once to learn what it holds, which is then judged as a whole, and once to unpack
//! it. Nothing is written before the first pass found nothing to refuse. Reading is from beginning to end, with every
//! count and size bounded; nothing here touches the disk.

mod contents;
mod decompress;
mod name;
mod survey;
mod tar_file;
mod zip_file;

use std::io::{self, Read, Seek};

use super::kind::{Kind, Packing};
pub(super) use contents::by_contents;
pub(super) use survey::{Shape, Survey};

/// What is unpacked at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes to be downloaded.
    pub download_bytes_max: u64,
    /// Bytes in all files of an archive.
    pub unpacked_bytes_max: u64,
    /// Members of an archive.
    pub members_max: usize,
    /// How many times larger the contents may be than the archive.
    pub ratio_max: u64,
    /// Below this many bytes nobody is harmed by any ratio.
    pub harmless_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            download_bytes_max: 8 << 30,
            unpacked_bytes_max: 16 << 30,
            members_max: 100_000,
            ratio_max: 200,
            harmless_bytes: 64 << 20,
        }
    }
}

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading or decompressing it failed.
    #[error("read the archive")]
    Read(#[source] io::Error),
    /// The disk that it lies on failed.
    #[error("read the archive from the disk")]
    Disk(#[source] io::Error),
    /// It is not what its kind should be.
    #[error("read the archive: {0}")]
    Damaged(String),
    /// A member that no honest archive of a release holds.
    #[error("accept {name} in the archive: {why}")]
    Member {
        /// Its name, quoted.
        name: String,
        /// Why not.
        why: String,
    },
    /// There are too many members.
    #[error("accept the archive: it has more than {allowed} members")]
    Many {
        /// What is allowed.
        allowed: usize,
    },
    /// It unpacks to too much.
    #[error("accept the archive: it unpacks to more than {allowed} bytes")]
    Large {
        /// What is allowed.
        allowed: u64,
    },
    /// It holds nothing.
    #[error("accept the archive: it is empty")]
    Empty,
    /// Whoever reads it stopped.
    #[error("go on: it was cancelled")]
    Cancelled,
}

impl ArchiveError {
    pub(super) fn member(name: &[u8], why: impl Into<String>) -> Self {
        Self::Member { name: name::shown(name), why: why.into() }
    }
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    File { mode: u32 },
    Directory,
    Link { to: String },
}

/// A member while it can be read.
pub(super) struct Member<'a> {
    /// Relative, without `.` and `..`; empty for the root itself.
    pub(super) path: String,
    pub(super) what: What,
    /// Bytes of contents; unknown where the kind does not tell before the end.
    pub(super) size: Option<u64>,
    pub(super) contents: &'a mut dyn Read,
}

/// What is called for each member.
pub(super) type Visit<'v, E> = &'v mut dyn FnMut(Member<'_>) -> Result<(), E>;

/// Bytes that archives are read from.
pub trait Source: Read + Seek {}
impl<T: Read + Seek + ?Sized> Source for T {}

/// Visits all members in their order. `len` is the size of the archive.
pub(super) fn each_member<E: From<ArchiveError>>(
    kind: Kind,
    source: &mut dyn Source,
    len: u64,
    limits: &Limits,
    visit: Visit<'_, E>,
) -> Result<(), E> {
    let allowed = limits.ratio_max.saturating_mul(len).max(limits.harmless_bytes).min(limits.unpacked_bytes_max);
    let mut source = Watched { inner: source, failed: None };
    let result = match kind.packing {
        Packing::Zip => zip_file::each_member(&mut source, len, allowed, limits, visit),
        Packing::Tar => {
            let mut reader = metered(kind, &mut source, allowed);
            tar_file::each_member(&mut reader, limits, visit)
        }
        Packing::Single => {
            let mut reader = metered(kind, &mut source, allowed);
            let what = What::File { mode: 0o755 };
            visit(Member { path: SINGLE.to_owned(), what, size: None, contents: &mut reader })
        }
    };
    match source.failed {
        // Whatever a decoder makes of it: the archive is not to blame.
        Some(error) if result.is_err() => Err(ArchiveError::Disk(error).into()),
        _ => result,
    }
}

/// Bytes whose failures are remembered.
struct Watched<'a> {
    inner: &'a mut dyn Source,
    failed: Option<io::Error>,
}

impl Watched<'_> {
    fn watch<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let told = io::Error::from(error.kind());
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed = Some(error);
            }
            told
        })
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        self.watch(result)
    }
}

impl Seek for Watched<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let result = self.inner.seek(to);
        self.watch(result)
    }
}

/// What a member without a name is called until it gets one.
pub(super) const SINGLE: &str = "program";

fn metered(kind: Kind, source: &mut dyn Source, allowed: u64) -> Metered<'_> {
    Metered { inner: decompress::reader(kind.compression, source), left: allowed, allowed }
}

/// Stops a stream that is longer than is allowed.
struct Metered<'a> {
    inner: Box<dyn Read + 'a>,
    left: u64,
    allowed: u64,
}

impl Read for Metered<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(ArchiveError::Large { allowed: self.allowed }))?;
        Ok(count)
    }
}

/// What reading an archive failed of: a limit that was hit below comes up as itself.
pub(super) fn unreadable(error: io::Error) -> ArchiveError {
    match error.downcast::<ArchiveError>() {
        Ok(error) => error,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ArchiveError::Damaged("it ends in the middle".to_owned())
        }
        Err(error) => ArchiveError::Read(error),
    }
}

/// What an archive holds, when nothing about it is to be refused: the paths of its members.
pub fn examine_archive(
    kind: Kind,
    source: &mut dyn Source,
    len: u64,
    limits: &Limits,
) -> Result<Vec<String>, ArchiveError> {
    let survey = Survey::of(kind, source, len, limits, &|| false)?;
    Ok(survey.members.into_iter().map(|member| member.path).collect())
}
