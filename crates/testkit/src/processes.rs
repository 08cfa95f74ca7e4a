//! Processes as `/proc` shows them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Whether a process lives; a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    fields(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z" && state != "X"))
}

/// When a process started, in clock ticks since boot: with the pid it identifies a process for ever.
pub fn start_ticks(pid: u32) -> Option<u64> {
    fields(pid)?.get(19)?.parse().ok()
}

/// The fields of `/proc/<pid>/stat` from the state on.
fn fields(pid: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// The direct children of a process.
pub fn children_of(parent: u32) -> Vec<u32> {
    pids().filter(|pid| fields(*pid).and_then(|fields| fields.get(1)?.parse().ok()) == Some(parent)).collect()
}

/// Every living process whose environment, arguments or directory name this path: the shims and units of a home.
pub fn marked_processes(home: &Path) -> Vec<u32> {
    let needle = home.as_os_str().as_encoded_bytes();
    let names = |pid: u32| {
        ["environ", "cmdline"].iter().any(|file| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    };
    pids().filter(|pid| *pid != std::process::id() && is_alive(*pid) && names(*pid)).collect()
}

/// Kills every living process that [`marked_processes`] finds, shims and units and what is left of them.
pub(crate) fn kill_marked(home: &Path) {
    for _ in 0..200 {
        let left = marked_processes(home);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}
