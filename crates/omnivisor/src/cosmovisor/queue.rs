//! The queue of upgrades that people scheduled ahead: the batch file in the data directory.
//!
//! `add-upgrade --upgrade-height` and `add-batch-upgrade` both write here and never to the plan file, which is the
//! node's: neither can destroy what the other said. Every change is one rename, made under a lock.

use std::io;
use std::path::PathBuf;

use ov_chains::cosmos::{Queue, Settings};
use ov_sys::disk::Lock;
use ov_sys::{Disk as _, RealDisk, durable};

use super::complaint::Complaint;

const QUEUE_BYTES_MAX: u64 = 4 << 20;
const QUEUE_MODE: u32 = 0o600;
const DATA_MODE: u32 = 0o755;

/// The queue, while nobody else may change it.
pub(super) struct OpenQueue {
    /// What is in it.
    pub(super) queue: Queue,
    path: PathBuf,
    _lock: Box<dyn Lock>,
}

/// Reads the queue. A missing file is an empty one.
pub(super) fn read(settings: &Settings) -> Result<Queue, Complaint> {
    let path = settings.queue_file();
    let bytes = match RealDisk.read(&path, QUEUE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Queue::default()),
        Err(error) => return Err(Complaint::file("failed to read the scheduled upgrades: ", "open", &path, &error)),
    };
    let shown = path.display();
    Queue::parse(&bytes, settings.recase())
        .map_err(|error| Complaint::new(format!("failed to read the scheduled upgrades: {shown}: {error}")))
}

impl OpenQueue {
    /// Takes the queue to change it.
    pub(super) fn take(settings: &Settings) -> Result<Self, Complaint> {
        let path = settings.queue_file();
        let lock = settings.root().join(".schedule.lock");
        let failed = |error: io::Error| Complaint::file("", "open", &lock, &error);
        let lock = RealDisk.lock(&lock).map_err(failed)?.ok_or_else(|| {
            Complaint::new("another command is scheduling upgrades in this home; nothing was changed: try again")
        })?;
        Ok(Self { queue: read(settings)?, path, _lock: lock })
    }

    /// Makes the changes durable, in one step.
    pub(super) fn write(self, settings: &Settings) -> Result<PathBuf, Complaint> {
        let data = settings.data();
        durable::make_directories(&RealDisk, &data, DATA_MODE)
            .map_err(|error| Complaint::file("failed to write the scheduled upgrades: ", "mkdir", &data, &error))?;
        durable::replace(&RealDisk, &self.path, self.queue.to_text().as_bytes(), QUEUE_MODE).map_err(|error| {
            Complaint::file("failed to write the scheduled upgrades: ", "write", &self.path, &error)
        })?;
        Ok(self.path)
    }
}
