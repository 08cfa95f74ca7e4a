//! The same assertions on the real and the simulated disk, so that what is proven on the one holds on the
//! other; and random operations that must answer alike on both.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use ov_sys::disk::Kind;
use ov_sys::{Disk, RealDisk, SimDisk, durable};
use proptest::prelude::*;

/// A disk and an empty directory on it.
struct Place {
    disk: Box<dyn Disk>,
    root: PathBuf,
    _directory: Option<tempfile::TempDir>,
}

impl Place {
    fn real() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { disk: Box::new(RealDisk), root: directory.path().to_owned(), _directory: Some(directory) }
    }

    fn simulated() -> Self {
        let disk = SimDisk::new(1);
        disk.make_directory(Path::new("/home"), 0o755).unwrap();
        Self { disk: Box::new(disk), root: "/home".into(), _directory: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut writer = self.disk.create(&self.path(name), 0o644)?;
        writer.write_all(bytes)?;
        writer.sync()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.disk.read(&self.path(name), 1 << 20)
    }

    fn link(&self, text: &str, name: &str) -> io::Result<()> {
        self.disk.make_link(Path::new(text), &self.path(name))
    }

    fn directory(&self, name: &str) {
        self.disk.make_directory(&self.path(name), 0o755).unwrap();
    }

    fn names(&self, name: &str) -> Vec<String> {
        let names = self.disk.list(&self.path(name)).unwrap();
        names.into_iter().map(|name| name.into_string().unwrap()).collect()
    }
}

fn on_both(check: impl Fn(&Place)) {
    check(&Place::real());
    check(&Place::simulated());
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("it should have failed").kind()
}

#[test]
fn files_are_created_once_with_exact_permissions() {
    on_both(|place| {
        let path = place.path("a");
        let mut writer = place.disk.create(&path, 0o666).unwrap();
        writer.write_all(b"one ").unwrap();
        writer.write_all(b"two").unwrap();
        writer.sync().unwrap();
        let facts = place.disk.facts(&path).unwrap().unwrap();
        assert_eq!((facts.kind, facts.len, facts.mode, facts.links), (Kind::File, 7, 0o666, 1));
        assert_eq!(place.read("a").unwrap(), b"one two");
        assert_eq!(kind(place.disk.create(&path, 0o600)), ErrorKind::AlreadyExists);
        assert_eq!(kind(place.disk.create(&place.path("no/a"), 0o600)), ErrorKind::NotFound);
        place.disk.set_mode(&path, 0o755).unwrap();
        assert_eq!(place.disk.facts(&path).unwrap().unwrap().mode, 0o755);
    });
}

#[test]
fn a_read_has_a_limit() {
    on_both(|place| {
        place.write("a", b"12345").unwrap();
        assert_eq!(place.disk.read(&place.path("a"), 5).unwrap(), b"12345");
        assert_eq!(kind(place.disk.read(&place.path("a"), 4)), ErrorKind::FileTooLarge);
        assert_eq!(kind(place.read("b")), ErrorKind::NotFound);
        assert_eq!(kind(place.read("")), ErrorKind::IsADirectory);
        let mut text = String::new();
        place.disk.open(&place.path("a")).unwrap().take(3).read_to_string(&mut text).unwrap();
        assert_eq!(text, "123");
        assert_eq!(kind(place.disk.open(&place.root)), ErrorKind::IsADirectory);
    });
}

#[test]
fn a_reader_goes_where_it_is_sent() {
    on_both(|place| {
        place.write("a", b"0123456789").unwrap();
        let mut reader = place.disk.open(&place.path("a")).unwrap();
        let mut at = |to| {
            let at = reader.seek(to).unwrap();
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            (at, text)
        };
        assert_eq!(at(SeekFrom::End(-3)), (7, "789".to_owned()));
        assert_eq!(at(SeekFrom::Start(8)), (8, "89".to_owned()));
        assert_eq!(at(SeekFrom::Current(-1)), (9, "9".to_owned()));
        assert_eq!(at(SeekFrom::Start(12)), (12, String::new()));
        assert_eq!(kind(reader.seek(SeekFrom::Current(-13))), ErrorKind::InvalidInput);
    });
}

