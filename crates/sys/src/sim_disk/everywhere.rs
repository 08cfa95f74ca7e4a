//! Whether a change of files survives a stop, and a failure of the disk, at each of its operations: for tests.
//!
//! `act` is the change; `check` is what must hold whatever is found; `finally` is what must hold once the change was
//! carried out, be it at the second try.
#![expect(clippy::panic, clippy::missing_panics_doc, reason = "what does not hold fails the test that asked")]

use std::fmt::Debug;
use std::path::Path;

use super::{Fault, SimDisk};
use crate::disk::Disk;

/// Stops the change at each operation in turn, by killing the process and by cutting the power with several outcomes
/// each, and repeats it on what is found.
pub fn stopped_everywhere<E: Debug>(
    start: &SimDisk,
    act: impl Fn(&SimDisk) -> Result<(), E>,
    check: impl Fn(&SimDisk),
    finally: impl Fn(&SimDisk),
) {
    for operation in operations(start, &act, &finally) {
        for seed in 0..6 {
            let disk = start.fork();
            disk.fail_at(operation, if seed == 0 { Fault::Kill } else { Fault::PowerCut });
            // What somebody may ignore shows only in the disk.
            assert!(act(&disk).is_err() || !disk.is_alive(), "nothing happened at operation {operation}");
            match seed {
                0 => disk.kill(),
                _ => disk.crash(seed * 1_000 + operation),
            }
            check(&disk);
            act(&disk).unwrap_or_else(|error| panic!("operation {operation}, seed {seed}: {error:?}"));
            finally(&disk);
            // What it ended with is durable.
            disk.crash(seed);
            finally(&disk);
        }
    }
}

/// Fails each operation in turn with an error that does not end the process, with and without a restart behind it, and
/// repeats the change.
pub fn failing_everywhere<E: Debug>(
    start: &SimDisk,
    act: impl Fn(&SimDisk) -> Result<(), E>,
    check: impl Fn(&SimDisk),
    finally: impl Fn(&SimDisk),
) {
    for operation in operations(start, &act, &finally) {
        for fault in [Fault::NoSpace, Fault::InputOutput] {
            for restart in [false, true] {
                let disk = start.fork();
                disk.fail_at(operation, fault);
                // A failure to clean up after success, or one the operation cannot meet, need not fail the whole.
                let _ = act(&disk);
                // A failed sync of a directory turns the disk read-only, and only a restart helps.
                if restart || disk.sync_directory(Path::new("/")).is_err() {
                    disk.crash(operation);
                }
                check(&disk);
                act(&disk).unwrap_or_else(|error| panic!("operation {operation}, {fault:?}: {error:?}"));
                finally(&disk);
            }
        }
    }
}

/// The operations of a change that nothing disturbs.
fn operations<E: Debug>(
    start: &SimDisk,
    act: impl Fn(&SimDisk) -> Result<(), E>,
    finally: impl Fn(&SimDisk),
) -> std::ops::RangeInclusive<u64> {
    let whole = start.fork();
    act(&whole).unwrap_or_else(|error| panic!("undisturbed: {error:?}"));
    let (first, last) = (start.operations() + 1, whole.operations());
    finally(&whole);
    assert!(last > first, "it does nothing");
    first..=last
}
