//! The kernel's file system behind the [`Disk`] trait.
//!
//! Holds no state of its own. Every descriptor is close-on-exec, so that a program we start never keeps
//! a lock or a file of ours open. It must not compose calls: what takes more than one is in
//! [`crate::durable`].

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Gid, OFlags, RenameFlags, StatVfsMountFlags, Timespec, Timestamps, Uid,
};
use rustix::io::Errno;

use crate::disk::{Disk, Facts, Kind, Lock, Reader, Room, Tail, Writer};

/// The real thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Tail for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // The length is part of what fdatasync makes durable; only timestamps are left out.
        self.sync_data()
    }
}

impl Writer for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// An flock, released by the kernel when the descriptor goes, however the process ends.
#[derive(Debug)]
struct FileLock {
    _file: File,
}

impl Lock for FileLock {}

impl Disk for RealDisk {
    fn facts(&self, path: &Path) -> io::Result<Option<Facts>> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Facts {
            kind: kind_of(metadata.file_type()),
            len: metadata.len(),
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            inode: metadata.ino(),
            device: metadata.dev(),
            links: metadata.nlink(),
            modified: metadata.modified()?,
        }))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        let mut names =
            fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more than allowed tells "exactly at the limit" from "beyond it", also for files
        // that grow meanwhile or, as in /proc, claim to be empty.
        open_regular(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Reader>> {
        Ok(Box::new(open_regular(path)?))
    }

    fn create(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Writer>> {
        Ok(Box::new(create_new(path, mode)?))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Tail>> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn truncate(&self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(len)?;
        file.sync_all()
    }

    fn make_directory(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::DirBuilder::new().mode(mode).create(path)?;
        // mkdir(2) applies the umask; what was asked for is what must be there.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    fn make_link(&self, text: &Path, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(text, path)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn exchange(&self, a: &Path, b: &Path) -> io::Result<()> {
        rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)
            .map_err(|errno| unsupported_if(errno, &[Errno::INVAL, Errno::NOSYS]))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn reflink(&self, from: &Path, to: &Path) -> io::Result<()> {
        let source = open_regular(from)?;
        let target = create_new(to, source.metadata()?.mode() & 0o7777)?;
        rustix::fs::ioctl_ficlone(&target, &source).map_err(|errno| {
            // Nothing may stay behind: the caller will fall back to another way of copying.
            let _ = fs::remove_file(to);
            unsupported_if(errno, &[Errno::INVAL, Errno::XDEV, Errno::NOTTY, Errno::NOSYS])
        })
    }

    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    }

    fn set_owner(&self, path: &Path, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        Ok(rustix::fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn set_modified(&self, path: &Path, at: SystemTime) -> io::Result<()> {
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
            last_modification: timespec_of(at)?,
        };
        Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        open_regular(path)?.sync_all()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        match open_directory(path)?.sync_all() {
            // Some network and user-space file systems have no such call; they offer nothing better.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
            result => result,
        }
    }

    fn syncs_at_once(&self) -> usize {
        8
    }

    fn sync_file_system(&self, path: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
        Ok(rustix::fs::syncfs(&file)?)
    }

    fn room(&self, path: &Path) -> io::Result<Room> {
        for ancestor in path.ancestors() {
            match rustix::fs::statvfs(ancestor) {
                Ok(facts) => {
                    return Ok(Room {
                        free: facts.f_bavail.saturating_mul(facts.f_frsize),
                        total: facts.f_blocks.saturating_mul(facts.f_frsize),
                        // btrfs and others count no inodes and say zero of zero.
                        inodes_free: if facts.f_files == 0 { u64::MAX } else { facts.f_favail },
                        noexec: facts.f_flag.contains(StatVfsMountFlags::NOEXEC),
                        read_only: facts.f_flag.contains(StatVfsMountFlags::RDONLY),
                    });
                }
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(Errno::NOENT.into())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(FileLock { _file: file }))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Whether the error says that nothing is there, be it the name or the directory it would be in.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn kind_of(file_type: fs::FileType) -> Kind {
    if file_type.is_file() {
        Kind::File
    } else if file_type.is_dir() {
        Kind::Directory
    } else if file_type.is_symlink() {
        Kind::Link
    } else {
        Kind::Other
    }
}

/// Opens a regular file for reading. A pipe in its place must not hang us, nor a device feed us.
fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let file_type = file.metadata()?.file_type();
    if file_type.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    if !file_type.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::DIRECTORY.bits().cast_signed()).open(path)
}

fn create_new(path: &Path, mode: u32) -> io::Result<File> {
    // Narrow until the exact bits are set, so that a secret is never readable in between.
    let file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o700).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    Ok(file)
}

fn unsupported_if(errno: Errno, also: &[Errno]) -> io::Error {
    if errno == Errno::OPNOTSUPP || also.contains(&errno) {
        return io::Error::new(io::ErrorKind::Unsupported, errno);
    }
    errno.into()
}

fn timespec_of(at: SystemTime) -> io::Result<Timespec> {
    let out_of_range = |_| io::Error::new(io::ErrorKind::InvalidInput, "time out of range");
    let (seconds, nanoseconds) = match at.duration_since(UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).map_err(out_of_range)?, since.subsec_nanos()),
        Err(before) => {
            let before = before.duration();
            let whole = i64::try_from(before.as_secs()).map_err(out_of_range)?;
            match before.subsec_nanos() {
                0 => (-whole, 0),
                // The fraction counts upwards from the second below.
                fraction => (-whole - 1, 1_000_000_000 - fraction),
            }
        }
    };
    Ok(Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) })
}