#[test]
fn appending_goes_on_at_the_end() {
    on_both(|place| {
        let path = place.path("log");
        let mut tail = place.disk.append(&path).unwrap();
        tail.append(b"one.").unwrap();
        place.disk.append(&path).unwrap().append(b"two.").unwrap();
        tail.append(b"three.").unwrap();
        tail.sync().unwrap();
        assert_eq!(place.read("log").unwrap(), b"one.two.three.");
        place.disk.truncate(&path, 4).unwrap();
        tail.append(b"2").unwrap();
        assert_eq!(place.read("log").unwrap(), b"one.2");
        place.disk.truncate(&path, 7).unwrap();
        assert_eq!(place.read("log").unwrap(), b"one.2\0\0");
        assert_eq!(place.disk.facts(&path).unwrap().unwrap().mode, 0o600);
        assert_eq!(kind(place.disk.append(&place.root)), ErrorKind::IsADirectory);
    });
}

#[test]
fn nothing_there_is_no_error_for_facts() {
    on_both(|place| {
        place.write("file", b"").unwrap();
        for name in ["a", "a/b", "file/b"] {
            assert_eq!(place.disk.facts(&place.path(name)).unwrap(), None, "{name}");
        }
        assert_eq!(place.disk.facts(&place.root).unwrap().unwrap().kind, Kind::Directory);
    });
}

#[test]
fn directories_list_sorted_and_go_only_when_empty() {
    on_both(|place| {
        place.directory("d");
        for name in ["d/z", "d/a", "d/.m"] {
            place.write(name, b"").unwrap();
        }
        assert_eq!(place.names("d"), [".m", "a", "z"]);
        let path = place.path("d");
        assert_eq!(kind(place.disk.make_directory(&path, 0o755)), ErrorKind::AlreadyExists);
        assert_eq!(kind(place.disk.remove_directory(&path)), ErrorKind::DirectoryNotEmpty);
        assert_eq!(kind(place.disk.remove_file(&path)), ErrorKind::IsADirectory);
        assert_eq!(kind(place.disk.remove_directory(&place.path("d/a"))), ErrorKind::NotADirectory);
        assert_eq!(kind(place.disk.list(&place.path("d/a"))), ErrorKind::NotADirectory);
        for name in ["d/z", "d/a", "d/.m"] {
            place.disk.remove_file(&place.path(name)).unwrap();
        }
        place.disk.remove_directory(&path).unwrap();
        assert_eq!(kind(place.disk.list(&path)), ErrorKind::NotFound);
        assert_eq!(kind(place.disk.remove_file(&path)), ErrorKind::NotFound);
    });
}

#[test]
fn links_are_followed_to_contents_and_not_to_names() {
    on_both(|place| {
        place.directory("releases");
        place.directory("releases/one");
        place.write("releases/one/program", b"1").unwrap();
        place.link("releases/one", "current").unwrap();
        place.link("../../current/program", "releases/one/again").unwrap();
        place.link("nowhere", "dangling").unwrap();
        place.link("loop", "loop").unwrap();
        assert_eq!(place.read("current/program").unwrap(), b"1");
        assert_eq!(place.read("current/again").unwrap(), b"1");
        assert_eq!(place.read("current/../one/program").unwrap(), b"1");
        assert_eq!(place.disk.facts(&place.path("current")).unwrap().unwrap().kind, Kind::Link);
        assert_eq!(place.disk.read_link(&place.path("current")).unwrap(), Path::new("releases/one"));
        assert_eq!(kind(place.disk.read_link(&place.path("releases"))), ErrorKind::InvalidInput);
        assert_eq!(kind(place.read("dangling")), ErrorKind::NotFound);
        assert_eq!(place.disk.facts(&place.path("dangling")).unwrap().unwrap().kind, Kind::Link);
        assert!(place.read("loop").is_err());
        assert_eq!(kind(place.link("x", "dangling")), ErrorKind::AlreadyExists);
        assert_eq!(kind(place.disk.create(&place.path("dangling"), 0o600)), ErrorKind::AlreadyExists);
        place.disk.remove_file(&place.path("current")).unwrap();
        assert_eq!(place.names("releases/one"), ["again", "program"]);
    });
}

