//! Processes of a unit whose shim was killed: they live on without anybody who could reap them.
//!
//! They are known by the marker in their environment, by the record of their run, or by being
//! under such a process. Only meaningful while no shim holds the unit's lock. Owns no state.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::Signal;

use crate::launch::UNIT_VARIABLE;
use crate::record::{RunRecord, read_record};
use crate::tree::{self, ProcessStat};

/// A process without its shim. The start time makes it unmistakable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Orphan {
    pub(crate) pid: u32,
    start_ticks: u64,
}

/// The living processes of the unit in this directory.
pub fn find(unit_directory: &Path) -> io::Result<Vec<u32>> {
    let record = read_record(unit_directory)?;
    let found = find_with(&unit_directory.canonicalize()?, record.as_ref());
    Ok(found.iter().map(|orphan| orphan.pid).collect())
}

/// Sends a signal, and SIGCONT after it, to the living processes of the unit in this directory.
/// Returns to whom. SIGKILL also reaches those that multiply, if it is sent until nobody is left.
pub fn signal(unit_directory: &Path, number: i32) -> io::Result<Vec<u32>> {
    let signal = Signal::from_named_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
    let record = read_record(unit_directory)?;
    let unit_directory = unit_directory.canonicalize()?;
    let find = || find_with(&unit_directory, record.as_ref());
    if signal == Signal::KILL {
        for orphan in find() {
            orphan.signal(Signal::STOP);
        }
    }
    let found = find();
    for orphan in &found {
        orphan.signal(signal);
        orphan.signal(Signal::CONT);
    }
    Ok(found.iter().map(|orphan| orphan.pid).collect())
}

impl Orphan {
    fn of(pid: u32) -> Option<Self> {
        let stat = ProcessStat::of(pid).filter(|stat| stat.lives())?;
        Some(Self { pid, start_ticks: stat.start_ticks })
    }

    fn signal(self, signal: Signal) {
        tree::signal_if(self.pid, signal, || Self::of(self.pid) == Some(self));
    }
}

/// `unit_directory` must be without links, as it is in the marker.
pub(crate) fn find_with(unit_directory: &Path, record: Option<&RunRecord>) -> Vec<Orphan> {
    let marker = [UNIT_VARIABLE.as_bytes(), b"=", unit_directory.as_os_str().as_bytes(), b":"].concat();
    let recorded = record.filter(|record| record.boot_id == boot_id());
    let own = std::process::id();
    let is_ours = |orphan: &Orphan| {
        recorded.is_some_and(|record| record.pid == Some(orphan.pid) && record.start_ticks == Some(orphan.start_ticks))
            || carries(orphan.pid, &marker)
    };
    let roots = tree::all_pids().into_iter().filter(|pid| *pid != own).filter_map(Orphan::of);
    let mut found: Vec<Orphan> = roots.filter(is_ours).collect();
    let below: Vec<u32> = found.iter().flat_map(|orphan| tree::descendants(orphan.pid)).collect();
    found.extend(below.into_iter().filter_map(Orphan::of));
    found.sort_unstable();
    found.dedup();
    found
}

fn carries(pid: u32, marker: &[u8]) -> bool {
    // What cannot be read belongs to another user, whose processes we could not have started.
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| {
        variable.strip_prefix(marker).is_some_and(|run| !run.is_empty() && run.iter().all(u8::is_ascii_digit))
    })
}

/// The boot of this host; pids and start times only mean something within one.
pub(crate) fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim_end().to_owned()
}
