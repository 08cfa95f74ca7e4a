//! `watch` into a pipe: one line whenever something changed. With `--json` each line is the status.

use std::time::Duration;

use ov_client::{Client, Since};
use ov_types::api::Status;

use crate::failure::Failure;
use crate::feed::{Feed, News};
use crate::output::{self, Console, Tone, summary_line};
use crate::session::Session;

/// How often to ask when nothing happens; heights move without events.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// How long to collect what happens at once.
const SETTLE: Duration = Duration::from_millis(100);

pub(super) fn run(session: &Session) -> Result<(), Failure> {
    let feed = Feed::open(session.home.clone(), Since::Newest);
    let mut shown: Option<Status> = None;
    let mut is_lost = false;
    loop {
        match session.ask(Client::status) {
            Ok(status) => {
                is_lost = false;
                if shown.as_ref().is_none_or(|shown| differs(shown, &status)) {
                    show(session, &status)?;
                    shown = Some(status);
                }
            }
            Err(failure) if failure.is_daemon_away() => {
                if !is_lost {
                    session.console.say(Tone::Notice, &format!("failed to {failure}; trying again"));
                }
                is_lost = true;
            }
            Err(failure) => return Err(failure),
        }
        Console::expect_reader()?;
        let mut news = feed.next(ASK_EVERY);
        while let Some(piece) = news {
            if let (News::Event(event), false) = (piece, session.console.json) {
                Console::write(output::event(&event, &session.console.look()).as_bytes())?;
            }
            news = feed.next(SETTLE);
        }
    }
}

/// Whether there is anything to tell. Ages and estimates change all the time and are nothing new.
fn differs(before: &Status, now: &Status) -> bool {
    let facts = |status: &Status| {
        let units: Vec<_> = status.units.iter().map(|unit| (unit.name.clone(), unit.state, unit.pid)).collect();
        let plans: Vec<_> = status.plans.iter().map(|plan| (plan.plan.id, plan.phase.clone())).collect();
        (status.release.clone(), status.height, units, plans, status.problems.clone(), status.daemon.pid)
    };
    facts(before) != facts(now)
}

fn show(session: &Session, status: &Status) -> Result<(), Failure> {
    if session.console.json {
        return Console::json_line(status);
    }
    let look = session.console.look();
    let line = format!("{}         {}\n", look.clock.absolute(look.clock.now_ms), summary_line(status, &look.clock));
    Console::write(line.as_bytes())
}
