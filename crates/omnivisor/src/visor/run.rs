//! `run`: the core and its data node, looked after by the same daemon as every other node. Here is only who starts it, and
//! how it ends.

use std::path::PathBuf;
use std::sync::Arc;

use ov_chains::NodeShape;
use ov_chains::vega::{self, Home, Standing};
use ov_daemon::{Ended, RunOptions, ShapeSource};
use ov_sys::{Disk, RealDisk, durable};
use ov_types::{EventKind, ParkReason, Problem, ReleaseName, UnitName};

use super::grammar::home;
use super::log::Log;
use super::voice::Voice;
use crate::drop_in::{Call, Complaint, ensure_program, environment, replace, speak, told};

/// The names that this drop-in may be called by behind our own.
const NAMES: [&str; 2] = ["vegavisor", "visor"];

/// Who starts the daemon: a home in Visor's layout, and where we are.
#[derive(Debug)]
pub(super) struct DropIn {
    home: PathBuf,
    cwd: PathBuf,
    voice: Voice,
}

impl DropIn {
    /// The source of this home, for processes that start where we are.
    pub(super) fn new(home: PathBuf) -> Result<Self, Complaint> {
        let cwd =
            std::env::current_dir().map_err(|error| Complaint::new(format!("failed to find where we are: {error}")))?;
        let voice = Voice::new(Log::named("visor"), home.clone());
        Ok(Self { home, cwd, voice })
    }
}

impl ShapeSource for DropIn {
    fn shape(&self, disk: &dyn Disk, release: Option<&ReleaseName>) -> Result<NodeShape, Problem> {
        let problem = || Problem::permanent("OV-VEG-001", "read what the home says of its node");
        let home = vega::load(disk, &self.home, &environment)
            .map_err(|wrong| wrong.problems.into_iter().fold(problem(), Problem::cause))?;
        let home = match release {
            None => home,
            Some(release) => home.with_release(disk, release).map_err(|why| problem().cause(why))?,
        };
        Ok(vega::shape(disk, &home, &self.cwd))
    }

    fn hear(&self, kind: &EventKind) {
        self.voice.hear(kind);
    }
}

/// `run`.
pub(super) fn run(call: &Call) -> Result<(), Complaint> {
    let folder = home(call)?;
    let source = DropIn::new(folder.clone())?;
    let log = Log::named("visor");
    let home = vega::load(&RealDisk, &folder, &environment)?;
    for warning in &home.warnings {
        log.say("WARN", warning, &[]);
    }
    link_first(&home)?;
    for launch in std::iter::once(&home.run_config.core).chain(&home.run_config.data_node) {
        // What is missing is told, and counted, when it is launched.
        let _ = ensure_program(&home.layout.current.join(&launch.path));
    }
    speak(move |text| log.say("WARN", text, &[]));
    let options = RunOptions { source: Arc::new(source), program: crate::daemon::own_program() };
    match ov_daemon::run(&options) {
        Ended::Well => Ok(()),
        Ended::MainEnded(status) => {
            let how = status.map_or_else(|| "unseen".to_owned(), |status| status.to_string());
            Err(Complaint::new(format!("the node ended: {how}")))
        }
        Ended::GivenUp { unit, reason } => Err(given_up(&unit, &reason)),
        Ended::Badly(problem, _) => Err(Complaint::new(told(&problem))),
        Ended::Replaced(program) => Err(replace(&program, NAMES[0], &NAMES)),
    }
}

/// Why the node is left to whoever started us, in the words that scripts look for.
fn given_up(unit: &UnitName, reason: &ParkReason) -> Complaint {
    Complaint::new(match reason {
        ParkReason::Unhealthy { answers, message } => {
            let tolerated = answers.saturating_sub(1);
            format!("failed to get upgrade status for maximum amount of {tolerated} times: {message}")
        }
        reason => format!("maximum number of possible restarts has been reached: unit {unit} {reason}"),
    })
}

/// A home in which nothing ever ran begins with its first release.
fn link_first(home: &Home) -> Result<(), Complaint> {
    let Standing::Fresh(first) = &home.standing else { return Ok(()) };
    let (layout, link) = (home.layout.releases(), &home.layout.current);
    durable::replace_link(&RealDisk, link, &layout.link_text(first)).map_err(|error| {
        Complaint::file("failed to create new runner: failed to set current folder to: ", "symlink", link, &error)
    })
}
