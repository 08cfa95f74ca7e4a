//! The log over disks that lose, fill up and lie.

use std::collections::BTreeMap;
use std::path::Path;

use ov_sys::Random;
use ov_sys::disk::Disk;
use ov_sys::sim_disk::{Fault, SimDisk};
use ov_types::UnitName;

use super::*;

const DIRECTORY: &str = "/home/node/.omnivisor/events";

fn open(disk: &SimDisk) -> EventLog {
    EventLog::open(Arc::new(disk.clone()), Path::new(DIRECTORY)).unwrap()
}

fn push(log: &EventLog) -> u64 {
    log.push(EventKind::UnitReady { unit: UnitName::main() }, Moment { monotonic_ms: 1, wall_ms: 2 }).index
}

fn indices(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.index).collect()
}

fn current() -> std::path::PathBuf {
    Path::new(DIRECTORY).join("current.ndjson")
}

#[test]
fn events_are_numbered_and_read_from_any_point() {
    let log = open(&SimDisk::new(1));
    let changed = log.changed();
    assert_eq!((1..=5).map(|_| push(&log)).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(*changed.borrow(), 5);
    assert_eq!(indices(&log.since(0, 100)), [1, 2, 3, 4, 5]);
    assert_eq!(indices(&log.since(3, 100)), [4, 5]);
    assert_eq!(indices(&log.since(1, 2)), [2, 3]);
    assert!(log.since(5, 100).is_empty());
}

#[test]
fn a_killed_daemon_loses_nothing_and_numbers_go_on_rising() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    let last = (0..7).map(|_| push(&log)).last().unwrap();
    drop(log);
    disk.kill();
    let log = open(&disk);
    assert_eq!(indices(&log.since(0, 100)), (1..=7).collect::<Vec<_>>());
    assert_eq!(log.newest(), last);
    let next = push(&log);
    assert!(next > last);
    // The reader was there before the kill; the jump in the numbers must not look like a loss.
    assert_eq!(indices(&log.since(last, 100)), [next]);
}

#[test]
fn an_orderly_end_leaves_no_jump() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    push(&log);
    push(&log);
    log.close();
    assert_eq!(push(&open(&disk)), 3);
}

#[test]
fn after_a_power_cut_no_number_is_used_twice_and_readers_are_told() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        let log = open(&disk);
        let last = (0..40).map(|_| push(&log)).last().unwrap();
        drop(log);
        disk.crash(seed);
        let log = open(&disk);
        let found = log.newest();
        let next = push(&log);
        assert!(next > last, "seed {seed}: {next} was given out again");
        let events = log.since(last, 100);
        assert_eq!(events.last().unwrap().index, next);
        let told = matches!(events[0].kind, EventKind::EventsMissed { .. });
        assert_eq!(told, found < last, "seed {seed}");
    }
}

#[test]
fn a_torn_or_foreign_line_costs_itself_only() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    for _ in 0..3 {
        push(&log);
    }
    log.close();
    drop(log);
    let mut tail = disk.append(&current()).unwrap();
    tail.append(
        b"not an event\n{\"index\":1,\"at_ms\":0,\"event\":\"unit-ready\",\"unit\":\"main\"}\n{\"index\":4,\"at",
    )
    .unwrap();
    drop(tail);
    let log = open(&disk);
    assert_eq!(indices(&log.since(0, 100)), [1, 2, 3]);
    let next = push(&log);
    drop(log);
    assert_eq!(indices(&open(&disk).since(0, 100)), [1, 2, 3, next]);
}

#[test]
fn an_event_of_a_newer_version_keeps_its_place() {
    let disk = SimDisk::new(1);
    drop(open(&disk));
    let mut tail = disk.append(&current()).unwrap();
    tail.append(b"{\"index\":8,\"at_ms\":5,\"event\":\"moon-landed\",\"crew\":3}\n").unwrap();
    let log = open(&disk);
    assert_eq!(log.since(7, 1), [Event { index: 8, at_ms: 5, kind: EventKind::Unknown }]);
    assert_eq!(push(&log), 9);
}

