//! Putting a snapshot in the place of a node's data, and back.
//!
//! The new data is built beside the old, checked and synced, and then takes its place in one step. What belongs to
//! the host stays the live one, and the sign state becomes the higher of the two. The old data is kept until
//! somebody discards it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ov_sys::disk::{Disk, Facts, Kind};
use ov_sys::durable;
use ov_types::SnapshotId;

use crate::crash_point::CrashPoint;
use crate::error::{At, VaultError};
use crate::manifest::{self, Attributes, DATA_NAME, Entry, How, Manifest};
use crate::rules::DataRules;
use crate::scan::{Found, resolve, scan};
use crate::sign_state::{self, OnDisk, SignState, after_replacement};
use crate::swap::{Place, repair_at, swap};
use crate::ways::{Method, Progress, Watcher, Ways};

/// How names of old data end.
const KEPT: &str = ".before-restore-";
/// How names of data end whose restore was undone.
const UNDONE: &str = ".undone-restore-";

/// A snapshot to be put in the place of a node's data.
#[derive(Debug, Clone)]
pub struct RestoreRequest<'a> {
    /// The snapshots folder.
    pub snapshots: &'a Path,
    /// The snapshot.
    pub id: SnapshotId,
    /// The data directory, or a link to it; it may be missing.
    pub data: &'a Path,
    /// What the chain says about the files.
    pub rules: &'a DataRules,
    /// The sign state recorded when the node last stopped: the result is never below it.
    pub recorded: Option<SignState>,
    /// Whether the snapshot was made on another host: then its sign state says nothing about this one's key.
    pub is_foreign: bool,
}

/// Data that took the place of other data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where the data really is.
    pub data: PathBuf,
    /// Where the data is that was there before, if there was any.
    pub kept: Option<PathBuf>,
    /// The sign state now.
    pub sign_state: Option<SignState>,
}

/// Restores a snapshot. The node must be down.
pub fn restore(disk: &dyn Disk, request: &RestoreRequest<'_>, watch: Watcher<'_>) -> Result<Restored, VaultError> {
    let manifest = manifest::read(disk, request.snapshots, &request.id)?;
    let place = Place::of(disk, request.data)?;
    repair_at(disk, &place)?;
    place.sweep(disk)?;
    // Its data may lie elsewhere, behind a link.
    let (stored_root, _) = resolve(disk, &request.snapshots.join(&request.id).join(DATA_NAME))?;
    let stored = if request.is_foreign { OnDisk::Missing } else { read_sign_state(disk, &stored_root, request.rules)? };
    let live = read_sign_state(disk, &place.data(), request.rules)?;
    let signed = after_replacement(request.recorded, live, stored).map_err(VaultError::SignState)?;

    let fresh = place.beside(".", &format!(".restoring-{}", request.id));
    let builder = Builder { disk, rules: request.rules, id: &request.id, from: &stored_root, to: &fresh };
    let built = builder.build(&manifest, &place.data(), &signed, watch);
    if built.is_err() {
        // On a full disk the leftovers would hold the very room that is missing.
        let _ = durable::remove_tree(disk, &fresh);
    }
    built?;
    CrashPoint::RestoreBuilt.reach();
    replace(disk, &place, &fresh, &format!("{KEPT}{}", request.id), &signed)
}

/// What a finished restore of this snapshot came to, as long as the data it kept is not discarded. This is how a
/// caller that was stopped before it could note the result learns that it need not restore again.
pub fn already_restored(
    disk: &dyn Disk,
    data: &Path,
    id: &SnapshotId,
    rules: &DataRules,
) -> Result<Option<Restored>, VaultError> {
    let place = Place::of(disk, data)?;
    repair_at(disk, &place)?;
    // It may have stopped before its last sync.
    disk.sync_directory(place.parent()).at("sync", place.parent())?;
    let kept = place.beside("", &format!("{KEPT}{id}"));
    if !durable::exists(disk, &kept).at("look at", &kept)? {
        return Ok(None);
    }
    let sign_state = read_sign_state(disk, &place.data(), rules)?.state();
    Ok(Some(Restored { data: place.data(), kept: Some(kept), sign_state }))
}

