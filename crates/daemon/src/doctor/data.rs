//! The data directory and what a validator has signed.

use std::collections::BTreeMap;
use std::path::Path;

use ov_sys::disk::Kind;
use ov_sys::durable::followed;
use ov_types::{UnitName, counted};

use super::host::PROC_BYTES_MAX;
use super::processes::family_of;
use super::{DoctorInput, Verdict, failed};
use crate::family::command_line;
use crate::units::{Exposure, exposure, user_id, what_is_signed};

/// How deep lock files of databases lie in a data directory, at most.
const LOCK_DEPTH_MAX: usize = 3;
/// Folders that are searched for them.
const FOLDERS_MAX: usize = 1_000;

pub(super) fn directory(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let data = &input.shape.layout.data;
    vec![match input.disk.list(data) {
        Ok(names) if names.is_empty() => {
            let message = "it is empty: a node that starts now begins from nothing";
            Verdict::warning(data.display(), message, "make sure that the right disk is mounted there")
        }
        Ok(names) => Verdict::good(data.display(), format!("{} in it", counted(names.len(), "name"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = "it does not exist: a node that starts now begins from nothing";
            Verdict::warning(data.display(), message, "make sure that the right disk is mounted, or set `paths.data`")
        }
        Err(error) => Verdict::error(data.display(), format!("it cannot be read: {error}"), "see who may read it"),
    }]
}

/// Databases are locked by the process that has them open: by ours, or by nobody.
pub(super) fn lock(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let data = &input.shape.layout.data;
    let locks = lock_files(input, data);
    let held = input.disk.read(Path::new("/proc/locks"), PROC_BYTES_MAX);
    let Ok(held) = held else { return vec![Verdict::unknown(data.display(), "/proc/locks cannot be read")] };
    let family = family_of(input);
    let strangers: Vec<Verdict> = String::from_utf8_lossy(&held)
        .lines()
        .filter_map(held_lock)
        .filter_map(|(pid, inode)| Some((pid, locks.get(&inode)?)))
        .filter(|(pid, _)| !family.contains(pid))
        .map(|(pid, path)| {
            let name = command_line(input.disk, pid).into_iter().next().unwrap_or_else(|| "unknown".to_owned());
            let message = format!("process {pid} ({name}), which is not ours, holds it");
            Verdict::error(path, message, "end that process: two nodes on one database destroy it")
        })
        .collect();
    if !strangers.is_empty() {
        return strangers;
    }
    vec![Verdict::good(data.display(), format!("{}, none held by a stranger", counted(locks.len(), "database lock")))]
}

/// The lock files of databases, by inode.
fn lock_files(input: &DoctorInput<'_>, data: &Path) -> BTreeMap<(u64, u64), String> {
    let mut locks = BTreeMap::new();
    let mut folders = vec![(data.to_owned(), 0)];
    let mut searched = 0;
    while let Some((folder, depth)) = folders.pop() {
        searched += 1;
        for name in input.disk.list(&folder).unwrap_or_default() {
            let path = folder.join(&name);
            let Ok(Some(facts)) = input.disk.facts(&path) else { continue };
            let is_lock = name.to_str().is_some_and(|name| matches!(name, "LOCK" | "lock" | "lock.mdb" | "mdbx.lck"));
            if facts.kind == Kind::File && is_lock {
                locks.insert((facts.device, facts.inode), path.display().to_string());
            } else if facts.kind == Kind::Directory && depth < LOCK_DEPTH_MAX && searched < FOLDERS_MAX {
                folders.push((path, depth + 1));
            }
        }
    }
    locks
}

/// Understands a line of `/proc/locks`: who holds the lock, and on which file.
fn held_lock(line: &str) -> Option<(u32, (u64, u64))> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    // A line with an arrow is about somebody who waits.
    if *fields.get(1)? == "->" {
        return None;
    }
    let mut file = fields.get(5)?.split(':');
    let major = u32::from_str_radix(file.next()?, 16).ok()?;
    let minor = u32::from_str_radix(file.next()?, 16).ok()?;
    let inode = file.next()?.parse().ok()?;
    // Locks that belong to an open file rather than to a process have no holder that could be named.
    let pid = fields.get(4)?.parse().ok().filter(|pid| *pid > 0)?;
    Some((pid, (device(major, minor), inode)))
}

/// The two numbers of a device as one, as Linux has it in the facts of a file.
fn device(major: u32, minor: u32) -> u64 {
    let (major, minor) = (u64::from(major), u64::from(minor));
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

pub(super) fn format(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(path) = &input.shape.keep.format_file else { return Vec::new() };
    vec![match ov_vault::format_marker(input.disk, path) {
        Ok(Some(text)) => Verdict::good(path.display(), format!("the data is of format `{text}`")),
        Ok(None) => {
            let message = "it does not exist: whether an upgrade raised the data cannot be told by it";
            Verdict::warning(path.display(), message, "see that `format-file` names the file that the node writes")
        }
        Err(error) => Verdict::unknown(path.display(), failed(&error)),
    }]
}

pub(super) fn sign_state(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(signer) = &input.shape.signer else { return Vec::new() };
    let Some(path) = signer.sign_state.as_ref().or(signer.key.as_ref()) else { return Vec::new() };
    vec![match what_is_signed(input.disk, input.shape, input.recorded_sign_state) {
        Err(problem) => Verdict::error(path.display(), format!("failed to {problem}"), problem.hint),
        Ok(Some(state)) => Verdict::good(path.display(), format!("signed up to {state}")),
        Ok(None) if signer.sign_state.is_none() => Verdict::good(path.display(), "the key is there"),
        Ok(None) => Verdict::good(path.display(), "nothing was signed yet"),
    }]
}

pub(super) fn key_mode(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let key = input.shape.signer.as_ref().and_then(|signer| signer.key.as_ref());
    let Some(path) = key else { return Vec::new() };
    let uid = input.shape.units.get(&UnitName::main()).and_then(|main| main.launch.user.as_deref());
    let uid = uid.map_or(Some(rustix::process::geteuid().as_raw()), |user| user_id(input.disk, user));
    let Some(uid) = uid else { return vec![Verdict::unknown(path.display(), "whom main runs as cannot be told")] };
    vec![match followed(input.disk, path) {
        Ok(Some(facts)) => match exposure(&facts, uid) {
            Some(Exposure { message, fix, is_grave: true }) => Verdict::error(path.display(), message, fix),
            Some(Exposure { message, fix, .. }) => Verdict::warning(path.display(), message, fix),
            None => Verdict::good(path.display(), format!("mode {:04o}, owner {}", facts.mode, facts.uid)),
        },
        Ok(None) => Verdict::unknown(path.display(), "there is no key"),
        Err(error) => Verdict::unknown(path.display(), format!("cannot look: {error}")),
    }]
}

pub(super) fn custody(input: &DoctorInput<'_>) -> Vec<Verdict> {
    if input.shape.signer.is_none() {
        return Vec::new();
    }
    let path = input.shape.layout.custody();
    let checked = crate::custody::check(
        input.disk,
        input.shape,
        &ov_vault::Machine::this(),
        input.recorded_sign_state,
        input.clock,
    );
    vec![match checked {
        Err(problem) => Verdict::error(path.display(), format!("failed to {problem}"), problem.hint),
        Ok(_) => Verdict::good(path.display(), "the key is used where it was, and the clock goes on as it did"),
    }]
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn holders_of_locks_are_told_from_those_who_wait() {
        let line = "1: POSIX  ADVISORY  WRITE 4711 08:01:1234567 0 EOF";
        assert_eq!(held_lock(line), Some((4711, (0x801, 1_234_567))));
        assert_eq!(held_lock("1: -> POSIX  ADVISORY  WRITE 4711 08:01:1234567 0 EOF"), None);
        assert_eq!(held_lock("1: OFDLCK ADVISORY  WRITE -1 08:01:1234567 0 EOF"), None);
        assert_eq!(held_lock(""), None);
    }
}
