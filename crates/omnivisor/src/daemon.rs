//! What the program takes from the daemon's crate: the daemon itself, and what can be learned without one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ov_chains::NodeShape;
use ov_client::Since;
use ov_daemon::fetch::Tell;
use ov_daemon::{ConfigurationFile, Ended, RunOptions, offline};
use ov_types::api::{DoctorReport, HistoryEntry, NewRelease};
use ov_types::{Event, ExitCode, PlanId, Problem, ReleaseName, UnitName};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::output::{Console, Meter};
use crate::session::Session;

/// The journal of a node whose daemon is down.
pub(crate) fn history(home: &Path, plan: Option<PlanId>, since: Option<u64>) -> Result<Vec<HistoryEntry>, Failure> {
    offline::history(home, plan, since).map_err(|error| {
        let problem = Problem::permanent("OV-JRN-001", "read the journal").because(&error).hint(error.hint());
        Failure::new(ExitCode::Damaged, problem.state("nothing was changed"))
    })
}

/// The events of a node whose daemon is down.
pub(crate) fn events(home: &Path, since: Since) -> Result<Vec<Event>, Failure> {
    let since = match since {
        Since::Oldest => 0,
        Since::After(index) => index,
        Since::Newest => u64::MAX,
    };
    offline::events(home, since).map_err(|error| Failure::file("read the events of", home, &error))
}

/// What runs of a node whose daemon is down, as a sentence.
pub(crate) fn running(home: &Path) -> String {
    let Ok(units) = offline::running(home) else {
        return "a unit that runs goes on running, but nobody looks after it".to_owned();
    };
    let told = |(unit, pid): &(UnitName, Option<u32>)| match pid {
        Some(pid) => format!("{unit} (process {pid})"),
        None => format!("{unit} (what is left of it)"),
    };
    let told: Vec<String> = units.iter().map(told).collect();
    match told.as_slice() {
        [] => "nothing of the node runs".to_owned(),
        [unit] => format!("{unit} goes on running, but nobody looks after it"),
        units => format!("{} go on running, but nobody looks after them", units.join(", ")),
    }
}

/// The doctor's report on a node whose daemon is down.
pub(crate) fn doctor(home: &Path, release: Option<&ReleaseName>) -> Result<DoctorReport, Failure> {
    offline::doctor(home, None, release).map_err(|error| Failure::configuration(&error))
}

/// Stages a release of a node whose daemon is down, and says so.
pub(crate) fn stage(session: &Session, wanted: &NewRelease) -> Result<String, Failure> {
    let meter = Meter::new(&session.console);
    let tell = Tell::to(move |kind| {
        if kind.is_droppable() {
            meter.show(&kind);
        }
    });
    let staged = offline::stage_release(session.shape()?, wanted, tell);
    let staged = staged.map_err(|(problem, exit)| Failure::new(exit, problem))?;
    Ok(ov_daemon::fetch::told(&staged))
}

/// Stages the first release of a node whose configuration was just written, and makes it the current one.
pub(crate) fn first_release(home: &Path, release: &ReleaseName, source: &Path) -> Result<(), Failure> {
    offline::first_release(home, None, release, source).map_err(|problem| Failure::new(ExitCode::Failed, problem))
}

/// Where the release for this machine is, as the text of a plan says.
pub(crate) fn source_by_plan(shape: NodeShape, release: &ReleaseName, info: &str) -> Result<String, Failure> {
    offline::source_by_plan(shape, release, info).map_err(|problem| Failure::new(ExitCode::Failed, problem))
}

/// Looks after the node until told to end.
pub(crate) fn run(session: &Session) -> Result<(), Failure> {
    log_to_stderr(&session.console);
    let source = Arc::new(ConfigurationFile { home: session.home.clone(), file: None });
    match ov_daemon::run(&RunOptions { source, program: own_program() }) {
        Ended::Well | Ended::MainEnded(_) => Ok(()),
        Ended::GivenUp { unit, reason } => {
            let problem = Problem::permanent("OV-RUN-006", format!("keep unit {unit} up"))
                .cause(format!("it {reason}"))
                .state("every unit is stopped")
                .hint("`omnivisor logs` shows what it wrote; `omnivisor run` starts the node with a fresh count");
            Err(Failure::new(ExitCode::Failed, problem))
        }
        Ended::Badly(problem, exit) => Err(Failure::new(exit, problem)),
        Ended::Replaced(program) => {
            let error = ov_sys::process::become_program(&program, std::env::args_os().skip(1));
            let problem = Problem::permanent("OV-RUN-004", format!("become {}", program.display()))
                .because(&error)
                .state("the units go on running, but nobody looks after them")
                .hint("start the daemon again: `omnivisor run`");
            Err(Failure::new(ExitCode::Failed, problem))
        }
    }
}

/// Our own program file, by a name that a newer file may have taken meanwhile.
pub(crate) fn own_program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("/proc/self/exe"))
}

/// The daemon's own lines go to standard error; `OMNIVISOR_LOG` says how many.
fn log_to_stderr(console: &Console) {
    let level = if console.quiet { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("OMNIVISOR_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(console.talk_look().style.has_colours())
        .with_target(false);
    // A second subscriber in one process would be a fault of ours, and no reason not to look after the node.
    let _ = if console.json { lines.json().flatten_event(true).try_init() } else { lines.try_init() };
}
