//! What taking, checking, restoring and pruning do, and what they refuse.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ov_sys::disk::Disk;
use ov_sys::{RealDisk, SimDisk};
use ov_types::{ReleaseName, SnapshotId};
use ov_vault::{
    About, DataRules, Globs, How, Method, RestoreRequest, Restored, Retention, SignState, SignStateProblem, Snapshot,
    TakeRequest, VaultError, discard_old, format_marker, free_id, is_as_taken, list, propose_id, prune, restore, seal,
    sweep_restores, take, undo_restore, verify,
};

const DATA: &str = "/home/data";
const SNAPSHOTS: &str = "/home/snapshots";
const STATE: &str = "state.json";

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn id(text: &str) -> SnapshotId {
    SnapshotId::new(text).unwrap()
}

fn rules() -> DataRules {
    DataRules {
        write_once: Globs::new(["*.sst"]).unwrap(),
        host_only: Globs::new(["key.json", "keys"]).unwrap(),
        sign_state: Some(STATE.into()),
    }
}

fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    for directory in ["/home", DATA, "/home/data/db", "/home/data/keys"] {
        disk.make_directory(path(directory), 0o750).unwrap();
    }
    plant(&disk, "db/1.sst", "immutable");
    plant(&disk, "db/LOG", "mutable");
    plant(&disk, "key.json", "secret");
    plant(&disk, "keys/one", "secret");
    plant(&disk, STATE, "{\"height\":\"10\",\"round\":0,\"step\":0}");
    disk
}

fn plant(disk: &SimDisk, name: &str, text: &str) {
    let at = path(DATA).join(name);
    if disk.facts(&at).unwrap().is_some() {
        disk.remove_file(&at).unwrap();
    }
    disk.plant(&at, text.as_bytes(), 0o640).unwrap();
}

fn take_as(disk: &dyn Disk, name: &str, method: Method, now_ms: i64) -> Result<Snapshot, VaultError> {
    let (data, snapshots, rules) = (path(DATA), path(SNAPSHOTS), rules());
    let about = About::default();
    take(
        disk,
        &TakeRequest { data, snapshots, id: id(name), outside: None, rules: &rules, method, about, now_ms },
        &mut |_| {},
    )
}

fn restore_with(disk: &dyn Disk, recorded: Option<u64>, is_foreign: bool) -> Result<Restored, VaultError> {
    let (data, snapshots, rules) = (path(DATA), path(SNAPSHOTS), rules());
    let recorded = recorded.map(|height| SignState { height, round: 0, step: 0 });
    let request = RestoreRequest { snapshots, id: id("s"), data, rules: &rules, recorded, is_foreign };
    restore(disk, &request, &mut |_| {})
}

fn wrong(disk: &dyn Disk) -> Vec<(String, &'static str)> {
    let wrong = verify(disk, path(SNAPSHOTS), &id("s"), &mut |_| {}).unwrap();
    wrong.into_iter().map(|wrong| (wrong.path.display().to_string(), wrong.what)).collect()
}

#[test]
fn only_write_once_files_are_shared_and_keys_stay_out() {
    let disk = disk();
    disk.set_can_reflink(false);
    let snapshot = take_as(&disk, "s", Method::Auto, 1).unwrap();
    assert_eq!(snapshot.files, [0, 1, 2]);
    assert_eq!((snapshot.summary.size, snapshot.summary.copied), (50, 41));
    let links = |name: &str| disk.facts(&path("/home/snapshots/s/data").join(name)).unwrap().map(|facts| facts.links);
    assert_eq!(links("db/1.sst"), Some(2));
    assert_eq!(links("db/LOG"), Some(1));
    assert_eq!(links(STATE), Some(1));
    assert_eq!(links("key.json"), None);
    assert_eq!(links("keys"), None);
}

#[test]
fn well_known_keys_stay_out_whatever_the_rules_say() {
    let disk = disk();
    let keys = ["priv_validator_key.json", "db/node_key.json", "keystore", "keyring-file"];
    for name in keys {
        plant(&disk, name, "secret");
    }
    let (data, snapshots, rules) = (path(DATA), path(SNAPSHOTS), DataRules::default());
    let (about, method) = (About::default(), Method::Auto);
    take(
        &disk,
        &TakeRequest { data, snapshots, id: id("s"), outside: None, rules: &rules, method, about, now_ms: 1 },
        &mut |_| {},
    )
    .unwrap();
    for name in keys {
        assert!(disk.facts(&path("/home/snapshots/s/data").join(name)).unwrap().is_none(), "{name}");
    }
    restore_with(&disk, None, false).unwrap();
    for name in keys {
        assert_eq!(disk.read(&path(DATA).join(name), 99).unwrap(), b"secret", "{name}");
    }
}

