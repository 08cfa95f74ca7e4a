//! Upgrades: which step is next, when it is due, what follows its end or its failure.

use ov_types::record::{Outcome, StepFacts};
use ov_types::{AfterUpgrade, Direction, EventKind, PlanId, Problem, Record, Step, Trigger, UnitName};

use super::{Active, Node};
use crate::ledger::{Entry, Phase, gives_fresh_chance};
use crate::unit::Unit;
use crate::upgrade::{Verdict, verdict};
use crate::{Effect, StepCall, StepReport};

/// How many releases are brought at the same time.
const STAGED_AT_ONCE_MAX: usize = 4;

/// What is said to last longer is tried again after this time all the same.
const LASTS_MS_MAX: u64 = 2 * 3_600_000;

/// How a person leaves an upgrade that can neither go on nor back.
pub(crate) const WAY_OUT: &str =
    "to leave it with another release: `omnivisor plan add --now --release <name> --from <file>` takes its place";

impl Node {
    pub(super) fn advance_upgrades(&mut self) {
        if self.found_ms.is_none() {
            return;
        }
        let ids: Vec<PlanId> =
            self.ledger.entries().filter(|entry| !entry.is_over()).map(|entry| entry.plan.id).collect();
        for id in ids {
            if let Some(entry) = self.ledger.entry(id).cloned() {
                self.advance(&entry);
            }
        }
    }

    pub(super) fn advance(&mut self, entry: &Entry) {
        let (at, plan) = (self.now, entry.plan.id);
        match entry.phase {
            Phase::Forward { step, .. } => self.advance_step(entry, step, Direction::Forward),
            Phase::Backward { step, .. } => self.advance_step(entry, step, Direction::Backward),
            Phase::Prepared => {
                self.record(Record::Armed { at, plan });
                self.tell(EventKind::UpgradeArmed { plan: entry.plan.clone(), eta_ms: self.eta_ms(entry) });
            }
            Phase::Armed if self.is_due(entry) => {
                let stuck = self.in_window_before(entry).cloned();
                if let Some(stuck) = &stuck {
                    self.abandon_step(stuck.plan.id);
                    self.end(stuck, Outcome::Superseded, Some(plan));
                }
                let height = self.height.map(|(height, _)| height);
                let superseded = stuck.map(|stuck| stuck.plan.id).or(entry.facts.superseded);
                self.record(Record::Triggered { at, plan, height });
                self.tell(EventKind::UpgradeStarted { plan, release: entry.plan.release.clone(), height, superseded });
            }
            Phase::Finished => self.end(entry, Outcome::Committed, None),
            Phase::Undone { toward } => self.end(entry, toward, None),
            Phase::Armed | Phase::NeedsOperator { .. } | Phase::Ended { .. } => {}
        }
    }

    pub(super) fn end(&mut self, entry: &Entry, outcome: Outcome, by: Option<PlanId>) {
        let plan = entry.plan.id;
        self.record(Record::Ended { at: self.now, plan, outcome, by });
        self.active.remove(&plan);
        let (release, gap_ms) = (entry.plan.release.clone(), entry.facts.gap_ms);
        self.tell(EventKind::UpgradeEnded { plan, release, outcome, gap_ms });
    }

    /// Estimated milliseconds until an upgrade's trigger.
    pub fn eta_ms(&self, entry: &Entry) -> Option<u64> {
        match entry.plan.trigger {
            Trigger::Now | Trigger::Halt { .. } => Some(0),
            Trigger::Time { wall_ms } => u64::try_from(wall_ms.saturating_sub(self.now.wall_ms)).ok().or(Some(0)),
            Trigger::Height { height } | Trigger::AwaitHalt { height } => {
                self.pace.eta_ms(self.now.monotonic_ms, height)
            }
        }
    }

    pub(super) fn is_due(&self, entry: &Entry) -> bool {
        let reached = match entry.plan.trigger {
            Trigger::Now | Trigger::Halt { .. } => true,
            Trigger::Time { wall_ms } => self.now.wall_ms >= wall_ms,
            Trigger::Height { height } => {
                self.height.is_some_and(|(seen, _)| seen >= height) || self.has_come_to(entry)
            }
            Trigger::AwaitHalt { .. } => false,
        };
        let told = self.active.get(&entry.plan.id).is_some_and(|active| active.is_applied);
        // One that has taken another's place has begun, as far as a daemon could tell that died in between.
        let begun = entry.facts.superseded.is_some();
        let free = self.in_window_before(entry).is_none_or(|other| self.may_supersede(entry, other));
        (reached || told || begun) && free && self.main_is_free() && !self.shutting_down && self.pause.is_none()
    }

