//! The daemon's beginning and end: the home is taken, the journal read, the doors opened, the node looked after.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ov_chains::NodeShape;
use ov_supervise::ShimProgram;
use ov_sys::disk::Lock;
use ov_sys::terminal::TerminalSettings;
use ov_sys::{Clock, Disk, RealClock, RealDisk, durable};
use ov_types::{ExitCode, ExitStatus, ParkReason, Problem, UnitName};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::api::{self, Listeners};
use crate::core::{Core, CoreError};
use crate::event_log::EventLog;
use crate::metrics::Metrics;
use crate::node::{End, Inbox, Keeper, MESSAGES_MAX, Parts, Signal};
use crate::request::NodeHandle;
use crate::reserve::Reserve;
use crate::source::ShapeSource;
use crate::steps::release_layout;
use crate::systemd::ServiceManager;
use crate::tidy_up::tidy_up;
use crate::units::Ground;

/// What a daemon is told.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Where it learns what the node is, now and at each reload.
    pub source: Arc<dyn ShapeSource>,
    /// Our own program file, which is also the shim.
    pub program: PathBuf,
}

/// How a daemon ended.
#[derive(Debug)]
pub enum Ended {
    /// As told; nothing runs, or the units were to stay.
    Well,
    /// Main ended, and the daemon lives no longer than main. How, if anybody saw it.
    MainEnded(Option<ExitStatus>),
    /// The rules of a unit want that for what happened to it; everything is down.
    GivenUp {
        /// Which unit.
        unit: UnitName,
        /// What happened to it.
        reason: ParkReason,
    },
    /// It could not begin, or not go on. What an operator should see, and the exit code.
    Badly(Problem, ExitCode),
    /// Another program file is to take over, with the same arguments.
    Replaced(PathBuf),
}

/// Looks after a node until told to end.
pub fn run(options: &RunOptions) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| {
        let problem = Problem::transient("OV-RUN-001", "start the daemon").because(&error);
        (problem.state("nothing was started"), ExitCode::Failed)
    });
    let ended = ended.and_then(|runtime| {
        let ended = runtime.block_on(look_after(options));
        // Threads that wait for a disk are not waited for: what they do is safe to be cut off anywhere.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(End::Stopped | End::Left) => Ended::Well,
        Ok(End::MainEnded(status)) => Ended::MainEnded(status),
        Ok(End::GivenUp(unit, reason)) => Ended::GivenUp { unit, reason },
        Ok(End::Replaced(program)) => Ended::Replaced(program),
        Err((problem, code)) => Ended::Badly(problem, code),
    }
}

/// How long after something happened the memory it took is given back: threads that waited for a disk are gone then.
const TIDY_AFTER: Duration = Duration::from_secs(12);

type Failure = (Problem, ExitCode);

async fn look_after(options: &RunOptions) -> Result<End, Failure> {
    // First of all: a unit may run already, and whoever has the daemon end means that unit too.
    let signals = listen_to_signals().map_err(|error| {
        let problem = Problem::transient("OV-RUN-001", "start the daemon").because(&error);
        (problem.state("nothing was started; a unit that runs goes on running"), ExitCode::Failed)
    })?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let clock: Arc<dyn Clock> = Arc::new(RealClock);
    let shape = options.source.shape(&*disk, None);
    let shape = shape.map_err(|problem| (problem.state("nothing was started"), ExitCode::Configuration))?;
    let _lock = take_home(&*disk, &shape)?;
    tidy_up(&*disk, &*clock, &shape).map_err(|problem| (problem.state("nothing was started"), ExitCode::Failed))?;
    let events = EventLog::open(Arc::clone(&disk), &shape.layout.events())
        .map_err(|error| cannot("keep the events", &shape.layout.events(), &error))?;
    let metrics = Arc::new(Metrics::new(crate::VERSION, &shape.name, &shape.chain));
    let core = open_core(&disk, &*clock, &shape).map_err(|error| {
        let (problem, code) = of_core("OV-JRN-002", "take the node over", &error);
        (problem.state("nothing was started; a unit that runs goes on running"), code)
    })?;
    forget_fetches(&*disk, &shape, &core);
    let listeners = Listeners::open(&*disk, &shape.layout.state, shape.metrics_listen)
        .await
        .map_err(|error| cannot("open the control socket", &shape.layout.socket(), &error))?;
    let manager = ServiceManager::from_environment().unwrap_or_else(|error| {
        tracing::warn!("the service manager cannot be told anything: {error}");
        ServiceManager::default()
    });
    let (handle, requests) = NodeHandle::new(Arc::new(events), metrics);
    let (close, closed) = oneshot::channel::<()>();
    let tidier = tokio::spawn(tidy_memory(handle.events.changed()));
    let server = tokio::spawn(api::serve(listeners, handle.clone(), async {
        let _ = closed.await;
    }));
    let terminal = TerminalSettings::of_input();
    let ended = keep(options, shape, core, (disk, clock), (handle, requests), signals, manager).await;
    drop(close);
    tidier.abort();
    // Whoever waits for an answer still gets it.
    let _ = tokio::time::timeout(Duration::from_secs(2), server).await;
    // While the home is still ours: questions that nobody waits for any more, hooks that the next daemon tries again.
    ov_sys::process::end_all();
    if let Some(terminal) = terminal {
        terminal.give_back();
    }
    ended
}

