//! Putting a release into place, complete or not at all.
//!
//! The order that makes it so: the tree is built and synced under a hidden name; its provenance is written under a
//! hidden name; the tree is renamed; the provenance is renamed. A try that stopped anywhere is either finished or
//! replaced by the next one, and what people put there themselves is never touched.

use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Kind};
use ov_sys::durable;
use ov_types::ReleaseName;

use crate::addition::{Addition, missing_in_plan};
use crate::crash_point::CrashPoint;
use crate::digest::Digest;
use crate::error::{At, ReleaseError};
use crate::layout::Layout;
use crate::provenance::{self, Provenance};
use crate::state::{State, Thoroughness, adopted_source, differences, state};
use crate::switch::{CurrentRelease, current};
use crate::tree::{self, Entry, Planned, PlannedKind};
use crate::withdraw::{remove, remove_leftovers};

/// Left free beyond what is needed: the journal and the node must go on writing.
const ROOM_MARGIN_BYTES: u64 = 16 << 20;

/// What a release is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One program; it becomes `bin/<its file name>`, executable.
    File(PathBuf),
    /// A directory, copied as it is.
    Directory(PathBuf),
}

/// A release to be staged.
#[derive(Debug, Clone)]
pub struct StageRequest {
    /// Its name.
    pub name: ReleaseName,
    /// What it is made of.
    pub source: Source,
    /// The program, relative to the release's directory. May be left out when the source is a file.
    pub program: Option<String>,
    /// What the program must hash to.
    pub sha256: Option<Digest>,
    /// Where it came from, in words that go into the provenance; the source's path when left out.
    pub origin: Option<String>,
    /// What it gets if it does not bring it.
    pub additions: Vec<Addition>,
    /// Now, in milliseconds since 1970 in UTC.
    pub now_ms: i64,
}

/// What staging did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The release.
    pub provenance: Provenance,
    /// Whether anything had to be done.
    pub changed: bool,
    /// Where to what lay in its place was moved, and was no release.
    pub set_aside: Option<PathBuf>,
}

impl Staged {
    /// It was there already.
    pub(crate) fn before(provenance: Provenance) -> Self {
        Self { provenance, changed: false, set_aside: None }
    }
}

/// What was found in the place of a release that is to be built.
pub(crate) enum Way {
    /// The release, complete.
    Taken(Provenance),
    /// Nothing, or nothing any more.
    Free {
        /// Where to what lay there was moved.
        set_aside: Option<PathBuf>,
    },
}

/// Stages a release. Staging the same contents again does nothing.
pub fn stage(disk: &dyn Disk, layout: &Layout, request: &StageRequest) -> Result<Staged, ReleaseError> {
    let (program, planned) = plan(disk, request)?;
    stage_planned(disk, layout, request, program, planned)
}

/// Stages what was planned for a request.
pub(crate) fn stage_planned(
    disk: &dyn Disk,
    layout: &Layout,
    request: &StageRequest,
    program: String,
    mut planned: Vec<Planned>,
) -> Result<Staged, ReleaseError> {
    planned.extend(missing_in_plan(&request.additions, &planned)?);
    planned.sort_by(|a, b| a.path.cmp(&b.path));
    let set_aside = match make_way(disk, layout, &request.name)? {
        Way::Taken(there) => return same_or_occupied(disk, layout, request, &planned, there),
        Way::Free { set_aside } => set_aside,
    };
    let need = planned.iter().map(|plan| match plan.what {
        PlannedKind::File { size, .. } => size,
        PlannedKind::Directory { .. } | PlannedKind::Link { .. } | PlannedKind::Text { .. } => 0,
    });
    let need = need.fold(0, u64::saturating_add);
    let provenance = build(disk, layout, &request.name, need, |staging| {
        let entries = tree::transfer(disk, &planned, Some(staging))?;
        check_digest(request, &program, &entries)?;
        layout.check_launch_file(&request.name, &entries)?;
        let source = match (&request.origin, &request.source) {
            (Some(origin), _) => origin.clone(),
            (None, Source::File(path) | Source::Directory(path)) => path.display().to_string(),
        };
        let (name, entries) = (request.name.clone(), layout.kept(entries));
        Ok::<_, ReleaseError>(Provenance::new(name, program, source, request.now_ms, entries))
    })?;
    Ok(Staged { provenance, changed: true, set_aside })
}