/// Puts the data that a restore has kept back in place; the sign state still only goes up, and what belongs to the
/// host stays the live one. The restored data is kept under another name. The node must be down.
pub fn undo_restore(
    disk: &dyn Disk,
    data: &Path,
    kept: &Path,
    rules: &DataRules,
    recorded: Option<SignState>,
) -> Result<Restored, VaultError> {
    let place = Place::of(disk, data)?;
    repair_at(disk, &place)?;
    let id = check_kept(disk, &place, kept, KEPT)?;
    let live = read_sign_state(disk, &place.data(), rules)?;
    let stored = read_sign_state(disk, kept, rules)?;
    let signed = after_replacement(recorded, live, stored).map_err(VaultError::SignState)?;
    refuse_retired(disk, &place.data(), kept, rules)?;
    carry_host_only(disk, &place.data(), kept, rules)?;
    write_sign_state(disk, kept, rules, &signed, &[&place.data(), kept])?;
    disk.sync_file_system(kept).at("sync the file system of", kept)?;
    replace(disk, &place, kept, &format!("{UNDONE}{id}"), &signed)
}

/// Removes data that a restore, or its undoing, has kept.
pub fn discard_old(disk: &dyn Disk, data: &Path, kept: &Path) -> Result<(), VaultError> {
    let place = Place::of(disk, data)?;
    let removing = place.beside(".", ".restoring-discarded");
    if durable::exists(disk, kept).at("look at", kept)? {
        if check_kept(disk, &place, kept, KEPT).is_err() {
            check_kept(disk, &place, kept, UNDONE)?;
        }
        // In one step, so that nobody takes half of it for the whole.
        durable::remove_tree(disk, &removing).at("remove", &removing)?;
        disk.rename(kept, &removing).at("rename", kept)?;
        disk.sync_directory(place.parent()).at("sync", place.parent())?;
    }
    durable::remove_tree(disk, &removing).at("remove", &removing)
}

/// Data that restores, or their undoing, have kept beside the data directory.
pub fn kept_data(disk: &dyn Disk, data: &Path) -> Result<Vec<PathBuf>, VaultError> {
    let place = Place::of(disk, data)?;
    let names = disk.list(place.parent()).at("list", place.parent())?;
    let beside = names.into_iter().map(|name| place.parent().join(name));
    Ok(beside
        .filter(|path| [KEPT, UNDONE].iter().any(|suffix| check_kept(disk, &place, path, suffix).is_ok()))
        .collect())
}

/// Removes half-built and half-discarded data beside the data directory, after finishing or abandoning a swap that
/// was stopped. May take long: it deletes. Must not run beside a restore.
pub fn sweep_restores(disk: &dyn Disk, data: &Path) -> Result<(), VaultError> {
    let place = Place::of(disk, data)?;
    repair_at(disk, &place)?;
    place.sweep(disk)
}

fn replace(
    disk: &dyn Disk,
    place: &Place,
    fresh: &Path,
    suffix: &str,
    signed: &OnDisk,
) -> Result<Restored, VaultError> {
    let data = place.data();
    let had_data = durable::exists(disk, &data).at("look at", &data)?;
    let kept = place.free(disk, suffix)?;
    swap(disk, place, fresh, &kept)?;
    Ok(Restored { data, kept: had_data.then_some(kept), sign_state: signed.state() })
}

/// What comes after the suffix in the name of kept data, which must lie beside the data it is of.
fn check_kept(disk: &dyn Disk, place: &Place, kept: &Path, suffix: &str) -> Result<String, VaultError> {
    let unfit = |why| VaultError::Unfit { path: kept.to_owned(), why };
    let prefix = place.beside("", suffix);
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let id = name(kept).strip_prefix(&name(&prefix)).map(str::to_owned);
    let id = id.filter(|_| kept.parent() == Some(place.parent()));
    let id = id.ok_or_else(|| unfit("it is not data that a restore has kept"))?;
    match disk.facts(kept).at("look at", kept)? {
        Some(facts) if facts.kind == Kind::Directory => Ok(id),
        _ => Err(unfit("it is not there")),
    }
}

