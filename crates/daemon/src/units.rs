//! Units seen from the node task: one small task per unit carries launches and stops to its shim, so that a slow shim
//! or disk never holds the node. What the shims say comes back as events over one channel.

mod accounts;
mod arguments;
mod cgroup;
mod find;
mod guard;
mod launch;
mod mailbox;
mod watchers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ov_chains::NodeShape;
use ov_engine::UnitReport;
use ov_supervise::{LogSettings, Scope, Shim, ShimEvent, ShimProgram, ShimState, SuperviseError};
use ov_sys::Disk;
use ov_types::{Occasion, RunId, StopRule, UnitName};
use ov_vault::SignState;
use tokio::sync::mpsc;

use crate::crash_points::CrashPoint;
use mailbox::{Inbox, Mailbox, mailbox};

pub(crate) use accounts::user_id;
pub(crate) use cgroup::sweep as sweep_cgroups;
pub(crate) use find::{Discovered, discover, living_run, may_run, status_of};
pub use guard::doubt_about_signing;
pub(crate) use guard::{Exposure, exposure, key_in_use, told, what_is_signed};
pub(crate) use launch::log_settings;
pub(crate) use watchers::{Said, Watchers};

/// How long after an attempt at ending what is left of a unit the next one is made.
const END_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What every unit's task works with.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) disk: Arc<dyn Disk>,
    /// How a shim is started.
    pub(crate) shim: ShimProgram,
    /// Where shims' events go.
    pub(crate) events: mpsc::Sender<(UnitName, ShimEvent)>,
    /// Where a unit's task reports what no shim says.
    pub(crate) reports: mpsc::Sender<(UnitName, UnitReport)>,
}

/// What a unit's task is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Launch it, by the shape as it is now. It is down.
    Launch { run: RunId, occasion: Occasion, shape: Arc<NodeShape>, signed: Option<SignState> },
    /// End its tree; again with less grace to hurry.
    Stop { rule: StopRule },
    /// End what a dead shim left; again with less grace to hurry.
    EndOrphans { rule: StopRule },
    /// Its last exit was taken in.
    Acknowledge { run: RunId },
    /// Its log is kept by other rules.
    Log(LogSettings),
}

/// The way to a unit's task.
#[derive(Debug)]
pub(crate) struct UnitTask {
    mailbox: Mailbox,
    /// Ends with the shim, or with where there is none.
    task: tokio::task::JoinHandle<Result<Shim, PathBuf>>,
}

impl UnitTask {
    /// Starts the task of a unit, with its shim if one was adopted.
    pub(crate) fn start(unit: UnitName, directory: PathBuf, ground: Ground, adopted: Option<Shim>) -> Self {
        let (mailbox, inbox) = mailbox();
        let worker = Worker { unit, directory, ground, shim: adopted };
        Self { mailbox, task: tokio::spawn(worker.run(inbox)) }
    }

    /// Passes a command on.
    pub(crate) fn tell(&self, command: Command) {
        self.mailbox.put(command);
    }

    /// Ends the task. An idle shim is told to go, and what happened to the unit is of no concern to the next daemon.
    pub(crate) async fn close(self) {
        drop(self.mailbox);
        match self.task.await {
            Ok(Ok(shim)) => drop(shim.quit().await),
            // At worst the next daemon judges once more how it ended.
            Ok(Err(directory)) => drop(ov_supervise::settle(&directory)),
            Err(_) => {}
        }
    }
}

struct Worker {
    unit: UnitName,
    directory: PathBuf,
    ground: Ground,
    shim: Option<Shim>,
}

impl Worker {
    async fn run(mut self, mut inbox: Inbox) -> Result<Shim, PathBuf> {
        while let Some(command) = inbox.next().await {
            match command {
                Command::Launch { run, occasion, shape, signed } => {
                    if let Err(report) = self.launch((run, occasion), shape, signed).await {
                        self.report(report).await;
                    }
                }
                Command::Stop { rule } => self.stop(rule).await,
                Command::EndOrphans { rule } => self.end_orphans(rule, &mut inbox).await,
                Command::Acknowledge { run } => {
                    if let Some(shim) = &self.shim {
                        let _ = shim.acknowledge(run.0).await;
                    }
                }
                Command::Log(settings) => {
                    if let Some(shim) = &self.shim {
                        let _ = shim.log_settings(settings).await;
                    }
                }
            }
        }
        self.shim.ok_or(self.directory)
    }

    async fn report(&self, report: UnitReport) {
        let _ = self.ground.reports.send((self.unit.clone(), report)).await;
    }