/// Sees to it that a release can be built: whatever is in its place and may go is gone.
pub(crate) fn make_way(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<Way, ReleaseError> {
    let mut set_aside = None;
    match settle(disk, layout, name)? {
        State::Complete(there) => {
            // An earlier try may have stopped before its last sync.
            sync_parent(disk, &layout.directory(name))?;
            return Ok(Way::Taken(there));
        }
        State::Unknown => {
            let directory = layout.directory(name);
            match what_lies_there(disk, layout, &directory)? {
                Remains::Hollow => durable::remove_tree(disk, &directory).at("remove", &directory)?,
                Remains::Unfinished => set_aside = Some(move_aside(disk, &directory)?),
                Remains::Foreign => return Err(ReleaseError::Foreign { name: name.clone(), path: directory }),
            }
        }
        State::Damaged(_) => clear_damaged(disk, layout, name)?,
        State::Missing => {}
    }
    Ok(Way::Free { set_aside })
}

/// What lies in the place of a release, and was not put there by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remains {
    /// Nothing but directories.
    Hollow,
    /// No release, since it does not say how it is launched: what somebody began there is kept, elsewhere.
    Unfinished,
    /// It may be a release.
    Foreign,
}

pub(crate) fn what_lies_there(disk: &dyn Disk, layout: &Layout, directory: &Path) -> Result<Remains, ReleaseError> {
    if is_hollow(disk, directory)? {
        return Ok(Remains::Hollow);
    }
    let facts = disk.facts(directory).at("look at", directory)?;
    let Some(file) = layout.launch_file.as_ref().filter(|_| facts.is_some_and(|it| it.kind == Kind::Directory)) else {
        return Ok(Remains::Foreign);
    };
    let file = directory.join(file);
    let is_there = durable::exists(disk, &file).at("look at", &file)?;
    Ok(if is_there || holds_directories(disk, directory)? { Remains::Foreign } else { Remains::Unfinished })
}

