//! Every change of snapshots and data, stopped at every operation: a snapshot is complete or not there, the data is
//! the old or the new, the sign state is not lower, and doing it again ends where doing it once would have.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Kind};
use ov_sys::sim_disk::{SimDisk, failing_everywhere, stopped_everywhere};
use ov_types::SnapshotId;
use ov_vault::{
    About, DataRules, Globs, Method, RestoreRequest, Retention, SignState, TakeRequest, VaultError, already_restored,
    already_taken, delete, discard_old, free_place, list, prune, repair, restore, seal, sign_state, sweep, take,
    undo_restore, verify,
};

const DATA: &str = "/home/data";
const REAL: &str = "/home/disk/data";
const SNAPSHOTS: &str = "/home/snapshots";
const BACKUPS: &str = "/backups";
const STATE: &str = "priv_validator_state.json";

fn id() -> SnapshotId {
    SnapshotId::new("s1").unwrap()
}

fn rules() -> DataRules {
    DataRules {
        write_once: Globs::new(["*.sst"]).unwrap(),
        host_only: Globs::new(["key.json", "protection"]).unwrap(),
        sign_state: Some(STATE.into()),
    }
}

fn state_of(height: u64) -> String {
    format!("{{\"height\":\"{height}\",\"round\":0,\"step\":3}}")
}

/// A data directory behind a link, at height 10, with files of every sort.
fn prepared() -> SimDisk {
    let disk = SimDisk::new(1);
    for directory in ["/home", "/home/disk", REAL, "/home/disk/data/db", "/home/disk/data/protection"] {
        disk.make_directory(Path::new(directory), 0o755).unwrap();
    }
    disk.make_link(Path::new("disk/data"), Path::new(DATA)).unwrap();
    let real = Path::new(REAL);
    disk.plant(&real.join("db/1.sst"), "1".repeat(600).as_bytes(), 0o644).unwrap();
    disk.plant(&real.join("db/MANIFEST"), b"old manifest", 0o640).unwrap();
    disk.plant(&real.join("key.json"), b"secret", 0o600).unwrap();
    disk.plant(&real.join("protection/db"), b"protection at 10", 0o600).unwrap();
    disk.plant(&real.join(STATE), state_of(10).as_bytes(), 0o600).unwrap();
    disk.make_link(Path::new("db/1.sst"), &real.join("latest")).unwrap();
    disk.sync_file_system(real).unwrap();
    disk
}

fn take_request(rules: &DataRules, method: Method) -> TakeRequest<'_> {
    let (data, snapshots) = (Path::new(DATA), Path::new(SNAPSHOTS));
    TakeRequest { data, snapshots, id: id(), outside: None, rules, method, about: About::default(), now_ms: 5 }
}

fn take_once(disk: &SimDisk, method: Method) -> Result<(), VaultError> {
    if already_taken(disk, Path::new(SNAPSHOTS), &id())?.is_some() {
        return Ok(());
    }
    take(disk, &take_request(&rules(), method), &mut |_| {}).map(drop)
}

/// With a snapshot of height 10, after which the node went on to height 20 and changed everything that changes.
fn moved_on(start: &SimDisk) -> SimDisk {
    take_once(start, Method::Auto).unwrap();
    let real = Path::new(REAL);
    for name in ["db/MANIFEST", STATE, "protection/db"] {
        start.remove_file(&real.join(name)).unwrap();
    }
    start.plant(&real.join("db/MANIFEST"), b"new manifest", 0o640).unwrap();
    start.plant(&real.join("db/2.sst"), "2".repeat(600).as_bytes(), 0o644).unwrap();
    start.plant(&real.join("protection/db"), b"protection at 20", 0o600).unwrap();
    start.plant(&real.join(STATE), state_of(20).as_bytes(), 0o600).unwrap();
    start.fork()
}

/// Everything below a directory: files by contents, directories, links by text.
fn tree(disk: &SimDisk, root: &Path) -> BTreeMap<PathBuf, String> {
    let mut tree = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(directory) = open.pop() {
        for name in disk.list(&root.join(&directory)).unwrap() {
            let path = directory.join(name);
            let full = root.join(&path);
            let facts = disk.facts(&full).unwrap().unwrap();
            let contents = match facts.kind {
                Kind::Directory => {
                    open.push(path.clone());
                    "directory".to_owned()
                }
                Kind::Link => disk.read_link(&full).unwrap().to_string_lossy().into_owned(),
                _ => String::from_utf8(disk.read(&full, 1 << 20).unwrap()).unwrap(),
            };
            tree.insert(path, contents);
        }
    }
    tree
}

