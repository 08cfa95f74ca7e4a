//! The processes under a process: found through `/proc`, signalled without hitting a stranger.
//!
//! A pid is only signalled while a pidfd pins it and its chain of parents has been seen to lead to
//! the root after that, so that a pid given to somebody else in between is left alone. Owns no
//! state. What is found can be out of date at once: callers repeat until the kernel itself says
//! that nothing is left.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

/// No tree is deeper: a chain of parents that is longer goes in a circle, by pids given anew.
const DEPTH_MAX: usize = 4096;

/// What `/proc/<pid>/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) state: u8,
    pub(crate) parent: u32,
    pub(crate) start_ticks: u64,
}

impl ProcessStat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name of the program stands in parentheses and may contain anything, also those.
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
        Some(Self {
            state: *fields.next()?.as_bytes().first()?,
            parent: fields.next()?.parse().ok()?,
            // Field 22 of the file; the state is field 3.
            start_ticks: fields.nth(17)?.parse().ok()?,
        })
    }

    /// Whether it still runs, and does not only wait to be reaped.
    pub(crate) fn lives(self) -> bool {
        !matches!(self.state, b'Z' | b'X')
    }
}

/// All processes of the host.
pub(crate) fn all_pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The processes under `root`, parents before children, without `root` itself.
pub(crate) fn descendants(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        match listed_children(pid) {
            Some(children) => found.extend(children),
            // The root is there for certain: the kernel has no such file.
            None if pid == root => return descendants_by_parent(root),
            None => {}
        }
    }
    found.remove(0);
    found
}

/// The children of all threads of a process, as the kernel lists them.
fn listed_children(pid: u32) -> Option<Vec<u32>> {
    let mut children = Vec::new();
    let mut readable = false;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let Ok(list) = fs::read_to_string(thread.path().join("children")) else {
            continue;
        };
        readable = true;
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    readable.then_some(children)
}

/// The same for kernels that do not list children: by asking every process for its parent.
fn descendants_by_parent(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in all_pids() {
        if let Some(stat) = ProcessStat::of(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        found.extend(children.remove(&pid).unwrap_or_default());
    }
    found.remove(0);
    found
}

/// Whether the chain of parents of `pid` leads to `root`.
pub(crate) fn is_under(root: u32, pid: u32) -> bool {
    let mut at = pid;
    for _ in 0..DEPTH_MAX {
        match ProcessStat::of(at) {
            Some(stat) if stat.parent == root => return true,
            Some(stat) if stat.parent > 1 => at = stat.parent,
            _ => return false,
        }
    }
    false
}

/// Sends a signal to a process if, once it is pinned, it proves to be the one that is meant.
/// Says whether the signal was sent.
pub(crate) fn signal_if(pid: u32, signal: Signal, is_meant: impl Fn() -> bool) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return false;
    };
    let Ok(pinned) = pidfd_open(pid, PidfdFlags::empty()) else {
        return false;
    };
    is_meant() && pidfd_send_signal(&pinned, signal).is_ok()
}

/// Sends a signal to all processes under `root`. Returns those it was sent to.
pub(crate) fn signal_tree(root: u32, signal: Signal) -> Vec<u32> {
    let mut tree = descendants(root);
    tree.retain(|pid| signal_if(*pid, signal, || is_under(root, *pid)));
    tree
}

/// Kills the children of this process, which nobody else reaps: their pids are theirs until then,
/// so that this is safe, and it is fast enough for children that multiply. What the killed ones
/// leave behind comes to the subreaper, as its children, for the next call.
pub(crate) fn kill_own_children() {
    let own = std::process::id();
    let children = listed_children(own).unwrap_or_else(|| {
        let is_child = |pid: &u32| ProcessStat::of(*pid).is_some_and(|stat| stat.parent == own);
        all_pids().into_iter().filter(is_child).collect()
    });
    for pid in children.iter().filter_map(|pid| Pid::from_raw(i32::try_from(*pid).ok()?)) {
        // It may have ended meanwhile, and then waits to be reaped.
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_may_contain_anything() {
        let text = "7 (a) R 1 (b) S 42 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987 1 1";
        let stat = ProcessStat { state: b'S', parent: 42, start_ticks: 987 };
        assert_eq!(ProcessStat::parse(text), Some(stat));
        assert_eq!(ProcessStat::parse("7 (a"), None);
        assert_eq!(ProcessStat::parse(""), None);
    }

    #[test]
    fn both_ways_find_the_same_descendants() {
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "sleep 60 & sleep 60 & echo up; wait"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        let mut listed = descendants(child.id());
        let mut scanned = descendants_by_parent(child.id());
        listed.sort_unstable();
        scanned.sort_unstable();
        assert_eq!(listed.len(), 2);
        assert_eq!(listed, scanned);
        assert!(is_under(child.id(), listed[0]));
        assert!(!is_under(listed[0], child.id()));
        assert_eq!(signal_tree(child.id(), Signal::KILL).len(), 2);
        child.wait().unwrap();
    }
}
