//! `lifecycle.log`: one line for every start and end of a node, with monotonic times, from which
//! tests and benches measure how long nobody ran.

use crate::error::Error;
use crate::files;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// The program began; nothing is open yet.
    Exec,
    /// The data directory is open and blocks begin.
    Started,
    /// A graceful stop ended, the process is about to exit.
    Stopped,
    /// It halted for an upgrade; the process may live on.
    Halted,
    /// It is about to crash as told.
    Crashed,
    /// It could not go on.
    Failed,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What happened.
    pub step: Step,
    /// The version it happened to.
    pub version: String,
    /// The process it happened to.
    pub pid: u32,
    /// The last height at that moment, 0 if not known yet.
    pub height: u64,
    /// `CLOCK_MONOTONIC` at that moment.
    pub monotonic_ns: u64,
}

impl Entry {
    pub(crate) fn now(step: Step, version: &str, height: u64) -> Self {
        let pid = std::process::id();
        Self { step, version: version.to_owned(), pid, height, monotonic_ns: monotonic_ns() }
    }

    pub(crate) fn append(&self, home: &Path) -> Result<(), Error> {
        let path = home.join("lifecycle.log");
        let line = serde_json::to_string(self).map_err(Error::json(&path))?;
        files::append_line(&path, &line)
    }
}

/// All lines of a home, oldest first.
pub fn read(home: &Path) -> Result<Vec<Entry>, Error> {
    let path = home.join("lifecycle.log");
    let text = files::read_if_there(&path)?.unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).map_err(Error::json(&path))).collect()
}

/// `CLOCK_MONOTONIC` now: the clock of the log, for whoever measures from an event of their own.
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