    /// The upgrade that is in the part that belongs to one at a time, unless that is this one.
    fn in_window_before(&self, entry: &Entry) -> Option<&Entry> {
        self.ledger.entries().find(|other| other.is_in_window() && other.plan.id != entry.plan.id)
    }

    /// The upgrade that has to end before this one can begin.
    pub fn waits_behind(&self, entry: &Entry) -> Option<PlanId> {
        let waits = !entry.is_over() && !entry.is_in_window() && !entry.is_going_back();
        let other = self.in_window_before(entry).filter(|other| waits && !self.has_say_over(entry, other))?;
        Some(other.plan.id)
    }

    /// Whether a plan may take the place of an upgrade that can neither go on nor back: a person has to have said so,
    /// and nothing that touches files may be left of it.
    fn may_supersede(&self, entry: &Entry, other: &Entry) -> bool {
        other.is_stuck() && !self.touches_files(other) && self.has_say_over(entry, other)
    }

    /// Whether a step of an upgrade is under way that is carried out on files, and not by the units alone.
    pub(crate) fn touches_files(&self, entry: &Entry) -> bool {
        let in_flight = self.active.get(&entry.plan.id).is_some_and(|active| active.in_flight);
        in_flight && !matches!(entry.phase, Phase::Forward { step: Step::Start | Step::Prove, .. })
    }

    /// Whether a person wants this plan in the place of that upgrade, should it stand still.
    fn has_say_over(&self, entry: &Entry, other: &Entry) -> bool {
        let applied = self.active.get(&entry.plan.id).is_some_and(|active| active.is_applied);
        applied || entry.plan.supersedes == Some(other.plan.id)
    }

    pub(super) fn advance_step(&mut self, entry: &Entry, step: Step, direction: Direction) {
        let id = entry.plan.id;
        let active = self.active.get(&id).cloned().unwrap_or_default();
        if active.in_flight {
            self.watch_step(entry, step, direction, &active);
            return;
        }
        let waits = active.retry_at_ms.is_some_and(|at| self.now.monotonic_ms < at);
        let preparing = step.is_preparation() && direction == Direction::Forward;
        let other_prepares = preparing && self.prepares_other_than(id);
        let data_is_worked_on = self.pause.is_some() && entry.is_in_window();
        let delayed = self.stops_at_ms(entry).is_some_and(|at_ms| self.now.monotonic_ms < at_ms);
        if !waits && !other_prepares && !data_is_worked_on && !delayed && !self.shutting_down {
            self.begin_step(entry, step, direction);
        }
    }

    /// When units that still run at the trigger are told to stop. Where main does not run, nobody needs it any more.
    pub(super) fn stops_at_ms(&self, entry: &Entry) -> Option<u64> {
        let is_next = matches!(entry.phase, Phase::Forward { step: Step::Stop, attempt: 0, .. });
        let runs = self.units.get(&UnitName::main()).is_some_and(Unit::is_running);
        // What a clock says that begins anew with each boot is not in the future, but of another boot.
        let triggered = entry.triggered.filter(|at| is_next && runs && at.monotonic_ms <= self.now.monotonic_ms)?;
        Some(triggered.monotonic_ms.saturating_add(self.settings.upgrade.stop_delay_ms))
    }

    /// Whether others are being prepared that this one has to wait for. Bringing a release may take hours, so that several
    /// do it at once; everything else is short, and done one after the other. One in its window, or held there, is no
    /// reason to have the next one wait.
    fn prepares_other_than(&self, id: PlanId) -> bool {
        let others = self.active.iter().filter(|(other, active)| **other != id && active.in_flight);
        let preparing = others.filter_map(|(other, _)| self.ledger.entry(*other)).filter(|entry| !entry.is_in_window());
        let stages = |entry: &Entry| matches!(entry.phase, Phase::Forward { step: Step::Stage, .. });
        let (staging, examining): (Vec<&Entry>, Vec<&Entry>) = preparing.partition(|entry| stages(entry));
        !examining.is_empty() || staging.len() >= STAGED_AT_ONCE_MAX
    }

