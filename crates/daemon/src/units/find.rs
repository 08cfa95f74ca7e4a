//! What a new daemon finds of a unit: its shim alive, or what the shim left behind.

use std::path::Path;

use ov_engine::Found;
use ov_shim::{RunRecord, UnitDir};
use ov_supervise::{ExitStatus, Phase, Shim, ShimState, SuperviseError};
use ov_types::{Moment, RunId, UnitName};

use super::Ground;

/// What was found.
#[derive(Debug)]
pub(crate) struct Discovered {
    pub(crate) found: Found,
    pub(crate) shim: Option<Shim>,
    /// The process said that it is ready.
    pub(crate) said_ready: bool,
    /// What the process says of itself.
    pub(crate) says: Option<String>,
}

/// Looks for a unit. A living shim is adopted; none is started.
pub(crate) async fn discover(
    unit: &UnitName,
    directory: &Path,
    ground: &Ground,
    now: Moment,
) -> Result<Discovered, SuperviseError> {
    let failed = |source| SuperviseError::Directory { path: directory.to_owned(), source };
    let left = || ov_supervise::orphans(directory).map(|orphans| !orphans.is_empty()).map_err(failed);
    let record = || ov_supervise::last_run(directory);
    if shim_lives(directory) {
        let (shim, state) = Shim::open(unit.clone(), directory, &ground.shim, ground.events.clone()).await?;
        let found = match of_state(&state, now) {
            Some(found) => found,
            None => of_record(record()?, state.may_have_orphans && left()?),
        };
        return Ok(Discovered { found, shim: Some(shim), said_ready: state.ready, says: state.status_text });
    }
    let found = match record()? {
        None => Found::Nothing,
        record => of_record(record, left()?),
    };
    Ok(Discovered { found, shim: None, said_ready: false, says: None })
}

/// Whether a shim holds the unit's directory.
pub(crate) fn shim_lives(directory: &Path) -> bool {
    UnitDir::open(directory).and_then(|directory| directory.is_taken()).unwrap_or(false)
}

/// Whether anything of a unit lives: its shim, or what a shim left behind.
pub(crate) fn may_run(directory: &Path) -> bool {
    shim_lives(directory) || ov_supervise::orphans(directory).is_ok_and(|orphans| !orphans.is_empty())
}

/// The last run of a unit if something of it lives, as the record tells: nobody is asked.
pub(crate) fn living_run(directory: &Path) -> Option<RunRecord> {
    let run = ov_supervise::last_run(directory).ok().flatten()?;
    (has_processes(run.phase) && may_run(directory)).then_some(run)
}

/// Whether processes of the unit may live in this phase of its last run.
pub(crate) fn has_processes(phase: Phase) -> bool {
    matches!(phase, Phase::Launching | Phase::Running | Phase::Exited)
}

/// What a living shim knows of a run that is not over.
fn of_state(state: &ShimState, now: Moment) -> Option<Found> {
    let (run, pid) = (RunId(state.run?), state.pid);
    let age_ms = age_ms(state.launched_at_unix_ms, now);
    let since = Moment {
        monotonic_ms: now.monotonic_ms.saturating_sub(age_ms),
        wall_ms: now.wall_ms.saturating_sub(i64::try_from(age_ms).unwrap_or(0)),
    };
    match (state.phase, pid) {
        (Phase::Empty, _) => None,
        _ if state.settled => Some(Found::Stopping { run, pid, since }),
        (Phase::Running, Some(pid)) => Some(Found::Running { run, pid, since }),
        _ => Some(Found::Ending { run, status: state.exit.map(status_of) }),
    }
}

/// What the record says of a run that is over, or whose shim is gone.
fn of_record(record: Option<RunRecord>, processes_left: bool) -> Found {
    let Some(record) = record else { return Found::Nothing };
    let (run, status) = (RunId(record.run), record.exit.map(status_of));
    // A host that went down takes everything with it: no failure of the unit.
    let ended_with_host = status.is_none() && ov_sys::host::boot_id().is_ok_and(|boot| boot != record.boot_id);
    if processes_left {
        Found::Orphaned { run }
    } else if record.settled || ended_with_host {
        Found::Stopped { run, status }
    } else {
        let ran_ms = record.exited_at_unix_ms.map(|exited| exited.saturating_sub(record.launched_at_unix_ms));
        Found::Ended { run, status, ran_ms }
    }
}

fn age_ms(launched_at_unix_ms: Option<u64>, now: Moment) -> u64 {
    let now_ms = u64::try_from(now.wall_ms).unwrap_or(0);
    launched_at_unix_ms.map_or(0, |launched| now_ms.saturating_sub(launched))
}

/// The shim's word for how a process ended, in ours.
pub(crate) fn status_of(status: ExitStatus) -> ov_types::ExitStatus {
    match status {
        ExitStatus::Code(code) => ov_types::ExitStatus::Code(code),
        ExitStatus::Signal { signal, .. } => ov_types::ExitStatus::Signal(signal),
    }
}
