//! Taking a snapshot, complete or not at all.
//!
//! The node is down while this runs, so nothing here reads bytes that it need not: files are cloned or linked where
//! that is safe, and their digests are left to [`crate::seal`]. Everything is made durable by one sync, and becomes
//! visible by one rename.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ov_sys::disk::{Disk, Facts, Kind};
use ov_sys::durable;
use ov_types::{ReleaseName, SnapshotId};

use crate::crash_point::CrashPoint;
use crate::error::{At, VaultError};
use crate::manifest::{self, About, Attributes, DATA_NAME, Entry, FILE_NAME, How, Manifest, Summary};
use crate::outside;
use crate::path_text::PathText;
use crate::rules::DataRules;
use crate::scan::{Found, Scan, resolve, scan};
use crate::ways::{Method, Progress, Watcher, Ways};

/// Up to this many files and directories are synced by themselves; beyond, the whole file system is. A sync of the file
/// system also waits for what others have written to it.
const SYNCED_SINGLY_MAX: usize = 64;

/// A snapshot to be taken.
#[derive(Debug, Clone)]
pub struct TakeRequest<'a> {
    /// The data directory, or a link to it.
    pub data: &'a Path,
    /// The snapshots folder; made if missing.
    pub snapshots: &'a Path,
    /// Its name, not in use.
    pub id: SnapshotId,
    /// What the chain says about the files.
    pub rules: &'a DataRules,
    /// Where the data of the snapshot goes, if not into the snapshots folder: a name that is not in use.
    pub outside: Option<&'a Path>,
    /// Which ways may be taken.
    pub method: Method,
    /// Why and of what it is taken.
    pub about: About,
    /// Now, in milliseconds since 1970 in UTC.
    pub now_ms: i64,
}

/// A snapshot that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What a list shows of it.
    pub summary: Summary,
    /// Files by the way they came in: cloned, linked, copied.
    pub files: [usize; 3],
    /// Links in the data that lead out of it: what is behind them is not in the snapshot.
    pub links_out: Vec<PathText>,
    /// Sockets, pipes and devices, which are not in the snapshot.
    pub left_out: Vec<PathText>,
}

/// A name that says when and of which release a snapshot was taken.
pub fn propose_id(now_ms: i64, release: Option<&ReleaseName>) -> Option<SnapshotId> {
    let time = jiff::Timestamp::from_millisecond(now_ms).ok()?.strftime("%Y%m%d-%H%M%S");
    let name = release.map_or_else(|| time.to_string(), |release| format!("{time}-{release}"));
    // Release names may be as long as ours.
    SnapshotId::new(name.chars().take(120).collect::<String>()).ok()
}

/// The day as people here say it, such as `2026-1-7`.
pub fn day_of(now_ms: i64) -> Option<String> {
    let now = jiff::Timestamp::from_millisecond(now_ms).ok()?.to_zoned(jiff::tz::TimeZone::system());
    Some(format!("{}-{}-{}", now.year(), now.month(), now.day()))
}

/// `id`, or the first of `id-2`, `id-3` … that is not in use.
pub fn free_id(disk: &dyn Disk, snapshots: &Path, id: SnapshotId) -> Result<SnapshotId, VaultError> {
    let mut candidate = id.clone();
    for number in 2_u32.. {
        let path = snapshots.join(&candidate);
        if !durable::exists(disk, &path).at("look at", &path)? {
            break;
        }
        let Ok(next) = SnapshotId::new(format!("{id}-{number}")) else { return Err(VaultError::Exists(id)) };
        candidate = next;
    }
    Ok(candidate)
}

