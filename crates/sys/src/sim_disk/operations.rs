//! The [`Disk`] calls on the simulated disk: each counts as one operation and meets its fate.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::io::Errno;

use super::content::Content;
use super::handles::{Handle, SimLock};
use super::tree::{Entries, Id, Node, Tree};
use super::{Class, Fate, SimDisk, State};
use crate::disk::{Disk, Facts, Kind, Lock, Reader, Room, Tail, Writer};

/// Size of the disk as long as no capacity is set.
const TOTAL_BYTES: u64 = 1 << 40;

impl SimDisk {
    fn look<T>(&self, look: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let fate = state.begin(Class::Read)?;
        fate.finish(look(&state)?)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        let fate = state.begin(Class::Change)?;
        let result = change(&mut state);
        // A handle in the result that nobody gets takes the state's lock when it is dropped.
        drop(state);
        match fate {
            Fate::Normal => result,
            Fate::Part(errno) | Fate::Whole(errno) => Err(errno.into()),
        }
    }

    /// As `change`, for what needs room.
    fn make<T>(&self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.change(|state| match state.free_bytes() {
            0 => Err(Errno::NOSPC.into()),
            _ => change(state),
        })
    }

    fn make_handle(&self, change: impl FnOnce(&mut State) -> io::Result<Id>) -> io::Result<Handle> {
        self.change(|state| {
            let id = change(state)?;
            Handle::new(self, state, id)
        })
    }
}

fn facts_of(tree: &Tree, id: Id) -> io::Result<Facts> {
    let inode = tree.inode(id)?;
    let (kind, len) = match &inode.node {
        Node::File(content) => (Kind::File, content.seen().len() as u64),
        Node::Directory(_) => (Kind::Directory, 0),
        Node::Link(text) => (Kind::Link, text.as_os_str().len() as u64),
    };
    Ok(Facts {
        kind,
        len,
        mode: inode.attributes.mode,
        uid: inode.attributes.uid,
        gid: inode.attributes.gid,
        inode: id,
        device: 1,
        links: inode.links,
        modified: inode.attributes.modified,
    })
}

/// The file to append to or to lock, made if missing.
fn open_or_make(state: &mut State, path: &Path) -> io::Result<Id> {
    let place = state.tree.walk(path, true)?;
    if let Some(id) = place.target {
        state.tree.file(id)?;
        return Ok(id);
    }
    if state.free_bytes() == 0 {
        return Err(Errno::NOSPC.into());
    }
    let attributes = state.attributes(0o600);
    state.tree.make(&place, Node::File(Content::default()), attributes)
}

