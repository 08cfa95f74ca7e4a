//! Compresses rotated log files.
//!
//! The shim writes and rotates a unit's log and removes the oldest files, compressed ones included; this only turns
//! `<log>.<time>-<counter>` into the same name with `.gz`. Until the compressed file is complete and durable it has
//! another name, and the original goes last: after a crash at any point the work is done again, and no byte is in
//! neither file. Owns no state and never touches the file that is being written.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use ov_shim::Rotation;
use ov_sys::Disk;

const BUFFER_BYTES: usize = 256 * 1024;
/// What the name of a compressed file ends with.
const COMPRESSED: &str = "gz";

/// Why a log file could not be compressed.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}", path.display())]
pub struct CompressError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// A rotated file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Rises with every rotation of the log.
    pub counter: u64,
    /// Whether it is compressed.
    pub compressed: bool,
    /// Where it is.
    pub path: PathBuf,
}

/// The rotated files of a log, oldest first; while one is being compressed, the original first.
pub fn rotated(disk: &dyn Disk, log: &Path) -> io::Result<Vec<Rotated>> {
    let Some(folder) = log.parent() else { return Ok(Vec::new()) };
    let names = match disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let of_log = |name: OsString| {
        let rotation = Rotation::of(log, &name)?;
        let compressed = match rotation.ending.as_deref() {
            None => false,
            Some(COMPRESSED) => true,
            // Somebody else's work.
            Some(_) => return None,
        };
        Some(Rotated { counter: rotation.counter, compressed, path: folder.join(name) })
    };
    let mut found: Vec<_> = names.into_iter().filter_map(of_log).collect();
    found.sort_by_key(|rotated| (rotated.counter, rotated.compressed));
    Ok(found)
}

/// Compresses every rotated file of a log that is not compressed yet. Returns how many that were.
///
/// One at a time, whoever calls: two at work on one file would each take the other's half for their own.
pub fn compress_rotated(disk: &dyn Disk, log: &Path) -> Result<usize, CompressError> {
    static AT_WORK: Mutex<()> = Mutex::new(());
    let _alone = AT_WORK.lock().unwrap_or_else(PoisonError::into_inner);
    let plain = rotated(disk, log).map_err(at("list the rotated files of", log))?;
    let mut done = 0;
    for file in plain.into_iter().filter(|file| !file.compressed) {
        match compress(disk, &file.path) {
            Ok(()) => done += 1,
            // The shim removes the oldest files at any time.
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// As [`compress_rotated`], on a thread of its own that runs when nobody else wants to.
pub async fn compress_rotated_idly(disk: Arc<dyn Disk>, log: PathBuf) -> Result<usize, CompressError> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let about = log.clone();
    // Not a thread of the runtime's pool: those are used again, and the low priority would stay.
    let thread = std::thread::Builder::new().name("compress".to_owned()).spawn(move || {
        // Without the low priority it is done all the same.
        let _ = rustix::process::setpriority_process(None, 19);
        let _ = tell.send(compress_rotated(disk.as_ref(), &log));
    });
    thread.map_err(at("start compressing", &about))?;
    told.await.unwrap_or_else(|_| Err(at("finish compressing", &about)(io::Error::other("the thread ended early"))))
}

fn compress(disk: &dyn Disk, plain: &Path) -> Result<(), CompressError> {
    let Some((folder, name)) = plain.parent().zip(plain.file_name()) else { return Ok(()) };
    let target = folder.join(joined(&[name, OsStr::new("."), OsStr::new(COMPRESSED)]));
    // A name that nobody, the shim included, takes for a rotated file.
    let beside = folder.join(joined(&[OsStr::new(".compressing-"), name]));
    if disk.facts(&target).map_err(at("look at", &target))?.is_none() {
        let written = write_compressed(disk, plain, &beside)
            .and_then(|()| disk.rename(&beside, &target).map_err(at("rename", &beside)));
        if let Err(error) = written {
            // On a full disk the half file would hold the very room that is missing.
            let _ = disk.remove_file(&beside);
            return Err(error);
        }
    }
    disk.sync_directory(folder).map_err(at("sync", folder))?;
    match disk.remove_file(plain) {
        // The shim found it too old meanwhile, and did not know of what we made of it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk.remove_file(&target).map_err(at("remove", &target))
        }
        removed => removed.map_err(at("remove", plain)),
    }
}

fn write_compressed(disk: &dyn Disk, plain: &Path, beside: &Path) -> Result<(), CompressError> {
    let facts = disk.facts(plain).and_then(|facts| facts.ok_or_else(|| io::ErrorKind::NotFound.into()));
    let facts = facts.map_err(at("look at", plain))?;
    match disk.remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at("remove", beside)(error)),
        _ => {}
    }
    let mut reader = disk.open(plain).map_err(at("open", plain))?;
    let writer = disk.create(beside, facts.mode).map_err(at("create", beside))?;
    let mut encoder = GzEncoder::new(writer, Compression::default());
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => encoder.write_all(&buffer[..count]).map_err(at("write", beside))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(at("read", plain)(error)),
        }
    }
    let mut writer = encoder.finish().map_err(at("write", beside))?;
    writer.sync().map_err(at("sync", beside))?;
    // Whoever looks for the log of a night looks at the times.
    disk.set_modified(beside, facts.modified).map_err(at("date", beside))
}

