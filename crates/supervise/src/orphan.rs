//! Units whose shim was killed: what is known of them, and how they are ended. Owns no state.

use std::io;
use std::path::Path;
use std::time::Duration;

use ov_shim::RunRecord;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::error::SuperviseError;

/// How often it is looked whether they are gone: they are nobody's children, so nobody tells.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long SIGKILL may take.
const KILL_BOUND: Duration = Duration::from_secs(10);
const SIGKILL: i32 = 9;

/// The durable record of a unit's last run, for when no shim lives; none if it never ran.
pub fn last_run(unit_dir: &Path) -> Result<Option<RunRecord>, SuperviseError> {
    ov_shim::read_record(unit_dir).map_err(|source| SuperviseError::Record { path: unit_dir.to_owned(), source })
}

/// Lets how the last run ended be forgotten, where no shim lives that could be told to.
pub fn settle(unit_dir: &Path) -> Result<(), SuperviseError> {
    ov_shim::settle_record(unit_dir).map_err(|source| SuperviseError::Record { path: unit_dir.to_owned(), source })
}

/// The living processes of a unit whose shim was killed. Only meaningful while no shim lives.
pub fn orphans(unit_dir: &Path) -> io::Result<Vec<u32>> {
    match ov_shim::orphans::find(unit_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        found => found,
    }
}

/// Ends the processes of a unit whose shim was killed: the signal first, SIGKILL after the grace.
/// When this succeeds none is left.
pub async fn end_orphans(unit_dir: &Path, signal: i32, grace: Duration) -> Result<(), SuperviseError> {
    let kill_at = Instant::now() + grace;
    if send(unit_dir, signal)?.is_empty() {
        return Ok(());
    }
    let gone = async {
        while !send_nothing(unit_dir)?.is_empty() {
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    };
    if let Ok(result) = timeout_at(kill_at, gone).await {
        return result;
    }
    sleep_until(kill_at).await;
    let give_up_at = kill_at + KILL_BOUND;
    loop {
        let pids = send(unit_dir, SIGKILL)?;
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() > give_up_at {
            return Err(SuperviseError::OrphansRemain { path: unit_dir.to_owned(), pids });
        }
        sleep(LOOK_EVERY).await;
    }
}

fn send(unit_dir: &Path, signal: i32) -> Result<Vec<u32>, SuperviseError> {
    let failed = |source| SuperviseError::Directory { path: unit_dir.to_owned(), source };
    ov_shim::orphans::signal(unit_dir, signal).map_err(failed)
}

fn send_nothing(unit_dir: &Path) -> Result<Vec<u32>, SuperviseError> {
    let failed = |source| SuperviseError::Directory { path: unit_dir.to_owned(), source };
    orphans(unit_dir).map_err(failed)
}
