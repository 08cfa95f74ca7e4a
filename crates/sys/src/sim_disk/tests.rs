//! The faults of the simulated disk, one by one. That it is a file system at all is proven against the
//! real one in `tests/conformance.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::disk::Disk;

fn path(text: &str) -> &Path {
    Path::new(text)
}

fn write(disk: &SimDisk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut writer = disk.create(path(name), 0o644)?;
    io::Write::write_all(&mut writer, bytes)
}

fn read(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
    disk.read(path(name), 1 << 20).ok()
}

/// All that may be there after a power cut now, as the names in the root.
fn names_after_crash(disk: &SimDisk) -> BTreeSet<Vec<String>> {
    (0..300)
        .map(|seed| {
            let disk = disk.fork();
            disk.crash(seed);
            let names = disk.list(path("/")).unwrap();
            names.into_iter().map(|name| name.into_string().unwrap()).collect()
        })
        .collect()
}

fn set(cases: &[&[&str]]) -> BTreeSet<Vec<String>> {
    cases.iter().map(|names| names.iter().map(|&name| name.to_owned()).collect()).collect()
}

#[test]
fn a_kill_loses_nothing_and_a_crash_what_was_not_synced() {
    let disk = SimDisk::new(1);
    write(&disk, "/a", b"bytes").unwrap();
    disk.kill();
    assert_eq!(read(&disk, "/a").unwrap(), b"bytes");
    assert_eq!(names_after_crash(&disk), set(&[&[], &["a"]]));
    disk.sync_directory(path("/")).unwrap();
    assert_eq!(names_after_crash(&disk), set(&[&["a"]]));
    let lost = (0..100).any(|seed| {
        let disk = disk.fork();
        disk.crash(seed);
        read(&disk, "/a").unwrap().is_empty()
    });
    assert!(lost, "a directory sync keeps no contents");
    disk.sync_file(path("/a")).unwrap();
    for seed in 0..100 {
        disk.crash(seed);
        assert_eq!(read(&disk, "/a").unwrap(), b"bytes");
    }
}

#[test]
fn names_in_one_directory_vanish_from_the_end() {
    let disk = SimDisk::new(1);
    for name in ["/1", "/2", "/3"] {
        write(&disk, name, b"").unwrap();
    }
    disk.remove_file(path("/1")).unwrap();
    let expected = set(&[&[], &["1"], &["1", "2"], &["1", "2", "3"], &["2", "3"]]);
    assert_eq!(names_after_crash(&disk), expected);
}

#[test]
fn a_move_between_directories_is_in_both_or_in_neither() {
    let disk = SimDisk::new(1);
    disk.make_directory(path("/a"), 0o700).unwrap();
    disk.make_directory(path("/b"), 0o700).unwrap();
    write(&disk, "/a/x", b"").unwrap();
    disk.sync_file_system(path("/")).unwrap();
    disk.rename(path("/a/x"), path("/b/x")).unwrap();
    let mut outcomes = BTreeSet::new();
    for seed in 0..100 {
        let disk = disk.fork();
        disk.crash(seed);
        let there = |name| disk.facts(path(name)).unwrap().is_some();
        outcomes.insert((there("/a/x"), there("/b/x")));
    }
    assert_eq!(outcomes, BTreeSet::from([(true, false), (false, true)]));
    disk.sync_directory(path("/b")).unwrap();
    disk.crash(0);
    assert_eq!(disk.list(path("/a")).unwrap().len(), 0);
}

#[test]
fn a_sync_of_one_directory_keeps_what_came_before_in_others() {
    let disk = SimDisk::new(1);
    disk.make_directory(path("/a"), 0o700).unwrap();
    disk.make_directory(path("/b"), 0o700).unwrap();
    disk.sync_directory(path("/")).unwrap();
    write(&disk, "/a/early", b"").unwrap();
    write(&disk, "/a/x", b"").unwrap();
    disk.rename(path("/a/x"), path("/b/x")).unwrap();
    write(&disk, "/a/late", b"").unwrap();
    disk.sync_directory(path("/b")).unwrap();
    let mut late = BTreeSet::new();
    for seed in 0..100 {
        let disk = disk.fork();
        disk.crash(seed);
        assert!(disk.facts(path("/a/early")).unwrap().is_some());
        assert!(disk.facts(path("/b/x")).unwrap().is_some());
        late.insert(disk.facts(path("/a/late")).unwrap().is_some());
    }
    assert_eq!(late.len(), 2);
}