impl Disk for SimDisk {
    fn facts(&self, path: &Path) -> io::Result<Option<Facts>> {
        self.look(|state| match state.tree.walk(path, false) {
            Ok(place) => place.target.map(|id| facts_of(&state.tree, id)).transpose(),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.look(|state| state.tree.names(state.tree.walk(path, true)?.existing()?))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.look(|state| {
            let bytes = state.readable(state.tree.walk(path, true)?.existing()?)?;
            if bytes.len() as u64 > limit {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            Ok(bytes.to_vec())
        })
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Reader>> {
        let mut state = self.state();
        let fate = state.begin(Class::Read)?;
        let id = state.tree.walk(path, true)?.existing()?;
        state.tree.file(id)?;
        let handle = Handle::new(self, &mut state, id)?;
        drop(state);
        fate.finish(Box::new(handle) as Box<dyn Reader>)
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Writer>> {
        let handle = self.make_handle(|state| {
            let place = state.tree.walk(path, false)?;
            let attributes = state.attributes(mode);
            if place.target.is_none() && state.free_bytes() == 0 {
                return Err(Errno::NOSPC.into());
            }
            state.tree.make(&place, Node::File(Content::default()), attributes)
        })?;
        Ok(Box::new(handle))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Tail>> {
        Ok(Box::new(self.make_handle(|state| open_or_make(state, path))?))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| Errno::FBIG)?;
        let mut state = self.state();
        let fate = state.begin(Class::Sync)?;
        let id = state.tree.walk(path, true)?.existing()?;
        state.tree.file_mut(id)?.set_len(len);
        state.sync_file(id, true, fate)
    }

    fn make_directory(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.make(|state| {
            let place = state.tree.walk(path, false)?;
            let attributes = state.attributes(mode);
            state.tree.make(&place, Node::Directory(Entries::default()), attributes).map(drop)
        })
    }

    fn make_link(&self, text: &Path, path: &Path) -> io::Result<()> {
        self.make(|state| {
            if text.as_os_str().is_empty() {
                return Err(Errno::NOENT.into());
            }
            let place = state.tree.walk(path, false)?;
            let attributes = state.attributes(0o777);
            state.tree.make(&place, Node::Link(text.to_owned()), attributes).map(drop)
        })
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.look(|state| {
            let id = state.tree.walk(path, false)?.existing()?;
            match &state.tree.inode(id)?.node {
                Node::Link(text) => Ok(text.clone()),
                _ => Err(Errno::INVAL.into()),
            }
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let (from, to) = (state.tree.walk(from, false)?, state.tree.walk(to, false)?);
            state.tree.rename(&from, &to)
        })
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        self.change(|state| {
            if !state.can_exchange {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let (a, b) = (state.tree.walk(a, false)?, state.tree.walk(b, false)?);
            state.tree.exchange(&a, &b)
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            let place = state.tree.walk(path, false)?;
            state.tree.remove(&place, false)
        })
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.change(|state| {
            let place = state.tree.walk(path, false)?;
            state.tree.remove(&place, true)
        })
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| {
            let from = state.tree.walk(from, false)?.existing()?;
            let to = state.tree.walk(to, false)?;
            state.tree.link(from, &to)
        })
    }

    fn reflink(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.make(|state| {
            let source = state.tree.walk(from, true)?.existing()?;
            let bytes = state.tree.file(source)?.seen().to_vec();
            let target = state.tree.walk(to, false)?;
            if target.target.is_some() {
                return Err(Errno::EXIST.into());
            }
            if !state.can_reflink {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let attributes = state.attributes(state.tree.inode(source)?.attributes.mode);
            let id = state.tree.make(&target, Node::File(Content::default()), attributes)?;
            state.tree.file_mut(id)?.write(None, &bytes);
            Ok(())
        })
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.change(|state| {
            let id = state.tree.walk(path, true)?.existing()?;
            state.tree.inode_mut(id)?.attributes.mode = mode & 0o7777;
            Ok(())
        })
    }

    fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        self.change(|state| {
            let id = state.tree.walk(path, false)?.existing()?;
            let attributes = &mut state.tree.inode_mut(id)?.attributes;
            (attributes.uid, attributes.gid) = (uid, gid);
            Ok(())
        })
    }

    fn set_modified(&self, path: &Path, at: SystemTime) -> io::Result<()> {
        self.change(|state| {
            let id = state.tree.walk(path, false)?.existing()?;
            state.tree.inode_mut(id)?.attributes.modified = at;
            Ok(())
        })
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fate = state.begin(Class::Sync)?;
        let id = state.tree.walk(path, true)?.existing()?;
        state.sync_file(id, true, fate)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let fate = state.begin(Class::Sync)?;
        let id = state.tree.walk(path, true)?.existing()?;
        if let Fate::Part(errno) = fate {
            state.read_only = true;
            if state.random.chance(1, 2) {
                state.tree.sync_directory(id)?;
            }
            return Err(errno.into());
        }
        state.tree.sync_directory(id)?;
        fate.finish(())
    }

    fn sync_file_system(&self, path: &Path) -> io::Result<()> {
        let mut guard = self.state();
        let fate = guard.begin(Class::Sync)?;
        let state = &mut *guard;
        state.tree.walk(path, true)?.existing()?;
        if let Fate::Part(errno) = fate {
            state.read_only = true;
            state.tree.fail_sync_all(&mut state.random);
            return Err(errno.into());
        }
        state.tree.sync_all();
        fate.finish(())
    }

    fn room(&self, _path: &Path) -> io::Result<Room> {
        self.look(|state| {
            let total = state.capacity.unwrap_or(TOTAL_BYTES);
            let free = total.saturating_sub(state.tree.used_bytes());
            Ok(Room { free, total, inodes_free: u64::MAX, noexec: false, read_only: state.read_only })
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.change(|state| {
            let id = open_or_make(state, path)?;
            if state.locks.contains(&id) {
                return Ok(None);
            }
            Ok(Some(Box::new(SimLock::new(self, state, id)) as Box<dyn Lock>))
        })
    }
}