#[test]
fn renames_replace_what_they_may() {
    on_both(|place| {
        let rename = |from: &str, to: &str| place.disk.rename(&place.path(from), &place.path(to));
        place.write("a", b"a").unwrap();
        place.write("b", b"b").unwrap();
        rename("a", "b").unwrap();
        assert_eq!(place.read("b").unwrap(), b"a");
        place.directory("d");
        place.directory("d/inner");
        place.directory("empty");
        assert_eq!(kind(rename("empty", "d")), ErrorKind::DirectoryNotEmpty);
        assert_eq!(kind(rename("b", "empty")), ErrorKind::IsADirectory);
        assert_eq!(kind(rename("empty", "b")), ErrorKind::NotADirectory);
        assert_eq!(kind(rename("d", "d/inner/d")), ErrorKind::InvalidInput);
        assert_eq!(kind(rename("missing", "b")), ErrorKind::NotFound);
        rename("d", "empty").unwrap();
        assert_eq!(place.names(""), ["b", "empty"]);
        assert_eq!(place.names("empty"), ["inner"]);
    });
}

#[test]
fn two_names_are_swapped() {
    on_both(|place| {
        place.directory("data");
        place.write("data/x", b"").unwrap();
        place.write("file", b"f").unwrap();
        match place.disk.exchange(&place.path("data"), &place.path("file")) {
            Err(error) if error.kind() == ErrorKind::Unsupported => return,
            result => result.unwrap(),
        }
        assert_eq!(place.read("data").unwrap(), b"f");
        assert_eq!(place.names("file"), ["x"]);
        assert_eq!(kind(place.disk.exchange(&place.path("data"), &place.path("no"))), ErrorKind::NotFound);
    });
}

#[test]
fn hard_links_share_an_inode_and_reflinks_do_not() {
    on_both(|place| {
        place.write("a", b"x").unwrap();
        place.disk.set_mode(&place.path("a"), 0o640).unwrap();
        place.disk.hard_link(&place.path("a"), &place.path("b")).unwrap();
        let facts = |name: &str| place.disk.facts(&place.path(name)).unwrap().unwrap();
        assert_eq!(facts("a").inode, facts("b").inode);
        assert_eq!(facts("a").links, 2);
        assert_eq!(kind(place.disk.hard_link(&place.path("a"), &place.path("b"))), ErrorKind::AlreadyExists);
        match place.disk.reflink(&place.path("a"), &place.path("c")) {
            Ok(()) => {
                place.disk.append(&place.path("a")).unwrap().append(b"y").unwrap();
                assert_eq!((place.read("b").unwrap(), place.read("c").unwrap()), (b"xy".to_vec(), b"x".to_vec()));
                assert_eq!(facts("c").mode, 0o640);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported);
                assert_eq!(place.names(""), ["a", "b"], "a failed reflink leaves nothing behind");
            }
        }
    });
}

#[test]
fn times_are_set_also_before_1970_and_on_links() {
    on_both(|place| {
        place.write("a", b"").unwrap();
        place.link("a", "link").unwrap();
        for at in [UNIX_EPOCH + Duration::from_millis(1_500), UNIX_EPOCH - Duration::from_millis(1_500)] {
            place.disk.set_modified(&place.path("link"), at).unwrap();
            assert_eq!(place.disk.facts(&place.path("link")).unwrap().unwrap().modified, at);
            assert_ne!(place.disk.facts(&place.path("a")).unwrap().unwrap().modified, at);
        }
    });
}

#[test]
fn a_lock_is_held_once_and_free_when_dropped() {
    on_both(|place| {
        let path = place.path("lock");
        let held = place.disk.lock(&path).unwrap().expect("nobody holds it");
        assert!(place.disk.lock(&path).unwrap().is_none());
        drop(held);
        assert!(place.disk.lock(&path).unwrap().is_some());
    });
}

