//! What the drop-in says while it looks after a node: the events that the original tells of, in its words, and what is
//! worth a notification besides. What somebody should look at comes with what else the daemon has to say.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use ov_chains::cosmos::GoDuration;
use ov_chains::vega::{self, Home, Launch};
use ov_sys::RealDisk;
use ov_types::{Direction, EventKind, ExitStatus, Importance, Problem, Step, UnitName};
use serde_json::{Value, json};

use super::log::Log;
use crate::drop_in::{environment, signal_name};

/// The code of a release that is not there.
const NOT_THERE: &str = "OV-UPG-011";

/// Tells of events.
#[derive(Debug)]
pub(super) struct Voice {
    log: Log,
    home: PathBuf,
    /// The failures in a row that the next launch makes good.
    failures: Mutex<Option<u32>>,
}

/// One line: level, message, values.
type Line = (&'static str, String, Vec<(&'static str, Value)>);

impl Voice {
    pub(super) fn new(log: Log, home: PathBuf) -> Self {
        Self { log, home, failures: Mutex::new(None) }
    }

    pub(super) fn hear(&self, kind: &EventKind) {
        // The files are looked at as they are now: both may change while the daemon runs.
        let home = vega::load(&RealDisk, &self.home, &environment).ok();
        for (level, message, fields) in self.lines(kind, home.as_ref()) {
            self.log.say(level, &message, &fields);
        }
    }

    fn lines(&self, kind: &EventKind, home: Option<&Home>) -> Vec<Line> {
        match kind {
            EventKind::DaemonStarted { adopted, .. } if adopted.is_empty() => vec![info("Starting binaries")],
            EventKind::StepStarted { step, direction: Direction::Forward, .. } => of_step(*step, home),
            EventKind::UnitStarted { unit, .. } => self.of_start(unit, home),
            EventKind::UnitExited { unit, status, expected: false } => {
                let how = status.map_or_else(|| "nobody saw how it ended".to_owned(), told);
                vec![failed(&format!("failed after waiting for binary {}: {how}", shown(unit, home)))]
            }
            EventKind::UnitNotStarted { unit, message } => {
                vec![failed(&format!("failed to start binary {}: {message}", shown(unit, home)))]
            }
            EventKind::UnitBackingOff { wait_ms, failures, .. } => {
                *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = Some(*failures);
                vec![line("INFO", "Binaries restart is scheduled", vec![("restartDelay", seconds(*wait_ms))])]
            }
            EventKind::UpgradeStarted { .. } => vec![info("Preparing upgrade")],
            EventKind::ConfigurationReloaded { .. } => vec![info("Reloading config success")],
            EventKind::PlanBlocked { problem, .. } => vec![unprepared(problem)],
            kind if kind.importance() == Importance::Notice => vec![info(&kind.to_string())],
            _ => Vec::new(),
        }
    }

    fn of_start(&self, unit: &UnitName, home: Option<&Home>) -> Vec<Line> {
        let again = self.failures.lock().unwrap_or_else(PoisonError::into_inner).take();
        let restarts = home.map_or(0, |home| home.settings.restarts);
        let again = again.map(|failures| {
            let left = restarts.saturating_sub(u64::from(failures));
            line("INFO", "Restarting binaries", vec![("remainingRestarts", json!(left))])
        });
        let launch = launch(unit, home).map(|(path, launch)| {
            line("DEBUG", "Starting binary", vec![("binaryPath", json!(path)), ("args", json!(launch.args()))])
        });
        let waiting = home.filter(|_| unit.is_main()).map(|home| {
            let left = vec![("attemptLeft", json!(home.settings.first_connection_retries))];
            line("DEBUG", "Still waiting for vega to start...", left)
        });
        again.into_iter().chain(launch).chain(waiting).collect()
    }
}

fn of_step(step: Step, home: Option<&Home>) -> Vec<Line> {
    match step {
        Step::Stop => {
            let delay = home.map_or(0, |home| home.settings.stop_delay_seconds);
            vec![line("INFO", "Stopping binaries", vec![("stop delay", seconds(delay.saturating_mul(1_000)))])]
        }
        Step::Switch => vec![info("Starting upgrade")],
        Step::Start => vec![info("Starting binaries")],
        _ => Vec::new(),
    }
}

/// A plan that waits for its release, in the words that scripts look for.
fn unprepared(problem: &Problem) -> Line {
    let why = problem.causes.join(": ");
    let missing = if problem.code == NOT_THERE { "required upgrade folder is missing: " } else { "" };
    line("WARN", &format!("failed to prepare next upgrade folder: {missing}{why}"), Vec::new())
}

fn failed(error: &str) -> Line {
    line("ERROR", "Binaries executions has failed", vec![("error", json!(error))])
}

fn info(message: &str) -> Line {
    line("INFO", message, Vec::new())
}

fn line(level: &'static str, message: &str, fields: Vec<(&'static str, Value)>) -> Line {
    (level, message.to_owned(), fields)
}

fn seconds(ms: u64) -> Value {
    json!(GoDuration::from_ms(i64::try_from(ms).unwrap_or(i64::MAX)).to_string())
}