#[test]
fn memory_and_disk_are_bounded_and_the_gap_is_told() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    let message = "x".repeat(1_000);
    for _ in 0..EVENTS_KEPT_MAX + 10 {
        let kind = EventKind::UnitNotStarted { unit: UnitName::main(), message: message.clone() };
        log.push(kind, Moment::default());
    }
    let first = log.since(0, 3);
    assert_eq!(first[0].kind, EventKind::EventsMissed { oldest: 11 });
    assert_eq!(indices(&first), [10, 11, 12]);
    assert_eq!(indices(&log.since(first[0].index, 2)), [11, 12]);
    assert_eq!(log.since(0, usize::MAX).len(), EVENTS_KEPT_MAX + 1);
    for file in ["current.ndjson", "previous.ndjson"] {
        let facts = disk.facts(&Path::new(DIRECTORY).join(file)).unwrap().unwrap();
        assert!(facts.len < 1_100 * 1_024, "{file} holds {} bytes", facts.len);
    }
    assert_eq!(log.unwritten(), 0);
    let newest = log.newest();
    drop(log);
    let log = open(&disk);
    assert_eq!(log.newest(), newest);
    assert!(matches!(log.since(0, 1)[0].kind, EventKind::EventsMissed { .. }));
}

#[test]
fn a_full_disk_stops_nothing_and_is_made_up_for() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    push(&log);
    disk.set_capacity(Some(0));
    for _ in 0..5 {
        push(&log);
    }
    assert_eq!(log.unwritten(), 5);
    assert_eq!(indices(&log.since(0, 100)), [1, 2, 3, 4, 5, 6]);
    disk.set_capacity(None);
    push(&log);
    assert_eq!(log.unwritten(), 0);
    drop(log);
    assert_eq!(indices(&open(&disk).since(0, 100)), [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn what_leaves_memory_unwritten_is_counted() {
    let disk = SimDisk::new(1);
    let log = open(&disk);
    disk.set_capacity(Some(0));
    for _ in 0..EVENTS_KEPT_MAX + 3 {
        push(&log);
    }
    assert_eq!(log.unwritten(), EVENTS_KEPT_MAX as u64 + 3);
    disk.set_capacity(None);
    push(&log);
    // The four oldest are gone for good.
    assert_eq!(log.unwritten(), 4);
}

#[test]
fn a_reader_with_another_history_is_told_this_one_from_its_beginning() {
    let log = open(&SimDisk::new(1));
    push(&log);
    push(&log);
    let events = log.since(900, 100);
    assert_eq!(events[0].kind, EventKind::EventsMissed { oldest: 1 });
    assert_eq!(indices(&events), [0, 1, 2]);
}

/// Lives of a daemon on one disk: some writes fail, the process is killed or the power goes, and it starts again.
#[test]
fn whatever_the_disk_does_numbers_rise_and_events_stay_what_they_were() {
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        let mut random = Random::new(seed);
        let mut pushed = BTreeMap::new();
        // The highest index that was given out while the disk took writes: what is promised not to come again.
        let mut promised = 0;
        for life in 0..4_i64 {
            let hurt = random.chance(1, 2);
            if hurt {
                let faults = [Fault::NoSpace, Fault::InputOutput, Fault::ReadOnly, Fault::Kill, Fault::PowerCut];
                let at = disk.operations() + 1 + random.below(60);
                disk.fail_at(at, faults[usize::try_from(random.below(5)).unwrap()]);
            }
            // What cannot be opened is opened by the next daemon, on a disk that is well again.
            if let Ok(log) = EventLog::open(Arc::new(disk.clone()), Path::new(DIRECTORY)) {
                let earlier = promised;
                for number in 0..=i64::try_from(random.below(30)).unwrap() {
                    let at = Moment { monotonic_ms: 0, wall_ms: life * 1_000 + number };
                    let event = log.push(EventKind::UnitReady { unit: UnitName::main() }, at);
                    assert!(event.index > earlier, "seed {seed}: {} was given out again", event.index);
                    if !hurt {
                        promised = event.index;
                    }
                    pushed.insert(event.index, event);
                }
                let read = log.since(0, usize::MAX);
                assert!(read.windows(2).all(|pair| pair[0].index < pair[1].index), "seed {seed}");
                let told = |event: &&Event| !matches!(event.kind, EventKind::EventsMissed { .. });
                for event in read.iter().filter(told) {
                    assert_eq!(Some(event), pushed.get(&event.index), "seed {seed}");
                }
            }
            disk.set_read_only(false);
            if disk.is_alive() && random.chance(1, 2) {
                disk.kill();
            } else {
                disk.crash(random.number());
            }
        }
    }
}
