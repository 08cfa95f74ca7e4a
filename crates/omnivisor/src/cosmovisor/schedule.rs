//! The schedule: upgrades that people want at a height, in the batch file of the data directory.
//!
//! `add-upgrade --upgrade-height` and `add-batch-upgrade` both write here and never to the plan file, which is the
//! node's: neither can destroy what the other said. Every change is one rename, made under a lock.

use std::io;
use std::path::{Path, PathBuf};

use crate::drop_in::Complaint;
use ov_chains::cosmos::{Schedule, Settings};
use ov_sys::disk::Lock;
use ov_sys::{Disk as _, RealDisk, durable};

const SCHEDULE_BYTES_MAX: u64 = 4 << 20;
const SCHEDULE_MODE: u32 = 0o600;
const DATA_MODE: u32 = 0o755;

/// The right to change the schedule, which one command at a time has.
pub(super) struct Change {
    lock: Box<dyn Lock>,
}

/// Reads the schedule. A missing file is an empty one.
pub(super) fn read(settings: &Settings) -> Result<Schedule, Complaint> {
    let path = settings.schedule_file();
    let bytes = match RealDisk.read(&path, SCHEDULE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Schedule::default()),
        Err(error) => return Err(Complaint::file("failed to read the scheduled upgrades: ", "open", &path, &error)),
    };
    let shown = path.display();
    Schedule::parse(&bytes, settings.recase())
        .map_err(|error| Complaint::new(format!("failed to read the scheduled upgrades: {shown}: {error}")))
}

impl Change {
    /// Takes the right to change the schedule; read it afterwards.
    pub(super) fn begin(settings: &Settings) -> Result<Self, Complaint> {
        let path = settings.root().join(".schedule.lock");
        let lock = RealDisk.lock(&path).map_err(|error| Complaint::file("", "open", &path, &error))?;
        let lock = lock.ok_or_else(|| {
            Complaint::new("another command is scheduling upgrades in this home; nothing was changed: try again")
        })?;
        Ok(Self { lock })
    }

    /// Makes this the schedule, durably and in one step.
    pub(super) fn finish(self, settings: &Settings, schedule: &Schedule) -> Result<PathBuf, Complaint> {
        let (data, path) = (settings.data(), settings.schedule_file());
        let failed =
            |what, path: &Path, error| Complaint::file("failed to write the scheduled upgrades: ", what, path, &error);
        durable::make_directories(&RealDisk, &data, DATA_MODE).map_err(|error| failed("mkdir", &data, error))?;
        durable::replace(&RealDisk, &path, schedule.to_text().as_bytes(), SCHEDULE_MODE)
            .map_err(|error| failed("write", &path, error))?;
        drop(self.lock);
        Ok(path)
    }
}
