//! What staging, switching, listing and withdrawing do, and what they refuse.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::collections::BTreeSet;
use std::path::Path;

use ov_release::{
    Addition, CurrentRelease, Digest, Layout, ReleaseError, Source, StageRequest, State, adopt, current, list, prune,
    stage, state, switch, verify, withdraw,
};
use ov_sys::disk::Kind;
use ov_sys::{Disk, SimDisk};
use ov_types::ReleaseName;

const PROGRAM: &[u8] = b"program";

fn name(text: &str) -> ReleaseName {
    ReleaseName::new(text).unwrap()
}

fn layout() -> Layout {
    Layout::of_home(Path::new("/home"))
}

fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    for directory in ["/home", "/source"] {
        disk.make_directory(Path::new(directory), 0o755).unwrap();
    }
    disk.plant(Path::new("/source/node"), PROGRAM, 0o600).unwrap();
    disk
}

fn file(version: &str) -> StageRequest {
    StageRequest {
        name: name(version),
        source: Source::File("/source/node".into()),
        program: None,
        sha256: None,
        origin: None,
        additions: Vec::new(),
        now_ms: 5,
    }
}

/// Where each release says in a file how it is launched.
fn launched_by_file() -> Layout {
    Layout { launch_file: Some("run.toml".to_owned()), ..layout() }
}

#[test]
fn a_release_gets_what_it_does_not_bring() {
    let (disk, layout) = (disk(), launched_by_file());
    let run = |text: &str| Addition { path: "run.toml".to_owned(), contents: text.into(), mode: 0o600 };
    let lib = Addition { path: "lib/x/a".to_owned(), contents: b"a".to_vec(), mode: 0o644 };
    let wanted = |text: &str| StageRequest { additions: vec![run(text), lib.clone()], ..file("v1") };
    let staged = stage(&disk, &layout, &wanted("ours")).unwrap();
    let read = |path: &str| disk.read(&Path::new("/home/releases/v1").join(path), 100).unwrap();
    assert_eq!(
        (read("run.toml"), read("lib/x/a"), read("bin/node")),
        (b"ours".to_vec(), b"a".to_vec(), PROGRAM.to_vec())
    );
    let mode = |path: &str| disk.facts(&Path::new("/home/releases/v1").join(path)).unwrap().unwrap().mode;
    assert_eq!((mode("run.toml"), mode("lib/x/a")), (0o600, 0o644));
    let paths: Vec<&str> = staged.provenance.entries.iter().map(ov_release::Entry::path).collect();
    assert_eq!(paths, ["bin", "bin/node", "lib", "lib/x", "lib/x/a"], "how it is launched may be changed");
    assert!(matches!(verify(&disk, &layout, &name("v1")).unwrap(), State::Complete(_)));
    assert!(!stage(&disk, &layout, &wanted("another")).unwrap().changed, "what people changed there stays");

    disk.plant(Path::new("/source/run.toml"), b"theirs", 0o644).unwrap();
    let brought = StageRequest { additions: vec![run("ours")], ..directory("v2", "node") };
    stage(&disk, &layout, &brought).unwrap();
    assert_eq!(disk.read(Path::new("/home/releases/v2/run.toml"), 100).unwrap(), b"theirs");

    let error = stage(&disk, &layout, &file("v3")).unwrap_err();
    assert_eq!(error.to_string(), "use release `v3`: it is without run.toml");
    assert_eq!(state(&disk, &layout, &name("v3")).unwrap(), State::Missing, "nothing of it is left");
}

