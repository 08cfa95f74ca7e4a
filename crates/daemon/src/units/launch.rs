//! From a unit's shape to what its shim is to launch, and the last look at whether it may be.
//!
//! Main is launched only after the last look at its key ([`guard`]).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ov_chains::NodeShape;
use ov_chains::shape::{LaunchShape, Output, Probe, Stdin, UnitShape};
use ov_supervise::{LogSettings, Output as ShimOutput, ResourceLimit, Spec, SuperviseError};
use ov_sys::Disk;
use ov_types::{Occasion, Problem, RunId, UnitName};
use ov_vault::SignState;

use super::guard::{guard, told};
use super::{accounts, arguments, cgroup};

/// How long what a main process leaves behind has between SIGTERM and SIGKILL.
const LEFTOVER_GRACE_MS: u64 = 5_000;

/// Why a unit is not launched.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    /// Trying again without a person would be dangerous.
    pub(super) is_unsafe: bool,
}

impl Refusal {
    pub(super) fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_unsafe: false }
    }

    /// Trying again without a person would be dangerous.
    pub(super) fn doubt(problem: &Problem) -> Self {
        Self { message: told(problem), is_unsafe: true }
    }

    pub(super) fn of(error: &SuperviseError) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::plain(message)
    }
}

/// Puts together what the shim needs to know.
pub(super) fn compose(
    disk: &dyn Disk,
    shape: &NodeShape,
    unit: &UnitName,
    (run, occasion): (RunId, &Occasion),
    signed: Option<SignState>,
    unit_directory: &Path,
) -> Result<Spec, Refusal> {
    let Some(unit_shape) = shape.units.get(unit) else {
        return Err(Refusal::plain("the configuration does not name it any more"));
    };
    let launch = &unit_shape.launch;
    // `current` is followed here once, so that the process keeps its release whatever the link says later.
    let release = current_release(disk, shape);
    let account = accounts::look_up(disk, launch.user.as_deref(), launch.group.as_deref()).map_err(Refusal::plain)?;
    let leases = if unit.is_main() {
        let uid = account.user.unwrap_or_else(|| rustix::process::geteuid().as_raw());
        guard(disk, shape, signed, uid).map_err(|problem| Refusal::doubt(&problem))?
    } else {
        Vec::new()
    };
    let environment = environment(disk, unit_shape, &release)?;
    let arguments = arguments::of_launch(launch, occasion, &release, &environment).map_err(Refusal::plain)?;
    Ok(Spec {
        run: run.0,
        program: launch.program.fill_path(&release),
        arg0: None,
        arguments,
        environment,
        working_directory: Some(launch.cwd.fill_path(&release)),
        user: account.user,
        group: account.group,
        supplementary_groups: account.supplementary,
        umask: launch.umask,
        limits: limits(launch),
        nice: launch.nice,
        oom_score_adjust: launch.oom_score_adjust,
        inherit_stdin: launch.stdin == Stdin::Inherit && ov_sys::terminal::may_read_input(),
        output: output(launch),
        cgroup: cgroup::of_unit(disk, unit_directory, unit),
        leases,
        notify: launch.notify,
        leftover_grace_ms: LEFTOVER_GRACE_MS,
    })
}

/// The directory of the release that `current` names.
pub(super) fn current_release(disk: &dyn Disk, shape: &NodeShape) -> PathBuf {
    let current = &shape.layout.current;
    match disk.read_link(current) {
        Ok(text) => current.parent().unwrap_or(Path::new("/")).join(text),
        Err(_) => current.clone(),
    }
}

fn environment(disk: &dyn Disk, unit: &UnitShape, release: &Path) -> Result<Vec<(OsString, OsString)>, Refusal> {
    let own = crate::systemd::for_units(std::env::vars_os());
    let own = own.into_iter().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables = unit.launch.environment(disk, release, own).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Refusal::plain(format!("{error}{cause}"))
    })?;
    // Whoever is to give signs of life is told how often, as under systemd.
    let watchdog = unit.health.as_ref().filter(|health| health.probe == Probe::Notify);
    let watchdog = watchdog.map(|health| ("WATCHDOG_USEC".into(), (health.timeout_ms * 1_000).to_string().into()));
    Ok(variables.into_iter().map(|(name, value)| (name.into(), value.into())).chain(watchdog).collect())
}

fn limits(launch: &LaunchShape) -> Vec<ResourceLimit> {
    let of = |limit: &ov_chains::shape::LimitShape| ResourceLimit {
        resource: limit.resource.clone(),
        soft: limit.soft,
        hard: limit.hard,
    };
    launch.limits.iter().map(of).collect()
}

fn output(launch: &LaunchShape) -> ShimOutput {
    match &launch.output {
        Output::Inherit => ShimOutput::Inherit,
        Output::Pump(log) => ShimOutput::Pump(log_settings(log)),
    }
}

/// The shim's part of a log's rules. It removes old files, compressed or not, and does not compress.
pub(crate) fn log_settings(log: &ov_chains::shape::LogShape) -> LogSettings {
    LogSettings {
        path: log.path.clone(),
        bytes_max: log.max_bytes,
        keep: log.keep,
        rotate_every_seconds: log.rotate_every_seconds,
    }
}