#[test]
fn the_sign_state_is_never_shared_even_if_a_pattern_says_so() {
    let disk = disk();
    disk.set_can_reflink(false);
    let rules = DataRules { write_once: Globs::new(["*"]).unwrap(), ..rules() };
    let (data, snapshots) = (path(DATA), path(SNAPSHOTS));
    let about = About::default();
    let request = TakeRequest {
        data,
        snapshots,
        id: id("s"),
        outside: None,
        rules: &rules,
        method: Method::HardLink,
        about,
        now_ms: 1,
    };
    assert_eq!(take(&disk, &request, &mut |_| {}).unwrap().files, [0, 2, 1]);
    assert_eq!(disk.facts(path("/home/data/state.json")).unwrap().unwrap().links, 1);
}

#[test]
fn a_method_that_cannot_be_had_is_an_error_and_leaves_nothing() {
    let disk = disk();
    disk.set_can_reflink(false);
    assert!(take_as(&disk, "s", Method::Reflink, 1).is_err());
    assert_eq!(disk.list(path(SNAPSHOTS)).unwrap(), [] as [&str; 0]);
    disk.set_can_reflink(true);
    assert_eq!(take_as(&disk, "s", Method::Reflink, 1).unwrap().files, [3, 0, 0]);
}

#[test]
fn a_full_disk_is_noticed_before_anything_is_written() {
    let disk = disk();
    disk.set_capacity(Some(4 << 20));
    let Err(VaultError::Room { need, have, .. }) = take_as(&disk, "s", Method::Copy, 1) else {
        unreachable!("there was room")
    };
    assert!(need > have);
    assert_eq!(disk.list(path(SNAPSHOTS)).unwrap(), [] as [&str; 0]);
}

#[test]
fn snapshots_may_not_lie_in_their_own_data() {
    let disk = disk();
    let (data, rules) = (path(DATA), rules());
    let snapshots = path("/home/data/db/snapshots");
    let about = About::default();
    let request = TakeRequest {
        data,
        snapshots,
        id: id("s"),
        outside: None,
        rules: &rules,
        method: Method::Auto,
        about,
        now_ms: 1,
    };
    let error = take(&disk, &request, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "use `/home/data/db/snapshots`: snapshots may not be kept in the data they are of");
}

#[test]
fn data_that_goes_elsewhere_may_not_go_into_itself() {
    let disk = disk();
    let (data, snapshots, rules) = (path(DATA), path(SNAPSHOTS), rules());
    let (about, outside) = (About::default(), Some(path("/home/data/db/backup")));
    let request =
        TakeRequest { data, snapshots, id: id("s"), outside, rules: &rules, method: Method::Auto, about, now_ms: 1 };
    let error = take(&disk, &request, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "use `/home/data/db`: snapshots may not be kept in the data they are of");
}

#[test]
fn progress_ends_at_the_total() {
    let disk = disk();
    let (data, snapshots, rules) = (path(DATA), path(SNAPSHOTS), rules());
    let about = About::default();
    let request = TakeRequest {
        data,
        snapshots,
        id: id("s"),
        outside: None,
        rules: &rules,
        method: Method::Copy,
        about,
        now_ms: 1,
    };
    let mut seen = Vec::new();
    take(&disk, &request, &mut |progress| seen.push(progress)).unwrap();
    let last = seen.last().unwrap();
    assert_eq!((last.done, last.total), (50, 50));
    assert!(seen.is_sorted_by_key(|progress| progress.done));
}

#[test]
fn links_are_kept_as_links_and_those_that_lead_out_are_told() {
    let disk = disk();
    for (text, name) in [("db/LOG", "inner"), ("../ancient", "outer"), ("/big/disk", "db/absolute")] {
        disk.make_link(path(text), &path(DATA).join(name)).unwrap();
    }
    let snapshot = take_as(&disk, "s", Method::Auto, 1).unwrap();
    let out: Vec<String> = snapshot.links_out.into_iter().map(String::from).collect();
    assert_eq!(out, ["db/absolute", "outer"]);
    restore_with(&disk, None, false).unwrap();
    assert_eq!(disk.read_link(path("/home/data/outer")).unwrap(), path("../ancient"));
}

