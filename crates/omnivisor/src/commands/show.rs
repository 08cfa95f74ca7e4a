//! `status`, `doctor` and `reload`.

use std::fmt::Write as _;

use ov_client::Client;
use ov_types::api::ReloadReport;
use ov_types::{ExitCode, ReleaseName, Severity};

use crate::failure::Failure;
use crate::output;
use crate::session::Session;

pub(super) fn status(session: &Session) -> Result<(), Failure> {
    let status = session.ask(Client::status)?;
    session.console.result(&status, output::status)
}

pub(super) fn doctor(session: &Session, release: Option<&ReleaseName>) -> Result<(), Failure> {
    let report = match session.ask(|client| client.doctor(release)) {
        Err(failure) if failure.exit() == ExitCode::NotRunning => crate::daemon::doctor(&session.home, release)?,
        answer => answer?,
    };
    session.console.result(&report, output::doctor)?;
    if report.worst == Severity::Error { Err(Failure::silent(ExitCode::Unhealthy)) } else { Ok(()) }
}

pub(super) fn reload(session: &Session) -> Result<(), Failure> {
    let report = session.ask(Client::reload)?;
    session.console.result(&report, |report, _| reloaded(report))
}

fn reloaded(report: &ReloadReport) -> String {
    if report.now.is_empty() && report.next_start.is_empty() {
        return "nothing has changed\n".to_owned();
    }
    let mut text = String::new();
    for (what, keys) in [("in force now", &report.now), ("from the next start on", &report.next_start)] {
        if !keys.is_empty() {
            let _ = writeln!(text, "{what}: {}", output::one_line(&keys.join(", ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_tells_what_holds_when() {
        let report =
            ReloadReport { now: vec!["keep".into(), "name".into()], next_start: vec!["unit.main.args".into()] };
        assert_eq!(reloaded(&report), "in force now: keep, name\nfrom the next start on: unit.main.args\n");
        assert_eq!(reloaded(&ReloadReport::default()), "nothing has changed\n");
    }
}
