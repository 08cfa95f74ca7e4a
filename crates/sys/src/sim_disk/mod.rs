//! A file system in memory that forgets what was not synced when the power goes.
//!
//! Deterministic: the same calls with the same seeds give the same results. [`SimDisk::kill`] ends the
//! process that used it (nothing written is lost); [`SimDisk::crash`] cuts the power.
//!
//! # Fault model
//!
//! What a power cut may do, being what ext4 (`data=ordered` or `writeback`) and XFS may do, or stricter:
//!
//! * **File bytes** not synced survive wholly, not at all, up to any byte, or in any selection of 512-byte
//!   sectors, the others holding what was there before or zeros. The length may be the old, the new, or
//!   one in between. Synced bytes stay. A sector is written whole or not at all.
//! * **Names** (create, link, rename, exchange, remove) not synced by their directory may vanish. Within
//!   one directory they vanish from the end: what was done later never survives what was done earlier.
//!   Different directories are independent. A rename between two directories is in both or in neither;
//!   moving a directory to another parent is ordered with everything.
//! * **Syncing a file** does not make its name durable; **syncing a directory** does not make the
//!   contents of its files durable. Permissions, owner and times follow the sync of their inode.
//! * **A sync that fails** may have brought all, some or nothing to the device. What it did not bring is
//!   given up: a later sync that succeeds saves only what was written since. Reads return what was
//!   written, or what the device has. A directory sync that fails turns the file system read-only, as a
//!   failed journal does.
//! * **A full disk** takes the first bytes of a write before it fails.
//! * **Damage** (`damage`, `make_unreadable`) turns bits over or fails reads for ever.
//!
//! Not modelled: permissions of the caller (it is root), several file systems, sparse files, access times,
//! modification times of directories, devices and sockets.

mod content;
mod everywhere;
mod handles;
mod operations;
mod pending;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;

pub use self::everywhere::{failing_everywhere, stopped_everywhere};

use self::content::Content;
use self::tree::{Attributes, Id, Node, Tree};
use crate::random::Random;

/// What goes wrong at an operation. Where the operation cannot meet the fault, nothing does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: a write takes a part of its bytes.
    NoSpace,
    /// The device fails.
    InputOutput,
    /// The file system turns read-only for good.
    ReadOnly,
    /// The process is killed in the middle: the operation may have happened, wholly or, if it writes, in
    /// part. Everything fails until [`SimDisk::kill`].
    Kill,
    /// The power goes in the middle. Everything fails until [`SimDisk::crash`].
    PowerCut,
}

/// What a call does, as far as faults care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Read,
    /// Changes names or attributes.
    Change,
    /// Writes bytes.
    Write,
    Sync,
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Normal,
    /// Takes effect in part and fails.
    Part(Errno),
    /// Takes effect and then fails.
    Whole(Errno),
}

impl Fate {
    fn finish<T>(self, value: T) -> io::Result<T> {
        match self {
            Fate::Normal => Ok(value),
            Fate::Part(errno) | Fate::Whole(errno) => Err(errno.into()),
        }
    }
}

/// What every operation answers between the death of the process or the machine and the restart.
const DEAD: Errno = Errno::OWNERDEAD;

/// The simulated disk. Clones are the same disk; [`SimDisk::fork`] makes another one.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone)]
struct State {
    tree: Tree,
    random: Random,
    /// Counts restarts; handles and locks of an earlier process are dead.
    generation: u64,
    alive: bool,
    operations: u64,
    syncs: u64,
    faults: BTreeMap<u64, Fault>,
    sync_faults: BTreeSet<u64>,
    read_only: bool,
    capacity: Option<u64>,
    unreadable: BTreeSet<Id>,
    locks: BTreeSet<Id>,
    can_reflink: bool,
    can_exchange: bool,
}

impl State {
    /// Counts an operation and decides what becomes of it.
    fn begin(&mut self, class: Class) -> io::Result<Fate> {
        if !self.alive {
            return Err(DEAD.into());
        }
        self.operations += 1;
        let mut fault = self.faults.remove(&self.operations);
        if class == Class::Sync {
            self.syncs += 1;
            if self.sync_faults.remove(&self.syncs) {
                fault = Some(Fault::InputOutput);
            }
        }
        self.read_only |= fault == Some(Fault::ReadOnly);
        match fault {
            Some(Fault::Kill | Fault::PowerCut) => self.die(class),
            _ if self.read_only && class != Class::Read => Err(Errno::ROFS.into()),
            Some(Fault::NoSpace) if class != Class::Read => fail(class, Errno::NOSPC),
            Some(Fault::InputOutput) => fail(class, Errno::IO),
            _ => Ok(Fate::Normal),
        }
    }