#[test]
fn syncs_refuse_the_wrong_kind() {
    on_both(|place| {
        place.write("a", b"").unwrap();
        place.disk.sync_file(&place.path("a")).unwrap();
        place.disk.sync_directory(&place.root).unwrap();
        place.disk.sync_file_system(&place.root).unwrap();
        assert_eq!(kind(place.disk.sync_directory(&place.path("a"))), ErrorKind::NotADirectory);
        assert_eq!(kind(place.disk.sync_file(&place.root)), ErrorKind::IsADirectory);
        assert_eq!(kind(place.disk.sync_file(&place.path("b"))), ErrorKind::NotFound);
    });
}

#[test]
fn there_is_room_also_below_what_is_missing() {
    on_both(|place| {
        let room = place.disk.room(&place.path("not/yet")).unwrap();
        assert!(room.free > 0 && room.free <= room.total && room.inodes_free > 0 && !room.read_only);
    });
}

#[test]
fn a_replacement_is_whole_and_its_leftovers_give_way() {
    on_both(|place| {
        let path = place.path("state");
        place.directory(".state.new");
        place.write(".state.new/rubbish", b"").unwrap();
        durable::replace(&*place.disk, &path, b"one", 0o640).unwrap();
        durable::replace(&*place.disk, &path, b"two", 0o600).unwrap();
        assert_eq!(place.read("state").unwrap(), b"two");
        assert_eq!(place.disk.facts(&path).unwrap().unwrap().mode, 0o600);
        place.write(".current.new", b"rubbish").unwrap();
        durable::replace_link(&*place.disk, &place.path("current"), Path::new("one")).unwrap();
        durable::replace_link(&*place.disk, &place.path("current"), Path::new("two")).unwrap();
        assert_eq!(place.disk.read_link(&place.path("current")).unwrap(), Path::new("two"));
        assert_eq!(place.names(""), ["current", "state"]);
    });
}

#[test]
fn a_replacement_that_fails_leaves_nothing() {
    on_both(|place| {
        place.directory("d");
        place.write("d/x", b"").unwrap();
        durable::replace(&*place.disk, &place.path("d"), b"one", 0o600).unwrap_err();
        durable::replace_link(&*place.disk, &place.path("d"), Path::new("one")).unwrap_err();
        assert_eq!(place.names(""), ["d"]);
    });
}

#[test]
fn directories_are_made_all_the_way() {
    on_both(|place| {
        for _ in 0..2 {
            durable::make_directories(&*place.disk, &place.path("a/b/c"), 0o700).unwrap();
        }
        assert_eq!(place.disk.facts(&place.path("a/b")).unwrap().unwrap().mode, 0o700);
        assert_eq!(place.names("a/b"), ["c"]);
        place.write("file", b"").unwrap();
        for name in ["file", "file/x"] {
            durable::make_directories(&*place.disk, &place.path(name), 0o700).unwrap_err();
        }
    });
}

#[test]
fn a_tree_goes_and_what_its_links_lead_to_stays() {
    on_both(|place| {
        durable::make_directories(&*place.disk, &place.path("tree/a/b"), 0o755).unwrap();
        place.directory("kept");
        place.write("kept/file", b"").unwrap();
        place.write("tree/a/file", b"").unwrap();
        place.link("../kept", "tree/link").unwrap();
        place.link("nowhere", "tree/a/dangling").unwrap();
        place.disk.set_mode(&place.path("tree/a"), 0o500).unwrap();
        for _ in 0..2 {
            durable::remove_tree(&*place.disk, &place.path("tree")).unwrap();
            assert_eq!(place.names(""), ["kept"]);
        }
        assert_eq!(place.names("kept"), ["file"]);
        durable::remove_tree(&*place.disk, &place.path("no/such/parent")).unwrap();
    });
}

