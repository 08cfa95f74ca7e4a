//! The handle of one shim. Owns the way to its link; the unit itself belongs to the shim.

use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus as ProgramStatus};
use std::time::Duration;

use ov_shim::{
    Command, EXIT_TAKEN, Event, ExitStatus, LogSettings, PROTOCOL_VERSION, Scope, ShimProgram, Spec, State, UnitDir,
};
use ov_types::UnitName;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::error::SuperviseError;
use crate::link::{Ask, Link};

/// How long adopting or starting a shim may take.
const OPEN_BOUND: Duration = Duration::from_secs(20);
/// How long a shim may take to say hello before it is tried again.
const HELLO_BOUND: Duration = Duration::from_secs(5);
/// How long a command may take; a launch reads the program from a disk.
const COMMAND_BOUND: Duration = Duration::from_secs(10);
const LAUNCH_BOUND: Duration = Duration::from_secs(60);
/// Commands are answered at once; more than this many at a time is a mistake.
const ASKS_WAITING_MAX: usize = 16;

/// Something that happened to a unit or its shim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShimEvent {
    /// The program has been executed.
    Launched { run: u64, pid: u32 },
    /// The program could not be executed; nothing runs. The stage is the name of a
    /// [`Stage`](ov_shim::Stage).
    LaunchFailed { run: u64, stage: String, message: String },
    /// The main process ended; the status is durable. Others of its tree may be left.
    Exited { run: u64, status: ExitStatus, at_unix_ms: u64 },
    /// Nothing of the run is left: the unit may be launched again.
    Empty { run: u64 },
    /// The unit said this through sd_notify.
    Notify { text: String },
    /// Output could not be written. Told when that begins, with no bytes yet, and when it is over, with how many.
    LogLost { bytes: u64, reason: String },
    /// The log was rotated into this file.
    Rotated { path: PathBuf },
    /// The shim could not do its work as it should.
    Trouble { text: String },
    /// The connection to the shim is gone, normally because the shim is. Nothing else comes from
    /// this handle: open again, which adopts a shim that still lives, after ending the
    /// [orphans](crate::orphans) of one that does not.
    Lost,
}

impl From<Event> for ShimEvent {
    fn from(event: Event) -> Self {
        match event {
            Event::Launched { run, pid } => Self::Launched { run, pid },
            Event::LaunchFailed { run, stage, message } => Self::LaunchFailed { run, stage, message },
            Event::Exited { run, status, at_unix_ms } => Self::Exited { run, status, at_unix_ms },
            Event::Empty { run } => Self::Empty { run },
            Event::Notify { text } => Self::Notify { text },
            Event::LogLost { bytes, reason } => Self::LogLost { bytes, reason },
            Event::Rotated { path } => Self::Rotated { path },
            Event::Trouble { text } => Self::Trouble { text },
        }
    }
}

/// The shim of one unit. Dropping it leaves shim and unit as they are.
#[derive(Debug)]
pub struct Shim {
    directory: PathBuf,
    asks: mpsc::Sender<Ask>,
}

impl Shim {
    /// Adopts the shim that lives in the unit's directory, or starts one. The state tells what
    /// happened before; everything after it comes as an event.
    pub async fn open(
        unit: UnitName,
        unit_dir: &Path,
        program: &ShimProgram,
        events: mpsc::Sender<(UnitName, ShimEvent)>,
    ) -> Result<(Self, State), SuperviseError> {
        let directory = UnitDir::open_or_create(unit_dir)
            .map_err(|source| SuperviseError::Directory { path: unit_dir.to_owned(), source })?;
        let path = directory.path().to_owned();
        let silent = || SuperviseError::Silent { path: path.clone(), seconds: OPEN_BOUND.as_secs() };
        let reached = timeout(OPEN_BOUND, reach(&directory, program)).await;
        let (link, state) = reached.map_err(|_| silent())??;
        if state.version != PROTOCOL_VERSION {
            return Err(SuperviseError::Version { path, version: state.version });
        }
        let (asks, receiver) = mpsc::channel(ASKS_WAITING_MAX);
        drop(tokio::spawn(link.run(unit, receiver, events)));
        Ok((Self { directory: path, asks }, state))
    }

