//! Why a command failed: what the person reads, and the exit code.
//!
//! Every failure is a [`Problem`], the daemon's own and ours alike, so that all are told in the same form.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::path::Path;

use ov_types::api::Refusal;
use ov_types::{ExitCode, Problem};

use crate::output::{Style, Tone, one_line};

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
        Self::new(ExitCode::Usage, Problem::permanent("OV-CLI-001", summary).hint(hint))
    }

    /// A result could not be written.
    pub(crate) fn output(error: &(dyn Error + 'static)) -> Self {
        Self::new(ExitCode::Failed, Problem::transient("OV-CLI-002", "write the result").because(error))
    }

    /// A file of the host could not be read or written.
    pub(crate) fn file(what: &str, path: &Path, error: &(dyn Error + 'static)) -> Self {
        let summary = format!("{what} {}", path.display());
        Self::new(ExitCode::Failed, Problem::transient("OV-CLI-003", summary).because(error))
    }

    /// There is no node here.
    pub(crate) fn no_node(home: &Path) -> Self {
        let summary = format!("find a node in {}", home.display());
        let problem = Problem::permanent("OV-CLI-004", summary)
            .cause("there is no omnivisor.toml, here or in a folder above")
            .hint("name the node's home with --home or OMNIVISOR_HOME, or make one with `omnivisor init`");
        Self::new(ExitCode::Configuration, problem)
    }

    /// Nobody answers for the node.
    pub(crate) fn not_running(home: &Path) -> Self {
        let summary = format!("reach the daemon of {}", home.display());
        let problem = Problem::transient("OV-CLI-005", summary)
            .state("a unit that runs goes on running, but nobody looks after it")
            .hint(format!("start it with `omnivisor run --home {}`", home.display()));
        Self::new(ExitCode::NotRunning, problem)
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
    pub(crate) fn as_text(&self, style: Style) -> String {
        let problem = self.problem();
        let mut text = format!("{} failed to {}\n", style.paint(Tone::Bad, "error:"), one_line(&problem.summary));
        let mut line = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = writeln!(text, "  {} {}", style.paint(Tone::Faint, format!("{name:<8}")), one_line(value));
            }
        };
        for cause in &problem.causes {
            line("because:", cause);
        }
        line("state:", &problem.state);
        line("next:", &problem.hint);
        line("code:", &format!("{}, exit code {}", problem.code, self.exit().number()));
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
            failure.as_text(Style::new(false)),
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
