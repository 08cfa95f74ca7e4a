//! The directory of a unit: its lock and its sockets.
//!
//! Socket addresses hold no more than 107 bytes, so that sockets are bound and reached through
//! `/proc/self/fd/<directory>/<name>`, which is short wherever the directory lies. The lock proves
//! that a shim lives: a process forked by the shim shares it until it executes its program, so
//! that a free lock also says that no launch is half way.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Locked by the shim for as long as it lives.
pub const LOCK_FILE: &str = "shim.lock";
/// Where the shim listens.
pub const SOCKET_FILE: &str = "shim.sock";

/// An open unit directory.
#[derive(Debug)]
pub struct UnitDir {
    path: PathBuf,
    handle: File,
}

impl UnitDir {
    /// Opens the directory, and makes it if it is not there.
    pub fn open_or_create(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Self::open(path)
    }

    /// Opens a directory that exists.
    pub fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let handle = File::open(&path)?;
        Ok(Self { path, handle })
    }

    /// Its absolute path, without links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a shim lives in this directory.
    pub fn is_taken(&self) -> io::Result<bool> {
        match File::open(self.path.join(LOCK_FILE)) {
            Ok(file) => match file.try_lock_shared() {
                Ok(()) => Ok(false),
                Err(TryLockError::WouldBlock) => Ok(true),
                Err(TryLockError::Error(error)) => Err(error),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether a shim could work here: one that cannot has nobody to tell why.
    pub fn check_writable(&self) -> io::Result<()> {
        self.open_lock().map(drop)
    }

    /// Connects to the shim of this directory.
    pub fn connect(&self) -> io::Result<UnixStream> {
        UnixStream::connect(self.short_path(SOCKET_FILE))
    }

    /// Takes the lock for good; nothing if a shim lives.
    pub(crate) fn lock(&self) -> io::Result<Option<OwnedFd>> {
        let file = self.open_lock()?;
        // Somebody who only asks whether the lock is free holds it for an instant.
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < 20 => {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(Some(file.into()))
    }

    fn open_lock(&self) -> io::Result<File> {
        let path = self.path.join(LOCK_FILE);
        File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
    }

    /// Listens in this directory. Only for the holder of the lock: what is in the way is dead.
    pub(crate) fn listen(&self) -> io::Result<UnixListener> {
        self.clear(SOCKET_FILE)?;
        let path = self.short_path(SOCKET_FILE);
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Removes a file if it is there.
    pub(crate) fn clear(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn short_path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.handle.as_raw_fd()))
    }
}