#[test]
fn a_tree_too_deep_is_refused() {
    on_both(|place| {
        let deep = |levels: usize| place.path(&["d"; 200][..levels].join("/"));
        durable::make_directories(&*place.disk, &deep(durable::TREE_DEPTH_MAX + 1), 0o755).unwrap();
        assert_eq!(kind(durable::remove_tree(&*place.disk, &deep(1))), ErrorKind::InvalidInput);
        durable::remove_tree(&*place.disk, &deep(2)).unwrap();
        durable::remove_tree(&*place.disk, &deep(1)).unwrap();
    });
}

#[test]
fn a_copy_has_the_bytes_and_the_mode_and_spares_other_links() {
    on_both(|place| {
        let bytes: Vec<u8> = (0..700_000_u32).map(|number| (number % 251) as u8).collect();
        place.write("from", &bytes).unwrap();
        place.disk.set_mode(&place.path("from"), 0o751).unwrap();
        place.write("to", b"leftover").unwrap();
        place.disk.hard_link(&place.path("to"), &place.path("other")).unwrap();
        let copied = durable::copy_file(&*place.disk, &place.path("from"), &place.path("to")).unwrap();
        assert_eq!(copied, bytes.len() as u64);
        assert_eq!(place.read("to").unwrap(), bytes);
        assert_eq!(place.read("other").unwrap(), b"leftover");
        assert_eq!(place.disk.facts(&place.path("to")).unwrap().unwrap().mode, 0o751);
        place.link("from", "link").unwrap();
        durable::copy_file(&*place.disk, &place.path("link"), &place.path("x")).unwrap_err();
        durable::copy_file(&*place.disk, &place.path("from"), &place.path("link")).unwrap_err();
    });
}

/// One call of a random run. Names are numbers, so that they often meet.
#[derive(Debug, Clone)]
enum Call {
    Create(u8, Vec<u8>),
    Append(u8, Vec<u8>),
    Truncate(u8, u8),
    MakeDirectory(u8),
    MakeLink(u8, u8),
    Rename(u8, u8),
    Exchange(u8, u8),
    RemoveFile(u8),
    RemoveDirectory(u8),
    HardLink(u8, u8),
    SetMode(u8, bool),
    Replace(u8, Vec<u8>),
    ReplaceLink(u8, u8),
    RemoveTree(u8),
    CopyFile(u8, u8),
    MakeDirectories(u8),
}

/// Two levels of few names.
fn name(number: u8) -> String {
    let names = ["a", "b", "c"];
    let first = names[usize::from(number % 3)];
    match number / 3 % 3 {
        0 => first.to_owned(),
        second => format!("{}/{first}", names[usize::from(second)]),
    }
}

fn call() -> impl Strategy<Value = Call> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..20);
    let number = || 0_u8..9;
    prop_oneof![
        3 => (number(), bytes()).prop_map(|(at, bytes)| Call::Create(at, bytes)),
        2 => (number(), bytes()).prop_map(|(at, bytes)| Call::Append(at, bytes)),
        1 => (number(), 0_u8..20).prop_map(|(at, len)| Call::Truncate(at, len)),
        4 => number().prop_map(Call::MakeDirectory),
        2 => (number(), number()).prop_map(|(text, at)| Call::MakeLink(text, at)),
        4 => (number(), number()).prop_map(|(from, to)| Call::Rename(from, to)),
        2 => (number(), number()).prop_map(|(a, b)| Call::Exchange(a, b)),
        1 => number().prop_map(Call::RemoveFile),
        1 => number().prop_map(Call::RemoveDirectory),
        2 => (number(), number()).prop_map(|(from, to)| Call::HardLink(from, to)),
        1 => (number(), any::<bool>()).prop_map(|(at, wide)| Call::SetMode(at, wide)),
        2 => (number(), bytes()).prop_map(|(at, bytes)| Call::Replace(at, bytes)),
        2 => (number(), number()).prop_map(|(text, at)| Call::ReplaceLink(text, at)),
        1 => number().prop_map(Call::RemoveTree),
        2 => (number(), number()).prop_map(|(from, to)| Call::CopyFile(from, to)),
        1 => number().prop_map(Call::MakeDirectories),
    ]
}