/// Removes what came of releases that no plan wants any more. It is in nobody's way, but for the room that it takes.
fn forget_fetches(disk: &dyn Disk, shape: &NodeShape, core: &Core) {
    let live = core.node().ledger().entries().filter(|entry| !entry.is_over());
    let wanted = live.map(|entry| entry.plan.release.clone()).collect();
    if let Err(error) = ov_release::fetch::forget(disk, &release_layout(shape), &wanted) {
        tracing::warn!("what is left of an earlier download stays for now: {error}");
    }
}

/// Gives the memory back that was only needed while things happened; between events nothing wakes it.
async fn tidy_memory(mut newest: watch::Receiver<u64>) {
    loop {
        tokio::time::sleep(TIDY_AFTER).await;
        newest.borrow_and_update();
        ov_shim::give_back_program();
        if newest.changed().await.is_err() {
            return;
        }
    }
}

async fn keep(
    options: &RunOptions,
    shape: NodeShape,
    core: Core,
    (disk, clock): (Arc<dyn Disk>, Arc<dyn Clock>),
    (handle, requests): (NodeHandle, mpsc::Receiver<crate::request::Request>),
    signals: mpsc::Receiver<Signal>,
    manager: ServiceManager,
) -> Result<End, Failure> {
    let (messages_in, messages) = mpsc::channel(MESSAGES_MAX);
    let (shims_in, shims) = mpsc::channel(MESSAGES_MAX);
    let (reports_in, reports) = mpsc::channel(MESSAGES_MAX);
    let shim = ShimProgram {
        program: options.program.clone(),
        arguments: vec!["shim".into()],
        inherit_stdin: true,
        inherit_output: true,
    };
    let ground = Ground { disk: Arc::clone(&disk), shim, events: shims_in, reports: reports_in };
    let parts = Parts {
        shape: Arc::new(shape),
        core,
        disk,
        clock,
        handle,
        manager,
        ground,
        messages: messages_in,
        source: Arc::clone(&options.source),
    };
    let inbox = Inbox { requests, messages, shims, reports, signals };
    Keeper::new(parts).run(inbox).await.map_err(|error| {
        let (problem, code) = of_core("OV-JRN-003", "look after the node any longer", &error);
        (problem.state("a unit that runs goes on running; nothing is decided any more"), code)
    })
}

/// Folds the journal, on a full disk with the room that was set aside for that.
fn open_core(disk: &Arc<dyn Disk>, clock: &dyn Clock, shape: &NodeShape) -> Result<Core, CoreError> {
    let boot = ov_sys::host::boot_id().unwrap_or_default();
    let open = || {
        let options = ov_journal::Options::new(crate::VERSION);
        let directory = shape.layout.journal();
        Core::open(Arc::clone(disk), &directory, shape.engine.clone(), options, &boot, clock.now())
    };
    let reserve = Reserve::new(Arc::clone(disk), shape.layout.state.join("reserve"));
    let core = match open() {
        Err(error) if error.is_disk_full() && reserve.give_up() => {
            tracing::error!("the disk is full; what was set aside for that was given up: free some room soon");
            open()?
        }
        opened => opened?,
    };
    if let Err(error) = reserve.lay_down() {
        tracing::warn!("no room could be set aside for a full disk: {error}");
    }
    Ok(core)
}

/// What an operator sees when the journal cannot be kept, and how the daemon ends: a disk may recover, damage does not.
fn of_core(code: &str, summary: &str, error: &CoreError) -> Failure {
    if error.is_transient() {
        (Problem::transient(code, summary).because(error).hint(error.hint()), ExitCode::Failed)
    } else {
        (Problem::permanent(code, summary).because(error).hint(error.hint()), ExitCode::Damaged)
    }
}

/// Makes our own folder and locks it: one daemon per home.
pub(crate) fn take_home(disk: &dyn Disk, shape: &NodeShape) -> Result<Box<dyn Lock>, Failure> {
    let state = &shape.layout.state;
    durable::make_directories(disk, state, 0o700).map_err(|error| cannot("use the home", state, &error))?;
    let path = shape.layout.lock();
    match disk.lock(&path) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => {
            let problem = Problem::permanent("OV-RUN-002", "take the node over")
                .cause(format!("another daemon holds {}", path.display()))
                .state("that daemon looks after the node; nothing was changed")
                .hint(format!("`omnivisor status --home {}` asks it", shape.layout.home.display()));
            Err((problem, ExitCode::AlreadyRunning))
        }
        Err(error) => Err(cannot("lock the home", &path, &error)),
    }
}

fn cannot(action: &str, path: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    let problem = Problem::transient("OV-RUN-003", format!("{action} {}", path.display()))
        .because(error)
        .state("nothing was started; a unit that runs goes on running")
        .hint("check that the home exists, is writable for this user, and that its disk has room");
    (problem, ExitCode::Failed)
}

/// Signals in the order they come. SIGPIPE is ignored by the standard library already.
fn listen_to_signals() -> std::io::Result<mpsc::Receiver<Signal>> {
    let (tell, told) = mpsc::channel(8);
    let meanings = [
        (SignalKind::terminate(), Signal::Stop),
        (SignalKind::interrupt(), Signal::Stop),
        (SignalKind::quit(), Signal::Stop),
        (SignalKind::hangup(), Signal::Reload),
    ];
    for (kind, meaning) in meanings {
        let (mut signals, tell) = (signal(kind)?, tell.clone());
        drop(tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if tell.send(meaning).await.is_err() {
                    return;
                }
            }
        }));
    }
    Ok(told)
}
