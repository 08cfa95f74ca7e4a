//! What the drop-in says while it looks after a node: the events that the original tells of, in its words; and
//! everything that somebody should look at, in ours.

use std::path::Path;

use ov_chains::cosmos::Settings;
use ov_release::{CurrentRelease, Layout};
use ov_sys::RealDisk;
use ov_types::{Direction, EventKind, ExitStatus, Importance, Problem, Step};

use super::super::log::Log;

/// The code of a release that is not there, and how those of fetching begin.
const NOT_THERE: &str = "OV-UPG-011";
const FETCHING: &str = "OV-FET-";

/// Tells of events.
#[derive(Debug)]
pub(super) struct Voice {
    log: Log,
    settings: Settings,
    layout: Layout,
    arguments: Vec<String>,
}

/// The app was started.
pub(super) fn running_app(log: &Log, program: &Path, arguments: &[String]) {
    let arguments: Vec<String> = arguments.iter().map(|word| format!("{word:?}")).collect();
    let fields = [("args", format!("[{}]", arguments.join(","))), ("path", program.display().to_string())];
    log.info_with("running app", &fields);
}

impl Voice {
    pub(super) fn new(log: Log, settings: Settings, layout: Layout, arguments: Vec<String>) -> Self {
        Self { log, settings, layout, arguments }
    }

    /// A plan that waits for its program, in the words that scripts look for. What the daemon says of it comes besides.
    fn tell_what_is_missing(&self, problem: &Problem) {
        let why = problem.causes.join(": ");
        if problem.code == NOT_THERE && !self.settings.allow_download {
            self.log.warn(&format!(
                "binary not present, downloading disabled: {why}; put it there with `cosmovisor add-upgrade`, or have it \
                 downloaded with DAEMON_ALLOW_DOWNLOAD_BINARIES=true"
            ));
        } else if problem.code.starts_with(FETCHING) {
            self.log.warn(&format!("cannot download binary. {why}"));
        }
    }

    pub(super) fn hear(&self, kind: &EventKind) {
        match kind {
            EventKind::UnitStarted { .. } => {
                if let Some(release) =
                    ov_release::current(&RealDisk, &self.layout).ok().and_then(CurrentRelease::release)
                {
                    let program = self.layout.directory(&release).join("bin").join(&self.settings.name);
                    running_app(&self.log, &program, &self.arguments);
                }
            }
            EventKind::UpgradeStarted { .. } => {
                self.log.info("daemon shutting down in an attempt to restart");
            }
            EventKind::UnitExited { status: Some(ExitStatus::Signal(9)), expected: true, .. } => {
                self.log.info("DAEMON_SHUTDOWN_GRACE exceeded, killing app");
            }
            EventKind::UnitExited { expected: true, .. } => self.log.info("app exited normally"),
            EventKind::StepStarted { step: Step::Keep, direction: Direction::Forward, .. } => {
                self.log.info("starting to take backup of data directory");
            }
            EventKind::StepDone { step: Step::Keep, direction: Direction::Forward, facts, .. } => {
                let note = facts.note.clone().unwrap_or_default();
                self.log.info_with("backup completed", &[("backup", format!("{note:?}"))]);
            }
            EventKind::StepStarted { step: Step::Start, direction: Direction::Forward, .. } => {
                self.log.info_with("upgrade detected, relaunching", &[("app", self.settings.name.clone())]);
            }
            EventKind::UpgradeEnded { .. } if !self.settings.restart_after_upgrade => self.log.info(
                "upgrade detected, DAEMON_RESTART_AFTER_UPGRADE is off. Verify new upgrade and start cosmovisor again.",
            ),
            EventKind::FetchStarted { .. } => self.log.info("no upgrade binary found, beginning to download it"),
            EventKind::FetchDone { address, checksum, .. } => {
                let checksum = checksum.clone().unwrap_or_else(|| "none".to_owned());
                self.log.info_with("downloading binary complete", &[("checksum", checksum), ("url", address.clone())]);
            }
            EventKind::PlanBlocked { problem, .. } => self.tell_what_is_missing(problem),
            kind if kind.importance() == Importance::Notice => self.log.info(&kind.to_string()),
            // What is worse comes with what else the daemon has to say.
            _ => {}
        }
    }
}
