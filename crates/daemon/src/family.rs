//! The processes of this home, as `/proc` shows them: the daemon, its shims, and whatever descends from them.
//!
//! Looks, and keeps nothing: who is gone by the time it is asked for has no words and no children.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ov_sys::Disk;

/// More processes than this are not looked at.
const PROCESSES_MAX: usize = 50_000;
const COMMAND_LINE_BYTES_MAX: u64 = 1 << 20;

/// All processes, with their parents.
pub(crate) fn parents(disk: &dyn Disk) -> BTreeMap<u32, u32> {
    let names = disk.list(Path::new("/proc")).unwrap_or_default();
    let pids = names.iter().filter_map(|name| name.to_str()?.parse().ok()).take(PROCESSES_MAX);
    pids.filter_map(|pid: u32| Some((pid, ov_sys::host::process_facts(pid).ok()??.parent))).collect()
}

/// These processes and everything that descends from them; and the same of the shims of the home whose state is there,
/// also when their daemon is down.
pub(crate) fn family(disk: &dyn Disk, state: &Path, own: &[u32]) -> BTreeSet<u32> {
    let parents = parents(disk);
    let mut family: BTreeSet<u32> = own.iter().copied().collect();
    family.extend(parents.keys().filter(|pid| is_shim(disk, state, **pid)));
    loop {
        let children: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| family.contains(parent) && !family.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if children.is_empty() {
            return family;
        }
        family.extend(children);
    }
}

/// Whether the process is a shim of this home: `omnivisor shim --dir <home>/.omnivisor/units/<unit>`.
fn is_shim(disk: &dyn Disk, state: &Path, pid: u32) -> bool {
    let words = command_line(disk, pid);
    let directory = words.iter().skip_while(|word| *word != "--dir").nth(1);
    directory.is_some_and(|directory| Path::new(directory).starts_with(state))
}

/// The words of a process's command line; none for kernel threads and those that are gone.
pub(crate) fn command_line(disk: &dyn Disk, pid: u32) -> Vec<String> {
    let bytes = disk.read(Path::new(&format!("/proc/{pid}/cmdline")), COMMAND_LINE_BYTES_MAX).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