/// Releases may lie among other things. What was fetched and not finished is files side by side; data of a node never is.
fn holds_directories(disk: &dyn Disk, directory: &Path) -> Result<bool, ReleaseError> {
    for name in disk.list(directory).at("list", directory)? {
        let path = directory.join(name);
        if disk.facts(&path).at("look at", &path)?.is_some_and(|facts| facts.kind != Kind::File) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Gives a directory another name, and says which.
fn move_aside(disk: &dyn Disk, directory: &Path) -> Result<PathBuf, ReleaseError> {
    const NAMES_MAX: u32 = 1_000;
    for number in 1..=NAMES_MAX {
        let mut name = directory.as_os_str().to_owned();
        name.push(if number == 1 { ".unfinished".to_owned() } else { format!(".unfinished-{number}") });
        let aside = PathBuf::from(name);
        if !durable::exists(disk, &aside).at("look at", &aside)? {
            commit(disk, directory, &aside)?;
            return Ok(aside);
        }
    }
    Err(ReleaseError::Unfit { path: directory.to_owned(), why: "too much unfinished lies beside it" })
}

/// Whether a directory holds nothing but directories: others leave such behind when what they wanted to put there did
/// not come.
pub(crate) fn is_hollow(disk: &dyn Disk, directory: &Path) -> Result<bool, ReleaseError> {
    let facts = disk.facts(directory).at("look at", directory)?;
    if facts.is_none_or(|facts| facts.kind != Kind::Directory) {
        return Ok(false);
    }
    let inside = tree::walk(disk, directory)?;
    Ok(inside.iter().all(|plan| matches!(plan.what, PlannedKind::Directory { .. })))
}

/// Accepts a directory that somebody put into its final place as a release: reads and syncs it, makes the
/// program executable, if it has one of its own, and writes its provenance.
pub fn adopt(
    disk: &dyn Disk,
    layout: &Layout,
    name: &ReleaseName,
    program: Option<&str>,
    now_ms: i64,
) -> Result<Staged, ReleaseError> {
    let directory = layout.directory(name);
    let lacks =
        layout.launch_file.as_ref().filter(|file| !durable::exists(disk, &directory.join(file)).unwrap_or(true));
    match settle(disk, layout, name)? {
        State::Complete(provenance) => {
            sync_parent(disk, &directory)?;
            return Ok(Staged::before(provenance));
        }
        State::Missing => return Err(ReleaseError::Incomplete { name: name.clone(), state: "missing".to_owned() }),
        State::Unknown if is_hollow(disk, &directory)? => {
            return Err(ReleaseError::Incomplete { name: name.clone(), state: "an empty folder".to_owned() });
        }
        State::Unknown | State::Damaged(_) => {}
    }
    if let Some(file) = lacks {
        return Err(ReleaseError::Incomplete { name: name.clone(), state: format!("a folder without {file}") });
    }
    let mut planned = tree::walk(disk, &directory)?;
    if let Some(program) = program
        && let Some(mode) = make_program_executable(&mut planned, program, &directory)?
    {
        let path = directory.join(program);
        disk.set_mode(&path, mode).at("make executable", &path)?;
    }
    for plan in &planned {
        if let PlannedKind::File { .. } = plan.what {
            disk.sync_file(&plan.from).at("sync", &plan.from)?;
        }
    }
    let entries = tree::transfer(disk, &planned, None)?;
    tree::sync_directories(disk, &directory, &entries)?;
    let entries = layout.kept(entries);
    // Whoever made the directory may also have made those above it, a moment ago.
    let parent = directory.parent().unwrap_or(Path::new("/"));
    durable::make_directories(disk, parent, 0o755).at("sync", parent)?;
    let source = adopted_source(&directory);
    let provenance = Provenance::new(name.clone(), program.unwrap_or_default().to_owned(), source, now_ms, entries);
    write_pending(disk, layout, &provenance)?;
    commit(disk, &layout.pending(name), &layout.provenance(name))?;
    Ok(Staged { provenance, changed: true, set_aside: None })
}

/// What the release will hold, and which of it is the program.
fn plan(disk: &dyn Disk, request: &StageRequest) -> Result<(String, Vec<Planned>), ReleaseError> {
    match &request.source {
        Source::File(file) => plan_file(disk, request, file),
        Source::Directory(directory) => {
            let root = tree::resolve(disk, directory)?;
            let unfit = |why| ReleaseError::Unfit { path: directory.clone(), why };
            match disk.facts(&root).at("look at", &root)? {
                None => return Err(unfit("it does not exist")),
                Some(facts) if facts.kind != Kind::Directory => return Err(unfit("it is not a directory")),
                Some(_) => {}
            }
            let program = request.program.clone().ok_or_else(|| unfit("which program to run in it is not said"))?;
            let mut planned = tree::walk(disk, &root)?;
            make_program_executable(&mut planned, &program, &root)?;
            Ok((program, planned))
        }
    }
}

fn plan_file(disk: &dyn Disk, request: &StageRequest, file: &Path) -> Result<(String, Vec<Planned>), ReleaseError> {
    let from = tree::resolve(disk, file)?;
    let unfit = |why| ReleaseError::Unfit { path: file.to_owned(), why };
    let facts = disk.facts(&from).at("look at", &from)?.ok_or_else(|| unfit("it does not exist"))?;
    if facts.kind != Kind::File {
        return Err(unfit("it is not a regular file"));
    }
    let program = if let Some(program) = &request.program {
        program.clone()
    } else {
        let name = file.file_name().and_then(|name| name.to_str());
        format!("bin/{}", name.ok_or_else(|| unfit("its name is not UTF-8"))?)
    };
    if !tree::is_inside(Path::new(&program)) {
        return Err(ReleaseError::Unfit { path: program.into(), why: "the program must lie in the release" });
    }
    let mut planned = Vec::new();
    for above in Path::new(&program).ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        let path = above.to_string_lossy().into_owned();
        planned.push(Planned { path, from: PathBuf::new(), what: PlannedKind::Directory { mode: 0o755 } });
    }
    planned.reverse();
    let what = PlannedKind::File { mode: 0o755, size: facts.len };
    planned.push(Planned { path: program.clone(), from, what });
    Ok((program, planned))
}

/// Gives the program its execute bits in the plan; says which mode, when it had to change. A program that is a
/// link is left as it is: what it leads to is another entry.
pub(crate) fn make_program_executable(
    planned: &mut [Planned],
    program: &str,
    root: &Path,
) -> Result<Option<u32>, ReleaseError> {
    let unfit = |why| ReleaseError::Unfit { path: root.join(program), why };
    let plan = planned.iter_mut().find(|plan| plan.path == program);
    match plan.map(|plan| &mut plan.what) {
        Some(PlannedKind::File { mode, .. } | PlannedKind::Text { mode, .. }) => {
            let before = *mode;
            *mode |= 0o111;
            Ok((before != *mode).then_some(*mode))
        }
        Some(PlannedKind::Link { .. }) => Ok(None),
        Some(PlannedKind::Directory { .. }) => Err(unfit("the program is a directory")),
        None => Err(unfit("the program is not there")),
    }
}

/// How whole a release is, once a staging that stopped between its two renames is finished.
pub fn settle(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<State, ReleaseError> {
    finish_earlier_try(disk, layout, name)?;
    state(disk, layout, name)
}

/// If an earlier try renamed the tree but not its provenance, renames the provenance.
fn finish_earlier_try(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<(), ReleaseError> {
    let (directory, pending, final_path) = (layout.directory(name), layout.pending(name), layout.provenance(name));
    let there = |path: &Path| durable::exists(disk, path).at("look at", path);
    if !there(&directory)? || there(&final_path)? {
        return Ok(());
    }
    // A pending file that does not parse was never synced, so the rename that follows it never happened.
    let Ok(Some(provenance)) = provenance::read(disk, &pending) else { return Ok(()) };
    if differences(disk, &directory, &provenance.entries, Thoroughness::Facts)?.is_empty() {
        // One that does, and its tree, may not have been either: whoever wrote it may have been killed, and not the
        // machine.
        disk.sync_file_system(&directory).at("sync", &directory)?;
        commit(disk, &pending, &final_path)?;
    }
    Ok(())
}

fn same_or_occupied(
    disk: &dyn Disk,
    layout: &Layout,
    request: &StageRequest,
    planned: &[Planned],
    there: Provenance,
) -> Result<Staged, ReleaseError> {
    let entries = layout.kept(tree::transfer(disk, planned, None)?);
    if tree::digest(&entries) != there.tree {
        return Err(ReleaseError::Occupied { name: request.name.clone() });
    }
    check_digest(request, &there.program, &entries)?;
    Ok(Staged::before(there))
}

/// Moves the remains of a release out of the way, unless the node runs from them.
fn clear_damaged(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Result<(), ReleaseError> {
    if current(disk, layout)? == CurrentRelease::Release(name.clone()) {
        return Err(ReleaseError::Current { name: name.clone() });
    }
    remove(disk, layout, name)
}

/// Builds a release of `need` bytes by having `fill` put its tree, synced, into a hidden directory; then puts that and
/// its provenance into place.
pub(crate) fn build<E: From<ReleaseError>>(
    disk: &dyn Disk,
    layout: &Layout,
    name: &ReleaseName,
    need: u64,
    fill: impl FnOnce(&Path) -> Result<Provenance, E>,
) -> Result<Provenance, E> {
    let (staging, parent) = (layout.staging(name), layout.parent(name));
    durable::make_directories(disk, &parent, 0o755).at("make", &parent)?;
    remove_leftovers(disk, layout, name)?;
    check_room(disk, &parent, name, need)?;
    let filled = disk.make_directory(&staging, 0o755).at("make", &staging).map_err(E::from);
    let result = filled.and_then(|()| fill(&staging)).and_then(|provenance| {
        put(disk, layout, &provenance)?;
        Ok(provenance)
    });
    if result.is_err() {
        // On a full disk the leftovers would hold the very room that is missing.
        let _ = durable::remove_tree(disk, &staging);
    }
    result
}

/// The two renames, behind the provenance under its hidden name.
fn put(disk: &dyn Disk, layout: &Layout, provenance: &Provenance) -> Result<(), ReleaseError> {
    let name = &provenance.name;
    write_pending(disk, layout, provenance)?;
    CrashPoint::Built.reach();
    commit(disk, &layout.staging(name), &layout.directory(name))?;
    CrashPoint::Placed.reach();
    commit(disk, &layout.pending(name), &layout.provenance(name))?;
    CrashPoint::Committed.reach();
    Ok(())
}

fn check_room(disk: &dyn Disk, parent: &Path, name: &ReleaseName, need: u64) -> Result<(), ReleaseError> {
    let need = need.saturating_add(ROOM_MARGIN_BYTES);
    let have = disk.room(parent).at("measure the room at", parent)?.free;
    if have < need { Err(ReleaseError::Room { name: name.clone(), need, have }) } else { Ok(()) }
}

fn check_digest(request: &StageRequest, program: &str, entries: &[Entry]) -> Result<(), ReleaseError> {
    check_program(&request.name, request.sha256, program, entries)
}

/// Refuses a release whose program is not the expected one.
pub(crate) fn check_program(
    name: &ReleaseName,
    expected: Option<Digest>,
    program: &str,
    entries: &[Entry],
) -> Result<(), ReleaseError> {
    let Some(expected) = expected else { return Ok(()) };
    let found = entries.iter().find_map(|entry| match entry {
        Entry::File { path, sha256, .. } if path == program => Some(*sha256),
        _ => None,
    });
    match found {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(ReleaseError::Digest { name: name.clone(), expected, found }),
        None => Err(ReleaseError::Unfit { path: program.into(), why: "a digest is expected of it, and it is a link" }),
    }
}

/// Under a hidden name, so that it need not be atomic: a torn one counts as none. The name is synced with the renames
/// that follow it in the same directory.
fn write_pending(disk: &dyn Disk, layout: &Layout, provenance: &Provenance) -> Result<(), ReleaseError> {
    let pending = layout.pending(&provenance.name);
    durable::remove_tree(disk, &pending).at("remove", &pending)?;
    let mut writer = disk.create(&pending, 0o644).at("create", &pending)?;
    writer.write_all(&provenance.to_bytes()).at("write", &pending)?;
    writer.sync().at("sync", &pending)
}

fn commit(disk: &dyn Disk, from: &Path, to: &Path) -> Result<(), ReleaseError> {
    disk.rename(from, to).at("rename to", to)?;
    sync_parent(disk, to)
}

pub(crate) fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), ReleaseError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    disk.sync_directory(parent).at("sync", parent)
}