    /// Launches the unit. Success means that the shim took it on: [`ShimEvent::Launched`] or
    /// [`ShimEvent::LaunchFailed`] follows. Refused while an earlier run has not ended whole.
    pub async fn launch(&self, spec: Spec) -> Result<(), SuperviseError> {
        self.ask(Command::Launch(Box::new(spec)), LAUNCH_BOUND).await
    }

    /// Ends the unit: the signal now, SIGKILL to the whole tree after the grace. A second stop can
    /// only make it earlier. Success means that it has begun; [`ShimEvent::Empty`] says it is done.
    pub async fn stop(&self, signal: i32, grace: Duration, scope: Scope) -> Result<(), SuperviseError> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.ask(Command::Stop { signal, grace_ms, scope }, COMMAND_BOUND).await
    }

    /// Sends the unit a signal. Refused when nothing runs.
    pub async fn signal(&self, signal: i32, scope: Scope) -> Result<(), SuperviseError> {
        self.ask(Command::Signal { signal, scope }, COMMAND_BOUND).await
    }

    /// The exit of this run has been read; the state does not tell it again.
    pub async fn acknowledge(&self, run: u64) -> Result<(), SuperviseError> {
        self.ask(Command::Acknowledge { run }, COMMAND_BOUND).await
    }

    /// Changes where the output is pumped to and when it is rotated. Refused if it is inherited.
    pub async fn log_settings(&self, settings: LogSettings) -> Result<(), SuperviseError> {
        self.ask(Command::LogSettings(settings), COMMAND_BOUND).await
    }

    /// Rotates the log at the end of the line that is being written.
    pub async fn rotate(&self) -> Result<(), SuperviseError> {
        self.ask(Command::Rotate, COMMAND_BOUND).await
    }

    /// Ends the shim. Refused while the unit runs. No [`ShimEvent::Lost`] follows.
    pub async fn quit(&self) -> Result<(), SuperviseError> {
        self.ask(Command::Quit, COMMAND_BOUND).await
    }

    async fn ask(&self, command: Command, bound: Duration) -> Result<(), SuperviseError> {
        let path = || self.directory.clone();
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.asks.send(Ask { command, reply }).await.ok()?;
            answer.await.ok()
        };
        match timeout(bound, exchange).await {
            Ok(Some(Ok(()))) => Ok(()),
            Ok(Some(Err(reason))) => Err(SuperviseError::Refused { path: path(), reason }),
            Ok(None) => Err(SuperviseError::Lost { path: path() }),
            Err(_) => Err(SuperviseError::Silent { path: path(), seconds: bound.as_secs() }),
        }
    }
}

/// Connects until a shim says who it is; starts one whenever there is none.
async fn reach(directory: &UnitDir, program: &ShimProgram) -> Result<(Link, State), SuperviseError> {
    let failed = |source| SuperviseError::Directory { path: directory.path().to_owned(), source };
    let mut started: Option<JoinHandle<Option<ProgramStatus>>> = None;
    let mut pause = Duration::from_micros(500);
    loop {
        if let Ok(stream) = directory.connect() {
            let mut link = Link::new(stream).map_err(failed)?;
            if let Ok(Some(state)) = timeout(HELLO_BOUND, link.hello()).await {
                return Ok((link, state));
            }
        }
        match &mut started {
            Some(ending) if ending.is_finished() => {
                let status = ending.await.ok().flatten();
                started = None;
                // One that found another in its place is no failure: that one is reached next.
                if let Some(status) = status.filter(|status| status.code() != Some(i32::from(EXIT_TAKEN))) {
                    return Err(SuperviseError::StartEnded { program: program.program.clone(), status });
                }
            }
            Some(_) => {}
            None if directory.is_taken().map_err(failed)? => {}
            None => {
                directory.check_writable().map_err(failed)?;
                let shim = program
                    .start(directory)
                    .map_err(|source| SuperviseError::Start { program: program.program.clone(), source })?;
                started = Some(tokio::spawn(reap(shim)));
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Waits for a shim that we started, however long it lives, so that it does not stay a zombie.
async fn reap(mut shim: Child) -> Option<ProgramStatus> {
    let mut children = signal(SignalKind::child()).ok()?;
    loop {
        // Looked at before each wait: it may have ended before we listened.
        if let Some(status) = shim.try_wait().ok()? {
            return Some(status);
        }
        children.recv().await?;
    }
}