/// The snapshot of that name, if it is complete. This is how a caller that was stopped before it could note the
/// result learns that it need not take it again.
pub fn already_taken(disk: &dyn Disk, snapshots: &Path, id: &SnapshotId) -> Result<Option<Summary>, VaultError> {
    match manifest::read_summary(disk, snapshots, id) {
        Ok(summary) => sync_name(disk, snapshots).map(|()| Some(summary)),
        Err(VaultError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes a snapshot. What an earlier try of the same name left behind is replaced.
pub fn take(disk: &dyn Disk, request: &TakeRequest<'_>, watch: Watcher<'_>) -> Result<Snapshot, VaultError> {
    let (snapshots, id) = (request.snapshots, &request.id);
    let place = snapshots.join(id);
    if durable::exists(disk, &place).at("look at", &place)? {
        return Err(VaultError::Exists(id.clone()));
    }
    let (root, there) = resolve(disk, request.data)?;
    let root_facts = there.ok_or(VaultError::Unfit { path: root.clone(), why: "there is no such directory" })?;
    prepare(disk, snapshots)?;
    let (_, own) = resolve(disk, snapshots)?;
    if let Some(outside) = request.outside {
        outside::refuse_inside(disk, outside, &root)?;
    }
    let found = scan(disk, &root, request.rules, own.as_ref())?;

    let taking = snapshots.join(format!(".taking-{id}"));
    let result = build(disk, request, (&root, &root_facts), &found, &taking, watch);
    if result.is_err() {
        // On a full disk the leftovers would hold the very room that is missing.
        let _ = outside::remove(disk, &taking);
    }
    let manifest = result?;
    CrashPoint::SnapshotBuilt.reach();
    if let Some(outside) = request.outside {
        outside::reveal(disk, outside)?;
    }
    disk.rename(&taking, &place).at("rename to", &place)?;
    sync_name(disk, snapshots)?;
    CrashPoint::SnapshotTaken.reach();
    let files = [How::Reflink, How::Link, How::Copy].map(|wanted| {
        let ways = manifest.entries.iter().filter(|entry| matches!(entry, Entry::File { how, .. } if *how == wanted));
        ways.count()
    });
    let links_out = manifest.entries.iter().filter_map(link_out).collect();
    Ok(Snapshot { summary: manifest.summary, files, links_out, left_out: manifest.left_out })
}

/// Makes the snapshots folder if it is missing. Each directory on the way is durable before the next is made, so
/// that a folder that is there needs no syncs but of its own name: with the node down, each one counts.
fn prepare(disk: &dyn Disk, snapshots: &Path) -> Result<(), VaultError> {
    let mut missing = Vec::new();
    for ancestor in snapshots.ancestors() {
        if durable::exists(disk, ancestor).at("look at", ancestor)? {
            break;
        }
        missing.push(ancestor);
    }
    for directory in missing.into_iter().rev() {
        durable::make_directories(disk, directory, 0o700).at("make", directory)?;
    }
    Ok(())
}

/// Makes the names in the snapshots folder durable, and its own, in case it was made by a try that was stopped.
fn sync_name(disk: &dyn Disk, snapshots: &Path) -> Result<(), VaultError> {
    disk.sync_directory(snapshots).at("sync", snapshots)?;
    let parent = snapshots.parent().unwrap_or(snapshots);
    disk.sync_directory(parent).at("sync", parent)
}

fn build(
    disk: &dyn Disk,
    request: &TakeRequest<'_>,
    (root, root_facts): (&Path, &Facts),
    found: &Scan,
    taking: &Path,
    watch: Watcher<'_>,
) -> Result<Manifest, VaultError> {
    // What is not there needs no sync to stay away: what is made in its place is synced.
    if durable::exists(disk, taking).at("look at", taking)? {
        outside::remove(disk, taking)?;
    }
    disk.make_directory(taking, 0o700).at("make", taking)?;
    let data = match request.outside {
        None => taking.join(DATA_NAME),
        Some(place) => {
            let link = taking.join(DATA_NAME);
            disk.make_link(place, &link).at("make the link", &link)?;
            disk.sync_directory(taking).at("sync", taking)?;
            disk.sync_directory(request.snapshots).at("sync", request.snapshots)?;
            outside::hidden(place)
        }
    };
    if durable::exists(disk, &data).at("look at", &data)? {
        durable::remove_tree(disk, &data).at("remove", &data)?;
    }
    disk.make_directory(&data, 0o700).at("make", &data)?;
    let ways = Ways::probe(disk, request.method, root, &found.data, &data)?;
    let write_once = |found: &Found| request.rules.may_share(&found.path);
    ways.check_room(&found.data, write_once, &data)?;

    let mut entries = Vec::with_capacity(found.data.len());
    let mut progress = Progress { done: 0, total: found.data.iter().map(|found| found.facts.len).sum() };
    for each in &found.data {
        entries.push(bring(disk, &ways, root, &data, each, write_once(each))?);
        progress.done += each.facts.len;
        watch(progress);
    }
    let left_out = found.others.iter().cloned().map(PathText::from).collect();
    let root = Attributes::of(root_facts);
    let manifest = Manifest::new(request.id.clone(), request.now_ms, request.about.clone(), root, entries, left_out);
    make_durable(disk, taking, &data, &manifest)?;
    Ok(manifest)
}

fn bring(
    disk: &dyn Disk,
    ways: &Ways<'_>,
    root: &Path,
    data: &Path,
    found: &Found,
    write_once: bool,
) -> Result<Entry, VaultError> {
    let (from, to) = (root.join(&found.path), data.join(&found.path));
    let path = PathText::from(found.path.clone());
    let facts = &found.facts;
    let attributes = Attributes::of(facts);
    Ok(match facts.kind {
        Kind::Directory => {
            disk.make_directory(&to, 0o700).at("make", &to)?;
            Entry::Directory { path, attributes }
        }
        Kind::Link => {
            let text = disk.read_link(&from).at("read the link", &from)?;
            disk.make_link(&text, &to).at("make the link", &to)?;
            Entry::Link { path, to: text.into() }
        }
        Kind::File | Kind::Other => {
            let (how, blake3) = ways.transfer(&from, &to, facts, write_once)?;
            let modified_ns = nanoseconds(facts.modified);
            Entry::File { path, attributes, size: facts.len, modified_ns, how, blake3 }
        }
    })
}

/// Writes the manifest, and syncs everything that was made.
fn make_durable(disk: &dyn Disk, taking: &Path, data: &Path, manifest: &Manifest) -> Result<(), VaultError> {
    let path = taking.join(FILE_NAME);
    disk.create(&path, 0o600).and_then(|mut writer| writer.write_all(&manifest.to_bytes())).at("write", &path)?;
    // What is linked was durable before, under its other name.
    let is_new = |entry: &&Entry| !matches!(entry, Entry::File { how: How::Link, .. } | Entry::Link { .. });
    if manifest.entries.iter().filter(is_new).count() > SYNCED_SINGLY_MAX {
        if !data.starts_with(taking) {
            disk.sync_file_system(data).at("sync the file system of", data)?;
        }
        return disk.sync_file_system(taking).at("sync the file system of", taking);
    }
    let (mut files, mut directories) = (vec![path], vec![data.to_owned(), taking.to_owned()]);
    for entry in manifest.entries.iter().filter(is_new) {
        let path = data.join(entry.path());
        if matches!(entry, Entry::Directory { .. }) { directories.push(path) } else { files.push(path) }
    }
    durable::sync_each(disk, &files, &directories).at("sync what was copied to", data)
}

/// A link that is absolute or climbs out of the data.
fn link_out(entry: &Entry) -> Option<PathText> {
    let Entry::Link { path, to } = entry else { return None };
    let mut depth = path.path().components().count() - 1;
    for part in to.path().components() {
        match part {
            std::path::Component::Normal(_) => depth += 1,
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if depth > 0 => depth -= 1,
            _ => return Some(path.clone()),
        }
    }
    None
}

/// Nanoseconds since 1970, as far as they can be told: until the year 2262.
pub(crate) fn nanoseconds(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |before| -before),
    }
}