#[test]
fn no_directory_moved_about_is_lost_to_a_cycle() {
    let disk = SimDisk::new(1);
    for name in ["/p", "/p/x", "/p/x/s", "/q"] {
        disk.make_directory(path(name), 0o700).unwrap();
    }
    disk.sync_file_system(path("/")).unwrap();
    disk.rename(path("/p/x/s"), path("/q/s")).unwrap();
    disk.rename(path("/p/x"), path("/q/s/x")).unwrap();
    for seed in 0..200 {
        let disk = disk.fork();
        disk.crash(seed);
        let places = ["/p/x/s", "/q/s"].map(|name| disk.facts(path(name)).unwrap().is_some());
        assert_eq!(places.iter().filter(|&&there| there).count(), 1, "seed {seed}");
    }
}

#[test]
fn a_full_disk_takes_a_part() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(10));
    write(&disk, "/a", b"123456").unwrap();
    let error = write(&disk, "/b", b"123456").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(read(&disk, "/b").unwrap(), b"1234");
    assert_eq!(disk.room(path("/")).unwrap().free, 0);
    assert_eq!(write(&disk, "/c", b"").unwrap_err().kind(), io::ErrorKind::StorageFull);
    disk.remove_file(path("/a")).unwrap();
    write(&disk, "/c", b"123456").unwrap();
}

#[test]
fn faults_come_at_their_operation() {
    let disk = SimDisk::new(1);
    write(&disk, "/a", b"x").unwrap();
    let next = disk.operations() + 1;
    disk.fail_at(next, Fault::InputOutput);
    disk.fail_at(next + 2, Fault::NoSpace);
    let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error().unwrap();
    assert_eq!(errno(disk.read(path("/a"), 9).map(drop)), Errno::IO.raw_os_error());
    disk.read(path("/a"), 9).unwrap();
    assert_eq!(errno(disk.make_directory(path("/d"), 0o700)), Errno::NOSPC.raw_os_error());
    disk.fail_at(disk.operations() + 1, Fault::ReadOnly);
    assert_eq!(disk.read(path("/a"), 9).unwrap(), b"x");
    assert_eq!(errno(disk.remove_file(path("/a"))), Errno::ROFS.raw_os_error());
}

#[test]
fn the_sync_asked_for_fails_and_may_lose_the_bytes_for_good() {
    let outcomes: BTreeSet<_> = (0..100)
        .map(|seed| {
            let disk = SimDisk::new(seed);
            let mut tail = disk.append(path("/a")).unwrap();
            disk.sync_directory(path("/")).unwrap();
            disk.fail_sync_at(disk.syncs() + 1);
            tail.append(b"lost?").unwrap();
            tail.sync().unwrap_err();
            tail.sync().unwrap();
            disk.crash(seed);
            read(&disk, "/a").unwrap() == b"lost?"
        })
        .collect();
    assert_eq!(outcomes, BTreeSet::from([false, true]));
}

#[test]
fn nothing_works_between_death_and_restart_and_old_handles_never_again() {
    for (fault, restart) in
        [(Fault::Kill, SimDisk::kill as fn(&SimDisk)), (Fault::PowerCut, |disk: &SimDisk| disk.crash(3))]
    {
        let disk = SimDisk::new(1);
        let mut tail = disk.append(path("/a")).unwrap();
        let lock = disk.lock(path("/lock")).unwrap().unwrap();
        disk.sync_directory(path("/")).unwrap();
        assert!(disk.lock(path("/lock")).unwrap().is_none());
        disk.fail_at(disk.operations() + 1, fault);
        assert!(tail.append(b"x").is_err());
        assert!(!disk.is_alive());
        assert!(disk.list(path("/")).is_err());
        restart(&disk);
        assert!(tail.append(b"x").is_err(), "a handle of the dead process");
        let again = disk.lock(path("/lock")).unwrap().unwrap();
        drop(lock);
        assert!(disk.lock(path("/lock")).unwrap().is_none(), "the dead process's lock frees nothing");
        drop(again);
        assert!(disk.lock(path("/lock")).unwrap().is_some());
    }
}

#[test]
fn damage_is_found_by_reading() {
    let disk = SimDisk::new(1);
    disk.plant(path("/a"), b"abc", 0o600).unwrap();
    disk.damage(path("/a"), 1, 1).unwrap();
    disk.crash(1);
    assert_eq!(read(&disk, "/a").unwrap(), b"acc");
    disk.make_unreadable(path("/a")).unwrap();
    assert!(disk.read(path("/a"), 9).is_err());
}

#[test]
fn the_same_seeds_give_the_same_disk() {
    let run = || {
        let disk = SimDisk::new(9);
        for number in 0..20 {
            write(&disk, &format!("/{number}"), &[number; 700]).unwrap();
        }
        disk.crash(4);
        let names = disk.list(path("/")).unwrap();
        names.into_iter().map(|name| disk.read(&path("/").join(name), 9999).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