    fn die(&mut self, class: Class) -> io::Result<Fate> {
        self.alive = false;
        match self.random.below(3) {
            0 => Err(DEAD.into()),
            1 if class == Class::Write => Ok(Fate::Part(DEAD)),
            _ => Ok(Fate::Whole(DEAD)),
        }
    }

    fn free_bytes(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.tree.used_bytes()))
    }

    fn attributes(&self, mode: u32) -> Attributes {
        Attributes { mode: mode & 0o7777, uid: 0, gid: 0, modified: self.time() }
    }

    /// Time passes by a millisecond with each operation.
    fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000) + Duration::from_millis(self.operations)
    }

    fn restart(&mut self) {
        self.generation += 1;
        self.alive = true;
        self.faults.clear();
        self.sync_faults.clear();
        self.locks.clear();
    }
}

fn fail(class: Class, errno: Errno) -> io::Result<Fate> {
    match class {
        Class::Write | Class::Sync => Ok(Fate::Part(errno)),
        Class::Read | Class::Change => Err(errno.into()),
    }
}

impl SimDisk {
    /// An empty disk with a root directory. The seed decides how failing operations take part effect.
    pub fn new(seed: u64) -> Self {
        let root = Attributes { mode: 0o755, uid: 0, gid: 0, modified: UNIX_EPOCH };
        let state = State {
            tree: Tree::new(root),
            random: Random::new(seed),
            generation: 0,
            alive: true,
            operations: 0,
            syncs: 0,
            faults: BTreeMap::new(),
            sync_faults: BTreeSet::new(),
            read_only: false,
            capacity: None,
            unreadable: BTreeSet::new(),
            locks: BTreeSet::new(),
            can_reflink: true,
            can_exchange: true,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another disk in the same state, to try what else might have happened from here.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { state: Arc::new(Mutex::new(self.state().clone())) }
    }

    /// The process dies and is started anew: its handles and locks are gone, what it wrote is there. Planned
    /// faults are forgotten.
    pub fn kill(&self) {
        let mut state = self.state();
        state.tree.close_handles();
        state.restart();
    }

    /// The power goes and comes back: un-synced changes survive as the fault model and the seed have it.
    /// Planned faults are forgotten, and the file system is mounted for writing.
    pub fn crash(&self, seed: u64) {
        let mut state = self.state();
        state.tree.lose_power(&mut Random::new(seed));
        state.restart();
        state.read_only = false;
    }

    /// Lets `fault` happen at the `operation`-th operation since the beginning, counted from one.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state().faults.insert(operation, fault);
    }

    /// Fails a sync with EIO: the `sync`-th since the beginning, counted from one.
    pub fn fail_sync_at(&self, sync: u64) {
        self.state().sync_faults.insert(sync);
    }

    /// Operations counted since the beginning.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Syncs counted since the beginning.
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// False from a [`Fault::Kill`] or [`Fault::PowerCut`] until the restart.
    pub fn is_alive(&self) -> bool {
        self.state().alive
    }

    /// Limits what the disk holds, or lifts the limit.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Mounts the disk read-only, or for writing again.
    pub fn set_read_only(&self, read_only: bool) {
        self.state().read_only = read_only;
    }

    /// Whether reflinks work; they do unless told otherwise.
    pub fn set_can_reflink(&self, can: bool) {
        self.state().can_reflink = can;
    }

    /// Whether two names can be swapped; they can unless told otherwise.
    pub fn set_can_exchange(&self, can: bool) {
        self.state().can_exchange = can;
    }

    /// Turns over the bits of `mask` in one byte of a file, on the device too.
    pub fn damage(&self, path: &Path, offset: usize, mask: u8) -> io::Result<()> {
        let mut state = self.state();
        let id = state.tree.walk(path, true)?.existing()?;
        state.tree.file_mut(id)?.damage(offset, mask);
        Ok(())
    }

    /// From now on every read of the file fails with EIO.
    pub fn make_unreadable(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let id = state.tree.walk(path, true)?.existing()?;
        state.unreadable.insert(id);
        Ok(())
    }

    /// Puts a file on the disk as if it had always been there, for tests to start from.
    pub fn plant(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let mut state = self.state();
        let place = state.tree.walk(path, false)?;
        let attributes = state.attributes(mode);
        state.tree.make(&place, Node::File(Content::settled(bytes.to_vec())), attributes)?;
        state.tree.sync_all();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
