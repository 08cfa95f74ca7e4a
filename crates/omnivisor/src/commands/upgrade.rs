//! `upgrade prepare|apply|rollback|retry|history`.

use ov_types::api::NewRelease;
use ov_types::record::Outcome;
use ov_types::{ExitCode, PlanId};

use super::{finish, show};
use crate::args::UpgradeCommand;
use crate::failure::Failure;
use crate::home;
use crate::output::{self, Tone};
use crate::session::Session;
use crate::wait::Wait;

pub(super) fn upgrade(session: &Session, command: UpgradeCommand) -> Result<(), Failure> {
    match command {
        UpgradeCommand::Prepare { release, from, sha256 } => {
            let wish =
                NewRelease { name: release.clone(), source: from.as_deref().map(home::source).transpose()?, sha256 };
            let asked = |session: &Session| session.ask(|client| client.stage_release(&wish));
            let done = match Wait::while_asked(session, asked) {
                Err(failure) if failure.exit() == ExitCode::NotRunning => crate::daemon::stage(session, &wish)?,
                done => done?.message,
            };
            session.console.say(Tone::Plain, &done);
            show::doctor(session, Some(&release))
        }
        UpgradeCommand::Apply(arguments) => {
            let wait = Wait::begin_if(session, arguments.wait);
            let done = session.ask(|client| client.apply_plan(arguments.plan))?;
            finish(session, wait, &done, Some(arguments.plan), &[Outcome::Committed])
        }
        UpgradeCommand::Retry(arguments) => {
            let wait = Wait::begin_if(session, arguments.wait);
            let done = session.ask(|client| client.retry_plan(arguments.plan))?;
            finish(session, wait, &done, Some(arguments.plan), &[Outcome::Committed])
        }
        UpgradeCommand::Rollback { plan, wait } => {
            let wait = Wait::begin_if(session, wait);
            let done = session.ask(|client| client.rollback(plan))?;
            // The upgrade under way turns back; one that is over is undone by a new plan, which is to be committed.
            finish(session, wait, &done, done.plan.or(plan), &[Outcome::RolledBack, Outcome::Committed])
        }
        UpgradeCommand::History { plan, since } => history(session, plan, since),
    }
}

fn history(session: &Session, plan: Option<PlanId>, since: Option<u64>) -> Result<(), Failure> {
    let entries = match session.ask(|client| client.history(plan, since)) {
        Err(failure) if failure.exit() == ExitCode::NotRunning => crate::daemon::history(&session.home, plan, since)?,
        answer => answer?,
    };
    session.console.result(&entries, |entries, look| output::history(entries, look))
}
