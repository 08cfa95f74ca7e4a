//! Every change of releases, stopped at every operation: what is found then is old or new, and doing it again
//! ends where doing it once would have.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::collections::BTreeSet;
use std::path::Path;

use ov_release::{
    CurrentRelease, Layout, Source, StageRequest, State, adopt, current, prune, stage, state, sweep, switch, verify,
    withdraw,
};
use ov_sys::sim_disk::{Fault, failing_everywhere, stopped_everywhere};
use ov_sys::{Disk, SimDisk};
use ov_types::ReleaseName;

fn name(text: &str) -> ReleaseName {
    ReleaseName::new(text).unwrap()
}

fn layout() -> Layout {
    Layout::of_home(Path::new("/home"))
}

fn request(version: &str) -> StageRequest {
    StageRequest {
        name: name(version),
        source: Source::Directory(Path::new("/source").join(version)),
        program: Some("bin/node".to_owned()),
        sha256: None,
        origin: None,
        additions: Vec::new(),
        now_ms: 1000 + i64::try_from(version.len()).unwrap(),
    }
}

/// A home, and the sources of two releases with a link and two files each.
fn prepared() -> SimDisk {
    let disk = SimDisk::new(1);
    for directory in ["/home", "/source", "/source/v1", "/source/v1/bin", "/source/v22", "/source/v22/bin"] {
        disk.make_directory(Path::new(directory), 0o755).unwrap();
    }
    for version in ["v1", "v22"] {
        let at = Path::new("/source").join(version);
        disk.plant(&at.join("bin/node"), version.repeat(700).as_bytes(), 0o755).unwrap();
        disk.plant(&at.join("notes"), b"notes", 0o644).unwrap();
        disk.make_link(Path::new("bin/node"), &at.join("node")).unwrap();
    }
    disk.sync_file_system(Path::new("/")).unwrap();
    disk
}

/// With v1 staged and current.
fn running() -> SimDisk {
    let disk = prepared();
    stage(&disk, &layout(), &request("v1")).unwrap();
    switch(&disk, &layout(), &name("v1")).unwrap();
    disk
}

fn is_whole(disk: &SimDisk, release: &str) -> bool {
    matches!(verify(disk, &layout(), &name(release)).unwrap(), State::Complete(_))
}

/// A release that the cheap look calls complete has every byte.
fn complete_means_whole(disk: &SimDisk) {
    for release in ["v1", "v22"] {
        if matches!(state(disk, &layout(), &name(release)).unwrap(), State::Complete(_)) {
            assert!(is_whole(disk, release), "{release} is complete but not whole");
        }
    }
}

fn current_is_whole(disk: &SimDisk, allowed: &[&str]) {
    match current(disk, &layout()).unwrap() {
        CurrentRelease::Release(release) => {
            assert!(allowed.contains(&release.as_str()), "current names {release}");
            assert!(is_whole(disk, release.as_str()), "current names {release}, which is not whole");
        }
        other => panic!("current is {other:?}"),
    }
}