#[test]
fn what_is_not_a_file_is_left_out_and_told() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    RealDisk.make_directory(&data, 0o700).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(data.join("ipc")).unwrap();
    let name = data.join(OsStr::from_bytes(b"odd \xff%\n"));
    RealDisk.create(&name, 0o600).unwrap().write_all(b"odd").unwrap();
    let snapshots = home.path().join("snapshots");
    let (rules, about) = (rules(), About::default());
    let request = TakeRequest {
        data: &data,
        snapshots: &snapshots,
        id: id("s"),
        outside: None,
        rules: &rules,
        method: Method::Auto,
        about,
        now_ms: 1,
    };
    let snapshot = take(&RealDisk, &request, &mut |_| {}).unwrap();
    assert_eq!(snapshot.left_out.into_iter().map(String::from).collect::<Vec<_>>(), ["ipc"]);
    seal(&RealDisk, &snapshots, &id("s"), &mut |_| {}).unwrap();
    assert_eq!(verify(&RealDisk, &snapshots, &id("s"), &mut |_| {}).unwrap(), []);
    RealDisk.remove_file(&name).unwrap();
    let request = RestoreRequest {
        snapshots: &snapshots,
        id: id("s"),
        data: &data,
        rules: &rules,
        recorded: None,
        is_foreign: false,
    };
    let restored = restore(&RealDisk, &request, &mut |_| {}).unwrap();
    assert_eq!(RealDisk.read(&name, 99).unwrap(), b"odd", "a name that is not UTF-8 survives");
    discard_old(&RealDisk, &data, &restored.kept.unwrap()).unwrap();
    assert_eq!(RealDisk.list(home.path()).unwrap(), ["data", "snapshots"]);
}

#[test]
fn names_say_when_and_what_and_are_never_used_twice() {
    let release = ReleaseName::new("v1.2.3").unwrap();
    let proposed = propose_id(1_795_155_975_000, Some(&release)).unwrap();
    assert_eq!(proposed.as_str(), "20261120-062615-v1.2.3");
    let long = ReleaseName::new("x".repeat(128)).unwrap();
    assert!(propose_id(0, Some(&long)).unwrap().as_str().starts_with("19700101-000000-xxx"));
    let disk = disk();
    assert_eq!(free_id(&disk, path(SNAPSHOTS), id("s")).unwrap(), id("s"));
    take_as(&disk, "s", Method::Auto, 1).unwrap();
    assert!(matches!(take_as(&disk, "s", Method::Auto, 1), Err(VaultError::Exists(_))));
    take_as(&disk, "s-2", Method::Auto, 1).unwrap();
    assert_eq!(free_id(&disk, path(SNAPSHOTS), id("s")).unwrap(), id("s-3"));
}

#[test]
fn a_check_finds_every_sort_of_damage() {
    let disk = disk();
    plant(&disk, "db/2.sst", "22");
    plant(&disk, "db/3", "3");
    let snapshot = take_as(&disk, "s", Method::Auto, 1).unwrap();
    assert!(!snapshot.summary.sealed, "cloned files have no digest yet");
    assert!(seal(&disk, path(SNAPSHOTS), &id("s"), &mut |_| {}).unwrap());
    assert!(!seal(&disk, path(SNAPSHOTS), &id("s"), &mut |_| {}).unwrap());
    assert_eq!(wrong(&disk), []);
    let stored = path("/home/snapshots/s/data");
    disk.damage(&stored.join("db/1.sst"), 0, 4).unwrap();
    disk.truncate(&stored.join("db/2.sst"), 1).unwrap();
    disk.remove_file(&stored.join("db/3")).unwrap();
    disk.plant(&stored.join("node_key.json"), b"", 0o600).unwrap();
    assert_eq!(
        wrong(&disk),
        [
            ("db/2.sst".to_owned(), "has another size"),
            ("db/3".to_owned(), "is missing"),
            ("node_key.json".to_owned(), "is not in the manifest"),
            ("db/1.sst".to_owned(), "has other contents"),
        ]
    );
}

#[test]
fn a_damaged_snapshot_is_not_restored_and_the_data_stays() {
    let disk = disk();
    take_as(&disk, "s", Method::Copy, 1).unwrap();
    let log = path("/home/snapshots/s/data/db/LOG");
    disk.set_can_reflink(false);
    disk.damage(log, 0, 1).unwrap();
    let error = restore_with(&disk, None, false).unwrap_err();
    assert_eq!(error.to_string(), "use snapshot `s`: `db/LOG` has other contents");
    disk.remove_file(log).unwrap();
    let error = restore_with(&disk, None, false).unwrap_err();
    assert_eq!(error.to_string(), "use snapshot `s`: `db/LOG` is missing");
    assert_eq!(disk.read(path("/home/data/db/LOG"), 99).unwrap(), b"mutable");
    assert_eq!(disk.list(path("/home")).unwrap(), ["data", "snapshots"]);
}

