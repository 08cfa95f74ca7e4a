//! The file systems that a node uses: room, inodes, what they allow and what they can.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ov_sys::disk::{Kind, Room};
use ov_sys::durable;
use ov_types::{ByteSize, KeepMethod, Span, counted};
use ov_vault::Globs;

use super::{DoctorInput, Verdict};

/// Without this much room not even the journal can be relied on.
const FREE_NEEDED_BYTES: u64 = 64 << 20;
/// With less than this a busy node may be full before anybody looks.
const FREE_WANTED_BYTES: u64 = 1 << 30;
const INODES_NEEDED: u64 = 1_000;
const INODES_WANTED: u64 = 10_000;
/// Names that are looked at to estimate a snapshot.
const NAMES_MAX: usize = 300_000;
/// How fast copying is assumed to be.
const COPY_BYTES_PER_SECOND: u64 = 200 << 20;
/// A copy that takes longer than this deserves a word before the upgrade.
const COPY_WANTED_SECONDS: u64 = 60;

/// The folders that are written to, and the room on their file systems; each file system once.
fn rooms(input: &DoctorInput<'_>) -> Vec<(String, io::Result<Room>)> {
    let layout = &input.shape.layout;
    let mut folders = vec![("state", &*layout.state), ("data", &layout.data), ("releases", &layout.releases)];
    if input.shape.engine.upgrade.keep {
        folders.push(("snapshots", input.shape.kept_in()));
    }
    let mut by_device: BTreeMap<u64, (String, io::Result<Room>)> = BTreeMap::new();
    let mut rooms = Vec::new();
    for (name, folder) in folders {
        match device(input, folder) {
            Some(device) => {
                let (names, _) = by_device.entry(device).or_insert_with(|| (String::new(), input.disk.room(folder)));
                let comma = if names.is_empty() { "" } else { ", " };
                *names = format!("{names}{comma}{name}");
            }
            None => rooms.push((name.to_owned(), Err(io::ErrorKind::NotFound.into()))),
        }
    }
    rooms.extend(by_device.into_values());
    rooms
}

/// The file system of a folder, or of the nearest one above it that exists.
fn device(input: &DoctorInput<'_>, folder: &Path) -> Option<u64> {
    folder.ancestors().find_map(|at| durable::followed(input.disk, at).ok().flatten()).map(|facts| facts.device)
}

fn each_room(input: &DoctorInput<'_>, judge: fn(&str, &Room) -> Verdict) -> Vec<Verdict> {
    let judged = |(names, room): (String, io::Result<Room>)| match room {
        Ok(room) => judge(&names, &room),
        Err(error) => Verdict::unknown(&names, format!("cannot look: {error}")),
    };
    rooms(input).into_iter().map(judged).collect()
}

fn size(bytes: u64) -> String {
    ByteSize(bytes).rounded()
}

pub(super) fn free(input: &DoctorInput<'_>) -> Vec<Verdict> {
    each_room(input, |names, room| {
        let message = format!("{} of {} free", size(room.free), size(room.total));
        if room.free < FREE_NEEDED_BYTES {
            Verdict::error(names, message, "free some room: an upgrade needs it, and so does the node")
        } else if room.free < FREE_WANTED_BYTES {
            Verdict::warning(names, message, "free some room")
        } else {
            Verdict::good(names, message)
        }
    })
}

pub(super) fn inodes(input: &DoctorInput<'_>) -> Vec<Verdict> {
    each_room(input, judge_inodes)
}

pub(super) fn judge_inodes(names: &str, room: &Room) -> Verdict {
    let message = format!("{} inodes free", room.inodes_free);
    if room.inodes_free < INODES_NEEDED {
        Verdict::error(names, message, "remove files: no new ones can be made")
    } else if room.inodes_free < INODES_WANTED {
        Verdict::warning(names, message, "remove files that are not needed")
    } else if room.inodes_free == u64::MAX {
        Verdict::good(names, "the file system does not count inodes")
    } else {
        Verdict::good(names, message)
    }
}

pub(super) fn read_only(input: &DoctorInput<'_>) -> Vec<Verdict> {
    each_room(input, |names, room| {
        if room.read_only {
            Verdict::error(names, "the file system is read-only", "see the kernel's log, repair it and mount it again")
        } else {
            Verdict::good(names, "the file system can be written")
        }
    })
}

pub(super) fn noexec(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let releases = &input.layout.releases;
    vec![match input.disk.room(releases) {
        Ok(room) if room.noexec => {
            let message = "the file system is mounted noexec: no release can run";
            Verdict::error(releases.display(), message, "mount it with exec, or keep releases elsewhere")
        }
        Ok(_) => Verdict::good(releases.display(), "programs may run from here"),
        Err(error) => Verdict::unknown(releases.display(), format!("cannot look: {error}")),
    }]
}

pub(super) fn reflink(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let must = input.shape.keep.method == KeepMethod::Reflink;
    if !input.shape.engine.upgrade.keep || !(must || input.shape.keep.method == KeepMethod::Auto) {
        return Vec::new();
    }
    let subject = input.shape.layout.data.display();
    vec![match try_clone(input) {
        None => Verdict::unknown(subject, "there is no file in it that could be cloned"),
        Some(Ok(())) => Verdict::good(subject, "snapshots share blocks with the data: they take milliseconds"),
        Some(Err(error)) if error.kind() == io::ErrorKind::Unsupported && must => {
            let message = "snapshots cannot share blocks with the data here, and the configuration wants that";
            let fix = "keep data and snapshots on one XFS or btrfs, or let the method be `auto`";
            Verdict::error(subject, message, fix)
        }
        Some(Err(error)) if error.kind() == io::ErrorKind::Unsupported => {
            Verdict::good(subject, "snapshots cannot share blocks with the data here: files are linked or copied")
        }
        Some(Err(error)) => Verdict::unknown(subject, format!("a clone could not be tried: {error}")),
    }]
}

