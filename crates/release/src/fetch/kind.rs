//! Kinds of archives, by the ends of names.

use std::fmt;

/// How members are kept together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Zip,
    Tar,
    /// There is one, without a name.
    Single,
}

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

/// A kind of archive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    suffix: &'static str,
    pub(super) packing: Packing,
    pub(super) compression: Compression,
}

const fn kind(suffix: &'static str, packing: Packing, compression: Compression) -> Kind {
    Kind { suffix, packing, compression }
}

impl Kind {
    /// All of them; of two that end alike the longer comes first.
    pub const ALL: [Kind; 14] = [
        kind("tar.gz", Packing::Tar, Compression::Gzip),
        kind("tar.bz2", Packing::Tar, Compression::Bzip2),
        kind("tar.xz", Packing::Tar, Compression::Xz),
        kind("tar.zst", Packing::Tar, Compression::Zstd),
        kind("tgz", Packing::Tar, Compression::Gzip),
        kind("tbz2", Packing::Tar, Compression::Bzip2),
        kind("txz", Packing::Tar, Compression::Xz),
        kind("tzst", Packing::Tar, Compression::Zstd),
        kind("tar", Packing::Tar, Compression::None),
        kind("zip", Packing::Zip, Compression::None),
        kind("gz", Packing::Single, Compression::Gzip),
        kind("bz2", Packing::Single, Compression::Bzip2),
        kind("xz", Packing::Single, Compression::Xz),
        kind("zst", Packing::Single, Compression::Zstd),
    ];

    /// The kind that this is the suffix of, without its dot.
    pub fn by_suffix(suffix: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.suffix == suffix)
    }

    /// The kind that a name ends with; `None` is a file as it is.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| name.strip_suffix(kind.suffix).is_some_and(|stem| stem.ends_with('.')))
    }

    /// The suffix, without its dot.
    pub fn suffix(self) -> &'static str {
        self.suffix
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_end_of_a_name_tells_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::by_name(&format!("node-1.2.{}", kind.suffix)), Some(kind));
            assert_eq!(Kind::by_suffix(kind.suffix), Some(kind));
        }
        for name in ["node", "node.exe", "targz", "tgz", "nodezip", "node.tar.lz", "node.ZIP", ""] {
            assert_eq!(Kind::by_name(name), None, "{name}");
        }
    }
}
