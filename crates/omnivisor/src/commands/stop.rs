//! `stop`: the units, then the daemon.

use std::time::Duration;

use ov_client::{Client, Since};
use ov_sys::host::{is_alive, process_facts};
use ov_types::{EventKind, ExitCode};

use super::acknowledge;
use crate::args::StopArgs;
use crate::failure::Failure;
use crate::feed::{Feed, News};
use crate::output::{self, Console, Tone};
use crate::session::Session;

/// How often to look whether the daemon is gone when it says nothing.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn stop(session: &Session, arguments: &StopArgs) -> Result<(), Failure> {
    let feed = (!arguments.no_wait).then(|| Feed::open(session.home.clone(), Since::Newest));
    let started_ms = Console::monotonic_ms();
    let daemon = feed.is_some().then(|| process_of(session)).flatten();
    let done = session.ask(|client| client.stop(arguments.leave_units))?;
    let Some(feed) = feed else { return acknowledge(session, &done) };
    session.console.say(Tone::Plain, &done.message);
    let bound_ms = arguments.within.ms();
    while !(is_silent(session)? && daemon.is_none_or(is_gone)) {
        if Console::monotonic_ms().saturating_sub(started_ms) >= bound_ms {
            return Err(Failure::timed_out("see the daemon end", bound_ms, "it goes on stopping"));
        }
        if let Some(News::Event(event)) = feed.next(LOOK_EVERY)
            && !matches!(event.kind, EventKind::DaemonStopping { .. })
        {
            session.console.say(Tone::Faint, output::event(&event, &session.console.talk_look()).trim_end());
        }
    }
    session.console.result(&done, |_, _| {
        let units = if arguments.leave_units { "the units go on running" } else { "so have the units" };
        format!("the daemon has ended; {units}\n")
    })
}

/// The daemon's process, by pid and start time.
fn process_of(session: &Session) -> Option<(u32, u64)> {
    let pid = session.ask(Client::status).ok()?.daemon.pid;
    Some((pid, process_facts(pid).ok()??.start_ticks))
}

/// Whether that process is gone, as far as we may know: until then the home is not free for the next daemon.
fn is_gone((pid, start_ticks): (u32, u64)) -> bool {
    !is_alive(pid, start_ticks).unwrap_or(false)
}

/// Whether nobody answers any more. A daemon that is too busy to answer is still there.
fn is_silent(session: &Session) -> Result<bool, Failure> {
    match session.ask(Client::status) {
        Err(failure) if failure.is_daemon_leaving() => Ok(false),
        Err(failure) if failure.exit() == ExitCode::NotRunning => Ok(true),
        Err(failure) if failure.exit() == ExitCode::Usage => Err(failure),
        _ => Ok(false),
    }
}