/// Clones one file of the data to where snapshots go, and removes the clone. `None` when there is no file.
fn try_clone(input: &DoctorInput<'_>) -> Option<io::Result<()>> {
    let file = some_file(input, &input.shape.layout.data)?;
    let is_there = |at: &&Path| matches!(input.disk.facts(at), Ok(Some(_)));
    let folder = input.shape.kept_in().ancestors().find(is_there)?;
    // Hidden, and hence taken for no snapshot; the same name always, so that a crash leaves one at most.
    let clone = folder.join(".omnivisor-reflink-try");
    let _ = input.disk.remove_file(&clone);
    let tried = input.disk.reflink(&file, &clone);
    let _ = input.disk.remove_file(&clone);
    Some(tried)
}

/// Some regular file of the data that is no secret.
fn some_file(input: &DoctorInput<'_>, data: &Path) -> Option<PathBuf> {
    let key = input.shape.signer.as_ref().and_then(|signer| signer.key.as_ref());
    let mut found = None;
    walk(input, data, 1_000, &mut |path, kind, _| {
        if found.is_none() && kind == Kind::File && Some(&path.to_path_buf()) != key {
            found = Some(path.to_owned());
        }
        found.is_none()
    });
    found
}

pub(super) fn snapshot(input: &DoctorInput<'_>) -> Vec<Verdict> {
    if !input.shape.engine.upgrade.keep || input.shape.keep.method == KeepMethod::Off {
        return Vec::new();
    }
    let subject = input.shape.layout.data.display();
    let Some(estimate) = estimate(input) else {
        return vec![Verdict::unknown(subject, format!("more than {NAMES_MAX} names: not all were looked at"))];
    };
    let Estimate { files, linked, copied } = estimate;
    if let Some(Ok(())) = try_clone(input).filter(|_| input.shape.keep.method != KeepMethod::Copy) {
        return vec![Verdict::good(
            subject,
            format!("{}, {} in all, share blocks", counted(files, "file"), size(linked + copied)),
        )];
    }
    let seconds = copied / COPY_BYTES_PER_SECOND;
    let message = format!(
        "{}: {} are linked, {} are copied, in about {} at {} a second",
        counted(files, "file"),
        size(linked),
        size(copied),
        Span::from_seconds(seconds).rounded(),
        size(COPY_BYTES_PER_SECOND),
    );
    let free = input.disk.room(input.shape.kept_in()).map_or(u64::MAX, |room| room.free);
    vec![if copied.saturating_add(FREE_NEEDED_BYTES) > free {
        let message = format!("{message}; only {} are free", size(free));
        Verdict::error(subject, message, "free some room, or take no snapshot for this plan")
    } else if seconds > COPY_WANTED_SECONDS {
        let fix = "keep the data on XFS or btrfs, or name the files that are never changed as write-once";
        Verdict::warning(subject, message, fix)
    } else {
        Verdict::good(subject, message)
    }]
}

/// What a snapshot would hold if nothing could be cloned.
#[derive(Debug, Default)]
struct Estimate {
    files: u64,
    linked: u64,
    copied: u64,
}

/// `None` when there are too many names.
fn estimate(input: &DoctorInput<'_>) -> Option<Estimate> {
    let (keep, layout) = (&input.shape.keep, &input.shape.layout);
    let links = keep.method != KeepMethod::Copy && device(input, &layout.data) == device(input, input.shape.kept_in());
    let globs = |patterns: &[String]| Globs::new(patterns).unwrap_or_default();
    let (write_once, exclude) = (globs(&keep.write_once), globs(&keep.exclude));
    let mut estimate = Estimate::default();
    let whole = walk(input, &layout.data, NAMES_MAX, &mut |path, kind, len| {
        let within = path.strip_prefix(&layout.data).unwrap_or(path);
        if kind == Kind::File && !exclude.matches(within) {
            estimate.files += 1;
            if links && write_once.matches(within) {
                estimate.linked += len;
            } else {
                estimate.copied += len;
            }
        }
        true
    });
    whole.then_some(estimate)
}

/// Visits everything below a folder until the visitor has enough. False when there were too many names.
fn walk(
    input: &DoctorInput<'_>,
    folder: &Path,
    names_max: usize,
    visit: &mut dyn FnMut(&Path, Kind, u64) -> bool,
) -> bool {
    let mut folders = vec![folder.to_owned()];
    let mut names = 0;
    while let Some(folder) = folders.pop() {
        // What vanishes under the walk is no part of it.
        for name in input.disk.list(&folder).unwrap_or_default() {
            let path = folder.join(name);
            let Ok(Some(facts)) = input.disk.facts(&path) else { continue };
            names += 1;
            if names > names_max {
                return false;
            }
            if !visit(&path, facts.kind, facts.len) {
                return true;
            }
            if facts.kind == Kind::Directory {
                folders.push(path);
            }
        }
    }
    true
}