#[test]
fn what_somebody_began_in_the_place_of_a_release_is_moved_aside() {
    let (disk, layout) = (disk(), launched_by_file());
    let additions = vec![Addition { path: "run.toml".to_owned(), contents: Vec::new(), mode: 0o600 }];
    let request = |version: &str| StageRequest { additions: additions.clone(), ..file(version) };
    let begun = |version: &str, file: &str| {
        let folder = Path::new("/home/releases").join(version);
        ov_sys::durable::make_directories(&disk, &folder, 0o755).unwrap();
        disk.plant(&folder.join(file), b"theirs", 0o644).unwrap();
    };
    for aside in ["v1.unfinished", "v1.unfinished-2"] {
        begun("v1", "half.zip");
        let staged = stage(&disk, &layout, &request("v1")).unwrap();
        assert_eq!(staged.set_aside, Some(Path::new("/home/releases").join(aside)));
        assert_eq!(disk.read(&Path::new("/home/releases").join(aside).join("half.zip"), 100).unwrap(), b"theirs");
        assert!(matches!(verify(&disk, &layout, &name("v1")).unwrap(), State::Complete(_)));
        withdraw(&disk, &layout, &name("v1")).unwrap();
    }
    begun("v2", "run.toml");
    assert!(matches!(stage(&disk, &layout, &request("v2")), Err(ReleaseError::Foreign { .. })), "it may be a release");
    // The data of a node, say, which lies beside its releases.
    begun("data/blocks.db", "1.sst");
    assert!(matches!(stage(&disk, &layout, &request("data")), Err(ReleaseError::Foreign { .. })));
    assert!(disk.read(Path::new("/home/releases/data/blocks.db/1.sst"), 100).is_ok());
}

fn directory(version: &str, program: &str) -> StageRequest {
    let source = Source::Directory("/source".into());
    StageRequest { source, program: Some(program.to_owned()), ..file(version) }
}

#[test]
fn a_single_program_becomes_an_executable_in_bin() {
    let disk = disk();
    let request = StageRequest { sha256: Some(Digest::of(PROGRAM)), ..file("v1") };
    let staged = stage(&disk, &layout(), &request).unwrap();
    assert!(staged.changed);
    assert_eq!((staged.provenance.program.as_str(), staged.provenance.size), ("bin/node", 7));
    assert_eq!(staged.provenance.source, "/source/node");
    let facts = disk.facts(Path::new("/home/releases/v1/bin/node")).unwrap().unwrap();
    assert_eq!((facts.kind, facts.mode, facts.len), (Kind::File, 0o755, 7));
    assert_eq!(verify(&disk, &layout(), &name("v1")).unwrap(), State::Complete(staged.provenance));
}

#[test]
fn a_source_that_is_a_link_is_followed() {
    let disk = disk();
    disk.make_link(Path::new("node"), Path::new("/source/latest")).unwrap();
    let request = StageRequest { source: Source::File("/source/latest".into()), ..file("v1") };
    assert_eq!(stage(&disk, &layout(), &request).unwrap().provenance.program, "bin/latest");
    assert_eq!(disk.read(Path::new("/home/releases/v1/bin/latest"), 99).unwrap(), PROGRAM);
}

#[test]
fn a_directory_is_copied_with_its_links_and_without_set_id_bits() {
    let disk = disk();
    disk.make_directory(Path::new("/source/lib"), 0o555).unwrap();
    disk.plant(Path::new("/source/lib/a.so"), b"library", 0o4755).unwrap();
    disk.make_link(Path::new("../node"), Path::new("/source/lib/up")).unwrap();
    let staged = stage(&disk, &layout(), &directory("v1", "node")).unwrap();
    assert_eq!(staged.provenance.entries.len(), 4);
    let at = |path: &str| disk.facts(&Path::new("/home/releases/v1").join(path)).unwrap().unwrap();
    assert_eq!(at("node").mode, 0o711, "the program is made executable");
    assert_eq!(at("lib/a.so").mode, 0o755);
    assert_eq!(at("lib").mode, 0o755);
    assert_eq!(disk.read_link(Path::new("/home/releases/v1/lib/up")).unwrap(), Path::new("../node"));
}