fn read_sign_state(disk: &dyn Disk, root: &Path, rules: &DataRules) -> Result<OnDisk, VaultError> {
    match &rules.sign_state {
        Some(path) => sign_state::read(disk, &root.join(path)),
        None => Ok(OnDisk::Missing),
    }
}

/// Writes the sign state into a tree that no node uses yet, with the attributes of the first of these names that
/// is there.
fn write_sign_state(
    disk: &dyn Disk,
    root: &Path,
    rules: &DataRules,
    signed: &OnDisk,
    like: &[&Path],
) -> Result<(), VaultError> {
    let (Some(relative), OnDisk::State(_, bytes)) = (&rules.sign_state, signed) else { return Ok(()) };
    let path = root.join(relative);
    let mut attributes = None;
    for other in like {
        let other = other.join(relative);
        let facts = disk.facts(&other).at("look at", &other)?;
        attributes = attributes.or(facts.map(|facts| Attributes::of(&facts)));
    }
    if let Some(parent) = path.parent() {
        durable::make_directories(disk, parent, 0o700).at("make", parent)?;
    }
    durable::replace(disk, &path, bytes, 0o600).at("write", &path)?;
    match attributes {
        Some(attributes) => dress(disk, &path, attributes),
        None => Ok(()),
    }
}

/// Copies everything that belongs to the host from the live data, in place of what is in `to`.
fn carry_host_only(disk: &dyn Disk, live: &Path, to: &Path, rules: &DataRules) -> Result<(), VaultError> {
    if !durable::exists(disk, live).at("look at", live)? {
        return Ok(());
    }
    let found = scan(disk, live, rules, None)?.host_only;
    for each in &found {
        let (from, to) = (live.join(&each.path), to.join(&each.path));
        let is_outermost = !each.path.parent().is_some_and(|parent| rules.is_host_only(parent));
        if is_outermost {
            durable::remove_tree(disk, &to).at("remove", &to)?;
            if let Some(parent) = to.parent() {
                durable::make_directories(disk, parent, 0o700).at("make", parent)?;
            }
        }
        match each.facts.kind {
            Kind::Directory => disk.make_directory(&to, each.facts.mode | 0o700).at("make", &to)?,
            Kind::Link => {
                let text = disk.read_link(&from).at("read the link", &from)?;
                disk.make_link(&text, &to).at("make the link", &to)?;
                continue;
            }
            Kind::File | Kind::Other => {
                durable::copy_file_unsynced(disk, &from, &to).at("copy", &from)?;
                disk.set_modified(&to, each.facts.modified).at("set the time of", &to)?;
            }
        }
        dress(disk, &to, Attributes::of(&each.facts))?;
    }
    Ok(())
}

/// Refuses data with a file of the host's that is gone from the live data: it may be a key that was moved to another
/// host since, and bringing it back would make two of it.
fn refuse_retired(disk: &dyn Disk, live: &Path, kept: &Path, rules: &DataRules) -> Result<(), VaultError> {
    for found in scan(disk, kept, rules, None)?.host_only {
        let at = live.join(&found.path);
        if found.facts.kind == Kind::File && !durable::exists(disk, &at).at("look at", &at)? {
            let why = "it belongs to this host and is gone from the live data: move it away, or put it back there";
            return Err(VaultError::Unfit { path: kept.join(found.path), why });
        }
    }
    Ok(())
}

/// Gives a name the owner and the permission bits of its original.
fn dress(disk: &dyn Disk, path: &Path, wanted: Attributes) -> Result<(), VaultError> {
    let Some(facts) = disk.facts(path).at("look at", path)? else { return Ok(()) };
    if (facts.uid, facts.gid) != (wanted.uid, wanted.gid) {
        match disk.set_owner(path, wanted.uid, wanted.gid) {
            // Only root gives files away. Whoever is not root runs the node as itself, and owns what it makes.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            result => result.at("set the owner of", path)?,
        }
    }
    if facts.mode != wanted.mode {
        disk.set_mode(path, wanted.mode).at("set the mode of", path)?;
    }
    Ok(())
}

