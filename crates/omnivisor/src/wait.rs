//! Waiting for something to be over, telling what happens meanwhile.
//!
//! The answer always comes from asking the daemon, never from guessing by events: events only say when to ask, and a
//! question every second makes good for those that are missed. A daemon that goes away is given time to come back,
//! because upgrades outlive it.

use std::cell::Cell;
use std::time::Duration;

use ov_client::Since;
use ov_types::api::{PlanPhase, PlanStatus};
use ov_types::record::Outcome;
use ov_types::{Event, EventKind, ExitCode, PlanId};

use crate::args::{Patience, WaitArgs};
use crate::failure::Failure;
use crate::feed::{Feed, News};
use crate::output::{self, Console, Meter, Tone};
use crate::session::Session;

/// How often to ask when nothing happens.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often to look whether an answer is there.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a daemon may be away.
const AWAY_MS_MAX: u64 = 60_000;
/// After how long without news a sign of life is given.
const SILENCE_MS_MAX: u64 = 30_000;

/// A wait that has begun: what happens from here on is told.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    session: &'a Session,
    feed: Feed,
    patience: Patience,
    started_ms: u64,
    meter: Meter,
    /// The last event that came.
    seen: Cell<Option<u64>>,
}

impl<'a> Wait<'a> {
    /// Begins, if that is wanted.
    pub(crate) fn begin_if(session: &'a Session, arguments: WaitArgs) -> Option<Self> {
        arguments.wait.map(|patience| Self::begin(session, patience))
    }

    /// Begins. To be called before the order whose end is waited for.
    pub(crate) fn begin(session: &'a Session, patience: Patience) -> Self {
        let feed = Feed::open(session.home.clone(), Since::Newest);
        // Listening has begun with the first piece of news, or there is no daemon.
        let _ = feed.next(ASK_EVERY);
        let (started_ms, meter) = (Console::monotonic_ms(), Meter::new(&session.console));
        Self { session, feed, patience, started_ms, meter, seen: Cell::new(None) }
    }

    /// Asks something whose answer takes its time, and shows meanwhile how far it is.
    pub(crate) fn while_asked<T: Send>(
        session: &Session,
        question: impl FnOnce(&Session) -> Result<T, Failure> + Send,
    ) -> Result<T, Failure> {
        let feed = Feed::open(session.home.clone(), Since::Newest);
        let meter = Meter::new(&session.console);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| question(session));
            while !asked.is_finished() {
                if let Some(News::Progress(event)) = feed.next(LOOK_EVERY) {
                    meter.show(&event.kind);
                }
            }
            asked.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault))
        })
    }

    /// Waits until `over` has an answer. Tells events for which `is_about` holds.
    pub(crate) fn until<T>(
        &self,
        what: &str,
        is_about: impl Fn(&EventKind) -> bool,
        mut over: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let mut away_since_ms: Option<u64> = None;
        let mut told_ms = self.started_ms;
        loop {
            match over() {
                Ok(Some(answer)) => {
                    self.tell_rest(&is_about);
                    return Ok(answer);
                }
                Ok(None) => away_since_ms = None,
                Err(failure) if failure.is_daemon_away() => {
                    let now_ms = Console::monotonic_ms();
                    if away_since_ms.is_none() {
                        let talk = "the daemon does not answer; waiting for the next one";
                        self.session.console.say(Tone::Notice, talk);
                    }
                    if now_ms.saturating_sub(*away_since_ms.get_or_insert(now_ms)) > AWAY_MS_MAX {
                        return Err(failure);
                    }
                }
                Err(failure) => return Err(failure),
            }
            let passed_ms = Console::monotonic_ms().saturating_sub(self.started_ms);
            let mut pause = ASK_EVERY;
            if let Patience::Within(bound_ms) = self.patience {
                pause = pause.min(Duration::from_millis(bound_ms.saturating_sub(passed_ms)));
                if pause.is_zero() {
                    let state = "it goes on; `omnivisor status` shows how far it is";
                    return Err(Failure::timed_out(what, bound_ms, state));
                }
            }
            let now_ms = self.started_ms.saturating_add(passed_ms);
            if self.tell_news(pause, &is_about) {
                told_ms = now_ms;
            } else if now_ms.saturating_sub(told_ms) >= SILENCE_MS_MAX {
                told_ms = now_ms;
                self.session.console.say(Tone::Faint, &format!("waiting for {} so far", output::span(passed_ms)));
            }
        }
    }

    /// Waits for news, and tells all that there are; whether there were any.
    fn tell_news(&self, pause: Duration, is_about: &impl Fn(&EventKind) -> bool) -> bool {
        let mut has_told = false;
        let mut news = self.feed.next(pause);
        while let Some(piece) = news {
            match piece {
                News::Event(event) => {
                    self.seen.set(Some(event.index));
                    if is_about(&event.kind) {
                        self.tell(&event);
                        has_told = true;
                    }
                }
                // Whatever it is about: it is what there is to wait for.
                News::Progress(event) => {
                    self.meter.show(&event.kind);
                    has_told = true;
                }
                News::Connected | News::Lost(_) => {}
            }
            news = self.feed.next(Duration::ZERO);
        }
        has_told
    }

    /// Tells what happened up to the end and has not come yet.
    fn tell_rest(&self, is_about: &impl Fn(&EventKind) -> bool) {
        self.tell_news(Duration::ZERO, is_about);
        let Some(seen) = self.seen.get() else { return };
        // The end is known all the same.
        let rest = self.session.ask(|client| client.events(Since::After(seen))).unwrap_or_default();
        rest.iter().filter(|event| is_about(&event.kind)).for_each(|event| self.tell(event));
    }

    fn tell(&self, event: &Event) {
        self.meter.clear();
        let console = &self.session.console;
        console.say(Tone::Faint, output::event(event, &console.talk_look()).trim_end());
    }

    /// Waits until a plan is over, shows how it ended, and says so in the exit code. `wanted` are the good ends.
    pub(crate) fn for_plan(&self, plan: PlanId, wanted: &[Outcome]) -> Result<(), Failure> {
        let session = self.session;
        let is_about = |kind: &EventKind| about_plan(kind) == Some(plan);
        let ended = self.until(&format!("see the end of upgrade {plan}"), is_about, || {
            let plans = session.ask(|client| client.plans(true))?;
            let status = plans.into_iter().find(|status| status.plan.id == plan);
            let status =
                status.ok_or_else(|| Failure::usage(format!("find plan {plan}"), "`omnivisor plan list --all`"))?;
            let is_over = matches!(status.phase, PlanPhase::Ended { .. } | PlanPhase::NeedsOperator { .. });
            Ok(is_over.then_some(status))
        })?;
        session.console.result(&ended, |status, look| {
            let (tone, phase) = output::plan_phase(status, &look.clock);
            let line = format!("plan {} to {}: {}", status.plan.id, status.plan.release, output::one_line(&phase));
            format!("{}\n", look.style.paint(tone, line))
        })?;
        match exit_of(&ended, wanted) {
            ExitCode::Done => Ok(()),
            exit => Err(Failure::silent(exit)),
        }
    }
}