#[test]
fn links_that_may_lead_out_are_refused() {
    for (text, fine) in [
        ("node", true),
        ("./node", true),
        ("..", false),
        ("../source/node", false),
        ("/source/node", false),
        ("sub/../../x", false),
        ("sub/../node", false),
    ] {
        let disk = disk();
        disk.make_link(Path::new(text), Path::new("/source/link")).unwrap();
        let result = stage(&disk, &layout(), &directory("v1", "node"));
        assert_eq!(result.is_ok(), fine, "{text}: {result:?}");
    }
}

#[test]
fn what_cannot_be_a_release_is_refused_and_leaves_nothing() {
    let disk = disk();
    disk.make_directory(Path::new("/source/folder"), 0o755).unwrap();
    let missing = StageRequest { source: Source::File("/source/none".into()), ..file("v1") };
    let not_a_file = StageRequest { source: Source::File("/source/folder".into()), ..file("v1") };
    let no_program = StageRequest { program: None, ..directory("v1", "") };
    let outside = StageRequest { program: Some("../node".to_owned()), ..file("v1") };
    let wrong_digest = StageRequest { sha256: Some(Digest::of(b"other")), ..file("v1") };
    let requests =
        [missing, not_a_file, no_program, outside, wrong_digest, directory("v1", "none"), directory("v1", "folder")];
    for request in requests {
        stage(&disk, &layout(), &request).unwrap_err();
        assert_eq!(state(&disk, &layout(), &name("v1")).unwrap(), State::Missing, "{request:?}");
        let releases = Path::new("/home/releases");
        let left = disk.list(releases).unwrap_or_default();
        assert!(left.is_empty(), "{request:?} left {left:?}");
    }
}

#[test]
fn a_full_disk_is_noticed_before_anything_is_written() {
    let disk = disk();
    disk.set_capacity(Some(1 << 20));
    let Err(ReleaseError::Room { need, have, .. }) = stage(&disk, &layout(), &file("v1")) else { panic!() };
    assert!(need > have);
    assert_eq!(disk.list(Path::new("/home/releases")).unwrap(), [] as [&str; 0]);
}

#[test]
fn the_same_contents_again_change_nothing_and_others_are_refused() {
    let disk = disk();
    stage(&disk, &layout(), &file("v1")).unwrap();
    assert!(!stage(&disk, &layout(), &file("v1")).unwrap().changed);
    disk.remove_file(Path::new("/source/node")).unwrap();
    disk.plant(Path::new("/source/node"), b"another", 0o755).unwrap();
    assert!(matches!(stage(&disk, &layout(), &file("v1")), Err(ReleaseError::Occupied { .. })));
    assert_eq!(disk.read(Path::new("/home/releases/v1/bin/node"), 99).unwrap(), PROGRAM);
}

#[test]
fn what_people_put_there_is_neither_replaced_nor_run_before_it_is_adopted() {
    let disk = disk();
    disk.make_directory(Path::new("/home/releases"), 0o755).unwrap();
    disk.make_directory(Path::new("/home/releases/v1"), 0o755).unwrap();
    disk.plant(Path::new("/home/releases/v1/node"), PROGRAM, 0o644).unwrap();
    assert!(matches!(stage(&disk, &layout(), &file("v1")), Err(ReleaseError::Foreign { .. })));
    assert!(matches!(switch(&disk, &layout(), &name("v1")), Err(ReleaseError::Incomplete { .. })));
    assert!(!withdraw(&disk, &layout(), &name("v1")).unwrap());
    assert!(adopt(&disk, &layout(), &name("v1"), Some("node"), 5).unwrap().changed);
    assert!(!adopt(&disk, &layout(), &name("v1"), Some("node"), 6).unwrap().changed);
    switch(&disk, &layout(), &name("v1")).unwrap();
}