fn nothing_is_left_over(disk: &SimDisk) {
    let names = disk.list(Path::new("/home/releases")).unwrap();
    let left: Vec<_> = names.iter().filter(|name| name.to_str().unwrap().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn staging_is_complete_or_not_at_all() {
    let act = |disk: &SimDisk| stage(disk, &layout(), &request("v1")).map(drop);
    let finally = |disk: &SimDisk| {
        assert!(is_whole(disk, "v1"));
        nothing_is_left_over(disk);
    };
    stopped_everywhere(&prepared(), act, complete_means_whole, finally);
    failing_everywhere(&prepared(), act, complete_means_whole, finally);
}

#[test]
fn staging_over_a_damaged_release_replaces_it() {
    let disk = prepared();
    stage(&disk, &layout(), &request("v1")).unwrap();
    disk.remove_file(Path::new("/home/releases/v1/notes")).unwrap();
    let act = |disk: &SimDisk| stage(disk, &layout(), &request("v1")).map(drop);
    let finally = |disk: &SimDisk| {
        assert!(is_whole(disk, "v1"));
        nothing_is_left_over(disk);
    };
    stopped_everywhere(&disk, act, complete_means_whole, finally);
}

#[test]
fn current_names_a_whole_release_at_every_moment_of_a_switch() {
    let disk = running();
    stage(&disk, &layout(), &request("v22")).unwrap();
    let act = |disk: &SimDisk| switch(disk, &layout(), &name("v22")).map(drop);
    let check = |disk: &SimDisk| current_is_whole(disk, &["v1", "v22"]);
    let finally = |disk: &SimDisk| current_is_whole(disk, &["v22"]);
    stopped_everywhere(&disk, act, check, finally);
    failing_everywhere(&disk, act, check, finally);
}

#[test]
fn a_release_is_withdrawn_wholly_or_not_at_all() {
    let disk = running();
    stage(&disk, &layout(), &request("v22")).unwrap();
    let act = |disk: &SimDisk| withdraw(disk, &layout(), &name("v22")).map(drop);
    let check = |disk: &SimDisk| {
        complete_means_whole(disk);
        // Half of its files under its own name is what must never be seen.
        if ov_sys::durable::exists(disk, Path::new("/home/releases/v22")).unwrap() {
            assert!(is_whole(disk, "v22"));
        }
        current_is_whole(disk, &["v1"]);
    };
    let finally = |disk: &SimDisk| {
        assert_eq!(state(disk, &layout(), &name("v22")).unwrap(), State::Missing);
        nothing_is_left_over(disk);
    };
    stopped_everywhere(&disk, act, check, finally);
}

#[test]
fn a_directory_put_there_by_hand_is_adopted_wholly_or_stays_unknown() {
    let disk = prepared();
    disk.make_directory(Path::new("/home/releases"), 0o755).unwrap();
    disk.rename(Path::new("/source/v1"), Path::new("/home/releases/v1")).unwrap();
    disk.set_mode(Path::new("/home/releases/v1/bin/node"), 0o644).unwrap();
    disk.sync_file_system(Path::new("/")).unwrap();
    let act = |disk: &SimDisk| adopt(disk, &layout(), &name("v1"), Some("bin/node"), 7).map(drop);
    let check = |disk: &SimDisk| {
        complete_means_whole(disk);
        assert!(disk.facts(Path::new("/home/releases/v1/notes")).unwrap().is_some());
    };
    let finally = |disk: &SimDisk| {
        assert!(is_whole(disk, "v1"));
        let mode = disk.facts(Path::new("/home/releases/v1/bin/node")).unwrap().unwrap().mode;
        assert_eq!(mode & 0o111, 0o111);
    };
    stopped_everywhere(&disk, act, check, finally);
}

#[test]
fn what_is_adopted_is_durable_though_nobody_synced_it() {
    let disk = prepared();
    for directory in ["/home/releases", "/home/releases/v1"] {
        disk.make_directory(Path::new(directory), 0o755).unwrap();
    }
    let mut writer = disk.create(Path::new("/home/releases/v1/node"), 0o755).unwrap();
    writer.write_all(&[7; 2000]).unwrap();
    adopt(&disk, &layout(), &name("v1"), Some("node"), 7).unwrap();
    for seed in 0..20 {
        let disk = disk.fork();
        disk.crash(seed);
        assert!(is_whole(&disk, "v1"), "seed {seed}");
    }
}

#[test]
fn pruning_and_sweeping_never_touch_the_current_release() {
    let disk = running();
    stage(&disk, &layout(), &request("v22")).unwrap();
    let act = |disk: &SimDisk| {
        sweep(disk, &layout())?;
        prune(disk, &layout(), 0, &BTreeSet::new()).map(drop)
    };
    let check = |disk: &SimDisk| current_is_whole(disk, &["v1"]);
    let finally = |disk: &SimDisk| {
        sweep(disk, &layout()).unwrap();
        current_is_whole(disk, &["v1"]);
        assert_eq!(state(disk, &layout(), &name("v22")).unwrap(), State::Missing);
        nothing_is_left_over(disk);
    };
    stopped_everywhere(&disk, act, check, finally);
}

#[test]
fn what_a_dead_staging_left_goes_although_a_person_laid_the_release_into_its_place() {
    let start = prepared();
    stage(&start, &layout(), &request("v1")).unwrap();
    let whole = start.fork();
    stage(&whole, &layout(), &request("v22")).unwrap();
    let mut left = 0;
    for operation in start.operations() + 1..=whole.operations() {
        let disk = start.fork();
        disk.fail_at(operation, Fault::Kill);
        assert!(stage(&disk, &layout(), &request("v22")).is_err());
        disk.kill();
        let (tree, theirs) = (Path::new("/home/releases/.staging-v22"), Path::new("/home/releases/v22"));
        if disk.facts(tree).unwrap().is_none() || disk.facts(theirs).unwrap().is_some() {
            continue;
        }
        left += 1;
        disk.make_directory(theirs, 0o755).unwrap();
        sweep(&disk, &layout()).unwrap();
        assert_eq!(disk.facts(tree).unwrap(), None, "killed at operation {operation}");
        assert!(disk.facts(theirs).unwrap().is_some(), "what a person made stays");
    }
    assert!(left > 0, "no kill left anything");
}