    pub(super) fn begin_step(&mut self, entry: &Entry, step: Step, direction: Direction) {
        let (Phase::Forward { attempt, .. } | Phase::Backward { attempt, .. }) = entry.phase else { return };
        let (plan, attempt) = (entry.plan.id, attempt.saturating_add(1));
        self.record(Record::StepStarted { at: self.now, plan, step, direction, attempt });
        self.tell(EventKind::StepStarted { plan, step, direction, attempt });
        let active = self.active.entry(plan).or_default();
        (active.in_flight, active.began_ms, active.retry_at_ms) = (true, self.now.monotonic_ms, None);
        if !matches!((step, direction), (Step::Prove, Direction::Forward)) {
            active.exits = 0;
        }
        match (step, direction) {
            _ if gives_fresh_chance(step, direction) => self.give_units_fresh_chance(),
            (Step::Stop, Direction::Forward) | (Step::Start, Direction::Backward) => {}
            _ => {
                let toward = match entry.phase {
                    Phase::Backward { toward, .. } => Some(toward),
                    _ => None,
                };
                let call =
                    StepCall { plan: entry.plan.clone(), step, direction, attempt, facts: entry.facts.clone(), toward };
                self.effect(Effect::RunStep(call));
            }
        }
    }

    /// Another release gets another chance: what the one before it did wrong is not held against it. What a person
    /// must look at first stays parked.
    pub(super) fn give_units_fresh_chance(&mut self) {
        let names: Vec<UnitName> = self.units.keys().cloned().collect();
        for unit in names {
            self.give_fresh_chance(&unit);
            if self.ledger.unit(&unit).parked.is_some_and(|reason| !reason.waits_for_person()) {
                self.record(Record::UnitReleased { at: self.now, unit });
            }
        }
    }

    /// Looks after the two steps that the units themselves carry out; the others answer by [`Input::Step`].
    pub(super) fn watch_step(&mut self, entry: &Entry, step: Step, direction: Direction, active: &Active) {
        let id = entry.plan.id;
        let passed = self.now.monotonic_ms.saturating_sub(active.began_ms);
        let goes_down =
            matches!((step, direction), (Step::Stop, Direction::Forward) | (Step::Start, Direction::Backward));
        let comes_up =
            matches!((step, direction), (Step::Start, Direction::Forward) | (Step::Stop, Direction::Backward));
        if goes_down {
            if self.units.values().all(Unit::is_down) {
                if self.now.monotonic_ms < self.rested_at_ms(active) {
                    return;
                }
                // Blocks may have come since the recheck; what comes from here on is not of the old release.
                let height = self.height.map(|(height, _)| height).filter(|_| direction == Direction::Forward);
                self.finish_step(id, step, direction, StepFacts { height, ..StepFacts::default() });
            } else if passed >= self.stop_within_ms() {
                let left: Vec<&str> =
                    self.units.iter().filter(|(_, unit)| !unit.is_down()).map(|(name, _)| name.as_str()).collect();
                let problem = Problem::transient("OV-UPG-020", "stop the units in time")
                    .cause(format!("processes are left of: {}", left.join(", ")));
                self.fail_step(id, problem);
            }
        } else if comes_up {
            if self.main_is_up() {
                self.finish_step(id, step, direction, self.gap_facts(direction));
            } else if direction == Direction::Backward && entry.facts.previous.is_none() {
                let facts = StepFacts::noted("no release ran before, so there is none to go back to");
                self.finish_step(id, step, direction, facts);
            } else if direction == Direction::Backward && !self.main_is_free() {
                let facts = StepFacts::noted("main is kept down by a person, so it was not started");
                self.finish_step(id, step, direction, facts);
            } else if !self.main_is_free() {
                // Its bound begins when a person lets it go.
                self.active.entry(id).or_default().began_ms = self.now.monotonic_ms;
            } else if passed >= self.settings.upgrade.start_within_ms {
                let parked = self.those_of_main().find_map(|(name, _)| Some((name, self.ledger.unit(name).parked?)));
                let parked = parked.map(|(name, reason)| format!("{name} is parked: it {reason}"));
                let cause = parked.unwrap_or_else(|| "main was not up within its bound".to_owned());
                self.fail_step(id, Problem::transient("OV-UPG-030", "start the units in time").cause(cause));
            }
        }
    }

    /// When main, which is down, has been so for long enough.
    pub(super) fn rested_at_ms(&self, stopping: &Active) -> u64 {
        let down_ms = self.main_ended.map_or(stopping.began_ms, |ended| ended.monotonic_ms);
        down_ms.saturating_add(self.settings.upgrade.rest_ms)
    }

