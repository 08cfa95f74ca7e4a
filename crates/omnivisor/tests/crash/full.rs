//! A journal that is longer than a segment should be.

use std::path::Path;
use std::sync::Arc;

use ov_journal::{Journal, Options};
use ov_sys::RealDisk;
use ov_types::{Moment, ParkReason, Record, UnitName};

/// Writes what a node's long life leaves: here, few and long records.
pub(super) fn fill_journal(directory: &Path) {
    let (mut journal, _) = Journal::<Record>::open(Arc::new(RealDisk), directory, Options::new("test")).unwrap();
    let (at, unit) = (Moment::default(), UnitName::new("helper").unwrap());
    let reason = ParkReason::Unsafe { message: "x".repeat(900_000) };
    let parked = Record::UnitParked { at, unit: unit.clone(), reason };
    while !journal.is_full() {
        journal.append(&[parked.clone(), Record::UnitReleased { at, unit: unit.clone() }]).unwrap();
    }
}
