//! Processes as `/proc` shows them: who belongs to a supervisor, and what they cost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What some processes cost together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) processes: usize,
    pub(crate) pss_kib: u64,
    pub(crate) rss_kib: u64,
}

/// Every process that comes from this one, and every one whose arguments or environment name the folder.
pub(crate) fn family(root: u32, folder: &Path) -> Vec<u32> {
    let all: Vec<(u32, u32)> = pids().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![root];
    let mut looked_at = 0;
    while looked_at < found.len() {
        let of = found[looked_at];
        found.extend(all.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
        looked_at += 1;
    }
    let marked: Vec<u32> = naming(folder).into_iter().filter(|pid| !found.contains(pid)).collect();
    found.extend(marked);
    found
}

/// Every other living process whose arguments or environment name the folder.
pub(crate) fn naming(folder: &Path) -> Vec<u32> {
    let needle = folder.as_os_str().as_encoded_bytes();
    let names = |pid: u32| {
        ["cmdline", "environ"].iter().any(|file| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            bytes.windows(needle.len()).any(|window| window == needle)
        })
    };
    let own = std::process::id();
    pids().into_iter().filter(|pid| *pid != own && parent(*pid).is_some() && names(*pid)).collect()
}

/// What these processes cost now.
pub(crate) fn cost(pids: &[u32]) -> Cost {
    let mut cost = Cost { processes: pids.len(), ..Cost::default() };
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        cost.pss_kib += number(&rollup, "Pss:");
        cost.rss_kib += number(&rollup, "Rss:");
    }
    cost
}

/// The milliseconds of processor time that these processes used so far, and the children that they waited for.
pub(crate) fn processor_ms(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| -> Option<u64> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        // utime, stime, cutime and cstime; the state is the first one here.
        Some(fields.get(11..15)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum())
    };
    let ticks = u32::try_from(pids.iter().filter_map(ticks).sum::<u64>()).unwrap_or(u32::MAX);
    f64::from(ticks) * 1e3 / f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100))
}

/// What a process was called with, its own name first.
pub(crate) fn arguments(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// How often each thread of these processes was switched to so far.
pub(crate) fn switches(pids: &[u32]) -> BTreeMap<PathBuf, u64> {
    let tasks = |pid: &u32| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_task = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let count = number(&status, "voluntary_ctxt_switches:") + number(&status, "nonvoluntary_ctxt_switches:");
        (task.path(), count)
    };
    pids.iter().flat_map(tasks).map(of_task).collect()
}

/// How often threads were switched to between two looks. One that ended meanwhile was switched to once at least.
pub(crate) fn switches_between(before: &BTreeMap<PathBuf, u64>, after: &BTreeMap<PathBuf, u64>) -> u64 {
    let ended = before.keys().filter(|task| !after.contains_key(*task)).count() as u64;
    let of = |(task, count): (&PathBuf, &u64)| count - before.get(task).unwrap_or(&0).min(count);
    ended + after.iter().map(of).sum::<u64>()
}

/// Which of these processes calls itself by this number, perhaps in a namespace of its own.
pub(crate) fn in_namespace(pids: &[u32], number_inside: i32) -> Option<u32> {
    let inside = |pid: u32| -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        line.split_whitespace().last()?.parse().ok()
    };
    pids.iter().copied().find(|pid| inside(*pid) == Some(number_inside))
}

/// The short name of a process.
pub(crate) fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// Waits until none of these lives.
pub(crate) fn wait_for_end(pids: &[u32], patience: Duration) -> Result<()> {
    let mut left: Vec<u32> = pids.to_vec();
    let gone = |pid: u32| parent(pid).is_none();
    wait_until("processes to end", patience, || {
        while left.last().is_some_and(|pid| gone(*pid)) {
            left.pop();
        }
        left.is_empty()
    })
}

/// Waits for a condition.
pub(crate) fn wait_until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + patience;
    while !holds() {
        if Instant::now() >= deadline {
            bail!("wait any longer for {what}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// The parent of a living process; a zombie does not live.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" { None } else { fields.next()?.parse().ok() }
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn number(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn threads_that_come_and_go_are_counted() {
        let look = |tasks: &[(&str, u64)]| tasks.iter().map(|(task, count)| (PathBuf::from(task), *count)).collect();
        let (before, after) = (look(&[("a", 5), ("b", 100)]), look(&[("a", 7), ("c", 3)]));
        assert_eq!(switches_between(&before, &after), 2 + 3 + 1);
    }

    #[test]
    fn a_child_is_found_counted_and_missed() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let family = family(std::process::id(), Path::new("/nowhere/at/all"));
        assert!(family.contains(&child.id()));
        assert_eq!(in_namespace(&family, i32::try_from(child.id()).unwrap()), Some(child.id()));
        assert!(cost(&[child.id()]).rss_kib > 0);
        assert_eq!(arguments(child.id()), ["sleep", "100"]);
        assert!(processor_ms(&[std::process::id()]) >= 0.0);
        assert!(switches(&[std::process::id()]).values().sum::<u64>() > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        wait_for_end(&[child.id()], Duration::from_secs(10)).unwrap();
        wait_for_end(&[std::process::id()], Duration::ZERO).unwrap_err();
    }
}
