//! The supervise machine of one unit: what it is doing, and what to do next to bring it where it should be.
//!
//! Two functions, both total: [`Unit::note`] takes in what happened, [`Unit::reconcile`] compares what is with what
//! should be. Holding a unit down, suspending it, an upgrade's window and a shutdown are all levels of [`Gate`], so
//! there is never more than one pending launch and no order can get lost.

use ov_types::{ExitStatus, ParkReason, RestartPolicy, RunId, StopRule, UnitRules, UnitState, WhenUnhealthy};

use crate::fate::{Failures, final_fate};
use crate::ledger::Failing;
use crate::{Fate, Found, UnitReport, fate};

/// Why a unit is being stopped, hence what happens when it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopCause {
    /// It was told to: no failure.
    Told,
    /// It was not ready in time, not healthy, or its height stood still: a failure like a crash.
    Failing,
}

/// How far an order to end something was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Told {
    /// Not yet.
    NotYet,
    /// With its grace.
    Gently,
    /// Without any grace.
    Hurriedly,
}

/// What a unit is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doing {
    /// No process of it is left.
    Down,
    /// Down, and not to be launched before this time.
    BackOff { until_ms: u64 },
    /// Told to launch.
    Launching { since_ms: u64 },
    /// Its process runs.
    Up { pid: u32, since_ms: u64, ready: bool },
    /// Its main process ended; others of its tree are being ended.
    Ending { ran_ms: u64 },
    /// Told to end.
    Stopping { pid: Option<u32>, launched_ms: u64, cause: StopCause, told: Told },
    /// Its shim died; what is left of it is being ended.
    Lost { ran_ms: u64, failed: bool, told: Told },
}

/// How far a unit may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    /// It may run; if not, it is stopped.
    pub(crate) may_run: bool,
    /// It may be launched.
    pub(crate) may_launch: bool,
    /// It may be stopped now; if not, others must go down before it.
    pub(crate) may_stop: bool,
    /// Nothing is waited for while stopping.
    pub(crate) hurry: bool,
}

/// What to do with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Launch it.
    Launch(RunId),
    /// End its tree.
    Stop(RunId, StopRule),
    /// End what its dead shim left.
    EndOrphans(StopRule),
}

/// What a report meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing new.
    Nothing,
    /// Its process runs.
    Started { pid: u32 },
    /// It could not be launched.
    NotStarted { message: String },
    /// Launching it, or letting it run on, without a person would be dangerous.
    Unsafe { message: String },
    /// Nothing of it is left, so long after it was told to end, with no hurry.
    Stopped { took_ms: u64 },
    /// Its main process ended.
    Exited { status: Option<ExitStatus>, expected: bool },
    /// It became ready.
    BecameReady,
    /// Its health changed.
    Health { healthy: bool, message: String },
}

