//! The durable changes, interrupted at every operation by every fault: never a mixture, never a loss after
//! the return, and the same call again always gets there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io;
use std::path::{Path, PathBuf};

use ov_sys::sim_disk::Fault;
use ov_sys::{Disk, RealDisk, SimDisk, durable};

/// Outcomes tried per interruption.
const SEEDS: u64 = 12;

fn path(text: &str) -> &Path {
    Path::new(text)
}

/// A change of the disk, and how to see whether it is done.
struct Change {
    prepare: fn(&SimDisk),
    apply: fn(&SimDisk) -> io::Result<()>,
    /// `Some(true)` done, `Some(false)` not begun as far as anyone can see, `None` something else.
    state: fn(&SimDisk) -> Option<bool>,
    /// Whether states in between may be seen.
    atomic: bool,
}

const OLD: &[u8] = b"old";

fn new() -> Vec<u8> {
    (0..3000_u32).map(|number| (number % 250) as u8 + 1).collect()
}

fn replace() -> Change {
    Change {
        prepare: |disk| disk.plant(path("/state"), OLD, 0o600).unwrap(),
        apply: |disk| durable::replace(disk, path("/state"), &new(), 0o640),
        state: |disk| match disk.read(path("/state"), 1 << 20).unwrap() {
            bytes if bytes == new() => Some(disk.facts(path("/state")).unwrap().unwrap().mode == 0o640),
            bytes if bytes == OLD => Some(false),
            _ => None,
        },
        atomic: true,
    }
}

fn replace_link() -> Change {
    Change {
        prepare: |disk| {
            disk.make_link(path("old"), path("/current")).unwrap();
            disk.sync_directory(path("/")).unwrap();
        },
        apply: |disk| durable::replace_link(disk, path("/current"), path("new")),
        state: |disk| match disk.read_link(path("/current")).unwrap().to_str() {
            Some("new") => Some(true),
            Some("old") => Some(false),
            _ => None,
        },
        atomic: true,
    }
}

fn make_directories() -> Change {
    Change {
        prepare: |_| {},
        apply: |disk| durable::make_directories(disk, path("/a/b/c"), 0o700),
        state: |disk| Some(disk.facts(path("/a/b/c")).unwrap().is_some()),
        atomic: false,
    }
}

fn remove_tree() -> Change {
    Change {
        prepare: |disk| {
            durable::make_directories(disk, path("/tree/a/b"), 0o700).unwrap();
            disk.plant(path("/tree/a/file"), b"x", 0o600).unwrap();
            disk.plant(path("/tree/file"), b"x", 0o600).unwrap();
        },
        apply: |disk| durable::remove_tree(disk, path("/tree")),
        state: |disk| Some(disk.facts(path("/tree")).unwrap().is_none()),
        atomic: false,
    }
}

fn interrupt(change: &Change, fault: Fault) {
    let prepared = SimDisk::new(5);
    (change.prepare)(&prepared);
    let undisturbed = prepared.fork();
    (change.apply)(&undisturbed).unwrap();
    assert_eq!((change.state)(&undisturbed), Some(true));
    for operation in prepared.operations() + 1..=undisturbed.operations() {
        for seed in 0..SEEDS {
            let at = format!("{fault:?} at operation {operation}, seed {seed}");
            let disk = prepared.fork();
            disk.fail_at(operation, fault);
            let returned = (change.apply)(&disk);
            let crashed = fault == Fault::PowerCut || seed % 2 == 0;
            if crashed {
                disk.crash(seed);
            } else {
                disk.kill();
            }
            let state = (change.state)(&disk);
            assert!(!change.atomic || state.is_some(), "{at}: neither old nor new");
            assert!(returned.is_err() || state == Some(true), "{at}: acknowledged and lost");
            (change.apply)(&disk).unwrap_or_else(|error| panic!("{at}: the second try failed: {error}"));
            disk.crash(seed);
            assert_eq!((change.state)(&disk), Some(true), "{at}: the second try was lost");
        }
    }
}

#[test]
fn what_is_synced_together_survives_a_power_cut_and_one_failure_is_told() {
    let disk = SimDisk::new(7);
    disk.make_directory(Path::new("/d"), 0o755).unwrap();
    disk.sync_directory(Path::new("/")).unwrap();
    let files: Vec<PathBuf> = (0..20).map(|number| PathBuf::from(format!("/d/{number}"))).collect();
    for file in &files {
        disk.create(file, 0o600).unwrap().write_all(b"x").unwrap();
    }
    durable::sync_each(&disk, &files, &[PathBuf::from("/d")]).unwrap();
    disk.crash(3);
    assert!(files.iter().all(|file| disk.read(file, 10).unwrap() == b"x"));

    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = (0..20).map(|number| folder.path().join(number.to_string())).collect();
    for file in files.iter().filter(|file| !file.ends_with("7")) {
        std::fs::write(file, "x").unwrap();
    }
    let failed = durable::sync_each(&RealDisk, &files, &[folder.path().to_owned()]).unwrap_err();
    assert_eq!(failed.kind(), std::io::ErrorKind::NotFound);
    std::fs::write(&files[7], "x").unwrap();
    durable::sync_each(&RealDisk, &files, &[folder.path().to_owned()]).unwrap();
    let failed = durable::sync_each(&RealDisk, &files, &[folder.path().join("none")]).unwrap_err();
    assert_eq!(failed.kind(), std::io::ErrorKind::NotFound);
    durable::sync_each(&RealDisk, &[], &[]).unwrap();
}

#[test]
fn any_change_survives_any_interruption() {
    for change in [replace(), replace_link(), make_directories(), remove_tree()] {
        for fault in [Fault::PowerCut, Fault::Kill] {
            interrupt(&change, fault);
        }
    }
}

#[test]
fn a_failing_device_or_a_full_disk_is_reported_and_harms_nothing() {
    for change in [replace(), replace_link(), make_directories(), remove_tree()] {
        for fault in [Fault::InputOutput, Fault::NoSpace] {
            let prepared = SimDisk::new(5);
            (change.prepare)(&prepared);
            let undisturbed = prepared.fork();
            (change.apply)(&undisturbed).unwrap();
            for operation in prepared.operations() + 1..=undisturbed.operations() {
                let disk = prepared.fork();
                disk.fail_at(operation, fault);
                let returned = (change.apply)(&disk);
                disk.crash(operation);
                let state = (change.state)(&disk);
                assert!(!change.atomic || state.is_some(), "{fault:?} at {operation}");
                assert!(returned.is_err() || state == Some(true), "{fault:?} at {operation}: believed and lost");
                (change.apply)(&disk).unwrap();
            }
        }
    }
}
