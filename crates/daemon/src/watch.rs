//! Tells when one of a few named files may have changed.
//!
//! Directories are watched rather than files, so that a file which an editor replaces by a rename, or which appears
//! only later, is seen; so is a directory that is swapped for another. Writing to other files there wakes nobody up
//! until they are closed. It says "may have": whoever is told reads the file again and decides. Owns one inotify
//! instance and one task; where the kernel gives none, the files are looked at from time to time.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ov_sys::Disk;
use ov_sys::disk::Kind;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Changes within this time are told once. A halted node may be waiting for what its file leads to.
const GATHER: Duration = Duration::from_millis(5);
/// So many links are followed from a named file to where it really is.
const LINKS_MAX: usize = 8;

/// What makes a directory worth a look. Writing alone does not: the close after it does.
const EVENTS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// The files being watched. Dropped, it ends.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<PathBuf>,
    task: JoinHandle<()>,
}

impl Watch {
    /// Watches `paths`, which need not exist. Where the kernel cannot tell, they are looked at every `poll_every`,
    /// and the log says so once.
    pub fn new(disk: Arc<dyn Disk>, paths: Vec<PathBuf>, poll_every: Duration) -> Self {
        let (tell, changes) = mpsc::channel(paths.len().max(1));
        let files = Files { disk, paths, tell };
        // Armed before the return: a change from here on is told.
        let armed = Armed::new(&files);
        let task = tokio::spawn(async move {
            let watched = match armed {
                Ok(armed) => armed.run(&files).await,
                Err(error) => Err(error),
            };
            if let Err(error) = watched {
                let every_ms = u64::try_from(poll_every.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(%error, every_ms, "the kernel does not tell of changed files; looking from time to time");
                files.poll(poll_every).await;
            }
        });
        Self { changes, task }
    }

    /// The next file that may have changed. Safe to give up waiting for.
    pub async fn changed(&mut self) -> Option<PathBuf> {
        self.changes.recv().await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Nobody listens any more.
struct Over;

struct Files {
    disk: Arc<dyn Disk>,
    paths: Vec<PathBuf>,
    tell: mpsc::Sender<PathBuf>,
}

impl Files {
    async fn tell(&self, changed: BTreeSet<&Path>) -> Result<(), Over> {
        for path in changed {
            self.tell.send(path.to_owned()).await.map_err(|_| Over)?;
        }
        Ok(())
    }

    /// The named file and, where it is a link, what it leads to.
    fn places(&self, path: &Path) -> Vec<PathBuf> {
        let mut places = vec![path.to_owned()];
        while let (Some(place), true) = (places.last(), places.len() <= LINKS_MAX) {
            match (self.disk.read_link(place), place.parent()) {
                (Ok(text), Some(folder)) => places.push(folder.join(text)),
                _ => break,
            }
        }
        places
    }

    /// The directory to watch for `place`: its own, or the nearest one above it that exists.
    fn directory(&self, place: &Path) -> Option<PathBuf> {
        let is_directory = |folder: &&Path| {
            let facts = self.disk.facts(folder).ok().flatten();
            facts.is_some_and(|facts| matches!(facts.kind, Kind::Directory | Kind::Link))
        };
        place.ancestors().skip(1).find(is_directory).map(Path::to_owned)
    }

    async fn poll(&self, every: Duration) {
        let look = || -> Vec<_> {
            let facts = |path: &PathBuf| -> Vec<_> {
                self.places(path).iter().map(|place| self.disk.facts(place).ok().flatten()).collect()
            };
            self.paths.iter().map(facts).collect()
        };
        let mut seen = look();
        loop {
            tokio::time::sleep(every).await;
            let now = look();
            let differs = self.paths.iter().zip(seen.iter().zip(&now)).filter(|(_, (seen, now))| seen != now);
            if self.tell(differs.map(|(path, _)| path.as_path()).collect()).await.is_err() {
                return;
            }
            seen = now;
        }
    }
}

/// The kernel's side of it.
struct Armed {
    inotify: AsyncFd<OwnedFd>,
    /// The directory that each number of the kernel stands for.
    directories: BTreeMap<i32, PathBuf>,
    /// Every place that matters, with the named file it stands for.
    places: Vec<(PathBuf, PathBuf)>,
}

impl Armed {
    fn new(files: &Files) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        #[expect(deprecated, reason = "an OwnedFd keeps the promise that the unsafe successor asks for")]
        let inotify = AsyncFd::new(inotify)?;
        let mut armed = Self { inotify, directories: BTreeMap::new(), places: Vec::new() };
        armed.arm(files)?;
        Ok(armed)
    }

    /// Watches what has to be watched now, and nothing else. Directories come, go and are swapped.
    fn arm(&mut self, files: &Files) -> io::Result<()> {
        self.places =
            files.paths.iter().flat_map(|path| files.places(path).into_iter().map(|at| (at, path.clone()))).collect();
        let mut directories = BTreeMap::new();
        for (place, _) in &self.places {
            // A directory that goes in between is told by the one above it at the next try.
            for _ in place.ancestors() {
                let Some(directory) = files.directory(place) else { break };
                match inotify::add_watch(&self.inotify, &directory, EVENTS) {
                    Ok(number) => {
                        directories.insert(number, directory);
                        break;
                    }
                    Err(Errno::NOENT | Errno::NOTDIR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        for number in self.directories.keys().filter(|number| !directories.contains_key(number)) {
            // It is gone already when its directory is.
            let _ = inotify::remove_watch(&self.inotify, *number);
        }
        self.directories = directories;
        Ok(())
    }

    async fn run(mut self, files: &Files) -> io::Result<()> {
        loop {
            let mut changed = self.next_changes().await?;
            if changed.is_empty() {
                continue;
            }
            tokio::time::sleep(GATHER).await;
            changed.extend(self.pending_changes()?);
            self.arm(files)?;
            if files.tell(changed.iter().map(PathBuf::as_path).collect()).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn next_changes(&self) -> io::Result<BTreeSet<PathBuf>> {
        let mut ready = self.inotify.readable().await?;
        // Cleared before reading: what comes in meanwhile makes it ready again.
        ready.clear_ready();
        self.pending_changes()
    }

    /// The named files that the events so far are about.
    fn pending_changes(&self) -> io::Result<BTreeSet<PathBuf>> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut changed = BTreeSet::new();
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(changed),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            };
            let directory = self.directories.get(&event.wd());
            let about = match (directory, event.file_name()) {
                // The kernel lost count of what happened: everything may have.
                _ if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => PathBuf::from("/"),
                (Some(directory), Some(name)) => directory.join(std::ffi::OsStr::from_bytes(name.to_bytes())),
                (Some(directory), None) => directory.clone(),
                // Of a directory that is not watched any more.
                (None, _) => continue,
            };
            changed.extend(self.places.iter().filter(|(at, _)| at.starts_with(&about)).map(|(_, path)| path.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use ov_sys::RealDisk;

    const LONG: Duration = Duration::from_secs(3600);

    fn watch(paths: &[&Path]) -> Watch {
        Watch::new(Arc::new(RealDisk), paths.iter().map(|path| (*path).to_owned()).collect(), LONG)
    }

    async fn next(watch: &mut Watch) -> PathBuf {
        tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.expect("no change was told").unwrap()
    }

    /// Changes a marker that is watched too, and waits until that is told. Returns what was told before it.
    async fn told_before(watch: &mut Watch, marker: &Path) -> BTreeSet<PathBuf> {
        fs::write(marker, "x").unwrap();
        let mut told = BTreeSet::new();
        loop {
            match next(watch).await {
                path if path == marker => return told,
                path => told.insert(path),
            };
        }
    }

    #[tokio::test]
    async fn every_way_to_change_a_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (file, marker) = (folder.path().join("omnivisor.toml"), folder.path().join("marker"));
        let mut watch = watch(&[&file, &marker]);
        let ways: [&dyn Fn(); 5] = [
            &|| fs::write(&file, "1").unwrap(),
            &|| fs::write(&file, "2").unwrap(),
            &|| {
                fs::write(folder.path().join(".swap"), "3").unwrap();
                fs::rename(folder.path().join(".swap"), &file).unwrap();
            },
            &|| fs::rename(&file, folder.path().join("old")).unwrap(),
            &|| {
                fs::write(&file, "4").unwrap();
                fs::remove_file(&file).unwrap();
            },
        ];
        for way in ways {
            way();
            assert_eq!(next(&mut watch).await, file);
            // On a busy machine one change may be told twice, and must not be taken for the next one.
            told_before(&mut watch, &marker).await;
        }
    }

    /// By a clock that goes on only where everybody waits for it: how busy the machine is does not count.
    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_soon() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("upgrade-info.json");
        let mut watch = watch(&[&file]);
        for number in 0..20 {
            let began = tokio::time::Instant::now();
            fs::write(&file, number.to_string()).unwrap();
            assert_eq!(next(&mut watch).await, file);
            assert!(began.elapsed() <= Duration::from_millis(10), "told after {:?}", began.elapsed());
        }
    }

    #[tokio::test]
    async fn other_files_are_nobodys_business() {
        let folder = tempfile::tempdir().unwrap();
        let (file, marker) = (folder.path().join("a"), folder.path().join("marker"));
        let mut watch = watch(&[&file, &marker]);
        for number in 0..100 {
            fs::write(folder.path().join(format!("a{number}")), "x").unwrap();
        }
        assert_eq!(told_before(&mut watch, &marker).await, BTreeSet::new());
    }

    #[tokio::test]
    async fn directories_that_come_go_and_are_swapped_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("node/data");
        let file = data.join("upgrade-info.json");
        let mut watch = watch(&[&file]);
        fs::create_dir_all(&data).unwrap();
        fs::write(&file, "1").unwrap();
        assert_eq!(next(&mut watch).await, file);
        // The restore of a snapshot swaps the whole directory.
        let other = folder.path().join("node/other");
        fs::create_dir(&other).unwrap();
        RealDisk.exchange(&other, &data).unwrap();
        assert_eq!(next(&mut watch).await, file);
        fs::write(other.join("upgrade-info.json"), "old place").unwrap();
        fs::write(&file, "2").unwrap();
        assert_eq!(next(&mut watch).await, file);
        fs::remove_dir_all(&data).unwrap();
        assert_eq!(next(&mut watch).await, file);
        fs::create_dir(&data).unwrap();
        assert_eq!(next(&mut watch).await, file);
        fs::write(&file, "3").unwrap();
        assert_eq!(next(&mut watch).await, file);
    }

    #[tokio::test]
    async fn a_link_is_watched_where_it_leads() {
        let folder = tempfile::tempdir().unwrap();
        let (etc, link) = (folder.path().join("etc"), folder.path().join("link"));
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("real"), "1").unwrap();
        std::os::unix::fs::symlink("etc/real", &link).unwrap();
        let mut watch = watch(&[&link]);
        fs::write(etc.join("real"), "2").unwrap();
        assert_eq!(next(&mut watch).await, link);
    }

    #[tokio::test]
    async fn without_the_kernels_help_files_are_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        let (tell, mut changes) = mpsc::channel(1);
        let files = Files { disk: Arc::new(RealDisk), paths: vec![file.clone()], tell };
        let task = tokio::spawn(async move { files.poll(Duration::from_millis(5)).await });
        tokio::task::yield_now().await;
        fs::write(&file, "1").unwrap();
        let told = tokio::time::timeout(Duration::from_secs(20), changes.recv()).await.unwrap();
        assert_eq!(told, Some(file));
        task.abort();
    }
}
