//! `self-upgrade`: another program file takes the daemon's place.

use ov_client::Client;
use std::path::{Path, PathBuf};

use ov_types::api::NewDaemon;

use crate::args::Patience;
use crate::failure::Failure;
use crate::home;
use crate::output::{Tone, one_line};
use crate::session::Session;
use crate::wait::Wait;

/// Longer than a daemon needs to read a journal of years.
const WAIT_MS_MAX: u64 = 60_000;

pub(super) fn self_upgrade(session: &Session, program: Option<&Path>) -> Result<(), Failure> {
    let program = match program {
        Some(program) => home::absolute(program)?,
        None => home::absolute(&own_program()?)?,
    };
    let before = session.ask(Client::status)?.daemon;
    let wait = Wait::begin(session, Patience::Within(WAIT_MS_MAX));
    let done = session.ask(|client| client.self_upgrade(&NewDaemon { program }))?;
    session.console.say(Tone::Plain, &done.message);
    let after = wait.until(
        "see the next daemon",
        |_| true,
        || {
            let after = session.ask(Client::status)?.daemon;
            Ok((after.since_ms != before.since_ms).then_some(after))
        },
    )?;
    session.console.result(&after, |after, _| {
        one_line(&format!("omnivisor {} took over as process {}; it was {}", after.version, after.pid, before.version))
            + "\n"
    })
}

fn own_program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::file("find", Path::new("our own program"), &error))
}