/// Builds the new data beside the old.
struct Builder<'a> {
    disk: &'a dyn Disk,
    rules: &'a DataRules,
    id: &'a SnapshotId,
    from: &'a Path,
    to: &'a Path,
}

impl Builder<'_> {
    fn build(&self, manifest: &Manifest, live: &Path, signed: &OnDisk, watch: Watcher<'_>) -> Result<(), VaultError> {
        let (disk, to) = (self.disk, self.to);
        // Whatever a snapshot made elsewhere may hold, these never come from it as they are.
        let is_own = |path: &Path| self.rules.is_host_only(path) || self.rules.is_sign_state(path);
        let wanted: Vec<&Entry> = manifest.entries.iter().filter(|entry| !is_own(entry.path())).collect();
        let found = wanted.iter().map(|entry| self.find(entry)).collect::<Result<Vec<_>, _>>()?;
        disk.make_directory(to, 0o700).at("make", to)?;
        let ways = Ways::probe(disk, Method::Auto, self.from, &found, to)?;
        ways.check_room(&found, |found| self.rules.may_share(&found.path), to)?;
        let mut progress = Progress { done: 0, total: found.iter().map(|found| found.facts.len).sum() };
        for (entry, found) in wanted.iter().zip(&found) {
            self.bring(&ways, entry, &found.facts)?;
            progress.done += found.facts.len;
            watch(progress);
        }
        carry_host_only(disk, live, to, self.rules)?;
        write_sign_state(disk, to, self.rules, signed, &[live, self.from])?;
        // Last, and from the innermost outwards: a directory may be read-only.
        for entry in wanted.iter().rev() {
            if let Entry::Directory { path, attributes } = entry {
                dress(disk, &to.join(path.path()), *attributes)?;
            }
        }
        dress(disk, to, manifest.root)?;
        disk.sync_file_system(to).at("sync the file system of", to)
    }

    /// The stored file behind an entry, if it is what the manifest says.
    fn find(&self, entry: &Entry) -> Result<Found, VaultError> {
        let path = self.from.join(entry.path());
        let damaged = |what| VaultError::Damaged { id: self.id.clone(), path: entry.path().to_owned(), what };
        let facts = self.disk.facts(&path).at("look at", &path)?.ok_or_else(|| damaged("is missing"))?;
        match (entry, facts.kind) {
            (Entry::File { size, .. }, Kind::File) if facts.len != *size => Err(damaged("has another size")),
            (Entry::File { .. }, Kind::File)
            | (Entry::Directory { .. }, Kind::Directory)
            | (Entry::Link { .. }, Kind::Link) => Ok(Found { path: entry.path().to_owned(), facts }),
            _ => Err(damaged("is of another kind")),
        }
    }

    fn bring(&self, ways: &Ways<'_>, entry: &Entry, stored: &Facts) -> Result<(), VaultError> {
        let (from, to) = (self.from.join(entry.path()), self.to.join(entry.path()));
        match entry {
            Entry::Directory { .. } => self.disk.make_directory(&to, 0o700).at("make", &to),
            Entry::Link { to: text, .. } => self.disk.make_link(text.path(), &to).at("make the link", &to),
            Entry::File { path, attributes, modified_ns, blake3, .. } => {
                let (how, digest) = ways.transfer(&from, &to, stored, self.rules.may_share(path.path()))?;
                if let (Some(expected), Some(found)) = (blake3, digest)
                    && *expected != found
                {
                    let what = "has other contents";
                    return Err(VaultError::Damaged { id: self.id.clone(), path: path.path().to_owned(), what });
                }
                if how == How::Link {
                    // Owner, mode and time are those of the snapshot's file, which is the same file.
                    return Ok(());
                }
                self.disk.set_modified(&to, time(*modified_ns)).at("set the time of", &to)?;
                dress(self.disk, &to, *attributes)
            }
        }
    }
}

fn time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}