fn carry_out(place: &Place, call: &Call) -> Result<u64, ErrorKind> {
    let disk = &*place.disk;
    let at = |number: &u8| place.path(&name(*number));
    let result = match call {
        Call::Create(to, bytes) => disk.create(&at(to), 0o644).and_then(|mut writer| writer.write_all(bytes)),
        Call::Append(to, bytes) => disk.append(&at(to)).and_then(|mut tail| tail.append(bytes)),
        Call::Truncate(to, len) => disk.truncate(&at(to), u64::from(*len)),
        Call::MakeDirectory(to) => disk.make_directory(&at(to), 0o755),
        Call::MakeLink(text, to) => disk.make_link(Path::new(&name(*text)), &at(to)),
        Call::Rename(from, to) => disk.rename(&at(from), &at(to)),
        Call::Exchange(a, b) => disk.exchange(&at(a), &at(b)),
        Call::RemoveFile(to) => disk.remove_file(&at(to)),
        Call::RemoveDirectory(to) => disk.remove_directory(&at(to)),
        Call::HardLink(from, to) => disk.hard_link(&at(from), &at(to)),
        Call::SetMode(to, wide) => disk.set_mode(&at(to), if *wide { 0o755 } else { 0o700 }),
        Call::Replace(to, bytes) => durable::replace(disk, &at(to), bytes, 0o600),
        Call::ReplaceLink(text, to) => durable::replace_link(disk, &at(to), Path::new(&name(*text))),
        Call::RemoveTree(to) => durable::remove_tree(disk, &at(to)),
        Call::CopyFile(from, to) => {
            return durable::copy_file(disk, &at(from), &at(to)).map_err(|error| error.kind());
        }
        Call::MakeDirectories(to) => durable::make_directories(disk, &at(to), 0o700),
    };
    result.map(|()| 0).map_err(|error| error.kind())
}

/// Everything there is below, as lines.
fn picture(place: &Place, path: &Path, lines: &mut Vec<String>) {
    for name in place.disk.list(path).unwrap() {
        let path = path.join(name);
        let facts = place.disk.facts(&path).unwrap().unwrap();
        let below = path.strip_prefix(&place.root).unwrap().display().to_string();
        match facts.kind {
            Kind::File => {
                let bytes = place.disk.read(&path, 1 << 20).unwrap();
                lines.push(format!("{below} {:o} links {} {bytes:?}", facts.mode, facts.links));
            }
            Kind::Directory => {
                lines.push(format!("{below}/ {:o}", facts.mode));
                picture(place, &path, lines);
            }
            Kind::Link => lines.push(format!("{below} -> {}", place.disk.read_link(&path).unwrap().display())),
            Kind::Other => unreachable!("nobody makes one"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_disks_answer_alike(calls in prop::collection::vec(call(), 1..40)) {
        let (real, simulated) = (Place::real(), Place::simulated());
        for (index, call) in calls.iter().enumerate() {
            let answers = (carry_out(&real, call), carry_out(&simulated, call));
            prop_assert_eq!(answers.0, answers.1, "call {} {:?}", index, call);
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        picture(&real, &real.root, &mut left);
        picture(&simulated, &simulated.root, &mut right);
        prop_assert_eq!(left, right);
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_leaves_a_sound_tree(
        before in prop::collection::vec(call(), 1..30),
        after in prop::collection::vec(call(), 1..20),
        seed in any::<u64>(),
    ) {
        let disk = SimDisk::new(seed);
        let place = Place { disk: Box::new(disk.clone()), root: "/".into(), _directory: None };
        let see = || {
            let mut lines = Vec::new();
            picture(&place, &place.root, &mut lines);
            lines
        };
        for call in &before {
            let _ = carry_out(&place, call);
        }
        disk.sync_file_system(&place.root).unwrap();
        let synced = see();
        disk.crash(seed);
        prop_assert_eq!(&see(), &synced);
        for call in &after {
            let _ = carry_out(&place, call);
        }
        disk.crash(seed);
        let survived = see();
        disk.crash(!seed);
        prop_assert_eq!(see(), survived, "a second crash has nothing more to lose");
    }
}
