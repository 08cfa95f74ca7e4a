//! What each command does: ask the daemon, show the answer.

mod confirm;
mod events;
mod init;
mod logs;
mod plan;
mod program;
mod release;
mod run;
mod self_upgrade;
mod show;
mod snapshot;
mod stop;
mod unit;
mod upgrade;

use std::path::Path;

use ov_sys::RealDisk;
use ov_types::PlanId;
use ov_types::api::Acknowledged;
use ov_types::record::Outcome;

use crate::args::{Arguments, Command};
use crate::demo;
use crate::failure::Failure;
use crate::home;
use crate::output::{Console, Tone};
use crate::session::Session;
use crate::wait::Wait;
use crate::watch;

/// Carries a command out.
pub(crate) fn carry_out(arguments: Arguments, console: Console) -> Result<(), (Console, Failure)> {
    let session = match home::here() {
        Ok(here) => {
            let named = arguments.global.home.as_deref();
            // A new home is made here, not where one is found above.
            let named = named.or(matches!(arguments.command, Command::Init(_)).then_some(&here));
            Session { home: home::find(&RealDisk, named, &here), console }
        }
        Err(failure) => return Err((console, failure)),
    };
    let named = arguments.global.home.as_deref();
    dispatch(&session, named, arguments.command).map_err(|failure| (session.console, failure))
}

fn dispatch(session: &Session, named: Option<&Path>, command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => init::init(session, &arguments),
        Command::Run => run::run(session),
        Command::Stop(arguments) => stop::stop(session, &arguments),
        Command::Reload => show::reload(session),
        Command::SelfUpgrade { program } => self_upgrade::self_upgrade(session, program.as_deref()),
        Command::Status => show::status(session),
        Command::Watch => watch::watch(session),
        Command::Events(arguments) => events::events(session, &arguments),
        Command::Logs(arguments) => logs::logs(session, &arguments),
        Command::Doctor(arguments) => show::doctor(session, arguments.release.as_ref()),
        Command::Plan(command) => plan::plan(session, command),
        Command::Upgrade(command) => upgrade::upgrade(session, command),
        Command::Release(command) => release::release(session, command),
        Command::Unit(command) => unit::unit(session, command),
        Command::Confirm(command) => confirm::confirm(session, command),
        Command::Snapshot(command) => snapshot::snapshot(session, command),
        Command::Demo(arguments) => demo::demo(session, named, &arguments),
        Command::Completions { shell } => program::completions(shell),
        Command::Man { directory } => program::man(session, &directory),
        Command::Schema => program::schema(),
        Command::ExitCodes => program::exit_codes(),
    }
}

/// Shows what the daemon did.
fn acknowledge(session: &Session, done: &Acknowledged) -> Result<(), Failure> {
    session.console.result(done, |done, _| format!("{}\n", crate::output::one_line(&done.message)))
}

/// Waits for the end of the upgrade that was ordered, if that is wanted; else shows that it was ordered.
fn finish(
    session: &Session,
    wait: Option<Wait<'_>>,
    done: &Acknowledged,
    plan: Option<PlanId>,
    wanted: &[Outcome],
) -> Result<(), Failure> {
    match (wait, plan) {
        (Some(wait), Some(plan)) => {
            session.console.say(Tone::Plain, &done.message);
            wait.for_plan(plan, wanted)
        }
        _ => acknowledge(session, done),
    }
}
