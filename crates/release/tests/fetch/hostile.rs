//! Archives that are made to do harm: each is refused with a sentence that says why.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::io::Cursor;

use ov_release::fetch::{Kind, Limits, examine_archive};
use proptest::prelude::*;

use super::archives::{
    Item, ZipLine, archive_of, compress, directory, file, gzip, link, of_kind, tar_item, tar_of, zip_line, zip_lines,
    zip_of,
};
use super::bench::{Bench, from, whole};

fn examined(suffix: &str, bytes: &[u8], limits: &Limits) -> Result<Vec<String>, String> {
    let kind = Kind::by_suffix(suffix).unwrap();
    examine_archive(kind, &mut Cursor::new(bytes), bytes.len() as u64, limits).map_err(|error| whole(&error))
}

fn why(suffix: &str, bytes: &[u8]) -> String {
    examined(suffix, bytes, &Limits::default()).unwrap_err()
}

/// The reason by which both packings refuse these members.
fn why_refused(items: &[Item]) -> String {
    let [tar, zip] = [why("tar", &tar_of(items)), why("zip", &zip_of(items))];
    assert_eq!(tar, zip);
    tar
}

#[test]
fn honest_archives_pass() {
    let items = [directory("./"), directory("bin"), directory("bin"), file("bin/node", b"x"), link("node", "bin/node")];
    for suffix in ["tar", "zip", "tar.xz"] {
        let bytes = archive_of(Kind::by_suffix(suffix).unwrap(), &items).unwrap();
        assert_eq!(examined(suffix, &bytes, &Limits::default()).unwrap(), ["bin", "bin", "bin/node", "node"]);
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for (name, reason) in [
        ("../node", "its path leads upwards"),
        ("bin/../../node", "its path leads upwards"),
        ("/etc/cron.d/node", "its path is absolute"),
        ("bin\\node", "its name holds a backslash, which some take for a separator"),
        ("bin/\u{1b}[2Jnode", "its name holds control characters"),
        ("", "its name is empty"),
    ] {
        assert!(why_refused(&[file(name, b"x")]).ends_with(reason), "{name:?}");
    }
    assert!(why_refused(&[Item { name: vec![b'a', 0xff], ..file("", b"x") }]).ends_with("its name is not UTF-8"));
    assert_eq!(why_refused(&[file("..", b"x")]), "accept \"..\" in the archive: its path leads upwards");
}

#[test]
fn links_that_lead_out_and_what_lies_beyond_links_are_refused() {
    for to in ["/etc/passwd", "../x", "a/../../x", "..", "a/.."] {
        assert!(why_refused(&[link("node", to)]).contains("which may lead out"), "{to}");
    }
    assert!(why("tar", &tar_of(&[link("node", "")])).contains("which may lead out"));
    assert!(why_refused(&[link("bin", "lib"), file("bin/node", b"x")]).ends_with("`bin` above it is a link"));
    assert!(why_refused(&[file("bin", b"x"), file("bin/node", b"x")]).ends_with("`bin` above it is a file"));
}

#[test]
fn names_that_meet_are_refused() {
    for items in [
        [file("node", b"a"), file("node", b"b")],
        [file("node", b"a"), file("./node", b"b")],
        [file("bin/node", b"a"), link("bin", "lib")],
        [file("node", b"a"), directory("node")],
    ] {
        let why = why_refused(&items);
        assert!(why.ends_with("another member has the same name") || why.ends_with("above it is a file"), "{why}");
    }
    for [first, second] in [["Node", "node"], ["bin/a", "BIN/b"], ["ÄA", "äa"]] {
        assert!(why_refused(&[file(first, b"a"), file(second, b"b")]).contains("only by the case of letters"));
    }
}

#[test]
fn what_is_neither_file_nor_directory_nor_link_is_refused() {
    for (kind, reason) in [
        (b'1', "it is a hard link"),
        (b'3', "it is a device"),
        (b'4', "it is a device"),
        (b'6', "it is a named pipe"),
        (b'S', "it is sparse, which is not unpacked"),
        (b'V', "it is of the unknown kind `V`"),
    ] {
        assert!(why("tar", &tar_of(&[of_kind(kind, "node")])).ends_with(reason));
    }
    for (kind, reason) in [(b'3', "it is a device"), (b'6', "it is a named pipe")] {
        assert!(why("zip", &zip_of(&[of_kind(kind, "node")])).ends_with(reason));
    }
    let full = Item { contents: b"x".to_vec(), ..directory("bin/") };
    assert!(why_refused(&[full]).ends_with("it is a directory with contents"));
}

fn extended(kind: u8, contents: &[u8], then: Item) -> Vec<u8> {
    tar_of(&[Item { contents: contents.to_vec(), ..of_kind(kind, "x") }, then])
}

fn property(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let len = (1..10_000).find(|len: &usize| len.to_string().len() + rest.len() == *len).unwrap();
    format!("{len}{rest}").into_bytes()
}

#[test]
fn long_names_are_read_up_to_a_bound_and_judged_as_all_others() {
    let name = format!("{}/node", "d".repeat(200));
    let limits = Limits::default();
    let gnu = extended(b'L', format!("{name}\0").as_bytes(), file("short", b"x"));
    let pax = extended(b'x', &property("path", &name), file("short", b"x"));
    for bytes in [&gnu, &pax] {
        assert_eq!(examined("tar", bytes, &limits), Ok(vec![name.clone()]));
    }
    for (kind, contents) in [(b'L', b"../../node\0".to_vec()), (b'x', property("path", "../../node"))] {
        assert!(why("tar", &extended(kind, &contents, file("short", b"x"))).ends_with("its path leads upwards"));
    }
    let to = extended(b'x', &property("linkpath", "/etc/passwd"), link("node", "bin"));
    assert!(why("tar", &to).contains("a link to \"/etc/passwd\""));
    let too_long = "the description of a member is longer than any honest one";
    assert!(why("tar", &extended(b'L', &vec![b'a'; 70_000], file("short", b"x"))).ends_with(too_long));
    let many: Vec<u8> = (0..9).flat_map(|_| tar_item(&of_kind(b'g', "x"))).collect();
    assert!(why("tar", &many).ends_with(too_long));
    let long_part = extended(b'L', &[b'a'; 300], file("short", b"x"));
    assert!(why("tar", &long_part).ends_with("a part of its path is longer than names can be"));
    let deep = extended(b'L', "a/".repeat(80).as_bytes(), file("short", b"x"));
    assert!(why("tar", &deep).ends_with("it is nested too deep"));
}

#[test]
fn what_is_said_twice_in_two_ways_is_refused() {
    for (contents, reason) in [
        (property("size", "1"), "a member says its size twice"),
        (property("GNU.sparse.major", "1"), "a member is sparse, which is not unpacked"),
        ([property("path", "a"), property("path", "b")].concat(), "a member has two names"),
        (b"nonsense\n".to_vec(), "the properties of a member cannot be read"),
    ] {
        assert_eq!(why("tar", &extended(b'x', &contents, file("a", b"x"))), format!("read the archive: {reason}"));
    }
    let mut wrong = tar_of(&[file("node", b"x")]);
    wrong[0] ^= 1;
    assert!(why("tar", &wrong).ends_with("the checksum of a header is wrong"));
    let dangling = tar_of(&[Item { contents: b"name\0".to_vec(), ..of_kind(b'L', "x") }]);
    assert!(why("tar", &dangling).ends_with("it ends with a description of nothing"));
}

fn why_line(change: impl FnOnce(&mut ZipLine)) -> String {
    let mut line = zip_line(file("node", b"contents"));
    change(&mut line);
    let bytes = zip_lines(&[line, zip_line(file("other", b"x"))]);
    // What only shows in the contents shows when they are unpacked.
    why("zip", &bytes)
}

#[test]
fn zips_that_contradict_themselves_are_refused() {
    assert!(why_line(|line| line.flags = 1).ends_with("it is encrypted"));
    assert!(why_line(|line| line.method = 93).ends_with("it is compressed by method 93, which is not read"));
    assert!(why_line(|line| line.local_name = Some(b"evil".to_vec())).ends_with("its header and the directory differ"));
    assert!(why_line(|line| line.offset = Some(4)).ends_with("it overlaps with another member"));
    assert!(why_line(|line| line.crc = Some(7)).ends_with("the checksum of a member is wrong"));
    assert!(why_line(|line| line.size = Some(3)).ends_with("a member is longer than it says"));
    assert!(why_line(|line| line.size = Some(30)).ends_with("a member is shorter than it says"));
    assert!(why_line(|line| (line.method, line.size) = (0, Some(3))).ends_with("it is stored, and has two sizes"));
    assert!(!why_line(|line| line.stored = Some(b"\xff\xff\xff".to_vec())).is_empty());
    // Two lines of the directory for one member: the quine of all bombs.
    let [mut first, mut second] = [zip_line(file("a", b"x")), zip_line(file("a", b"x"))];
    (first.offset, second.offset) = (Some(0), Some(0));
    assert!(why("zip", &zip_lines(&[first, second])).ends_with("it overlaps with another member"));

    let honest = zip_of(&[file("node", b"x")]);
    assert!(why("zip", &[honest.clone(), b"junk".to_vec()].concat()).contains("its end is missing"));
    assert!(why("zip", &[b"junk".to_vec(), honest].concat()).ends_with("its directory is not where it should be"));
    for bytes in [&b""[..], b"PK\x05\x06", b"MZ and a lot of other bytes that are no zip at all"] {
        assert!(why("zip", bytes).starts_with("read the archive: it is"));
    }
}

#[test]
fn bombs_are_stopped_before_they_go_off() {
    let zeros = vec![0; 1 << 20];
    let limits = Limits { ratio_max: 10, harmless_bytes: 500_000, ..Limits::default() };
    let too_large = "accept the archive: it unpacks to more than 500000 bytes";
    for suffix in ["gz", "bz2", "xz", "tar.gz", "tar.zst", "zip"] {
        let bytes = archive_of(Kind::by_suffix(suffix).unwrap(), &[file("node", &zeros)]).unwrap();
        assert!(bytes.len() < 50_000, "it is small");
        assert_eq!(examined(suffix, &bytes, &limits).unwrap_err(), too_large, "{suffix}");
        assert!(examined(suffix, &bytes, &Limits::default()).is_ok(), "{suffix}");
    }
    // The sizes in headers alone are believed only as a reason to refuse.
    let lie = zip_lines(&[ZipLine { size: Some(u32::MAX - 1), ..zip_line(file("node", b"x")) }]);
    assert_eq!(examined("zip", &lie, &limits).unwrap_err(), too_large);
    let small = Limits { unpacked_bytes_max: 10, ..Limits::default() };
    let tar = tar_of(&[file("node", b"12345678901")]);
    assert_eq!(examined("tar", &tar, &small).unwrap_err(), "accept the archive: it unpacks to more than 10 bytes");
    let few = Limits { members_max: 3, ..Limits::default() };
    let items: Vec<Item> = (0..4).map(|number| file(&number.to_string(), b"")).collect();
    for bytes in [("tar", tar_of(&items)), ("zip", zip_of(&items))] {
        assert_eq!(examined(bytes.0, &bytes.1, &few).unwrap_err(), "accept the archive: it has more than 3 members");
    }
    for suffix in ["tar", "tar.gz"] {
        assert_eq!(why(suffix, &compress(suffix, &tar_of(&[]))), "accept the archive: it is empty");
    }
    assert_eq!(why("zip", &zip_of(&[])), "accept the archive: it is empty");
}

fn any_item() -> impl Strategy<Value = Item> {
    let name = prop_oneof!["[a-c./]{0,6}", "\\PC{0,3}"];
    let kind = proptest::sample::select(&b"0012356LKxgS"[..]);
    (name, kind, 0..0o10_000_u32, proptest::collection::vec(any::<u8>(), 0..40), "[a./]{0,5}")
        .prop_map(|(name, kind, mode, contents, link)| Item { name: name.into(), kind, mode, contents, link })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_an_archive_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), at in 0..Kind::ALL.len()) {
        let kind = Kind::ALL[at];
        let _ = examine_archive(kind, &mut Cursor::new(&bytes), bytes.len() as u64, &Limits::default());
    }

    #[test]
    fn whatever_passes_stays_inside(items in proptest::collection::vec(any_item(), 0..6), damage in any::<Option<(usize, u8)>>()) {
        for kind in [Kind::by_suffix("tar").unwrap(), Kind::by_suffix("zip").unwrap()] {
            let mut bytes = archive_of(kind, &items).unwrap();
            if let Some((at, to)) = damage {
                let at = at % bytes.len();
                bytes[at] = to;
            }
            let found = examine_archive(kind, &mut Cursor::new(&bytes), bytes.len() as u64, &Limits::default());
            for path in found.unwrap_or_default() {
                let parts: Vec<&str> = path.split('/').collect();
                prop_assert!(parts.iter().all(|part| !["", ".", ".."].contains(part)), "{path:?}");
            }
        }
    }

    #[test]
    fn damaged_streams_never_hang_or_panic(cut in 0..200_usize, flip in any::<(usize, u8)>(), at in 0..Kind::ALL.len()) {
        let kind = Kind::ALL[at];
        let mut bytes = archive_of(kind, &[file("node", &b"contents ".repeat(50))]).unwrap();
        bytes.truncate(bytes.len().saturating_sub(cut).max(1));
        let at = flip.0 % bytes.len();
        bytes[at] = flip.1;
        let _ = examine_archive(kind, &mut Cursor::new(&bytes), bytes.len() as u64, &Limits::default());
    }
}

#[test]
fn a_refused_archive_leaves_nothing_and_is_not_fetched_for_nothing_again() {
    let bench = Bench::new();
    let path = bench.write("in/release.tgz", &gzip(&tar_of(&[file("node", b"x"), link("out", "/etc")])));
    let error = bench.fetch(&from(&[path.display().to_string()])).unwrap_err();
    assert!(whole(&error).starts_with("accept \"out\" in the archive: it is a link to \"/etc\""));
    assert!(bench.names().is_empty(), "{:?}", bench.names());
}