#[test]
fn where_each_release_says_how_it_is_launched_a_folder_that_does_not_is_none() {
    let disk = disk();
    let layout = Layout { launch_file: Some("run.toml".to_owned()), ..Layout::new("/home".into(), "/current".into()) };
    for folder in ["/home/v1", "/home/v2", "/home/data"] {
        disk.make_directory(Path::new(folder), 0o755).unwrap();
        disk.plant(&Path::new(folder).join("node"), PROGRAM, 0o755).unwrap();
    }
    disk.plant(Path::new("/home/v1/run.toml"), b"a", 0o600).unwrap();
    let listed = || list(&disk, &layout).unwrap().into_iter().map(|listed| listed.name).collect::<Vec<_>>();
    assert_eq!(listed(), [name("v1")]);
    assert!(matches!(
        adopt(&disk, &layout, &name("data"), Some("node"), 5),
        Err(ReleaseError::Incomplete { state, .. }) if state.contains("run.toml")
    ));
    // What it launches may lie elsewhere.
    assert!(adopt(&disk, &layout, &name("v1"), None, 5).unwrap().changed);
    ov_sys::durable::replace(&disk, Path::new("/home/v1/run.toml"), b"another", 0o600).unwrap();
    assert!(verify(&disk, &layout, &name("v1")).unwrap().complete().is_some(), "it is the operator's to change");
    disk.plant(Path::new("/home/v2/run.toml"), b"a", 0o600).unwrap();
    assert_eq!(listed(), [name("v1"), name("v2")]);
    switch(&disk, &layout, &name("v1")).unwrap();
}

#[test]
fn folders_that_hold_nothing_are_in_nobodys_way() {
    let disk = disk();
    for folder in ["/home/releases", "/home/releases/v1", "/home/releases/v1/bin"] {
        disk.make_directory(Path::new(folder), 0o755).unwrap();
    }
    assert!(stage(&disk, &layout(), &file("v1")).unwrap().changed);
    switch(&disk, &layout(), &name("v1")).unwrap();
}

#[test]
fn damage_is_seen_and_stops_a_switch() {
    let disk = disk();
    stage(&disk, &layout(), &file("v1")).unwrap();
    let program = Path::new("/home/releases/v1/bin/node");
    disk.damage(program, 3, 1).unwrap();
    assert!(
        matches!(state(&disk, &layout(), &name("v1")).unwrap(), State::Complete(_)),
        "the cheap look cannot see it"
    );
    let State::Damaged(wrong) = verify(&disk, &layout(), &name("v1")).unwrap() else { panic!() };
    assert_eq!(wrong, ["`bin/node` has other contents"]);
    disk.set_mode(program, 0o644).unwrap();
    let error = switch(&disk, &layout(), &name("v1")).unwrap_err();
    assert_eq!(error.to_string(), "use release `v1`: it is damaged: `bin/node` is not executable any more");
    disk.remove_file(Path::new("/home/releases/v1.release.json")).unwrap();
    disk.plant(Path::new("/home/releases/v1.release.json"), b"{\"format\":", 0o644).unwrap();
    assert!(matches!(state(&disk, &layout(), &name("v1")).unwrap(), State::Damaged(_)));
    assert_eq!(list(&disk, &layout()).unwrap().len(), 1, "an unreadable provenance does not hide the list");
}

#[test]
fn switching_there_and_back() {
    let disk = disk();
    for version in ["v1", "v2"] {
        stage(&disk, &layout(), &file(version)).unwrap();
    }
    assert_eq!(current(&disk, &layout()).unwrap(), CurrentRelease::Missing);
    let first = switch(&disk, &layout(), &name("v1")).unwrap();
    assert_eq!((first.from, first.changed), (None, true));
    assert_eq!(disk.read_link(Path::new("/home/current")).unwrap(), Path::new("releases/v1"));
    let second = switch(&disk, &layout(), &name("v2")).unwrap();
    assert_eq!((second.from.clone(), second.changed), (Some(name("v1")), true));
    assert!(!switch(&disk, &layout(), &name("v2")).unwrap().changed);
    switch(&disk, &layout(), &second.from.unwrap()).unwrap();
    assert_eq!(current(&disk, &layout()).unwrap(), CurrentRelease::Release(name("v1")));
    assert!(matches!(withdraw(&disk, &layout(), &name("v1")), Err(ReleaseError::Current { .. })));
}

