//! What a new daemon finds of a unit: its shim alive, or what the shim left behind.

use std::path::Path;

use ov_engine::Found;
use ov_shim::UnitDir;
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
    if shim_lives(directory) {
        let (shim, state) = Shim::open(unit.clone(), directory, &ground.shim, ground.events.clone()).await?;
        let found = of_state(&state, now);
        return Ok(Discovered { found, shim: Some(shim), said_ready: state.ready, says: state.status_text });
    }
    let alone = |found| Discovered { found, shim: None, said_ready: false, says: None };
    let Some(record) = ov_supervise::last_run(directory)? else { return Ok(alone(Found::Nothing)) };
    let run = RunId(record.run);
    let failed = |source| SuperviseError::Directory { path: directory.to_owned(), source };
    if !ov_supervise::orphans(directory).map_err(failed)?.is_empty() {
        return Ok(alone(Found::Orphaned { run }));
    }
    let ran_ms = record.exited_at_unix_ms.map(|exited| exited.saturating_sub(record.launched_at_unix_ms));
    Ok(alone(Found::Ended { run, status: record.exit.map(status_of), ran_ms }))
}

/// Whether a shim holds the unit's directory.
pub(crate) fn shim_lives(directory: &Path) -> bool {
    UnitDir::open(directory).and_then(|directory| directory.is_taken()).unwrap_or(false)
}

/// Whether anything of a unit lives: its shim, or what a shim left behind.
pub(crate) fn may_run(directory: &Path) -> bool {
    shim_lives(directory) || ov_supervise::orphans(directory).is_ok_and(|orphans| !orphans.is_empty())
}

/// Whether processes of the unit may live in this phase of its last run.
pub(crate) fn has_processes(phase: Phase) -> bool {
    matches!(phase, Phase::Launching | Phase::Running | Phase::Exited)
}

fn of_state(state: &ShimState, now: Moment) -> Found {
    let Some(run) = state.run.map(RunId) else { return Found::Nothing };
    let status = state.exit.map(status_of);
    match (state.phase, state.pid) {
        (Phase::Running, Some(pid)) => {
            let age_ms = age_ms(state.launched_at_unix_ms, now);
            let monotonic_ms = now.monotonic_ms.saturating_sub(age_ms);
            let wall_ms = now.wall_ms.saturating_sub(i64::try_from(age_ms).unwrap_or(0));
            Found::Running { run, pid, since: Moment { monotonic_ms, wall_ms } }
        }
        (Phase::Launching | Phase::Running | Phase::Exited, _) => Found::Ending { run, status },
        _ => {
            let ran = state.exited_at_unix_ms.zip(state.launched_at_unix_ms);
            Found::Ended { run, status, ran_ms: ran.map(|(exited, launched)| exited.saturating_sub(launched)) }
        }
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
