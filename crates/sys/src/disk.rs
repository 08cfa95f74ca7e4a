//! What the rest of the program may ask of a file system.
//!
//! One trait, two implementations: [`crate::RealDisk`] over the kernel, [`crate::SimDisk`] in memory, which
//! forgets what was not synced when the power goes. Nothing outside this crate and the shim touches
//! `std::fs`, so that whatever is proven in the simulator is the code that runs.
//!
//! Paths are absolute. Calls that make, remove, rename or describe a name act on the name itself; calls that
//! reach contents (`read`, `open`, `append`, `truncate`, `list`, `set_mode`, the syncs) follow links, and refuse
//! what is not a regular file or directory. Every call is one system call's worth of meaning; what must be atomic *and*
//! durable is composed in [`crate::durable`].

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What kind of thing a name leads to. Links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket, pipe or device: never copied into a snapshot.
    Other,
}

/// The facts about a name that decisions are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Length in bytes.
    pub len: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Inode number, unique with `device`.
    pub inode: u64,
    /// File system the name lives on.
    pub device: u64,
    /// Number of hard links.
    pub links: u64,
    /// Last modification.
    pub modified: SystemTime,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes an ordinary user may still write.
    pub free: u64,
    /// Size in bytes.
    pub total: u64,
    /// Inodes left; `u64::MAX` where the file system has no such limit.
    pub inodes_free: u64,
    /// Whether programs may not be executed from it.
    pub noexec: bool,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// A file open for appending: the journal's tail.
pub trait Tail: Send {
    /// Writes all of `bytes` at the end. After an error the length of the file is unknown.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once the bytes are on the device.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file open for reading in pieces, from wherever they are wanted.
pub trait Reader: io::Read + io::Seek + Send {}
impl<T: io::Read + io::Seek + Send> Reader for T {}

/// A file being written, from the beginning.
pub trait Writer: io::Write + Send {
    /// Returns once the bytes are on the device.
    fn sync(&mut self) -> io::Result<()>;
}

/// A lock on a file, held until dropped (or until the process dies).
pub trait Lock: Send + std::fmt::Debug {}

/// A file system.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// Facts about `path` itself (a link is not followed). `None` when nothing is there, the directory included.
    fn facts(&self, path: &Path) -> io::Result<Option<Facts>>;
    /// Names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<std::ffi::OsString>>;
    /// The whole file, refused with `FileTooLarge` above `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// Opens for reading in pieces.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Reader>>;
    /// Creates a new file with these permission bits whatever the umask; fails with `AlreadyExists`.
    fn create(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Writer>>;
    /// Opens for appending; creates it (0600) if missing.
    fn append(&self, path: &Path) -> io::Result<Box<dyn Tail>>;
    /// Cuts the file to `len` and syncs it.
    fn truncate(&self, path: &Path, len: u64) -> io::Result<()>;
    /// Makes one directory with these permission bits; fails with `AlreadyExists`.
    fn make_directory(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Makes a symbolic link whose text is `text`; fails with `AlreadyExists`.
    fn make_link(&self, text: &Path, path: &Path) -> io::Result<()>;
    /// The text of a symbolic link.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    /// Renames, replacing a file or an empty directory at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Swaps two names in one step. `Unsupported` where the file system cannot.
    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()>;
    /// Removes a file or link. Missing is an error (`NotFound`).
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// A second name for the same inode.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// A new file sharing the blocks of `from` (same mode), or `Unsupported`.
    fn reflink(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Sets permission bits.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()>;
    /// Sets owner and group of the name itself (a link is not followed).
    fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> io::Result<()>;
    /// Sets the modification time.
    fn set_modified(&self, path: &Path, at: SystemTime) -> io::Result<()>;
    /// Syncs a file's contents.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Syncs a directory: renames, creations and removals in it survive a power cut from here on.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// How many syncs are worth being under way at a time: one where the order of all calls has to be the same each time.
    fn syncs_at_once(&self) -> usize {
        1
    }
    /// Syncs the whole file system that `path` is on, in one call.
    fn sync_file_system(&self, path: &Path) -> io::Result<()>;
    /// Room on the file system of `path` (its nearest existing parent).
    fn room(&self, path: &Path) -> io::Result<Room>;
    /// Takes an exclusive lock without waiting; `None` when somebody else holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
}
