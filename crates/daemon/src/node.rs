//! The task that owns the node: takes in whatever happens, one thing at a time, has the core decide, and hands the
//! effects out. Everything slow is done elsewhere and comes back as a message. Nobody else holds the node's state.

mod custody;
mod effects;
mod jobs;
mod last_words;
mod requests;
mod senses;
mod services;
mod status;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ov_chains::NodeShape;
use ov_chains::shape::Scout;
use ov_engine::{Found, Input, Order, StepReport, UnitReport};
use ov_release::fetch::Cancel;
use ov_supervise::ShimEvent;
use ov_sys::{Clock, Disk};
use ov_types::api::{Acknowledged, Refusal};
use ov_types::{EventKind, ExitStatus, Height, Importance, Moment, ParkReason, PlanId, Problem, RunId, Step, UnitName};
use ov_vault::{Machine, SignState};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::core::{Core, CoreError};
use crate::crash_points::CrashPoint;
use crate::live::Live;
use crate::probe::LogMark;
use crate::request::{NodeHandle, Reply, Request};
use crate::scout::Looked;
use crate::scout::service::{Answered, Heard};
use crate::source::ShapeSource;
use crate::systemd::ServiceManager;
use crate::units::{Command, Discovered, Ground, Said, UnitTask, Watchers, discover, may_run};
use crate::watch::Watch;

/// Messages that may wait; senders wait when it is full, they never drop.
pub(crate) const MESSAGES_MAX: usize = 256;

/// How often the clocks are held against each other while a validator is looked after.
const CUSTODY_EVERY: Duration = Duration::from_secs(1);

/// How often watched files are looked at where the kernel cannot tell of changes.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// Something that comes back from where it was done.
#[derive(Debug)]
pub(crate) enum Message {
    /// For the engine.
    Input(Input),
    /// The height that a run of main was seen at.
    Height(Height, RunId),
    /// Something happened beside the engine.
    Tell(EventKind),
    /// All scouts were asked; whether the engine waits for that.
    Looked(Looked, bool),
    /// A service said which plan it knows of.
    Answered(Arc<Scout>, Answered),
    /// What a service said is understood; by its address.
    Heard(String, Heard),
    /// Work on the data is over.
    JobDone(Reply<Acknowledged>, Result<Acknowledged, Refusal>),
    /// This program file takes the daemon's place.
    Replace(PathBuf),
}

/// How the node task ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Everything is down.
    Stopped,
    /// Everything is down, since main ended and the daemon lives no longer than main.
    MainEnded(Option<ExitStatus>),
    /// Everything is down, since the rules of this unit want that for what happened to it.
    GivenUp(UnitName, ParkReason),
    /// The units go on running.
    Left,
    /// The units go on running, and this program takes over.
    Replaced(PathBuf),
}

/// What is kept of a unit outside the engine.
#[derive(Debug)]
struct UnitHere {
    task: UnitTask,
    said: Said,
    watchers: Option<Watchers>,
    mark: Option<LogMark>,
    since_wall_ms: Option<i64>,
}

/// A step that is being carried out.
#[derive(Debug)]
struct StepTask {
    task: JoinHandle<()>,
    abandoned: Cancel,
    is_proof: bool,
}

/// The channels into the node task.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) requests: mpsc::Receiver<Request>,
    pub(crate) messages: mpsc::Receiver<Message>,
    pub(crate) shims: mpsc::Receiver<(UnitName, ShimEvent)>,
    pub(crate) reports: mpsc::Receiver<(UnitName, UnitReport)>,
    pub(crate) signals: mpsc::Receiver<Signal>,
}

/// What a signal to the daemon means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Stop; the second time, hurry.
    Stop,
    /// Read the configuration again.
    Reload,
}

/// The node.
pub(crate) struct Keeper {
    pub(crate) shape: Arc<NodeShape>,
    core: Core,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    handle: NodeHandle,
    manager: Arc<ServiceManager>,
    ground: Ground,
    units: BTreeMap<UnitName, UnitHere>,
    live: watch::Sender<Live>,
    steps: BTreeMap<PlanId, StepTask>,
    height_task: Option<JoinHandle<()>>,
    services: services::Services,
    messages: mpsc::Sender<Message>,
    job: Option<jobs::Job>,
    watch: Watch,
    webhooks: Option<crate::notify::Webhooks>,
    started: Moment,
    end: Option<End>,
    /// Somebody said so; a daemon may also stop by its rules.
    is_told_to_stop: bool,
    source: Arc<dyn ShapeSource>,
    /// The machine on which a validator's key is used.
    here: Machine,
    senses: senses::Senses,
    /// Why the configuration file as it is now could not be used.
    refused: Option<Problem>,
}