/// One unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) doing: Doing,
    pub(crate) run: RunId,
    pub(crate) launches: u64,
    pub(crate) last_exit: Option<ExitStatus>,
    /// Why its last launch came to nothing.
    pub(crate) not_started: Option<String>,
    pub(crate) healthy: Option<bool>,
    /// It failed, and was not launched again since.
    pub(crate) has_failed: bool,
    /// Left down because the policy wants no restart.
    pub(crate) rested: bool,
    /// Its rules say that the daemon is to end, and why.
    pub(crate) given_up: Option<ParkReason>,
    /// Its launches are held by a file.
    pub(crate) suspend_file: bool,
    /// When it was found running, which may be long after its launch: its bounds count from then.
    found_ms: u64,
    /// When it was told to end; if by another daemon, when this one found it so.
    told_ms: u64,
    failures: Failures,
    /// A failure whose fate is decided once the tree is empty.
    failed: Option<Failed>,
    /// The launch whose end was judged, which is not written down yet.
    unnoted: Option<RunId>,
    /// Why a launch must not be followed by another one without a person.
    danger: Option<(RunId, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failed {
    status: Option<ExitStatus>,
    ran_ms: u64,
}

impl Unit {
    pub(crate) fn new() -> Self {
        Self {
            doing: Doing::Down,
            run: RunId(0),
            launches: 0,
            last_exit: None,
            not_started: None,
            healthy: None,
            has_failed: false,
            rested: false,
            given_up: None,
            suspend_file: false,
            found_ms: 0,
            told_ms: 0,
            failures: Failures::default(),
            failed: None,
            unnoted: None,
            danger: None,
        }
    }

    /// A unit with what an earlier daemon held against it.
    pub(crate) fn remembering(failing: Option<&Failing>) -> Self {
        let failures = failing.map(|failing| Failures { in_a_row: failing.in_a_row, at_ms: failing.recent_ms.clone() });
        Self { failures: failures.unwrap_or_default(), ..Self::new() }
    }

    /// After a look at what there is: an end that was judged is not judged again, and what was left of the pause after
    /// it is waited for.
    pub(crate) fn go_on_waiting(&mut self, failing: &Failing, rules: &UnitRules, now_ms: u64, seed: u64) {
        if self.doing != Doing::Down || failing.run < self.run {
            return;
        }
        (self.run, self.failed, self.has_failed) = (failing.run, None, true);
        let decided =
            fate(rules, self.last_exit, self.failures.in_a_row, self.failures.counted(rules), seed ^ self.run.0);
        let ended_ms = failing.recent_ms.last().copied().unwrap_or(now_ms);
        match decided {
            Fate::Relaunch { wait_ms } | Fate::RetrySlowly { wait_ms, .. } => {
                let until_ms = ended_ms.saturating_add(wait_ms);
                if until_ms > now_ms {
                    self.doing = Doing::BackOff { until_ms };
                }
            }
            Fate::Rest => self.rested = true,
            Fate::End(reason) => self.give_up(reason),
            // That was written down too, and a person may have released it since.
            Fate::Park(_) => {}
        }
    }

    /// Takes in what a new daemon found.
    pub(crate) fn found(&mut self, found: &Found, rules: &UnitRules, now_ms: u64) {
        match found {
            Found::Nothing => {}
            Found::Running { run, pid, since } => {
                (self.run, self.found_ms) = (*run, now_ms);
                let since_ms = since.monotonic_ms.min(now_ms);
                self.doing = Doing::Up { pid: *pid, since_ms, ready: !rules.has_readiness };
            }
            Found::Stopping { run, pid, since } => {
                (self.run, self.told_ms) = (*run, now_ms);
                let launched_ms = since.monotonic_ms.min(now_ms);
                self.doing = Doing::Stopping { pid: *pid, launched_ms, cause: StopCause::Told, told: Told::Gently };
            }
            Found::Stopped { run, status } => (self.run, self.last_exit) = (*run, *status),
            Found::Ending { run, status } => {
                (self.run, self.last_exit) = (*run, *status);
                self.doing = Doing::Ending { ran_ms: 0 };
                self.failed = Some(Failed { status: *status, ran_ms: 0 });
            }
            Found::Ended { run, status, ran_ms } => {
                (self.run, self.last_exit) = (*run, *status);
                self.failed = Some(Failed { status: *status, ran_ms: ran_ms.unwrap_or(0) });
            }
            Found::Orphaned { run } => {
                self.run = *run;
                self.doing = Doing::Lost { ran_ms: 0, failed: true, told: Told::NotYet };
            }
        }
    }

    /// Takes in what happened. Reports about another launch than the present one mean nothing.
    pub(crate) fn note(&mut self, report: UnitReport, rules: &UnitRules, now_ms: u64) -> Meaning {
        match report {
            UnitReport::Launched { run, pid } if run == self.run => self.launched(pid, rules, now_ms),
            UnitReport::LaunchFailed { run, message, is_unsafe } if run == self.run => {
                self.launch_failed(message, is_unsafe)
            }
            UnitReport::Exited { run, status } if run == self.run => self.exited(status, now_ms),
            UnitReport::Empty { run } if run == self.run => self.emptied(now_ms),
            UnitReport::Lost => self.lost(now_ms),
            UnitReport::OrphansGone => self.orphans_gone(),
            UnitReport::Ready { run, ready: now_ready } if run == self.run => match &mut self.doing {
                Doing::Up { ready, .. } if *ready != now_ready => {
                    *ready = now_ready;
                    if now_ready { Meaning::BecameReady } else { Meaning::Nothing }
                }
                _ => Meaning::Nothing,
            },
            UnitReport::Health { run, healthy, answers, message } if run == self.run => {
                self.health(healthy, answers, message, rules)
            }
            UnitReport::Danger { run, message } => {
                self.danger = Some((run, message));
                Meaning::Nothing
            }
            UnitReport::Unsafe { message } => Meaning::Unsafe { message },
            UnitReport::SuspendFile { present } => {
                self.suspend_file = present;
                Meaning::Nothing
            }
            UnitReport::Launched { .. }
            | UnitReport::LaunchFailed { .. }
            | UnitReport::Exited { .. }
            | UnitReport::Empty { .. }
            | UnitReport::Ready { .. }
            | UnitReport::Health { .. } => Meaning::Nothing,
        }
    }

    fn launched(&mut self, pid: u32, rules: &UnitRules, now_ms: u64) -> Meaning {
        match &mut self.doing {
            Doing::Launching { .. } => {
                self.doing = Doing::Up { pid, since_ms: now_ms, ready: !rules.has_readiness };
            }
            Doing::Stopping { pid: known, launched_ms, .. } => (*known, *launched_ms) = (Some(pid), now_ms),
            _ => return Meaning::Nothing,
        }
        self.launches += 1;
        (self.healthy, self.not_started) = (None, None);
        (self.has_failed, self.given_up) = (false, None);
        Meaning::Started { pid }
    }

    fn launch_failed(&mut self, message: String, is_unsafe: bool) -> Meaning {
        match self.doing {
            Doing::Launching { .. } => {}
            Doing::Stopping { .. } => {
                self.doing = Doing::Down;
                return Meaning::NotStarted { message };
            }
            _ => return Meaning::Nothing,
        }
        self.doing = Doing::Down;
        self.not_started = Some(message.clone());
        if is_unsafe {
            return Meaning::Unsafe { message };
        }
        self.failed = Some(Failed { status: None, ran_ms: 0 });
        Meaning::NotStarted { message }
    }

    fn exited(&mut self, status: Option<ExitStatus>, now_ms: u64) -> Meaning {
        let (ran_ms, expected) = match self.doing {
            Doing::Up { since_ms, .. } => (now_ms.saturating_sub(since_ms), false),
            Doing::Launching { .. } => (0, false),
            Doing::Stopping { cause, .. } => (0, cause == StopCause::Told),
            _ => return Meaning::Nothing,
        };
        self.last_exit = status;
        match &mut self.doing {
            Doing::Stopping { pid, .. } => *pid = None,
            doing => {
                *doing = Doing::Ending { ran_ms };
                self.failed = Some(Failed { status, ran_ms });
            }
        }
        Meaning::Exited { status, expected }
    }

    fn emptied(&mut self, now_ms: u64) -> Meaning {
        let in_order = matches!(self.doing, Doing::Stopping { told: Told::Gently, .. });
        if let Doing::Stopping { cause: StopCause::Failing, launched_ms, .. } = self.doing {
            self.failed = Some(Failed { status: self.last_exit, ran_ms: now_ms.saturating_sub(launched_ms) });
        }
        if matches!(self.doing, Doing::Ending { .. } | Doing::Stopping { .. }) {
            self.doing = Doing::Down;
        }
        if in_order { Meaning::Stopped { took_ms: now_ms.saturating_sub(self.told_ms) } } else { Meaning::Nothing }
    }

    fn lost(&mut self, now_ms: u64) -> Meaning {
        let (ran_ms, failed) = match self.doing {
            Doing::Down | Doing::BackOff { .. } | Doing::Lost { .. } => return Meaning::Nothing,
            Doing::Launching { .. } => (0, true),
            Doing::Up { since_ms, .. } => (now_ms.saturating_sub(since_ms), true),
            Doing::Ending { ran_ms } => (ran_ms, true),
            Doing::Stopping { cause, launched_ms, .. } => {
                (now_ms.saturating_sub(launched_ms), cause == StopCause::Failing)
            }
        };
        self.doing = Doing::Lost { ran_ms, failed, told: Told::NotYet };
        Meaning::Nothing
    }

    fn orphans_gone(&mut self) -> Meaning {
        let Doing::Lost { ran_ms, failed, .. } = self.doing else { return Meaning::Nothing };
        self.doing = Doing::Down;
        if failed {
            self.failed = Some(Failed { status: None, ran_ms });
        }
        self.last_exit = None;
        Meaning::Exited { status: None, expected: !failed }
    }

    fn health(&mut self, healthy: bool, answers: u32, message: String, rules: &UnitRules) -> Meaning {
        let before = self.healthy.replace(healthy);
        match rules.when_unhealthy {
            _ if healthy => self.given_up = None,
            WhenUnhealthy::Restart => self.stop_failing(),
            WhenUnhealthy::End if self.is_running() => {
                self.given_up = Some(ParkReason::Unhealthy { answers, message: message.clone() });
            }
            WhenUnhealthy::Tell | WhenUnhealthy::End => {}
        }
        if before == Some(healthy) || (before.is_none() && healthy) {
            return Meaning::Nothing;
        }
        Meaning::Health { healthy, message }
    }

    /// Has a running process stopped as a failure. [`Unit::reconcile`] sends the command.
    pub(crate) fn stop_failing(&mut self) {
        self.begin_stop(StopCause::Failing);
    }

    /// Has a running process stopped although it may run; it is launched again at once.
    pub(crate) fn stop_for_restart(&mut self) {
        self.begin_stop(StopCause::Told);
    }

    fn begin_stop(&mut self, cause: StopCause) {
        let (pid, launched_ms) = match self.doing {
            Doing::Up { pid, since_ms, .. } => (Some(pid), since_ms),
            Doing::Launching { since_ms } => (None, since_ms),
            _ => return,
        };
        self.doing = Doing::Stopping { pid, launched_ms, cause, told: Told::NotYet };
    }

    /// Decides the fate of a failure, once nothing of the unit is left.
    pub(crate) fn settle(&mut self, rules: &UnitRules, now_ms: u64, seed: u64) -> Option<Fate> {
        if self.doing != Doing::Down {
            return None;
        }
        let Failed { status, ran_ms } = self.failed.take()?;
        self.has_failed = true;
        self.failures.note(rules, now_ms, ran_ms);
        let decided = self.danger_of_this_run().unwrap_or_else(|| {
            fate(rules, status, self.failures.in_a_row, self.failures.counted(rules), seed ^ self.run.0)
        });
        self.unnoted = Some(self.run);
        match &decided {
            Fate::Relaunch { wait_ms: 0 } | Fate::Park(_) => {}
            Fate::Relaunch { wait_ms } | Fate::RetrySlowly { wait_ms, .. } => {
                self.doing = Doing::BackOff { until_ms: now_ms.saturating_add(*wait_ms) };
            }
            Fate::Rest => self.rested = true,
            Fate::End(reason) => self.give_up(reason.clone()),
        }
        Some(decided)
    }

    /// Its end, which was not judged yet, is none to be held against it; unless it must not be launched again without a
    /// person.
    pub(crate) fn excuse(&mut self, rules: &UnitRules) {
        let dangerous = self.danger.as_ref().is_some_and(|(run, _)| *run == self.run);
        let forbidden =
            |status| matches!(status, Some(ExitStatus::Code(code)) if rules.forbidden_exits.contains(&code));
        self.failed = self.failed.take().filter(|failed| dangerous || forbidden(failed.status));
    }

    fn danger_of_this_run(&mut self) -> Option<Fate> {
        let (_, message) = self.danger.take().filter(|(run, _)| *run == self.run)?;
        Some(Fate::Park(ParkReason::Unsafe { message }))
    }

    fn give_up(&mut self, reason: ParkReason) {
        (self.rested, self.given_up) = (true, Some(reason));
    }

    /// What it did in a failure of several that was judged already: no other failure. The answer is the reason why it
    /// must not be launched again, if there is one.
    pub(crate) fn join_failure(&mut self, rules: &UnitRules, of_all: &Failures) -> Option<ParkReason> {
        let Failed { status, .. } = self.failed.take()?;
        (self.failures, self.unnoted, self.has_failed) = (of_all.clone(), Some(self.run), true);
        match self.danger_of_this_run().or_else(|| final_fate(rules, status)) {
            Some(Fate::Park(reason)) => Some(reason),
            _ => None,
        }
    }

    /// What is held against it.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Goes on counting from what is held against all that it lives and dies with.
    pub(crate) fn count_from(&mut self, of_all: Failures) {
        self.failures = of_all;
    }

    /// Whether it ended in a way that is not judged yet.
    pub(crate) fn awaits_judgement(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether that was the end of its work, and no failure.
    pub(crate) fn has_finished(&self, rules: &UnitRules) -> bool {
        let succeeded = self.failed.is_some_and(|failed| failed.status.is_some_and(ExitStatus::is_success));
        succeeded && rules.restart != RestartPolicy::Always
    }

    /// Whether it is left down with its work done, and others need not mind.
    pub(crate) fn rests_well(&self) -> bool {
        self.rested && self.given_up.is_none() && self.last_exit.is_some_and(ExitStatus::is_success)
    }

    /// Whether those that live and die with it have to go down too.
    pub(crate) fn takes_others_down(&self, rules: &UnitRules) -> bool {
        match self.doing {
            Doing::Stopping { .. } | Doing::Lost { .. } => true,
            Doing::Ending { .. } => !self.has_finished(rules),
            Doing::Down => self.awaits_judgement() && !self.has_finished(rules),
            Doing::BackOff { .. } | Doing::Launching { .. } | Doing::Up { .. } => false,
        }
    }

    /// What is held against it, if that is not written down yet.
    pub(crate) fn take_unnoted(&mut self) -> Option<Failing> {
        let run = self.unnoted.take()?;
        Some(Failing { run, in_a_row: self.failures.in_a_row, recent_ms: self.failures.at_ms.clone() })
    }

    /// Forgets failures: a person, or a new release, gives it a fresh chance.
    pub(crate) fn give_fresh_chance(&mut self, rules: &UnitRules) {
        self.excuse(rules);
        (self.failures, self.unnoted) = (Failures::default(), None);
        (self.has_failed, self.rested, self.given_up) = (false, false, None);
        match &mut self.doing {
            Doing::BackOff { .. } => self.doing = Doing::Down,
            // Whatever it was lost by, it is only ended now.
            Doing::Lost { failed, .. } => *failed = false,
            _ => {}
        }
    }

    /// Compares what is with what should be.
    pub(crate) fn reconcile(&mut self, rules: &UnitRules, gate: Gate, now_ms: u64) -> Option<Command> {
        if let Doing::BackOff { until_ms } = self.doing
            && now_ms >= until_ms
        {
            self.doing = Doing::Down;
        }
        match self.doing {
            Doing::Down if gate.may_run && gate.may_launch && !self.rested => {
                self.run = RunId(self.run.0 + 1);
                self.doing = Doing::Launching { since_ms: now_ms };
                Some(Command::Launch(self.run))
            }
            _ if self.is_running() && !gate.may_run && gate.may_stop => {
                self.begin_stop(StopCause::Told);
                self.send_stop(rules, gate, now_ms)
            }
            Doing::Stopping { told, .. } | Doing::Lost { told, .. }
                if told == Told::NotYet || (gate.hurry && told < Told::Hurriedly) =>
            {
                self.send_stop(rules, gate, now_ms)
            }
            _ => None,
        }
    }

    fn send_stop(&mut self, rules: &UnitRules, gate: Gate, now_ms: u64) -> Option<Command> {
        let (run, grace_ms) = (self.run, if gate.hurry { 0 } else { rules.stop.grace_ms });
        let rule = StopRule { grace_ms, ..rules.stop };
        let (told, command) = match &mut self.doing {
            Doing::Stopping { told, .. } => (told, Command::Stop(run, rule)),
            Doing::Lost { told, .. } => (told, Command::EndOrphans(rule)),
            _ => return None,
        };
        *told = if gate.hurry { Told::Hurriedly } else { Told::Gently };
        self.told_ms = now_ms;
        Some(command)
    }

    /// Whether no process of it is left.
    pub(crate) fn is_down(&self) -> bool {
        matches!(self.doing, Doing::Down | Doing::BackOff { .. })
    }

    /// Whether it was launched, and nobody told it to end.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self.doing, Doing::Launching { .. } | Doing::Up { .. })
    }

    /// Whether its process runs, and is ready if asked.
    pub(crate) fn is_up(&self, ready_too: bool) -> bool {
        matches!(self.doing, Doing::Up { ready, .. } if ready || !ready_too)
    }

    /// The next time at which something is due.
    pub(crate) fn next_wake_ms(&self, rules: &UnitRules) -> Option<u64> {
        match self.doing {
            Doing::BackOff { until_ms } => Some(until_ms),
            Doing::Up { since_ms, ready: false, .. } => {
                rules.ready_within_ms.map(|within| since_ms.max(self.found_ms).saturating_add(within))
            }
            _ => None,
        }
    }

    /// Whether it should have been ready by now.
    pub(crate) fn is_late(&self, rules: &UnitRules, now_ms: u64) -> bool {
        matches!(self.doing, Doing::Up { ready: false, .. }) && self.next_wake_ms(rules).is_some_and(|at| now_ms >= at)
    }

    /// What it is doing, in the words of the API.
    pub(crate) fn state(&self, rules: &UnitRules) -> UnitState {
        match self.doing {
            Doing::Down => UnitState::Down,
            Doing::BackOff { .. } => UnitState::BackingOff,
            Doing::Launching { .. } => UnitState::Starting,
            Doing::Up { ready, .. } if ready && rules.has_readiness => UnitState::Ready,
            Doing::Up { .. } => UnitState::Up,
            Doing::Ending { .. } | Doing::Stopping { .. } | Doing::Lost { .. } => UnitState::Stopping,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self.doing {
            Doing::Up { pid, .. } => Some(pid),
            Doing::Stopping { pid, .. } => pid,
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