fn signed(disk: &SimDisk) -> SignState {
    sign_state::read(disk, &Path::new(REAL).join(STATE)).unwrap().state().unwrap()
}

/// Every snapshot that a list shows is whole, and no key is in any.
fn snapshots_are_whole(disk: &SimDisk) {
    for listed in list(disk, Path::new(SNAPSHOTS)).unwrap() {
        listed.summary.unwrap();
        assert_eq!(verify(disk, Path::new(SNAPSHOTS), &listed.id, &mut |_| {}).unwrap(), []);
        let stored = tree(disk, &Path::new(SNAPSHOTS).join(&listed.id).join("data"));
        assert_eq!(stored[Path::new("db/MANIFEST")], "old manifest");
        assert_eq!(stored[Path::new("db/1.sst")], "1".repeat(600));
        assert!(stored.values().all(|text| text != "secret" && !text.starts_with("protection")));
    }
}

fn is_complete(disk: &SimDisk) -> bool {
    list(disk, Path::new(SNAPSHOTS)).unwrap().iter().any(|listed| listed.id == id())
}

fn nothing_is_left_over(disk: &SimDisk) {
    for folder in [SNAPSHOTS, "/home/disk"] {
        let names = disk.list(Path::new(folder)).unwrap();
        let left: Vec<_> = names.iter().filter(|name| name.to_str().unwrap().starts_with('.')).collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
}

#[test]
fn a_snapshot_is_complete_or_not_there_by_every_method() {
    for (method, can_reflink) in
        [(Method::Auto, true), (Method::Auto, false), (Method::HardLink, false), (Method::Copy, true)]
    {
        let disk = prepared();
        disk.set_can_reflink(can_reflink);
        let before = tree(&disk, Path::new(REAL));
        let act = |disk: &SimDisk| take_once(disk, method);
        let check = |disk: &SimDisk| {
            snapshots_are_whole(disk);
            assert_eq!(tree(disk, Path::new(REAL)), before);
        };
        let finally = |disk: &SimDisk| {
            check(disk);
            assert!(is_complete(disk));
            nothing_is_left_over(disk);
        };
        stopped_everywhere(&disk, act, check, finally);
        failing_everywhere(&disk, act, check, finally);
    }
}

/// The same with its data where people look for it.
fn take_outside(disk: &SimDisk, method: Method) -> Result<(), VaultError> {
    if already_taken(disk, Path::new(SNAPSHOTS), &id())?.is_some() {
        return Ok(());
    }
    let place = free_place(disk, Path::new(BACKUPS), "backup")?;
    let rules = rules();
    let request = TakeRequest { outside: Some(&place), ..take_request(&rules, method) };
    take(disk, &request, &mut |_| {}).map(drop)
}

#[test]
fn a_snapshot_with_its_data_elsewhere_is_complete_or_not_there_and_leaves_nothing() {
    for can_reflink in [true, false] {
        let disk = prepared();
        disk.set_can_reflink(can_reflink);
        disk.make_directory(Path::new(BACKUPS), 0o755).unwrap();
        disk.make_directory(&Path::new(BACKUPS).join("backup"), 0o755).unwrap();
        disk.sync_file_system(Path::new(BACKUPS)).unwrap();
        let act = |disk: &SimDisk| take_outside(disk, Method::Auto);
        let others = |disk: &SimDisk| {
            let names = disk.list(Path::new(BACKUPS)).unwrap();
            names.into_iter().filter(|name| name != "backup").collect::<Vec<_>>()
        };
        let finally = |disk: &SimDisk| {
            snapshots_are_whole(disk);
            assert!(is_complete(disk));
            nothing_is_left_over(disk);
            let [place] = &others(disk)[..] else { panic!("{:?}", others(disk)) };
            assert_eq!(tree(disk, &Path::new(BACKUPS).join(place))[Path::new("db/MANIFEST")], "old manifest");
        };
        stopped_everywhere(&disk, act, snapshots_are_whole, finally);
        failing_everywhere(&disk, act, snapshots_are_whole, finally);

        take_outside(&disk, Method::Auto).unwrap();
        disk.sync_file_system(Path::new(BACKUPS)).unwrap();
        let act = |disk: &SimDisk| delete(disk, Path::new(SNAPSHOTS), &id());
        let finally = |disk: &SimDisk| assert!(!is_complete(disk) && others(disk).is_empty());
        stopped_everywhere(&disk, act, snapshots_are_whole, finally);
        let moved = moved_on(&disk);
        restore_once(&moved).unwrap();
        assert_eq!(moved.read(&Path::new(REAL).join("db/MANIFEST"), 99).unwrap(), b"old manifest");
        assert_eq!(signed(&moved).height, 20, "what was signed is signed");
    }
}

#[test]
fn a_snapshot_of_many_files_is_durable_by_one_sync() {
    let disk = prepared();
    for index in 0..80 {
        disk.plant(&Path::new(REAL).join(format!("db/{index}.log")), b"many", 0o644).unwrap();
    }
    let before = disk.syncs();
    take_once(&disk, Method::Auto).unwrap();
    assert!(disk.syncs() - before < 10, "files were synced one by one");
    for seed in 0..20 {
        let disk = disk.fork();
        disk.crash(seed);
        assert!(is_complete(&disk));
        snapshots_are_whole(&disk);
    }
}

#[test]
fn sealing_leaves_the_old_or_the_new_manifest() {
    let disk = prepared();
    take_once(&disk, Method::Auto).unwrap();
    let act = |disk: &SimDisk| seal(disk, Path::new(SNAPSHOTS), &id(), &mut |_| {}).map(drop);
    let finally = |disk: &SimDisk| {
        snapshots_are_whole(disk);
        assert!(list(disk, Path::new(SNAPSHOTS)).unwrap()[0].summary.as_ref().unwrap().sealed);
    };
    stopped_everywhere(&disk, act, snapshots_are_whole, finally);
}

#[test]
fn deleting_and_sweeping_leave_whole_snapshots_or_none() {
    let disk = prepared();
    take_once(&disk, Method::Auto).unwrap();
    let act = |disk: &SimDisk| delete(disk, Path::new(SNAPSHOTS), &id());
    let finally = |disk: &SimDisk| {
        assert!(!is_complete(disk));
        nothing_is_left_over(disk);
    };
    stopped_everywhere(&disk, act, snapshots_are_whole, finally);
    let act = |disk: &SimDisk| {
        sweep(disk, Path::new(SNAPSHOTS))?;
        prune(disk, Path::new(SNAPSHOTS), Retention::default(), &BTreeSet::new(), 99).map(drop)
    };
    let check = |disk: &SimDisk| assert!(is_complete(disk), "the newest snapshot was pruned");
    stopped_everywhere(&disk, act, check, check);
}

fn restore_once(disk: &SimDisk) -> Result<(), VaultError> {
    let (data, snapshots, rules) = (Path::new(DATA), Path::new(SNAPSHOTS), rules());
    if already_restored(disk, data, &id(), &rules)?.is_some() {
        return Ok(());
    }
    let recorded = Some(SignState { height: 20, round: 0, step: 3 });
    let request = RestoreRequest { snapshots, id: id(), data, rules: &rules, recorded, is_foreign: false };
    restore(disk, &request, &mut |_| {}).map(drop)
}

/// What the data must be after the restore: the snapshot's, with the host's own files and the higher sign state.
fn restored_tree(start: &SimDisk) -> BTreeMap<PathBuf, String> {
    let mut expected = tree(start, &Path::new(SNAPSHOTS).join("s1/data"));
    expected.insert(STATE.into(), state_of(20));
    expected.insert("key.json".into(), "secret".to_owned());
    expected.insert("protection".into(), "directory".to_owned());
    expected.insert("protection/db".into(), "protection at 20".to_owned());
    expected
}

#[test]
fn a_restore_leaves_the_old_data_or_the_new() {
    for (can_exchange, can_reflink) in [(true, true), (false, false)] {
        let disk = prepared();
        disk.set_can_reflink(can_reflink);
        disk.set_can_exchange(can_exchange);
        let disk = moved_on(&disk);
        let (old, new) = (tree(&disk, Path::new(REAL)), restored_tree(&disk));
        let check = |disk: &SimDisk| {
            repair(disk, Path::new(DATA)).unwrap();
            let found = tree(disk, Path::new(DATA));
            assert!(found == old || found == new, "{found:?}");
            assert_eq!(signed(disk).height, 20);
            snapshots_are_whole(disk);
        };
        let finally = |disk: &SimDisk| {
            assert_eq!(tree(disk, Path::new(DATA)), new);
            assert_eq!(tree(disk, Path::new("/home/disk/data.before-restore-s1")), old);
            assert_eq!(disk.read_link(Path::new(DATA)).unwrap(), Path::new("disk/data"));
            nothing_is_left_over(disk);
        };
        stopped_everywhere(&disk, restore_once, check, finally);
        failing_everywhere(&disk, restore_once, check, finally);
    }
}

#[test]
fn a_restore_into_nothing_is_there_or_not() {
    let disk = moved_on(&prepared());
    ov_sys::durable::remove_tree(&disk, Path::new(REAL)).unwrap();
    let act = |disk: &SimDisk| {
        let (data, snapshots, rules) = (Path::new(DATA), Path::new(SNAPSHOTS), rules());
        let request = RestoreRequest { snapshots, id: id(), data, rules: &rules, recorded: None, is_foreign: false };
        restore(disk, &request, &mut |_| {}).map(drop)
    };
    let stored = tree(&disk, &Path::new(SNAPSHOTS).join("s1/data"));
    let check = |disk: &SimDisk| {
        repair(disk, Path::new(DATA)).unwrap();
        if disk.facts(Path::new(REAL)).unwrap().is_some() {
            assert_eq!(tree(disk, Path::new(REAL)), stored);
        }
    };
    let finally = |disk: &SimDisk| {
        assert_eq!(tree(disk, Path::new(REAL)), stored);
        nothing_is_left_over(disk);
    };
    stopped_everywhere(&disk, act, check, finally);
}

#[test]
fn undoing_a_restore_leaves_either_data_and_never_a_lower_state() {
    for can_exchange in [true, false] {
        let disk = prepared();
        disk.set_can_exchange(can_exchange);
        let disk = moved_on(&disk);
        let old = tree(&disk, Path::new(REAL));
        restore_once(&disk).unwrap();
        // The node ran on the restored data and signed more.
        let real = Path::new(REAL);
        for (name, text) in [(STATE, state_of(30)), ("protection/db", "protection at 30".to_owned())] {
            disk.remove_file(&real.join(name)).unwrap();
            disk.plant(&real.join(name), text.as_bytes(), 0o600).unwrap();
        }
        let live = tree(&disk, real);
        let mut undone = old;
        undone.insert(STATE.into(), state_of(30));
        undone.insert("protection/db".into(), "protection at 30".to_owned());
        let kept = Path::new("/home/disk/data.before-restore-s1");
        let act = |disk: &SimDisk| {
            repair(disk, Path::new(DATA))?;
            if ov_sys::durable::exists(disk, kept).is_ok_and(|there| !there) {
                return discard_old(disk, Path::new(DATA), kept);
            }
            undo_restore(disk, Path::new(DATA), kept, &rules(), None).map(drop)
        };
        let check = |disk: &SimDisk| {
            repair(disk, Path::new(DATA)).unwrap();
            let found = tree(disk, Path::new(DATA));
            assert!(found == live || found == undone, "{found:?}");
            assert_eq!(signed(disk).height, 30);
        };
        let finally = |disk: &SimDisk| {
            assert_eq!(tree(disk, Path::new(DATA)), undone);
            nothing_is_left_over(disk);
        };
        stopped_everywhere(&disk, act, check, finally);
    }
}

#[test]
fn discarding_old_data_never_leaves_half_of_it() {
    let disk = moved_on(&prepared());
    let old = tree(&disk, Path::new(REAL));
    restore_once(&disk).unwrap();
    let kept = Path::new("/home/disk/data.before-restore-s1");
    let act = |disk: &SimDisk| discard_old(disk, Path::new(DATA), kept);
    let check = |disk: &SimDisk| {
        if disk.facts(kept).unwrap().is_some() {
            assert_eq!(tree(disk, kept), old);
        }
        assert_eq!(signed(disk).height, 20);
    };
    let finally = |disk: &SimDisk| {
        assert!(disk.facts(kept).unwrap().is_none());
        nothing_is_left_over(disk);
    };
    stopped_everywhere(&disk, act, check, finally);
}
