//! Archives of every kind, honest ones and others, made byte by byte where libraries would refuse.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::io::Write;

use ov_release::fetch::Kind;

/// A member of an archive.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) name: Vec<u8>,
    /// As in tar headers: `0` a file, `5` a directory, `2` a link, and the others.
    pub(super) kind: u8,
    pub(super) mode: u32,
    pub(super) contents: Vec<u8>,
    pub(super) link: String,
}

pub(super) fn file(name: &str, contents: &[u8]) -> Item {
    Item { name: name.into(), kind: b'0', mode: 0o644, contents: contents.to_vec(), link: String::new() }
}

pub(super) fn of_kind(kind: u8, name: &str) -> Item {
    Item { kind, ..file(name, b"") }
}

pub(super) fn directory(name: &str) -> Item {
    Item { mode: 0o755, ..of_kind(b'5', name) }
}

pub(super) fn link(name: &str, to: &str) -> Item {
    Item { link: to.to_owned(), mode: 0o777, ..of_kind(b'2', name) }
}

pub(super) fn with_mode(mode: u32, item: Item) -> Item {
    Item { mode, ..item }
}

/// One header and its contents, padded.
pub(super) fn tar_item(item: &Item) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    let old = header.as_old_mut();
    let len = item.name.len().min(100);
    old.name[..len].copy_from_slice(&item.name[..len]);
    let link = item.link.as_bytes();
    old.linkname[..link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
    header.set_mode(item.mode);
    header.set_size(item.contents.len() as u64);
    header.set_entry_type(tar::EntryType::new(item.kind));
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(&item.contents);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

pub(super) fn tar_of(items: &[Item]) -> Vec<u8> {
    let mut bytes: Vec<u8> = items.iter().flat_map(tar_item).collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// What a zip says about a member, in its header and in its directory.
pub(super) struct ZipLine {
    pub(super) item: Item,
    pub(super) method: u16,
    pub(super) flags: u16,
    /// What is stored, if it is not the contents.
    pub(super) stored: Option<Vec<u8>>,
    pub(super) size: Option<u32>,
    pub(super) crc: Option<u32>,
    /// The name in the member's own header, if it is another.
    pub(super) local_name: Option<Vec<u8>>,
    /// Where the directory says the member is, if it is not there.
    pub(super) offset: Option<u32>,
}

pub(super) fn zip_line(item: Item) -> ZipLine {
    ZipLine { item, method: 8, flags: 0, stored: None, size: None, crc: None, local_name: None, offset: None }
}

pub(super) fn zip_of(items: &[Item]) -> Vec<u8> {
    zip_lines(&items.iter().cloned().map(zip_line).collect::<Vec<_>>())
}

pub(super) fn zip_lines(lines: &[ZipLine]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for line in lines {
        let item = &line.item;
        let contents = if item.kind == b'2' { item.link.as_bytes() } else { &item.contents };
        let stored = line
            .stored
            .clone()
            .unwrap_or_else(|| if line.method == 8 { deflated(contents) } else { contents.to_vec() });
        let mut crc = flate2::Crc::new();
        crc.update(contents);
        let crc = line.crc.unwrap_or(crc.sum());
        let size = line.size.unwrap_or(u32::try_from(contents.len()).unwrap());
        let offset = u32::try_from(bytes.len()).unwrap();
        let numbers = |name: &[u8]| {
            let mut common = Vec::new();
            for number in [20, line.flags, line.method, 0, 0] {
                common.extend_from_slice(&number.to_le_bytes());
            }
            for number in [crc, u32::try_from(stored.len()).unwrap(), size] {
                common.extend_from_slice(&number.to_le_bytes());
            }
            common.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            common.extend_from_slice(&0_u16.to_le_bytes());
            common
        };
        let local_name = line.local_name.as_ref().unwrap_or(&item.name);
        bytes.extend_from_slice(b"PK\x03\x04");
        bytes.extend_from_slice(&numbers(local_name));
        bytes.extend_from_slice(local_name);
        bytes.extend_from_slice(&stored);
        let kind = match item.kind {
            b'5' => 0o040_000,
            b'2' => 0o120_000,
            b'3' => 0o020_000,
            b'6' => 0o010_000,
            _ => 0o100_000,
        };
        directory.extend_from_slice(b"PK\x01\x02\x14\x03");
        directory.extend_from_slice(&numbers(&item.name));
        directory.extend_from_slice(&[0; 6]);
        directory.extend_from_slice(&((kind | item.mode) << 16).to_le_bytes()[..]);
        directory.extend_from_slice(&line.offset.unwrap_or(offset).to_le_bytes());
        directory.extend_from_slice(&item.name);
    }
    let (count, at) = (u16::try_from(lines.len()).unwrap(), u32::try_from(bytes.len()).unwrap());
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend_from_slice(&[count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend_from_slice(&[u32::try_from(directory.len()).unwrap().to_le_bytes(), at.to_le_bytes()].concat());
    bytes.extend_from_slice(&[0; 2]);
    bytes
}

pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// The compression that a suffix ends with.
pub(super) fn compress(suffix: &str, bytes: &[u8]) -> Vec<u8> {
    match suffix {
        "gz" | "tar.gz" | "tgz" => gzip(bytes),
        "bz2" | "tar.bz2" | "tbz2" => bzip2(bytes),
        "xz" | "tar.xz" | "txz" => xz(bytes),
        "zst" | "tar.zst" | "tzst" => zstd(bytes),
        _ => bytes.to_vec(),
    }
}

/// An archive of these members; `None` where the kind holds only one file, and they are not that.
pub(super) fn archive_of(kind: Kind, items: &[Item]) -> Option<Vec<u8>> {
    let suffix = kind.suffix();
    match suffix {
        "zip" => Some(zip_of(items)),
        "gz" | "bz2" | "xz" | "zst" => match items {
            [Item { kind: b'0', contents, .. }] => Some(compress(suffix, contents)),
            _ => None,
        },
        _ => Some(compress(suffix, &tar_of(items))),
    }
}
