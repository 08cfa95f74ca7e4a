//! Random runs on a disk that fails: what was acknowledged is there, what is there was written, appends are
//! whole, and what an opening returned survives too.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;

use common::{Note, NoteJournal, open_with, total};
use ov_journal::Options;
use ov_sys::sim_disk::Fault;
use ov_sys::{Random, SimDisk};
use proptest::prelude::*;

/// Small enough for many rotations.
fn options() -> Options {
    Options { segment_bytes_max: 3000, older_segments_max: 2, writer: "0.1.0".to_owned() }
}

/// What the journal may hold.
struct Expected {
    acknowledged: u64,
    /// Totals at which an append ended: nothing in between may be found.
    ends: BTreeSet<u64>,
}

impl Expected {
    fn check(&self, found: u64, seed: u64) {
        assert!(found >= self.acknowledged, "seed {seed}: {} acknowledged, {found} found", self.acknowledged);
        assert!(self.ends.contains(&found), "seed {seed}: an append was torn: {found} not in {:?}", self.ends);
    }
}

/// Appends or rotates once. `Err` when the disk failed.
fn write_something(journal: &mut NoteJournal, random: &mut Random, expected: &mut Expected) -> Result<(), ()> {
    let from = expected.acknowledged;
    if journal.is_full() || random.chance(1, 20) {
        return journal.rotate(&[Note::Total { number: from }]).map(drop).map_err(drop);
    }
    let count = 1 + random.below(4);
    let note = |number| Note::Counted { number, filler: "x".repeat(usize::try_from(random.below(900)).unwrap()) };
    let notes: Vec<Note> = (from + 1..=from + count).map(note).collect();
    expected.ends.insert(from + count);
    journal.append(&notes).map_err(drop)?;
    expected.acknowledged = from + count;
    Ok(())
}

/// What was opened must still be there after a power cut right now, whatever it loses.
fn check_durable(disk: &SimDisk, found: u64, random: &mut Random) {
    for _ in 0..3 {
        let fork = disk.fork();
        fork.crash(random.number());
        let (_, entries) = open_with(&fork, options()).unwrap();
        assert_eq!(total(&entries), found, "what an opening returned was lost");
    }
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let disk = SimDisk::new(seed);
    let mut expected = Expected { acknowledged: 0, ends: BTreeSet::from([0]) };
    for _ in 0..6 {
        let (mut journal, entries) = match open_with(&disk, options()) {
            Ok(opened) => opened,
            Err(_) => restart(&disk, &mut random),
        };
        let found = total(&entries);
        expected.check(found, seed);
        check_durable(&disk, found, &mut random);
        // An append that was found though it was never acknowledged counts from here on.
        expected = Expected { acknowledged: found, ends: BTreeSet::from([found]) };
        plan_a_fault(&disk, &mut random);
        for _ in 0..random.below(20) {
            if write_something(&mut journal, &mut random, &mut expected).is_err() {
                let notes = [Note::counted(1)];
                assert!(journal.append(&notes).is_err() && journal.rotate(&[]).is_err(), "not poisoned");
                break;
            }
        }
        let dead = !disk.is_alive();
        match random.below(3) {
            0 => disk.crash(random.number()),
            1 => disk.kill(),
            // The same process opens it anew.
            _ if !dead => {}
            _ => disk.crash(random.number()),
        }
        disk.set_capacity(None);
    }
}

/// The disk failed while the journal was opened. The next try, on a disk that works, must succeed.
fn restart(disk: &SimDisk, random: &mut Random) -> (NoteJournal, Vec<ov_journal::Entry<Note>>) {
    disk.crash(random.number());
    open_with(disk, options()).unwrap()
}

fn plan_a_fault(disk: &SimDisk, random: &mut Random) {
    let operation = disk.operations() + 1 + random.below(45);
    match random.below(7) {
        0 => disk.fail_at(operation, Fault::PowerCut),
        1 => disk.fail_at(operation, Fault::Kill),
        2 => disk.fail_at(operation, Fault::InputOutput),
        3 => disk.fail_at(operation, Fault::NoSpace),
        4 => disk.fail_sync_at(disk.syncs() + 1 + random.below(15)),
        5 => disk.set_capacity(Some(4000 + random.below(8000))),
        _ => {}
    }
}

/// Says how to run a failing seed alone.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: OMNIVISOR_SEED={} cargo test -p ov-journal --test crashes a_thousand_seeds", self.0);
        }
    }
}

#[test]
fn a_thousand_seeds() {
    let seeds = match std::env::var("OMNIVISOR_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..1000).collect(),
    };
    for seed in seeds {
        let _replay = Replay(seed);
        run(seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_seed(seed in any::<u64>()) {
        let _replay = Replay(seed);
        run(seed);
    }
}

#[test]
fn every_operation_of_opening_and_rotating_may_be_the_last() {
    let prepared = SimDisk::new(3);
    let (mut journal, _) = open_with(&prepared, options()).unwrap();
    journal.append(&[Note::counted(1), Note::counted(2)]).unwrap();
    let work = |disk: &SimDisk| -> Option<()> {
        let (mut journal, entries) = open_with(disk, options()).ok()?;
        assert_eq!(total(&entries), 2);
        journal.rotate(&[Note::Total { number: 2 }]).ok()?;
        journal.append(&[Note::counted(3)]).ok().map(drop)
    };
    let undisturbed = prepared.fork();
    undisturbed.kill();
    work(&undisturbed).unwrap();
    for operation in prepared.operations() + 1..=undisturbed.operations() {
        for fault in [Fault::PowerCut, Fault::Kill, Fault::InputOutput, Fault::NoSpace, Fault::ReadOnly] {
            for seed in 0..10 {
                let disk = prepared.fork();
                disk.kill();
                disk.fail_at(operation, fault);
                let acknowledged = work(&disk).is_some();
                disk.crash(seed);
                let (_, entries) = open_with(&disk, options()).unwrap();
                let found = total(&entries);
                assert!(found == 3 || (found == 2 && !acknowledged), "{fault:?} at {operation}, seed {seed}");
            }
        }
    }
}
