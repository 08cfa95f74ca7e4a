//! `events`: what happened, from the daemon or else from the files that it left, and what happens.

use std::time::Duration;

use ov_client::Since;
use ov_types::{Event, ExitCode};

use crate::args::EventsArgs;
use crate::failure::Failure;
use crate::feed::{Feed, News};
use crate::output::{self, Console, Look, Meter, Tone};
use crate::session::Session;

/// How many past events introduce the new ones, unless told otherwise.
const FOLLOW_PAST: usize = 10;
/// How often to look whether anybody still reads when nothing happens.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) fn events(session: &Session, arguments: &EventsArgs) -> Result<(), Failure> {
    let since = arguments.since.map_or(Since::Oldest, Since::After);
    let mut past = match session.ask(|client| client.events(since)) {
        Err(failure) if failure.exit() == ExitCode::NotRunning => crate::daemon::events(&session.home, since)?,
        answer => answer?,
    };
    let newest = past.last().map_or(since, |event| Since::After(event.index));
    let wanted = match (arguments.lines, arguments.since, arguments.follow) {
        (Some(lines), _, _) => lines,
        (None, None, true) => FOLLOW_PAST,
        _ => usize::MAX,
    };
    past.drain(..past.len().saturating_sub(wanted));
    let look = session.console.look();
    let lines: Result<String, Failure> = past.iter().map(|event| line(session, event, &look)).collect();
    Console::write(lines?.as_bytes())?;
    if arguments.follow { follow(session, newest) } else { Ok(()) }
}

fn follow(session: &Session, newest: Since) -> Result<(), Failure> {
    let feed = Feed::open(session.home.clone(), newest);
    let meter = Meter::new(&session.console);
    let mut is_lost = false;
    loop {
        match feed.next(LOOK_EVERY) {
            Some(News::Progress(event)) if !session.console.json => meter.show(&event.kind),
            Some(News::Event(event) | News::Progress(event)) => {
                meter.clear();
                Console::write(line(session, &event, &session.console.look())?.as_bytes())?;
            }
            Some(News::Lost(failure)) => {
                session.console.say(Tone::Notice, &format!("failed to {failure}; trying again"));
                is_lost = true;
            }
            Some(News::Connected) if is_lost => {
                session.console.say(Tone::Faint, "the daemon answers again");
                is_lost = false;
            }
            Some(News::Connected) => {}
            None => Console::expect_reader()?,
        }
    }
}

/// An event as one line.
fn line(session: &Session, event: &Event, look: &Look) -> Result<String, Failure> {
    if !session.console.json {
        return Ok(output::event(event, look));
    }
    serde_json::to_string(event).map(|line| line + "\n").map_err(|error| Failure::output(&error))
}
