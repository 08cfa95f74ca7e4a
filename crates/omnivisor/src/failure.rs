//! Why a command failed: what the person reads, and the exit code.
//!
//! Every failure is a [`Problem`], the daemon's own and ours alike, so that all are told in the same form.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io;
use std::path::Path;

use ov_chains::ConfigError;
use ov_types::api::Refusal;
use ov_types::{ExitCode, Problem};

use crate::daemon;
use crate::output::{Look, Tone, hanging, one_line, reasons};

/// The state after a command that did not begin.
const NOTHING_DONE: &str = "nothing was done; a unit that runs goes on running";

/// What helps against an error of the system, where that can be told.
fn remedy(error: &(dyn Error + 'static)) -> &'static str {
    match error.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::PermissionDenied) => "do it as the user to whom the home belongs, or as root",
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => "make room on that disk",
        Some(io::ErrorKind::ReadOnlyFilesystem) => "see why the file system is read-only: `dmesg` may tell",
        _ => "",
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    refusal: Box<Refusal>,
    silent: bool,
}

impl Failure {
    pub(crate) fn new(exit: ExitCode, problem: Problem) -> Self {
        Self { refusal: Box::new(Refusal { problem, exit_code: exit.number() }), silent: false }
    }

    /// The command line asks for something that makes no sense.
    pub(crate) fn usage(summary: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, Problem::permanent("OV-CLI-001", summary).state(NOTHING_DONE).hint(hint))
    }

    /// The command line is none: what clap says of it.
    pub(crate) fn command_line(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("For more"));
        let (usage, causes): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("Usage:"));
        let hint = usage.first().copied().unwrap_or("`omnivisor --help` lists the commands");
        let failure = Self::usage("understand the command line", hint);
        causes.into_iter().fold(failure, |mut failure, cause| {
            failure.refusal.problem.causes.push(cause.trim_start_matches("error: ").to_owned());
            failure
        })
    }

    /// What the configuration says cannot be used.
    pub(crate) fn configuration(error: &ConfigError) -> Self {
        Self::new(ExitCode::Configuration, error.problem().state(NOTHING_DONE))
    }

    /// A result could not be written.
    pub(crate) fn output(error: &(dyn Error + 'static)) -> Self {
        Self::new(
            ExitCode::Failed,
            Problem::transient("OV-CLI-002", "write the result").because(error).state("what was asked was done"),
        )
    }

    /// A file of the host could not be read or written.
    pub(crate) fn file(what: &str, path: &Path, error: &(dyn Error + 'static)) -> Self {
        let summary = format!("{what} {}", path.display());
        let problem = Problem::transient("OV-CLI-003", summary).because(error).state("the node was not touched");
        Self::new(ExitCode::Failed, problem.hint(remedy(error)))
    }

    /// There is no node here.
    pub(crate) fn no_node(home: &Path) -> Self {
        let summary = format!("find a node in {}", home.display());
        let problem = Problem::permanent("OV-CLI-004", summary)
            .cause("there is no omnivisor.toml, here or in a folder above")
            .state(NOTHING_DONE)
            .hint("name the node's home with --home or OMNIVISOR_HOME, or make one with `omnivisor init`");
        Self::new(ExitCode::Configuration, problem)
    }

    /// Nobody answers for the node.
    pub(crate) fn not_running(home: &Path) -> Self {
        let summary = format!("reach the daemon of {}", home.display());
        let problem = Problem::transient("OV-CLI-005", summary)
            .state(daemon::running(home))
            .hint(format!("start it with `omnivisor run --home {}`", home.display()));
        Self::new(ExitCode::NotRunning, problem)
    }

    /// There may be a daemon, but it cannot be asked.
    pub(crate) fn connect(error: &(dyn Error + 'static)) -> Self {
        let problem = Problem::transient("OV-CLI-014", "ask the daemon")
            .because(error)
            .state("it was not asked for anything; the node was not touched")
            .hint(error.source().map_or("", remedy));
        Self::new(ExitCode::Failed, problem)
    }

    /// The daemon's answer did not come, or is none.
    pub(crate) fn talk(exit: ExitCode, error: &(dyn Error + 'static)) -> Self {
        let problem = Problem::transient("OV-CLI-009", "talk to the daemon")
            .because(error)
            .state("it is not known whether the daemon did what was asked")
            .hint("`omnivisor status` shows the state of the node");
        Self::new(exit, problem)
    }

    /// Whether another try may reach a daemon.
    pub(crate) fn is_daemon_away(&self) -> bool {
        self.is_daemon_leaving() || matches!(self.problem().code.as_str(), "OV-CLI-005" | "OV-CLI-009")
    }

    /// Whether a daemon that is about to end gave the answer.
    pub(crate) fn is_daemon_leaving(&self) -> bool {
        self.problem().code == "OV-API-021"
    }

    /// It took longer than the person wanted to wait.
    pub(crate) fn timed_out(what: &str, bound_ms: u64, state: impl Into<String>) -> Self {
        let summary = format!("{what} within {}", crate::output::span(bound_ms));
        Self::new(ExitCode::TimedOut, Problem::transient("OV-CLI-006", summary).state(state))
    }

    /// The reader of our results went away: nothing to tell, and not our failure.
    pub(crate) fn reader_left() -> Self {
        let problem = Problem::transient("OV-CLI-002", "write the result");
        Self { silent: true, ..Self::new(ExitCode::Done, problem) }
    }

    /// Ends with this code; everything was told already.
    pub(crate) fn silent(exit: ExitCode) -> Self {
        let problem = Problem::permanent("OV-CLI-007", "do what was asked");
        Self { silent: true, ..Self::new(exit, problem) }
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// How the program ends.
    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from_number(self.refusal.exit_code).unwrap_or(ExitCode::Failed)
    }

    /// What failed.
    pub(crate) fn problem(&self) -> &Problem {
        &self.refusal.problem
    }

    /// One line of JSON, in the form in which the control API refuses.
    pub(crate) fn as_json(&self) -> String {
        serde_json::to_string(&self.refusal).map(|line| line + "\n").unwrap_or_default()
    }

    /// For people.
    pub(crate) fn as_text(&self, look: &Look) -> String {
        let (problem, style) = (self.problem(), look.style);
        let summary = hanging(&format!("failed to {}", one_line(&problem.summary)), 7, 11, look);
        let mut text = format!("{} {summary}\n", style.paint(Tone::Bad, "error:"));
        text.push_str(&reasons(problem, look));
        let code = format!("{}, exit code {}", problem.code, self.exit().number());
        let _ = writeln!(text, "  {} {code}", style.paint(Tone::Faint, "code:   "));
        text
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal: Box::new(refusal), silent: false }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_the_state_what_next_and_the_code() {
        let problem = Problem::permanent("OV-UPG-012", "add the plan")
            .cause("release v2 is not staged")
            .cause("no such folder")
            .state("node `a` still runs v1; nothing was changed")
            .hint("omnivisor upgrade prepare v2 --from PATH");
        let failure = Failure::new(ExitCode::Refused, problem);
        assert_eq!(
            failure.as_text(&crate::tests::sample::look()),
            "error: failed to add the plan\n  because: release v2 is not staged\n  because: no such folder\n  \
             state:   node `a` still runs v1; nothing was changed\n  next:    omnivisor upgrade prepare v2 --from \
             PATH\n  code:    OV-UPG-012, exit code 7\n"
        );
        let read: Refusal = serde_json::from_str(&failure.as_json()).unwrap();
        assert_eq!((read.exit_code, read.problem.code.as_str()), (7, "OV-UPG-012"));
    }

    #[test]
    fn an_exit_code_of_a_newer_daemon_is_a_failure() {
        let refusal = Refusal { problem: Problem::transient("OV-X", "x"), exit_code: 200 };
        assert_eq!(Failure::from(refusal).exit(), ExitCode::Failed);
    }
}
