//! Databases that real libraries wrote, whole, torn and damaged. How they were made: `tests/heights/README.md`.

use std::fs;
use std::path::PathBuf;

use ov_sys::RealDisk;
use proptest::prelude::*;

use super::*;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/heights").join(name)
}

fn files(folder: &Path) -> HeightFiles {
    HeightFiles { databases: folder.to_owned(), consensus_log: folder.join("cs.wal/wal") }
}

fn look(folder: &Path) -> Option<HeightAtRest> {
    height_at_rest(&RealDisk, &files(folder)).unwrap()
}

/// A copy of a fixture that may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let inside = entry.unwrap();
        let to = folder.path().join(inside.file_name());
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(inside.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    folder
}

/// The newest file in a folder of this kind.
fn newest(folder: &Path, kind: &str) -> PathBuf {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_string_lossy().ends_with(kind)).max().unwrap()
}

fn at(at_least: u64, at_most: u64) -> HeightAtRest {
    HeightAtRest { at_least: Height(at_least), at_most: Some(Height(at_most)) }
}

#[test]
fn both_databases_are_read_wherever_their_newest_writing_is() {
    for (name, stored_height, carried_out_height) in [
        ("log-only", Some(5), Some(5)),
        ("halted", Some(6), Some(5)),
        ("tables", Some(60), Some(60)),
        ("reopened", Some(46), Some(45)),
        ("killed", Some(30), Some(30)),
        ("deleted", None, Some(20)),
        ("pebble-log", Some(6), Some(5)),
        ("pebble-tables", Some(40), Some(40)),
        ("pebble-reopened", Some(28), Some(27)),
        ("pebble-two-levels", Some(77), None),
    ] {
        let folder = fixture(name);
        assert_eq!(stored(&RealDisk, &folder).unwrap(), stored_height, "{name}");
        assert_eq!(carried_out(&RealDisk, &folder).unwrap(), carried_out_height, "{name}");
    }
}

#[test]
fn a_halted_node_has_stored_the_block_that_it_halts_for_and_not_carried_it_out() {
    assert_eq!(look(&fixture("halted")), Some(at(5, 6)));
    assert_eq!(look(&fixture("log-only")), Some(at(5, 5)));
    assert_eq!(look(&fixture("consensus")), Some(HeightAtRest { at_least: Height(11), at_most: None }));
    assert_eq!(look(&fixture("nothing")), None);
    let folder = copy("halted");
    fs::remove_dir_all(folder.path().join("state.db")).unwrap();
    assert_eq!(look(folder.path()), Some(at(5, 6)));
    let folder = copy("halted");
    fs::remove_dir_all(folder.path().join("blockstore.db")).unwrap();
    assert_eq!(look(folder.path()), Some(at(5, 6)));
}

#[test]
fn what_two_databases_say_together() {
    for (stored, carried_out, expected) in [
        (None, None, None),
        (Some(100), Some(100), Some(at(100, 100))),
        (Some(100), Some(99), Some(at(99, 100))),
        // Neither can be further behind; who knows what was mixed here.
        (Some(100), Some(7), Some(at(99, 100))),
        // Synced by its state: blocks are stored from there on.
        (Some(5), Some(100), Some(at(100, 100))),
        (None, Some(100), Some(at(100, 101))),
        (Some(100), None, Some(at(99, 100))),
        (Some(u64::MAX), Some(u64::MAX), Some(at(u64::MAX, u64::MAX))),
    ] {
        assert_eq!(together(stored, carried_out), expected, "{stored:?} {carried_out:?}");
    }
}

#[test]
fn a_torn_end_costs_the_last_writings_and_nothing_else() {
    let folder = copy("killed");
    let log = newest(&folder.path().join("blockstore.db"), ".log");
    let whole = fs::read(&log).unwrap();
    let mut before = stored(&RealDisk, folder.path()).unwrap().unwrap();
    for cut in (0..whole.len()).rev().step_by(307) {
        fs::write(&log, &whole[..cut]).unwrap();
        let height = stored(&RealDisk, folder.path()).unwrap().unwrap_or(0);
        assert!(height <= before && before - height <= 2, "{height} after {before}");
        before = height;
    }
    // A block of zeros at the end: laid down, and never written.
    fs::write(&log, [&whole[..], &vec![0; 70_000]].concat()).unwrap();
    assert_eq!(stored(&RealDisk, folder.path()).unwrap(), Some(30));
}