/// What the keeper is made of.
pub(crate) struct Parts {
    pub(crate) shape: Arc<NodeShape>,
    pub(crate) core: Core,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) handle: NodeHandle,
    pub(crate) manager: ServiceManager,
    pub(crate) ground: Ground,
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) source: Arc<dyn ShapeSource>,
}

impl Keeper {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { shape, core, disk, clock, handle, manager, ground, messages, source } = parts;
        let watch = Watch::new(Arc::clone(&disk), watched_files(&shape), POLL_EVERY);
        let started = clock.now();
        Self {
            shape,
            core,
            disk,
            clock,
            handle,
            manager: Arc::new(manager),
            ground,
            units: BTreeMap::new(),
            live: watch::Sender::new(Live::default()),
            steps: BTreeMap::new(),
            height_task: None,
            services: services::Services::default(),
            messages,
            job: None,
            watch,
            webhooks: None,
            started,
            end: None,
            is_told_to_stop: false,
            source,
            here: Machine::this(),
            senses: senses::Senses::default(),
            refused: None,
        }
    }

    /// Looks after the node until it is told to end.
    pub(crate) async fn run(mut self, mut inbox: Inbox) -> Result<End, CoreError> {
        self.take_over().await?;
        // Somebody who has no service manager to tell reads the log.
        let _ = self.manager.ready(&self.summary());
        let mut watchdog = self.manager.watchdog_every().map(tokio::time::interval);
        let mut custody = tokio::time::interval(CUSTODY_EVERY);
        custody.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut polling = self.polls_every().map(tokio::time::interval);
        while self.end.is_none() {
            let wake = self.wake_at();
            tokio::select! {
                biased;
                Some(signal) = inbox.signals.recv() => self.take_signal(signal)?,
                Some((unit, event)) = inbox.shims.recv() => self.take_shim(&unit, event)?,
                Some((unit, report)) = inbox.reports.recv() => self.take_report(&unit, report)?,
                Some(message) = inbox.messages.recv() => self.take_message(message)?,
                Some(request) = inbox.requests.recv() => self.take_request(request)?,
                Some(path) = self.watch.changed() => self.take_change(&path)?,
                () = sleep_until(wake), if wake.is_some() => self.take(Input::Wake)?,
                _ = custody.tick(), if self.shape.signer.is_some() => self.look_at_custody()?,
                () = tick(&mut polling), if polling.is_some() => self.look_for_changes(),
                () = tick(&mut watchdog), if watchdog.is_some() => drop(self.manager.alive()),
                else => break,
            }
        }
        let end = self.end.take().unwrap_or(End::Left);
        self.leave(&end).await;
        Ok(end)
    }

    /// Finds the units, and tells the engine.
    async fn take_over(&mut self) -> Result<(), CoreError> {
        let shape = Arc::clone(&self.shape);
        let mut found = BTreeMap::new();
        let mut adopted = Vec::new();
        let left = left_units(&*self.disk, &shape);
        for unit in shape.units.keys().chain(&left) {
            let directory = shape.layout.unit(unit);
            let discovered = discover(unit, &directory, &self.ground, self.clock.now()).await;
            let Discovered { found: state, shim, said_ready, says } = discovered.unwrap_or_else(|error| {
                // Whatever lives there must not be doubled: it is treated as left behind, and ended before a launch.
                tracing::error!("unit {unit} cannot be looked at: {error}");
                Discovered { found: Found::Orphaned { run: RunId(0) }, shim: None, said_ready: false, says: None }
            });
            self.add_unit(unit.clone(), shim);
            if let Found::Running { run, since, .. } = &state {
                adopted.push(unit.clone());
                let mark = self.telling_log(unit).and_then(|log| LogMark::kept(&*self.disk, &directory, log, *run));
                if let Some(here) = self.units.get_mut(unit) {
                    here.mark = mark;
                }
                self.watch_run(unit, *run, Some(since.wall_ms));
                if let Some(here) = self.units.get(unit) {
                    here.said.remember(said_ready, says);
                }
            }
            self.hear_last_words_of_found(unit, &state)?;
            found.insert(unit.clone(), state);
        }
        self.push(EventKind::DaemonStarted { version: crate::VERSION.to_owned(), adopted });
        self.tell_webhooks();
        // Before anything is known to be signed: a home that is new to us is where its key is used.
        let _ = self.doubt_about_custody();
        self.note_sign_state()?;
        // Before the engine may launch anything.
        self.look_at_files()?;
        CrashPoint::Found.reach();
        self.take(Input::Found(found))
    }

    fn add_unit(&mut self, unit: UnitName, shim: Option<ov_supervise::Shim>) {
        let directory = self.shape.layout.unit(&unit);
        let task = UnitTask::start(unit.clone(), directory, self.ground.clone(), shim);
        let here = UnitHere { task, said: Said::default(), watchers: None, mark: None, since_wall_ms: None };
        self.units.insert(unit, here);
    }

    /// Starts watching a launch of a unit.
    fn watch_run(&mut self, unit: &UnitName, run: RunId, since_wall_ms: Option<i64>) {
        let now = self.clock.now();
        let is_relaunch = self.core.node().unit_view(unit).is_some_and(|view| view.failures > 0);
        let Some(here) = self.units.get_mut(unit) else { return };
        here.since_wall_ms = Some(since_wall_ms.unwrap_or(now.wall_ms));
        here.watchers = Some(Watchers::start(
            &self.shape,
            (unit, run, is_relaunch),
            &here.said,
            here.mark.take(),
            (&self.disk, &self.clock),
            &self.ground.reports,
        ));
        if unit.is_main() {
            self.poll_height(run);
        }
    }

    fn forget_run(&mut self, unit: &UnitName) {
        if let Some(here) = self.units.get_mut(unit) {
            here.watchers = None;
            here.since_wall_ms = None;
        }
        if unit.is_main()
            && let Some(task) = self.height_task.take()
        {
            task.abort();
        }
    }

    // ---- what comes in -------------------------------------------------------------------------------------------

    fn take(&mut self, input: Input) -> Result<(), CoreError> {
        let effects = self.core.take(self.clock.now(), input)?;
        self.carry_out(effects)
    }

    fn take_message(&mut self, message: Message) -> Result<(), CoreError> {
        match message {
            Message::Input(Input::Step(report)) => self.take_step(report),
            Message::Input(input) => self.take(input),
            // Said of a run that has ended meanwhile, it would pass for what the next release came to.
            Message::Height(_, run) if !self.is_running(run) => Ok(()),
            Message::Height(height, run) => {
                self.live.send_modify(|live| live.height = Some((height, run)));
                self.handle.metrics.height(height, self.clock.now());
                self.take(Input::Height(height))?;
                self.weigh_height();
                Ok(())
            }
            Message::Tell(kind) => {
                self.push(kind);
                Ok(())
            }
            Message::Looked(looked, consulted) => self.take_looked(looked, consulted),
            Message::Answered(scout, answered) => {
                self.understand(scout, answered);
                Ok(())
            }
            Message::Heard(address, heard) => self.take_heard(address, heard),
            Message::JobDone(reply, answer) => self.finish_job(reply, answer),
            Message::Replace(program) => {
                self.end = Some(End::Replaced(program));
                Ok(())
            }
        }
    }

    /// A step was carried out. What the release that is current now says of its launch is known before it is launched.
    fn take_step(&mut self, report: StepReport) -> Result<(), CoreError> {
        let switched = report.step == Step::Switch && report.result.is_ok();
        let mut refused = None;
        if switched && self.shape.layout.launch_file.is_some() {
            refused = self.reload()?.err();
            // The same path leads elsewhere now.
            self.watch = Watch::new(Arc::clone(&self.disk), watched_files(&self.shape), POLL_EVERY);
        }
        let result = match refused {
            // Launched as the release before, it would be what nobody described.
            Some(Refusal { problem, .. }) => Err(Problem { code: "OV-UPG-029".to_owned(), ..problem }),
            None => report.result,
        };
        self.take(Input::Step(StepReport { result, ..report }))
    }

    /// What the current release says of its launch is heeded when main is launched the next time: how a main that runs is
    /// asked does not change under it.
    fn read_launch_file(&mut self) -> Result<(), CoreError> {
        let is_down = self.core.node().unit_view(&UnitName::main()).is_none_or(|main| main.since_ms.is_none());
        if is_down && self.shape.layout.launch_file.is_some() {
            // A refusal is told as an event.
            self.reload().map(drop)?;
        }
        Ok(())
    }

    /// Whether this launch of main is the one that runs.
    fn is_running(&self, run: RunId) -> bool {
        self.core.node().unit_view(&UnitName::main()).is_some_and(|main| main.run == run && main.pid.is_some())
    }

    fn take_shim(&mut self, unit: &UnitName, event: ShimEvent) -> Result<(), CoreError> {
        let run = |run: u64| RunId(run);
        let report = match event {
            ShimEvent::Launched { run: number, pid } => UnitReport::Launched { run: run(number), pid },
            ShimEvent::LaunchFailed { run: number, stage, message } => {
                // Whoever holds the lease on the key signs with it: trying until it is free would be the second one.
                let is_unsafe = stage == ov_shim::Stage::Lease.name();
                let told = if is_unsafe { crate::units::key_in_use(&message) } else { format!("{stage}: {message}") };
                UnitReport::LaunchFailed { run: run(number), message: told, is_unsafe }
            }
            ShimEvent::Exited { run: number, status, .. } => {
                self.hear_last_words(unit, run(number))?;
                let status = Some(crate::units::status_of(status));
                UnitReport::Exited { run: run(number), status }
            }
            ShimEvent::Empty { run: number } => UnitReport::Empty { run: run(number) },
            ShimEvent::Lost => UnitReport::Lost,
            ShimEvent::Notify { text } => {
                if let Some(here) = self.units.get(unit) {
                    here.said.take(&text, self.clock.now().monotonic_ms);
                }
                return Ok(());
            }
            ShimEvent::LogLost { bytes, reason } => {
                self.push(EventKind::OutputLost { unit: unit.clone(), bytes, reason });
                return Ok(());
            }
            ShimEvent::Rotated { .. } => {
                self.compress_log(unit);
                return Ok(());
            }
            ShimEvent::Trouble { text } => {
                tracing::warn!("the shim of unit {unit}: {text}");
                return Ok(());
            }
        };
        self.take_report(unit, report)
    }

    fn take_report(&mut self, unit: &UnitName, report: UnitReport) -> Result<(), CoreError> {
        match &report {
            UnitReport::Launched { run, .. } => self.watch_run(unit, *run, None),
            UnitReport::Exited { .. } | UnitReport::Lost => self.forget_run(unit),
            UnitReport::Empty { .. } if unit.is_main() => {
                self.note_sign_state()?;
                self.note_custody();
                self.read_launch_file()?;
            }
            _ => {}
        }
        let over = if let UnitReport::Empty { run } = &report { Some(*run) } else { None };
        self.take(Input::Unit(unit.clone(), report))?;
        // Only now is it written down what follows: a daemon that dies before judges it once more.
        if let (Some(run), Some(here)) = (over, self.units.get(unit)) {
            here.task.tell(Command::Acknowledge { run });
        }
        self.forget_removed();
        Ok(())
    }

    /// Reads what the validator has signed, so that it is never launched with less.
    fn note_sign_state(&mut self) -> Result<(), CoreError> {
        let signer = self.shape.signer.as_ref().and_then(|signer| signer.sign_state.clone());
        let read = signer.map(|path| ov_vault::sign_state::read(&*self.disk, &path));
        match read {
            Some(Ok(on_disk)) => match on_disk.state() {
                Some(SignState { height, round, step }) => self.take(Input::SignState { height, round, step }),
                None => Ok(()),
            },
            // A launch looks again, and refuses.
            Some(Err(error)) => {
                tracing::warn!("the sign state cannot be read: {error}");
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn take_signal(&mut self, signal: Signal) -> Result<(), CoreError> {
        match signal {
            Signal::Reload => {
                let _ = self.manager.reloading();
                // A refusal is told as an event.
                drop(self.reload()?);
                let _ = self.manager.ready(&self.summary());
                Ok(())
            }
            Signal::Stop => {
                let order = if self.is_told_to_stop { Order::Hurry } else { Order::Shutdown };
                self.begin_stop(order)
            }
        }
    }

    fn begin_stop(&mut self, order: Order) -> Result<(), CoreError> {
        if order == Order::Shutdown {
            self.is_told_to_stop = true;
            self.push(EventKind::DaemonStopping { units_stay: false });
            self.announce_stop();
        }
        let (_, effects) = self.core.order(self.clock.now(), order)?;
        self.carry_out(effects)
    }

    /// The service manager is to wait for as long as the units need.
    fn announce_stop(&self) {
        let _ = self.manager.stopping("stopping the units");
        let manager = Arc::clone(&self.manager);
        drop(tokio::spawn(async move { manager.patiently(std::future::pending::<()>()).await }));
    }

    fn take_change(&mut self, path: &Path) -> Result<(), CoreError> {
        if self.shape.layout.config.as_deref() == Some(path) {
            // A refusal is told as an event.
            return self.reload().map(drop);
        }
        if self.shape.layout.launch_path().is_some_and(|file| file == path) {
            return self.read_launch_file();
        }
        self.look_at_files()?;
        if self.shape.plan_files().any(|(file, _)| file == path) {
            self.look_for_plans(false);
        }
        Ok(())
    }

    /// Tells the engine which units' launches files hold: one that is there, or one that is not.
    pub(super) fn look_at_files(&mut self) -> Result<(), CoreError> {
        // A file that cannot be looked at holds.
        let exists = |path: &PathBuf| ov_sys::durable::exists(&*self.disk, path).ok();
        let held: Vec<(UnitName, bool)> = self
            .shape
            .units
            .iter()
            .map(|(name, unit)| {
                let suspended = unit.suspend_file.as_ref().is_some_and(|path| exists(path) != Some(false));
                let missing = unit.only_when.as_ref().is_some_and(|path| exists(path) != Some(true));
                (name.clone(), suspended || missing)
            })
            .collect();
        for (unit, present) in held {
            self.take(Input::Unit(unit, UnitReport::SuspendFile { present }))?;
        }
        Ok(())
    }

    // ---- time ----------------------------------------------------------------------------------------------------

    fn wake_at(&self) -> Option<tokio::time::Instant> {
        let at_ms = self.core.node().next_wake_ms()?;
        let wait_ms = at_ms.saturating_sub(self.clock.now().monotonic_ms);
        Some(tokio::time::Instant::now() + Duration::from_millis(wait_ms))
    }

    // ---- the end -------------------------------------------------------------------------------------------------

    async fn leave(self, end: &End) {
        let is_down = matches!(end, End::Stopped | End::MainEnded(_) | End::GivenUp(..));
        if !is_down {
            self.handle.events.push(EventKind::DaemonStopping { units_stay: true }, self.clock.now());
        }
        if is_down {
            // All at once: each waits for its shim.
            let closing: JoinSet<()> = self.units.into_values().map(|here| here.task.close()).collect();
            closing.join_all().await;
        }
        self.handle.events.close();
    }

    fn push(&mut self, kind: EventKind) {
        self.senses.note(&kind, self.clock.now());
        self.source.hear(&kind);
        match kind.importance() {
            Importance::Routine | Importance::Notice => tracing::info!("{kind}"),
            Importance::Trouble => tracing::warn!("{kind}"),
            Importance::Alarm => tracing::error!("{kind}"),
        }
        self.handle.metrics.observe(&kind);
        self.handle.events.push(kind, self.clock.now());
    }

    /// One line for the service manager.
    fn summary(&self) -> String {
        let release = self.current_release().map_or_else(|| "no release".to_owned(), |release| release.to_string());
        format!("looking after node {} ({release})", self.shape.name)
    }

    /// Where the log of a unit stands, which is about to be launched and whose output tells something.
    fn log_mark(&self, unit: &UnitName, run: RunId) -> Option<LogMark> {
        let mark = LogMark::now(&*self.disk, self.telling_log(unit)?).ok()?;
        // Without it, only a daemon that takes over would not know when the unit is ready.
        if let Err(error) = mark.keep(&*self.disk, &self.shape.layout.unit(unit), run) {
            tracing::warn!("where the log of unit {unit} stands was not noted: {error}");
        }
        Some(mark)
    }
}

/// Units that the configuration does not name any more and of which something may run.
fn left_units(disk: &dyn Disk, shape: &NodeShape) -> Vec<UnitName> {
    let folder = shape.layout.state.join("units");
    let names = disk.list(&folder).unwrap_or_default().into_iter();
    let units = names.filter_map(|name| UnitName::new(name.to_str()?).ok());
    units.filter(|unit| !shape.units.contains_key(unit) && may_run(&shape.layout.unit(unit))).collect()
}

/// The files whose changes matter at once.
fn watched_files(shape: &NodeShape) -> Vec<PathBuf> {
    let suspends = shape.units.values().flat_map(|unit| [unit.suspend_file.clone(), unit.only_when.clone()]).flatten();
    let scouts = shape.plan_files().map(|(path, _)| path.to_owned());
    let settings = shape.layout.config.clone().into_iter().chain(shape.layout.launch_path());
    settings.chain(suspends).chain(scouts).collect()
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

async fn tick(interval: &mut Option<tokio::time::Interval>) {
    if let Some(interval) = interval {
        interval.tick().await;
    }
}
