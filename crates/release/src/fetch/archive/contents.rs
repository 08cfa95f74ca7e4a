//! What bytes are, by how they begin, where nobody said it.

use std::io::{self, Read};

use super::super::kind::{Compression, Kind};
use super::{Source, decompress};

/// Where a tar archive says that it is one.
const TAR_MARK_AT: usize = 257;

/// Compressions by their marks, and the kinds of what is compressed: one file, or a tar archive.
const COMPRESSED: [(&[u8], Compression, &str, &str); 4] = [
    (b"\x1f\x8b", Compression::Gzip, "gz", "tar.gz"),
    (b"BZh", Compression::Bzip2, "bz2", "tar.bz2"),
    (b"\xfd7zXZ\0", Compression::Xz, "xz", "tar.xz"),
    (b"\x28\xb5\x2f\xfd", Compression::Zstd, "zst", "tar.zst"),
];

/// The kind of archive that bytes are, `None` for a program. What neither is a program nor a zip by its first bytes is
/// what its name says, if that says anything.
pub(in crate::fetch) fn by_contents(name: &str, source: &mut dyn Source) -> io::Result<Option<Kind>> {
    let head = first_bytes(source)?;
    if head.starts_with(b"PK\x03\x04") {
        return Ok(Kind::by_suffix("zip"));
    }
    if head.starts_with(b"\x7fELF") || head.starts_with(b"#!") {
        return Ok(None);
    }
    if let Some(kind) = Kind::by_name(name) {
        return Ok(Some(kind));
    }
    let Some((_, compression, single, tar)) = COMPRESSED.iter().find(|(mark, ..)| head.starts_with(mark)) else {
        return Ok(if is_tar(&head) { Kind::by_suffix("tar") } else { None });
    };
    source.rewind()?;
    // What cannot be decompressed is told when it is unpacked.
    let inside = first_bytes(&mut decompress::reader(*compression, source)).unwrap_or_default();
    Ok(Kind::by_suffix(if is_tar(&inside) { tar } else { single }))
}

fn is_tar(head: &[u8]) -> bool {
    head.get(TAR_MARK_AT..).is_some_and(|rest| rest.starts_with(b"ustar"))
}

fn first_bytes(source: &mut (impl Read + ?Sized)) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(512).read_to_end(&mut bytes)?;
    Ok(bytes)
}