    /// Launches the unit. The error is what the engine has to know: that nothing of it runs, or, where that is not
    /// certain, that it is lost, so that whatever runs is ended before anything else is launched.
    async fn launch(
        &mut self,
        (run, occasion): (RunId, Occasion),
        shape: Arc<NodeShape>,
        signed: Option<SignState>,
    ) -> Result<(), UnitReport> {
        let failed = |launch::Refusal { message, is_unsafe }| UnitReport::LaunchFailed { run, message, is_unsafe };
        let (disk, unit) = (Arc::clone(&self.ground.disk), self.unit.clone());
        let directory = self.directory.clone();
        let composed = tokio::task::spawn_blocking(move || {
            launch::compose(&*disk, &shape, &unit, (run, &occasion), signed, &directory)
        });
        let composed = composed.await.unwrap_or_else(|error| Err(launch::Refusal::plain(error.to_string())));
        let spec = composed.map_err(failed)?;
        if self.shim.is_none() {
            self.open()
                .await
                .map_err(|error| self.doubt(&error).unwrap_or_else(|| failed(launch::Refusal::of(&error))))?;
        }
        let Some(shim) = &self.shim else { return Err(failed(launch::Refusal::plain("there is no shim"))) };
        CrashPoint::Launching.reach();
        let launched = shim.launch(spec).await;
        CrashPoint::Launched.reach();
        launched.map_err(|error| self.doubt(&error).unwrap_or_else(|| failed(launch::Refusal::of(&error))))
    }

    /// What to report after an error that does not say whether something runs.
    fn doubt(&self, error: &SuperviseError) -> Option<UnitReport> {
        let certain = matches!(
            error,
            SuperviseError::Directory { .. }
                | SuperviseError::Start { .. }
                | SuperviseError::StartEnded { .. }
                | SuperviseError::Record { .. }
        );
        if certain {
            return None;
        }
        tracing::warn!("unit {}: {}; what may run of it is ended first", self.unit, launch::Refusal::of(error).message);
        Some(UnitReport::Lost)
    }

    async fn open(&mut self) -> Result<ShimState, SuperviseError> {
        let Ground { shim, events, .. } = &self.ground;
        let (opened, state) = Shim::open(self.unit.clone(), &self.directory, shim, events.clone()).await?;
        self.shim = Some(opened);
        Ok(state)
    }

    async fn stop(&mut self, rule: StopRule) {
        let Some(shim) = &self.shim else { return };
        let grace = Duration::from_millis(rule.grace_ms);
        if let Err(error) = shim.stop(rule.signal, grace, Scope::Group).await {
            tracing::warn!("unit {} could not be told to stop: {error}", self.unit);
        }
    }

    /// After the connection to the shim was lost. A shim that lives after all is asked to end the unit; otherwise what
    /// it left is found and ended here. Either way the unit is down afterwards, or it is not reported so: this goes on
    /// for as long as something cannot be ended. An order to hurry is heard at once.
    async fn end_orphans(&mut self, mut rule: StopRule, inbox: &mut Inbox) {
        loop {
            let ended = tokio::select! {
                ended = self.try_to_end_orphans(rule) => ended,
                newer = inbox.next_end() => {
                    rule = newer;
                    continue;
                }
            };
            match ended {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => tracing::error!("processes of unit {} are left and cannot be ended: {error}", self.unit),
            }
            tokio::time::sleep(END_AGAIN_AFTER).await;
        }
        cgroup::remove(&*self.ground.disk, &self.directory, &self.unit);
        self.report(UnitReport::OrphansGone).await;
    }

    async fn try_to_end_orphans(&mut self, rule: StopRule) -> Result<bool, SuperviseError> {
        self.shim = None;
        if find::shim_lives(&self.directory) {
            return self.end_through_shim(rule).await;
        }
        let grace = Duration::from_millis(rule.grace_ms);
        ov_supervise::end_orphans(&self.directory, rule.signal, grace).await.map(|()| true)
    }

    async fn end_through_shim(&mut self, rule: StopRule) -> Result<bool, SuperviseError> {
        let state = self.open().await?;
        if !find::has_processes(state.phase) {
            // What it knows of is gone; what an earlier shim left is not its to end.
            let grace = Duration::from_millis(rule.grace_ms);
            return ov_supervise::end_orphans(&self.directory, rule.signal, grace).await.map(|()| true);
        }
        self.stop(rule).await;
        let bound = Duration::from_millis(rule.grace_ms) + Duration::from_secs(30);
        let gone = async {
            while ov_supervise::last_run(&self.directory)?.is_some_and(|run| find::has_processes(run.phase)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(true)
        };
        tokio::time::timeout(bound, gone).await.unwrap_or(Ok(false))
    }
}