#[test]
fn it_is_told_whether_anything_was_written_since() {
    let changes: [(&str, &str, bool); 5] = [
        ("key.json", "another secret", true),
        ("db/LOG", "mutable and longer", false),
        ("db/2.sst", "new", false),
        (STATE, "{\"height\":\"9999\",\"round\":0,\"step\":0}", false),
        ("db/1.sst", "shorter", false),
    ];
    for (name, text, same) in changes {
        let disk = disk();
        let _ = take_as(&disk, "s", Method::Auto, 1).unwrap();
        let asked = || is_as_taken(&disk, path(SNAPSHOTS), &id("s"), path(DATA), &rules()).unwrap();
        assert!(asked(), "nothing was written yet");
        plant(&disk, name, text);
        assert_eq!(asked(), same, "{name}");
    }
    let disk = disk();
    let _ = take_as(&disk, "s", Method::Auto, 1).unwrap();
    disk.remove_file(&path(DATA).join("db/LOG")).unwrap();
    assert!(!is_as_taken(&disk, path(SNAPSHOTS), &id("s"), path(DATA), &rules()).unwrap(), "a file is gone");
}

#[test]
fn leftovers_of_restores_are_swept() {
    let disk = disk();
    disk.make_directory(path("/home/.data.restoring-s"), 0o700).unwrap();
    disk.plant(path("/home/.data.restoring-s/half"), b"", 0o600).unwrap();
    disk.make_directory(path("/home/.database.restoring-s"), 0o700).unwrap();
    sweep_restores(&disk, path(DATA)).unwrap();
    assert_eq!(disk.list(path("/home")).unwrap(), [".database.restoring-s", "data"]);
}

#[test]
fn a_restore_brings_back_contents_owners_modes_and_times() {
    let disk = disk();
    disk.set_owner(path("/home/data/db/LOG"), 7, 8).unwrap();
    disk.set_mode(path("/home/data/db"), 0o550).unwrap();
    let before = disk.facts(path("/home/data/db/LOG")).unwrap().unwrap();
    take_as(&disk, "s", Method::Auto, 1).unwrap();
    disk.set_mode(path("/home/data/db"), 0o750).unwrap();
    plant(&disk, "db/LOG", "changed since");
    plant(&disk, "db/9.sst", "new since");
    plant(&disk, "key.json", "another secret");
    let restored = restore_with(&disk, None, false).unwrap();
    assert_eq!(disk.read(path("/home/data/db/LOG"), 99).unwrap(), b"mutable");
    assert_eq!(disk.read(path("/home/data/key.json"), 99).unwrap(), b"another secret");
    assert!(disk.facts(path("/home/data/db/9.sst")).unwrap().is_none());
    let after = disk.facts(path("/home/data/db/LOG")).unwrap().unwrap();
    assert_eq!(
        (after.uid, after.gid, after.mode, after.modified),
        (before.uid, before.gid, before.mode, before.modified)
    );
    assert_eq!(disk.facts(path("/home/data/db")).unwrap().unwrap().mode, 0o550);
    assert_eq!(disk.facts(path(DATA)).unwrap().unwrap().mode, 0o750);
    // What is changed in the restored data does not reach the snapshot.
    plant(&disk, "db/LOG", "after the restore");
    assert_eq!(wrong(&disk), []);
    assert_eq!(restored.kept.unwrap(), path("/home/data.before-restore-s"));
    assert_eq!(restored.sign_state.unwrap().height, 10);
}