#[test]
fn current_is_read_however_it_is_spelt() {
    let disk = disk();
    stage(&disk, &layout(), &file("v1")).unwrap();
    disk.make_link(Path::new("home"), Path::new("/alias")).unwrap();
    disk.make_directory(Path::new("/elsewhere"), 0o755).unwrap();
    let link = Path::new("/home/current");
    for (text, expected) in [
        ("releases/v1", CurrentRelease::Release(name("v1"))),
        ("./releases/v1/", CurrentRelease::Release(name("v1"))),
        ("/home/releases/v1", CurrentRelease::Release(name("v1"))),
        ("/alias/releases/v1", CurrentRelease::Release(name("v1"))),
        ("../home/releases/v1", CurrentRelease::Release(name("v1"))),
        ("releases/v9", CurrentRelease::Dangling("releases/v9".into())),
        ("/elsewhere", CurrentRelease::Outside("/elsewhere".into())),
        ("releases/v1/bin", CurrentRelease::Outside("/home/releases/v1/bin".into())),
    ] {
        disk.make_link(Path::new(text), link).unwrap();
        assert_eq!(current(&disk, &layout()).unwrap(), expected, "{text}");
        disk.remove_file(link).unwrap();
    }
}

#[test]
fn a_real_directory_called_current_is_never_replaced() {
    let disk = disk();
    stage(&disk, &layout(), &file("v1")).unwrap();
    disk.make_directory(Path::new("/home/current"), 0o755).unwrap();
    disk.plant(Path::new("/home/current/precious"), b"", 0o644).unwrap();
    assert_eq!(current(&disk, &layout()).unwrap(), CurrentRelease::NotALink(Kind::Directory));
    let error = switch(&disk, &layout(), &name("v1")).unwrap_err();
    assert_eq!(error.to_string(), "replace `/home/current`: it is a directory, not a link; move it away first");
    assert!(disk.facts(Path::new("/home/current/precious")).unwrap().is_some());
}

#[test]
fn pruning_keeps_the_newest_the_current_and_the_protected() {
    let disk = disk();
    for (version, now_ms) in [("v1", 1), ("v2", 2), ("v3", 3), ("v4", 4), ("v5", 5)] {
        stage(&disk, &layout(), &StageRequest { now_ms, ..file(version) }).unwrap();
    }
    disk.make_directory(Path::new("/home/releases/by-hand"), 0o755).unwrap();
    switch(&disk, &layout(), &name("v1")).unwrap();
    let removed = prune(&disk, &layout(), 2, &BTreeSet::from([name("v2")])).unwrap();
    assert_eq!(removed, [name("v3")]);
    let listed = list(&disk, &layout()).unwrap();
    let names: Vec<_> = listed.iter().map(|listed| (listed.name.as_str(), listed.current)).collect();
    assert_eq!(names, [("by-hand", false), ("v1", true), ("v2", false), ("v4", false), ("v5", false)]);
}

#[test]
fn a_placed_release_is_staged_switched_to_and_listed() {
    let mut layout = layout();
    layout.placed.insert(name("genesis"), "/home/genesis".into());
    let disk = disk();
    stage(&disk, &layout, &file("genesis")).unwrap();
    stage(&disk, &layout, &file("v1")).unwrap();
    switch(&disk, &layout, &name("genesis")).unwrap();
    assert_eq!(disk.read_link(Path::new("/home/current")).unwrap(), Path::new("genesis"));
    assert_eq!(current(&disk, &layout).unwrap(), CurrentRelease::Release(name("genesis")));
    assert_eq!(list(&disk, &layout).unwrap().len(), 2);
}
