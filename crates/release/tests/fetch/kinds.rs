//! Every kind of archive, in both forms, comes to the same release.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ov_release::Entry;
use ov_release::fetch::Kind;

use super::archives::{archive_of, compress, directory, file, link, tar_of, with_mode, zstd};
use super::bench::{Bench, from, names_in, whole};

const CONTENTS: &[u8] = b"#!/bin/sh\necho the program\n";

fn fetched(bench: &Bench, kind: &str, bytes: &[u8]) -> Vec<Entry> {
    let path = bench.write(&format!("in/release.{kind}"), bytes);
    let staged =
        bench.fetch(&from(&[path.display().to_string()])).unwrap_or_else(|error| panic!("{kind}: {}", whole(&error)));
    assert_eq!(bench.program("v1"), CONTENTS, "{kind}");
    let program = bench.layout.releases.join("v1/bin/node");
    assert_eq!(std::fs::metadata(program).unwrap().permissions().mode() & 0o7777, 0o755, "{kind}");
    assert_eq!(bench.names(), ["v1", "v1.release.json"], "{kind}");
    staged.provenance.entries
}

#[test]
fn the_only_file_of_an_archive_is_the_program() {
    for kind in Kind::ALL {
        let bytes = archive_of(kind, &[file("called-otherwise", CONTENTS)]).unwrap();
        let entries = fetched(&Bench::new(), kind.suffix(), &bytes);
        assert_eq!(entries.iter().map(Entry::path).collect::<Vec<_>>(), ["bin", "bin/node"], "{kind}");
    }
}

#[test]
fn of_several_files_the_program_is_where_it_belongs_or_is_moved_there() {
    let lib = || with_mode(0o4755, file("lib/a.so", b"library"));
    for kind in Kind::ALL {
        let inside = [directory("./"), directory("bin/"), with_mode(0o2755, file("bin/node", CONTENTS)), lib()];
        let Some(bytes) = archive_of(kind, &inside) else { continue };
        let entries = fetched(&Bench::new(), kind.suffix(), &bytes);
        assert_eq!(entries.iter().map(Entry::path).collect::<Vec<_>>(), ["bin", "bin/node", "lib", "lib/a.so"]);
        let modes = entries.iter().filter_map(|entry| match entry {
            Entry::File { mode, .. } => Some(*mode),
            _ => None,
        });
        assert_eq!(modes.collect::<Vec<_>>(), [0o755, 0o755], "set-id bits are nobody's business");

        let in_root = [file("./node", CONTENTS), lib(), link("lib/b.so", "a.so"), file("LICENSE", b"")];
        let entries = fetched(&Bench::new(), kind.suffix(), &archive_of(kind, &in_root).unwrap());
        let paths: Vec<_> = entries.iter().map(Entry::path).collect();
        assert_eq!(paths, ["LICENSE", "bin", "bin/node", "lib", "lib/a.so", "lib/b.so"], "{kind}");
    }
}

#[test]
fn without_the_program_there_is_no_release_and_nothing_is_left() {
    for kind in Kind::ALL {
        let Some(bytes) = archive_of(kind, &[file("a", b"a"), file("v1/node", CONTENTS)]) else { continue };
        let bench = Bench::new();
        let path = bench.write(&format!("in/release.{kind}"), &bytes);
        let error = bench.fetch(&from(&[path.display().to_string()])).unwrap_err();
        let expected = format!("url \"{}\" result does not contain a bin/node or node file", path.display());
        assert_eq!(error.to_string(), expected);
        assert!(bench.names().is_empty(), "{:?}", bench.names());
    }
}

#[test]
fn the_address_says_what_the_name_does_not() {
    let bench = Bench::new();
    let tar = compress("tgz", &tar_of(&[file("x/v1/node", CONTENTS), file("x/notes", b"")]));
    let path = bench.write("in/download", &tar).display().to_string();
    bench.fetch(&from(&[format!("{path}//x/v1?archive=tgz")])).unwrap();
    assert_eq!(bench.program("v1"), CONTENTS);

    let bench = Bench::new();
    let path = bench.write("in/node.gz", CONTENTS).display().to_string();
    bench.fetch(&from(&[format!("{path}?archive=false")])).unwrap();
    assert_eq!(bench.program("v1"), CONTENTS);
}

/// GNU tar in its formats, Info-ZIP to a file and to a pipe, Go's packages, and the compressors with unusual settings.
#[test]
fn archives_that_other_tools_made_are_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archives");
    let names = names_in(&fixtures);
    assert!(names.len() >= 12, "{names:?}");
    for name in names {
        let bench = Bench::new();
        let address = fixtures.join(&name).display().to_string();
        bench.fetch(&from(&[address])).unwrap_or_else(|error| panic!("{name}: {}", whole(&error)));
        assert_eq!(bench.program("v1"), CONTENTS, "{name}");
    }
}

/// Tools that compress in parallel write several streams, one behind the other.
#[test]
fn streams_one_behind_the_other_are_one() {
    let (first, second) = CONTENTS.split_at(7);
    for kind in ["gz", "bz2", "xz", "zst"] {
        fetched(&Bench::new(), kind, &[compress(kind, first), compress(kind, second)].concat());
    }
    let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
    fetched(&Bench::new(), "zst", &[zstd(first), skippable.to_vec(), zstd(second), skippable.to_vec()].concat());
}

#[test]
fn a_stream_that_breaks_off_is_no_release() {
    let contents: Vec<u8> =
        (0..8_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for kind in Kind::ALL {
        let bytes = archive_of(kind, &[file("node", &contents)]).unwrap();
        for len in [0, 100, bytes.len() / 2, bytes.len() - 1] {
            // Zeros at the end of a tar are padding: the end of the stream is as good.
            if kind.suffix() == "tar" && len == bytes.len() - 1 {
                continue;
            }
            let bench = Bench::new();
            let path = bench.write(&format!("in/release.{kind}"), &bytes[..len]);
            let result = bench.fetch(&from(&[path.display().to_string()]));
            assert!(result.is_err(), "{kind} cut to {len} of {} bytes", bytes.len());
            assert!(bench.names().is_empty(), "{kind} {len}: {:?}", bench.names());
        }
    }
}