#[test]
fn the_sign_state_only_goes_up_and_doubt_stops_a_restore() {
    let disk = disk();
    take_as(&disk, "s", Method::Auto, 1).unwrap();
    let refused = |disk: &SimDisk, recorded, is_foreign| match restore_with(disk, recorded, is_foreign) {
        Err(VaultError::SignState(problem)) => {
            assert_eq!(disk.list(path("/home")).unwrap(), ["data", "snapshots"], "something was changed");
            problem
        }
        other => unreachable!("{other:?}"),
    };
    assert!(matches!(refused(&disk, Some(11), false), SignStateProblem::Lower { .. }));
    plant(&disk, STATE, "{\"height\":\"");
    assert!(matches!(refused(&disk, None, false), SignStateProblem::Unreadable(_)));
    disk.remove_file(&path(DATA).join(STATE)).unwrap();
    assert!(matches!(refused(&disk, Some(10), true), SignStateProblem::Missing));

    let height = |disk: &SimDisk| restore_with(disk, None, false).unwrap().sign_state.unwrap().height;
    assert_eq!(height(&disk.fork()), 10, "without a live one, the snapshot's counts");
    let foreign = disk.fork();
    assert_eq!(restore_with(&foreign, None, true).unwrap().sign_state, None);
    assert!(foreign.facts(&path(DATA).join(STATE)).unwrap().is_none(), "a foreign sign state came in");
    for (live, expected) in
        [("{\"height\":9,\"round\":0,\"step\":0}", 10), ("{\"height\":12,\"round\":0,\"step\":0}", 12)]
    {
        let disk = disk.fork();
        plant(&disk, STATE, live);
        assert_eq!(height(&disk), expected);
    }
}

#[test]
fn keys_that_a_snapshot_brings_along_stay_out_and_the_live_ones_stay() {
    let disk = disk();
    let (data, snapshots, careless) = (path(DATA), path(SNAPSHOTS), DataRules::default());
    let about = About::default();
    let method = Method::Auto;
    take(
        &disk,
        &TakeRequest { data, snapshots, id: id("s"), outside: None, rules: &careless, method, about, now_ms: 1 },
        &mut |_| {},
    )
    .unwrap();
    assert!(disk.facts(path("/home/snapshots/s/data/key.json")).unwrap().is_some());
    plant(&disk, "key.json", "live secret");
    disk.remove_file(path("/home/data/keys/one")).unwrap();
    restore_with(&disk, None, true).unwrap();
    assert_eq!(disk.read(path("/home/data/key.json"), 99).unwrap(), b"live secret");
    assert!(disk.facts(path("/home/data/keys/one")).unwrap().is_none());
    assert!(disk.facts(path("/home/data/keys")).unwrap().is_some());
}

#[test]
fn a_restore_can_be_undone_once_and_its_leavings_discarded() {
    let disk = disk();
    take_as(&disk, "s", Method::Auto, 1).unwrap();
    plant(&disk, "db/LOG", "changed since");
    let kept = restore_with(&disk, None, false).unwrap().kept.unwrap();
    for not_kept in ["/home/snapshots", "/home/data", "/home/data.before-restore-x/..", "/home/data.before-restore-y"] {
        assert!(undo_restore(&disk, path(DATA), path(not_kept), &rules(), None).is_err(), "{not_kept}");
    }
    assert!(discard_old(&disk, path(DATA), path("/home/snapshots")).is_err());
    plant(&disk, STATE, "{\"height\":40,\"round\":0,\"step\":0}");
    let undone = undo_restore(&disk, path(DATA), &kept, &rules(), None).unwrap();
    assert_eq!(disk.read(path("/home/data/db/LOG"), 99).unwrap(), b"changed since");
    assert_eq!(undone.sign_state.unwrap().height, 40);
    discard_old(&disk, path(DATA), &undone.kept.unwrap()).unwrap();
    assert_eq!(disk.list(path("/home")).unwrap(), ["data", "snapshots"]);
}

#[test]
fn a_key_that_was_taken_away_is_not_brought_back_by_an_undo() {
    let disk = disk();
    take_as(&disk, "s", Method::Auto, 1).unwrap();
    let kept = restore_with(&disk, None, false).unwrap().kept.unwrap();
    disk.remove_file(path("/home/data/keys/one")).unwrap();
    let error = undo_restore(&disk, path(DATA), &kept, &rules(), None).unwrap_err();
    assert!(error.to_string().starts_with("use `/home/data.before-restore-s/keys/one`"), "{error}");
    disk.remove_file(&kept.join("keys/one")).unwrap();
    undo_restore(&disk, path(DATA), &kept, &rules(), None).unwrap();
}