/// What the end of a plan means to a script.
fn exit_of(ended: &PlanStatus, wanted: &[Outcome]) -> ExitCode {
    match &ended.phase {
        PlanPhase::Ended { outcome, .. } if wanted.contains(outcome) => ExitCode::Done,
        PlanPhase::NeedsOperator { .. } => ExitCode::NeedsOperator,
        _ => ExitCode::Failed,
    }
}

/// The plan that an event is about.
pub(crate) fn about_plan(kind: &EventKind) -> Option<PlanId> {
    match kind {
        EventKind::PlanAdded { plan } | EventKind::UpgradeArmed { plan, .. } => Some(plan.id),
        EventKind::PlanBlocked { plan, .. }
        | EventKind::StepStarted { plan, .. }
        | EventKind::StepDone { plan, .. }
        | EventKind::StepFailed { plan, .. }
        | EventKind::UpgradeStarted { plan, .. }
        | EventKind::UpgradeHeld { plan, .. }
        | EventKind::UpgradeTurnedBack { plan, .. }
        | EventKind::UpgradeNeedsOperator { plan, .. }
        | EventKind::UpgradeEnded { plan, .. } => Some(*plan),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;
    use ov_types::Problem;

    #[test]
    fn the_exit_code_says_how_an_upgrade_ended() {
        let because = Problem::permanent("OV-X", "go on");
        let ended = |outcome| PlanPhase::Ended { outcome, because: None };
        for (phase, wanted, exit) in [
            (ended(Outcome::Committed), Outcome::Committed, ExitCode::Done),
            (ended(Outcome::RolledBack), Outcome::Committed, ExitCode::Failed),
            (ended(Outcome::Withdrawn), Outcome::Committed, ExitCode::Failed),
            (ended(Outcome::Superseded), Outcome::Committed, ExitCode::Failed),
            (ended(Outcome::RolledBack), Outcome::RolledBack, ExitCode::Done),
            (ended(Outcome::Committed), Outcome::RolledBack, ExitCode::Failed),
            (PlanPhase::NeedsOperator { because }, Outcome::Committed, ExitCode::NeedsOperator),
        ] {
            let status = PlanStatus { phase: phase.clone(), ..sample::plan() };
            assert_eq!(exit_of(&status, &[wanted]), exit, "{phase:?}");
        }
    }
}