    pub(super) fn gap_facts(&self, direction: Direction) -> StepFacts {
        let remembered = self.ledger.last_end().filter(|end| end.boot == self.ledger.boot).map(|end| end.at);
        let gap_ms = self.main_ended.or(remembered).map(|ended| self.now.since_ms(ended));
        match direction {
            Direction::Forward => StepFacts { gap_ms, ..StepFacts::default() },
            Direction::Backward => StepFacts::default(),
        }
    }

    pub(super) fn take_step(&mut self, report: StepReport) {
        let StepReport { plan, step, direction, attempt, result } = report;
        let current = match self.ledger.entry(plan).map(|entry| &entry.phase) {
            Some(Phase::Forward { step, attempt, .. }) => (*step, Direction::Forward, *attempt),
            Some(Phase::Backward { step, attempt, .. }) => (*step, Direction::Backward, *attempt),
            _ => return,
        };
        let in_flight = self.active.get(&plan).is_some_and(|active| active.in_flight);
        if current != (step, direction, attempt) || !in_flight {
            return;
        }
        match result {
            Ok(facts) => self.finish_step(plan, step, direction, facts),
            Err(problem) => self.fail_step(plan, problem),
        }
    }

    pub(super) fn finish_step(&mut self, plan: PlanId, step: Step, direction: Direction, facts: StepFacts) {
        self.tell(EventKind::StepDone { plan, step, direction, facts: facts.clone() });
        self.record(Record::StepDone { at: self.now, plan, step, direction, facts });
        if step == Step::Switch {
            let height = self.ledger.entry(plan).and_then(|entry| entry.plan.trigger.height());
            let forward = direction == Direction::Forward;
            self.note_launches(forward.then_some(AfterUpgrade { height }), self.ledger.halt_at);
        }
        let active = self.active.entry(plan).or_default();
        *active = Active { is_applied: active.is_applied, ..Active::default() };
    }

    pub(crate) fn fail_step(&mut self, plan: PlanId, problem: Problem) {
        let Some(entry) = self.ledger.entry(plan).cloned() else { return };
        let (step, direction, attempt, earlier) = match entry.phase.clone() {
            Phase::Forward { step, attempt, problem } => (step, Direction::Forward, attempt, problem),
            Phase::Backward { step, attempt, .. } => (step, Direction::Backward, attempt, None),
            _ => return,
        };
        let rules = self.settings.upgrade;
        let decided = verdict(entry.policy(), step, direction, attempt, problem.lasting, &rules);
        let problem = with_way_out(problem, &entry, step, decided);
        let retry_in_ms = match decided {
            Verdict::Retry { wait_ms } | Verdict::Hold { wait_ms } => {
                Some(wait_ms.max(problem.lasts_ms.unwrap_or(0).min(LASTS_MS_MAX)))
            }
            Verdict::TurnBack | Verdict::NeedsOperator => None,
        };
        let active = self.active.entry(plan).or_default();
        active.in_flight = false;
        active.exits = 0;
        active.retry_at_ms = retry_in_ms.map(|wait| self.now.monotonic_ms.saturating_add(wait));
        self.tell(EventKind::StepFailed { plan, step, direction, problem: problem.clone(), retry_in_ms });
        self.record(Record::StepFailed { at: self.now, plan, step, direction, problem: problem.clone() });
        match decided {
            Verdict::Retry { .. } => {}
            // The alarm is raised once for each kind of trouble, not at each try.
            Verdict::Hold { .. } if earlier.is_some_and(|earlier| earlier.code == problem.code) => {}
            Verdict::Hold { .. } if step.is_preparation() => self.tell(EventKind::PlanBlocked { plan, problem }),
            Verdict::Hold { .. } => self.tell(EventKind::UpgradeHeld { plan, step, problem }),
            Verdict::TurnBack => self.turn_back(plan, Outcome::RolledBack, problem),
            Verdict::NeedsOperator => {
                self.record(Record::NeedsOperator { at: self.now, plan, because: problem.clone() });
                self.tell(EventKind::UpgradeNeedsOperator { plan, problem });
            }
        }
    }
}

/// Where an upgrade can only be left by another plan, its problems say so.
fn with_way_out(mut problem: Problem, entry: &Entry, step: Step, decided: Verdict) -> Problem {
    let is_held = matches!(decided, Verdict::Hold { .. }) && step >= entry.point_of_no_return() && step < Step::Commit;
    let is_stuck = decided == Verdict::NeedsOperator && entry.is_in_window();
    if is_held || is_stuck {
        let separator = if problem.hint.is_empty() { "" } else { "; " };
        problem.hint.push_str(separator);
        problem.hint.push_str(WAY_OUT);
    }
    problem
}