#[test]
fn pruning_follows_the_rules() {
    let rules = |keep_last, keep_for_ms, bytes_max| Retention { keep_last, keep_for_ms, bytes_max };
    for (retention, removed) in [
        (rules(0, None, None), &["a", "b", "d"][..]),
        (rules(2, None, None), &["a", "b"]),
        (rules(9, None, None), &[]),
        (rules(0, Some(3), None), &["a", "b"]),
        (rules(1, Some(100), None), &[]),
        (rules(9, None, Some(50 * 3)), &["a"]),
        (rules(9, None, Some(0)), &["a", "b", "d"]),
    ] {
        let disk = disk();
        for (name, taken_at_ms) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)] {
            take_as(&disk, name, Method::Auto, taken_at_ms).unwrap();
        }
        disk.remove_file(path("/home/snapshots/c/manifest.json")).unwrap();
        disk.plant(path("/home/snapshots/c/manifest.json"), b"{}", 0o600).unwrap();
        let found = prune(&disk, path(SNAPSHOTS), retention, &BTreeSet::new(), 6).unwrap();
        let mut found: Vec<_> = found.iter().map(SnapshotId::as_str).collect();
        found.sort_unstable();
        assert_eq!(found, removed, "{retention:?}");
    }
    let disk = disk();
    for (name, taken_at_ms) in [("a", 1), ("b", 2)] {
        take_as(&disk, name, Method::Auto, taken_at_ms).unwrap();
    }
    assert_eq!(prune(&disk, path(SNAPSHOTS), rules(0, None, None), &BTreeSet::from([id("a")]), 6).unwrap(), []);
}

#[test]
fn an_unreadable_manifest_names_the_file_and_the_place_and_hides_no_other() {
    let disk = disk();
    take_as(&disk, "a", Method::Auto, 1).unwrap();
    take_as(&disk, "s", Method::Auto, 1).unwrap();
    let manifest = path("/home/snapshots/s/manifest.json");
    let text = String::from_utf8(disk.read(manifest, 1 << 20).unwrap()).unwrap();
    for (from, to, expected) in [
        ("\"size\":9", "\"size\":\"nine\"", "at `entries[1]`"),
        ("\"major\":1", "\"major\":2", "format 2"),
        ("db/LOG", "db/../../LOG", "`entries[2].path`"),
        ("db/LOG", "db/1.sst", "`entries[2].path`"),
        ("\"id\":\"s\"", "\"id\":\"t\"", "manifest of `t`"),
    ] {
        assert!(text.contains(from), "{from} is not in {text}");
        disk.remove_file(manifest).unwrap();
        disk.plant(manifest, text.replace(from, to).as_bytes(), 0o600).unwrap();
        let error = verify(&disk, path(SNAPSHOTS), &id("s"), &mut |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "read `/home/snapshots/s/manifest.json`");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(expected), "{cause}");
        assert!(list(&disk, path(SNAPSHOTS)).unwrap()[0].summary.is_ok());
    }
}

#[test]
fn what_a_newer_program_wrote_is_read_and_never_written_back() {
    let disk = disk();
    take_as(&disk, "s", Method::Auto, 1).unwrap();
    let manifest = path("/home/snapshots/s/manifest.json");
    let text = String::from_utf8(disk.read(manifest, 1 << 20).unwrap()).unwrap();
    let newer = text.replace("\"minor\":0", "\"minor\":7,\"new\":[]");
    disk.remove_file(manifest).unwrap();
    disk.plant(manifest, newer.as_bytes(), 0o600).unwrap();
    assert!(!seal(&disk, path(SNAPSHOTS), &id("s"), &mut |_| {}).unwrap());
    assert_eq!(wrong(&disk), []);
    restore_with(&disk, None, false).unwrap();
    assert_eq!(disk.read(manifest, 1 << 20).unwrap(), newer.as_bytes());
}

#[test]
fn the_format_marker_is_read_without_its_white_space() {
    let disk = disk();
    assert_eq!(format_marker(&disk, path("/home/data/FORMAT")).unwrap(), None);
    plant(&disk, "FORMAT", " 7\n");
    assert_eq!(format_marker(&disk, path("/home/data/FORMAT")).unwrap().as_deref(), Some("7"));
}

#[test]
fn a_manifest_says_how_each_file_came_in() {
    let disk = disk();
    take_as(&disk, "s", Method::Copy, 1).unwrap();
    let bytes = disk.read(path("/home/snapshots/s/manifest.json"), 1 << 20).unwrap();
    let manifest = ov_vault::parse_manifest(&bytes).unwrap();
    assert!(manifest.summary.sealed, "copies have their digest at once");
    let how: Vec<_> = manifest
        .entries
        .iter()
        .filter_map(|entry| match entry {
            ov_vault::Entry::File { how, .. } => Some(*how),
            _ => None,
        })
        .collect();
    assert_eq!(how, [How::Copy; 3]);
}