#[test]
fn what_was_damaged_is_never_believed() {
    for (name, kind) in [("tables", ".ldb"), ("reopened", ".ldb"), ("killed", ".log"), ("reopened", "MANIFEST-000013")]
    {
        let folder = copy(name);
        let file = newest(&folder.path().join("blockstore.db"), kind);
        let (whole, height) = (fs::read(&file).unwrap(), stored(&RealDisk, folder.path()).unwrap().unwrap());
        for at in (0..whole.len()).step_by(101) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x5a;
            fs::write(&file, damaged).unwrap();
            let read = stored(&RealDisk, folder.path()).ok().flatten().unwrap_or(0);
            assert!(read <= height, "{read} was never written");
        }
    }
}

#[test]
fn missing_files_and_other_dialects_are_told() {
    let folder = copy("tables");
    let blocks = folder.path().join("blockstore.db");
    for entry in fs::read_dir(&blocks).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "ldb") {
            fs::remove_file(path).unwrap();
        }
    }
    assert!(matches!(stored(&RealDisk, folder.path()), Err(Unreadable::Disk { .. })));
    fs::write(blocks.join("CURRENT"), "../../etc/passwd\n").unwrap();
    assert!(matches!(stored(&RealDisk, folder.path()), Err(Unreadable::Damaged(_))));
    // One that can be read is enough, and the consensus log is where none can.
    assert_eq!(look(folder.path()), Some(at(60, 61)));
    fs::write(folder.path().join("state.db/CURRENT"), "").unwrap();
    assert!(height_at_rest(&RealDisk, &files(folder.path())).is_err());
    let log = HeightFiles { consensus_log: fixture("consensus/cs.wal/wal"), ..files(folder.path()) };
    let known = height_at_rest(&RealDisk, &log).unwrap().unwrap();
    assert_eq!((known.at_least, known.at_most), (Height(11), None));
}

#[test]
fn the_consensus_log_is_followed_through_its_files_and_torn_anywhere() {
    let end = |folder: &Path| consensus_log::last_end(&RealDisk, &folder.join("cs.wal/wal"));
    assert_eq!(end(&fixture("consensus")), Some(12));
    assert_eq!(end(&fixture("consensus-rotated")), Some(40));
    let folder = copy("consensus-rotated");
    fs::write(folder.path().join("cs.wal/wal"), "").unwrap();
    assert!(end(folder.path()).is_some_and(|end| end >= 30), "what was rotated is looked at, newest first");
    let folder = copy("consensus");
    let log = folder.path().join("cs.wal/wal");
    let whole = fs::read(&log).unwrap();
    let mut before = 12;
    for cut in (0..whole.len()).rev() {
        fs::write(&log, &whole[..cut]).unwrap();
        let now = end(folder.path()).unwrap_or(0);
        assert!(now <= before && before - now <= 1);
        before = now;
    }
}

#[test]
fn what_strangers_put_into_a_message_ends_no_height() {
    let whole = fs::read(fixture("consensus/cs.wal/wal")).unwrap();
    // A message of the node that carries the end of height 12 as the text of somebody's transaction.
    let text: Vec<u8> = [&[0x12, 0x02, 0x0a, 0x00][..], &whole].concat();
    let mut file = crc32c::crc32c(&text).to_be_bytes().to_vec();
    file.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    file.extend(&text);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("cs.wal")).unwrap();
    fs::write(folder.path().join("cs.wal/wal"), file).unwrap();
    assert_eq!(look(folder.path()), None);
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(
        manifest in proptest::collection::vec(any::<u8>(), 0..300),
        log in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let blocks = folder.path().join("blockstore.db");
        fs::create_dir(&blocks).unwrap();
        fs::create_dir(folder.path().join("cs.wal")).unwrap();
        fs::write(blocks.join("CURRENT"), "MANIFEST-000001\n").unwrap();
        fs::write(blocks.join("MANIFEST-000001"), &manifest).unwrap();
        for name in ["blockstore.db/000002.log", "blockstore.db/000003.ldb", "cs.wal/wal"] {
            fs::write(folder.path().join(name), &log).unwrap();
        }
        let _ = height_at_rest(&RealDisk, &files(folder.path()));
    }
}