fn joined(parts: &[&OsStr]) -> OsString {
    parts.iter().copied().collect()
}

fn at<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CompressError + use<'a> {
    move |source| CompressError { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use flate2::read::GzDecoder;
    use ov_sys::RealDisk;

    const OLD: &str = "main.log.20261120T061500Z-000001";
    const NEW: &str = "main.log.20261120T061600Z-000002";

    fn unpacked(path: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        GzDecoder::new(fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn folder_with(files: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        for (name, contents) in files {
            fs::write(folder.path().join(name), contents).unwrap();
        }
        let log = folder.path().join("main.log");
        (folder, log)
    }

    fn names(folder: &Path) -> Vec<String> {
        RealDisk.list(folder).unwrap().into_iter().map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn only_rotated_files_of_this_log_are_compressed() {
        let flood = vec![b'x'; 3 * BUFFER_BYTES + 7];
        let (folder, log) = folder_with(&[
            ("main.log", b"now"),
            (OLD, &flood),
            (NEW, b"new"),
            ("main.log.txt", b"mine"),
            ("main.log.2026-old", b"mine"),
            ("other.log.20261120T061500Z-000001", b"theirs"),
        ]);
        assert_eq!(compress_rotated(&RealDisk, &log).unwrap(), 2);
        let expected = [
            "main.log".to_owned(),
            "main.log.2026-old".to_owned(),
            format!("{OLD}.gz"),
            format!("{NEW}.gz"),
            "main.log.txt".to_owned(),
            "other.log.20261120T061500Z-000001".to_owned(),
        ];
        assert_eq!(names(folder.path()), expected);
        assert_eq!(unpacked(&folder.path().join(format!("{OLD}.gz"))), flood);
        assert_eq!(compress_rotated(&RealDisk, &log).unwrap(), 0);
    }

    #[test]
    fn mode_and_time_are_those_of_the_original() {
        let (folder, log) = folder_with(&[(OLD, b"old")]);
        let original = folder.path().join(OLD);
        RealDisk.set_mode(&original, 0o640).unwrap();
        let modified = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        RealDisk.set_modified(&original, modified).unwrap();
        compress_rotated(&RealDisk, &log).unwrap();
        let facts = RealDisk.facts(&folder.path().join(format!("{OLD}.gz"))).unwrap().unwrap();
        assert_eq!((facts.mode, facts.modified), (0o640, modified));
    }

    #[test]
    fn work_that_a_crash_interrupted_is_finished() {
        let half = format!(".compressing-{OLD}");
        let (folder, log) = folder_with(&[(OLD, b"old"), (&half, b"\x1f\x8bgarbage")]);
        assert_eq!(compress_rotated(&RealDisk, &log).unwrap(), 1);
        assert_eq!(names(folder.path()), [format!("{OLD}.gz")]);
        // Killed after the rename, before the removal: both are there, and the compressed one is whole.
        fs::write(folder.path().join(OLD), b"old").unwrap();
        assert_eq!(compress_rotated(&RealDisk, &log).unwrap(), 1);
        assert_eq!(names(folder.path()), [format!("{OLD}.gz")]);
        assert_eq!(unpacked(&folder.path().join(format!("{OLD}.gz"))), b"old");
    }

    #[test]
    fn rotated_files_are_listed_by_their_counter() {
        let gz = format!("{OLD}.gz");
        let (_folder, log) = folder_with(&[
            ("main.log.20261120T070000Z-1000000", b""),
            (NEW, b""),
            (&gz, b""),
            ("main.log.20261120T070000Z-", b""),
            ("main.log.20261120T070000Z-1.gz.gz", b""),
        ]);
        let counters: Vec<_> =
            rotated(&RealDisk, &log).unwrap().iter().map(|file| (file.counter, file.compressed)).collect();
        assert_eq!(counters, [(1, true), (2, false), (1_000_000, false)]);
        assert_eq!(rotated(&RealDisk, Path::new("/no/such/folder/main.log")).unwrap(), []);
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let names: Vec<String> = (1..=6).map(|counter| format!("main.log.20261120T061500Z-{counter:06}")).collect();
        let contents = vec![b'y'; 2 * BUFFER_BYTES];
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), contents.as_slice())).collect();
        let (folder, log) = folder_with(&files);
        let done: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| compress_rotated(&RealDisk, &log).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(done, names.len());
        for name in names {
            assert_eq!(unpacked(&folder.path().join(format!("{name}.gz"))), contents);
        }
    }

    #[tokio::test]
    async fn it_can_be_left_to_an_idle_thread() {
        let (folder, log) = folder_with(&[(OLD, b"old")]);
        assert_eq!(compress_rotated_idly(Arc::new(RealDisk), log).await.unwrap(), 1);
        assert_eq!(names(folder.path()), [format!("{OLD}.gz")]);
    }
}
