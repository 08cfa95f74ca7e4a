//! Open files and locks of the simulated disk. They die with the process that had them.

use std::io;

use rustix::io::Errno;

use super::tree::Id;
use super::{Class, Fate, SimDisk, State};
use crate::disk::{Lock, Tail, Writer};

/// An open file.
#[derive(Debug)]
pub(super) struct Handle {
    disk: SimDisk,
    id: Id,
    generation: u64,
    /// Where the next read or write happens; appending handles ignore it.
    offset: usize,
}

impl Handle {
    pub(super) fn new(disk: &SimDisk, state: &mut State, id: Id) -> io::Result<Self> {
        state.tree.inode_mut(id)?.handles += 1;
        Ok(Self { disk: disk.clone(), id, generation: state.generation, offset: 0 })
    }

    /// Runs one operation on the file, unless the handle is from before a restart.
    fn with<T>(&self, class: Class, run: impl FnOnce(&mut State, Id, Fate) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.generation != self.generation {
            return Err(Errno::BADF.into());
        }
        let fate = state.begin(class)?;
        run(&mut state, self.id, fate)
    }

    fn sync(&self, with_attributes: bool) -> io::Result<()> {
        self.with(Class::Sync, |state, id, fate| state.sync_file(id, with_attributes, fate))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.generation == self.generation
            && let Ok(inode) = state.tree.inode_mut(self.id)
        {
            inode.handles = inode.handles.saturating_sub(1);
        }
    }
}

impl Tail for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(Class::Write, |state, id, fate| state.write(id, None, bytes, fate))
    }

    fn sync(&mut self) -> io::Result<()> {
        Handle::sync(self, false)
    }
}

impl io::Write for Handle {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(Class::Write, |state, id, fate| state.write(id, Some(self.offset), bytes, fate))?;
        self.offset += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writer for Handle {
    fn sync(&mut self) -> io::Result<()> {
        Handle::sync(self, true)
    }
}

impl io::Read for Handle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let offset = self.offset;
        let count = self.with(Class::Read, |state, id, fate| {
            let rest = state.readable(id)?.get(offset..).unwrap_or_default();
            let count = rest.len().min(buffer.len());
            buffer[..count].copy_from_slice(&rest[..count]);
            fate.finish(count)
        })?;
        self.offset += count;
        Ok(count)
    }
}

impl io::Seek for Handle {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            io::SeekFrom::Start(to) => (to, 0),
            io::SeekFrom::Current(by) => (self.offset as u64, by),
            io::SeekFrom::End(by) => {
                let len = self.with(Class::Read, |state, id, fate| fate.finish(state.tree.file(id)?.seen().len()))?;
                (len as u64, by)
            }
        };
        let offset = from.checked_add_signed(by).ok_or(Errno::INVAL)?;
        self.offset = usize::try_from(offset).map_err(|_| Errno::OVERFLOW)?;
        Ok(offset)
    }
}

impl State {
    /// What a read of the file returns.
    pub(super) fn readable(&self, id: Id) -> io::Result<&[u8]> {
        if self.unreadable.contains(&id) {
            return Err(Errno::IO.into());
        }
        Ok(self.tree.file(id)?.seen())
    }

    pub(super) fn write(&mut self, id: Id, offset: Option<usize>, bytes: &[u8], fate: Fate) -> io::Result<()> {
        let room = usize::try_from(self.free_bytes()).unwrap_or(usize::MAX);
        let mut count = bytes.len().min(room);
        if matches!(fate, Fate::Part(_)) {
            count = usize::try_from(self.random.below(count as u64 + 1)).unwrap_or(count);
        }
        let time = self.time();
        self.tree.file_mut(id)?.write(offset, &bytes[..count]);
        self.tree.inode_mut(id)?.attributes.modified = time;
        if fate == Fate::Normal && count < bytes.len() {
            return Err(Errno::NOSPC.into());
        }
        fate.finish(())
    }

    pub(super) fn sync_file(&mut self, id: Id, with_attributes: bool, fate: Fate) -> io::Result<()> {
        if let Fate::Part(errno) = fate {
            let Self { tree, random, .. } = self;
            tree.file_mut(id)?.fail_sync(random);
            return Err(errno.into());
        }
        self.tree.file_mut(id)?.sync();
        if with_attributes {
            let inode = self.tree.inode_mut(id)?;
            inode.kept_attributes = inode.attributes;
        }
        fate.finish(())
    }
}

/// A lock, free again when dropped or when the process that took it is dead.
#[derive(Debug)]
pub(super) struct SimLock {
    disk: SimDisk,
    id: Id,
    generation: u64,
}

impl SimLock {
    pub(super) fn new(disk: &SimDisk, state: &mut State, id: Id) -> Self {
        state.locks.insert(id);
        Self { disk: disk.clone(), id, generation: state.generation }
    }
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.generation == self.generation {
            state.locks.remove(&self.id);
        }
    }
}