/// The program of a unit, and what it is launched with.
fn launch<'a>(unit: &UnitName, home: Option<&'a Home>) -> Option<(String, &'a Launch)> {
    let home = home?;
    let launch = if unit.is_main() { &home.run_config.core } else { home.run_config.data_node.as_ref()? };
    Some((home.layout.current.join(&launch.path).display().to_string(), launch))
}

fn shown(unit: &UnitName, home: Option<&Home>) -> String {
    launch(unit, home)
        .map_or_else(|| unit.to_string(), |(path, launch)| format!("{path} [{}]", launch.args().join(" ")))
}

fn told(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit status {code}"),
        ExitStatus::Signal(signal) => format!("signal: {}", signal_name(signal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_types::record::StepFacts;
    use ov_types::{PlanId, RunId};

    /// What is said of these events, one behind the other, in a home with this in its configuration.
    fn said(config: &str, kinds: &[EventKind]) -> Vec<String> {
        let top = tempfile::tempdir().unwrap();
        let release = top.path().join("genesis");
        std::fs::create_dir(&release).unwrap();
        std::fs::write(top.path().join("config.toml"), config).unwrap();
        let text =
            "[vega.binary]\npath = \"vega\"\nargs = [\"start\", \"--home\"]\n[data_node.binary]\npath = \"/d\"\n";
        std::fs::write(release.join("run-config.toml"), text).unwrap();
        let home = vega::load(&RealDisk, top.path(), &|_| None).unwrap();
        let voice = Voice::new(Log::named("visor"), top.path().to_owned());
        let lines = kinds.iter().flat_map(|kind| voice.lines(kind, Some(&home)));
        let shown = |(level, message, fields): Line| {
            let fields = fields.iter().map(|(name, value)| format!("{name}={value}"));
            let words: Vec<String> = [level.to_owned(), message].into_iter().chain(fields).collect();
            words.join(" ").replace(top.path().to_str().unwrap(), "HOME")
        };
        lines.map(shown).collect()
    }

    fn main() -> UnitName {
        UnitName::main()
    }

    fn step(step: Step) -> EventKind {
        EventKind::StepStarted { plan: PlanId(1), step, direction: Direction::Forward, attempt: 1 }
    }

    #[test]
    fn a_node_that_fails_and_is_launched_again_is_told_as_there() {
        let data_node = UnitName::new("data-node").unwrap();
        let start = |unit: &UnitName| EventKind::UnitStarted { unit: unit.clone(), run: RunId(1), pid: 7 };
        let exit =
            |code, expected| EventKind::UnitExited { unit: main(), status: Some(ExitStatus::Code(code)), expected };
        let kinds = [
            EventKind::DaemonStarted { version: String::new(), adopted: Vec::new() },
            start(&main()),
            start(&data_node),
            exit(3, false),
            exit(0, true),
            EventKind::UnitBackingOff { unit: main(), wait_ms: 5_000, failures: 1 },
            start(&main()),
            EventKind::UnitNotStarted { unit: data_node.clone(), message: "it is gone".to_owned() },
        ];
        let starting = "DEBUG Starting binary binaryPath=\"HOME/current/vega\" args=[\"start\",\"--home\"]";
        let waiting = "DEBUG Still waiting for vega to start... attemptLeft=175000";
        let expected = [
            "INFO Starting binaries",
            starting,
            waiting,
            "DEBUG Starting binary binaryPath=\"/d\" args=[]",
            "ERROR Binaries executions has failed error=\"failed after waiting for binary HOME/current/vega [start --home]: exit status 3\"",
            "INFO Binaries restart is scheduled restartDelay=\"5s\"",
            "INFO Restarting binaries remainingRestarts=2",
            starting,
            waiting,
            "ERROR Binaries executions has failed error=\"failed to start binary /d []: it is gone\"",
        ];
        assert_eq!(said("\n", &kinds), expected);
        let adopted = EventKind::DaemonStarted { version: String::new(), adopted: vec![main()] };
        assert_eq!(said("\n", &[adopted]), [""; 0], "nothing was started");
    }

    #[test]
    fn an_upgrade_is_told_as_there() {
        let release = ov_types::ReleaseName::new("v2").unwrap();
        let started = EventKind::UpgradeStarted { plan: PlanId(1), release, height: None, superseded: None };
        let done = EventKind::StepDone {
            plan: PlanId(1),
            step: Step::Switch,
            direction: Direction::Forward,
            facts: StepFacts::default(),
        };
        let blocked = |code: &'static str| EventKind::PlanBlocked {
            plan: PlanId(1),
            problem: Problem::permanent(code, "stage it").cause("it is not there"),
        };
        let kinds = [
            blocked(NOT_THERE),
            blocked("OV-FET-001"),
            started,
            step(Step::Stop),
            step(Step::Keep),
            step(Step::Switch),
            done,
            step(Step::Start),
        ];
        let expected = [
            "WARN failed to prepare next upgrade folder: required upgrade folder is missing: it is not there",
            "WARN failed to prepare next upgrade folder: it is not there",
            "INFO Preparing upgrade",
            "INFO Stopping binaries stop delay=\"3s\"",
            "INFO Starting upgrade",
            "INFO Starting binaries",
        ];
        assert_eq!(said("stopDelaySeconds = 3\n", &kinds), expected);
    }
}
