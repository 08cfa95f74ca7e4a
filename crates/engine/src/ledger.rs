//! The ledger: what the journal says, and nothing else. It changes only by [`Ledger::apply`], one record at a time,
//! the same way while the daemon runs and after a crash.

use std::collections::BTreeMap;
use std::fmt;

use ov_types::record::{Outcome, StepFacts};
use ov_types::{
    AfterUpgrade, Direction, ExitStatus, FailurePolicy, Height, Moment, Origin, ParkReason, Plan, PlanId, Problem,
    Record, RunId, Step, StopRule, Trigger, UnitName,
};

/// Upgrades that are over and still remembered. Older ones are in the journal's older segments.
const ENDED_MAX: usize = 200;

/// How far an upgrade is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Towards the new release, at this step. Attempt 0: the step has not begun.
    Forward {
        /// The step.
        step: Step,
        /// How often it was begun.
        attempt: u32,
        /// Why the last attempt failed.
        problem: Option<Problem>,
    },
    /// All preparation is done, and not yet declared armed.
    Prepared,
    /// Waiting for its trigger.
    Armed,
    /// All steps are done, and the end is not yet declared.
    Finished,
    /// Back to the old release, undoing this step. Attempt 0: the undoing has not begun.
    Backward {
        /// The step.
        step: Step,
        /// How often its undoing was begun.
        attempt: u32,
        /// Where this leads.
        toward: Outcome,
    },
    /// Every step is undone, and the end is not yet declared.
    Undone {
        /// What the end will be.
        toward: Outcome,
    },
    /// Only a person may decide.
    NeedsOperator {
        /// What goes on when they let it.
        then: Box<Phase>,
    },
    /// Over.
    Ended {
        /// How.
        outcome: Outcome,
    },
}

/// A plan and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The plan. Its trigger is the one that counts of all that are named.
    pub plan: Plan,
    /// Where it is named, and when it is due by what is said there.
    pub named: BTreeMap<Origin, Trigger>,
    /// It was told that its trigger is nearer than this.
    pub near_ms: Option<u64>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// How far it is.
    pub phase: Phase,
    /// What its steps found out.
    pub facts: StepFacts,
    /// Why it turned round or needs an operator.
    pub because: Option<Problem>,
    /// When it was learned.
    pub added: Moment,
    /// When its trigger was reached, until its units are told to stop.
    pub triggered: Option<Moment>,
    /// When it was over.
    pub ended: Option<Moment>,
}

impl Entry {
    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// The trigger that counts; of equals that of the place where it was learned.
    fn governing(&self) -> Trigger {
        let own = self.named.get(&self.plan.origin);
        let all = self.named.values().chain(own);
        all.max_by_key(|trigger| trigger.rank()).copied().unwrap_or(self.plan.trigger)
    }

    /// Whether its trigger was reached and it is not over: no other upgrade may be in this part.
    pub fn is_in_window(&self) -> bool {
        fn within(phase: &Phase, has_taken_over: bool) -> bool {
            match phase {
                Phase::Forward { step, .. } | Phase::Backward { step, .. } => !step.is_preparation(),
                Phase::Finished => true,
                Phase::NeedsOperator { then } => within(then, has_taken_over),
                Phase::Armed => has_taken_over,
                Phase::Prepared | Phase::Undone { .. } | Phase::Ended { .. } => false,
            }
        }
        within(&self.phase, self.facts.superseded.is_some())
    }

    /// What follows when it cannot be proven. One that took the place of another came from a release that was never
    /// proven: there is nothing to go back to, whatever the plan says.
    pub fn policy(&self) -> FailurePolicy {
        if self.facts.superseded.is_some() { FailurePolicy::Hold } else { self.plan.on_failure }
    }

    /// The first step from which there is no way back.
    pub fn point_of_no_return(&self) -> Step {
        if self.facts.superseded.is_some() { Step::Recheck } else { Step::point_of_no_return(self.plan.on_failure) }
    }

    /// Whether it can neither go on nor back by itself: the plan of a person may take its place.
    pub fn is_stuck(&self) -> bool {
        match &self.phase {
            Phase::Forward { step, problem: Some(_), .. } => *step >= self.point_of_no_return(),
            Phase::NeedsOperator { .. } => self.is_in_window(),
            _ => false,
        }
    }

    /// Where it leads that its steps are being undone, or were.
    pub fn toward(&self) -> Option<Outcome> {
        fn leads(phase: &Phase) -> Option<Outcome> {
            match phase {
                Phase::Backward { toward, .. } | Phase::Undone { toward } => Some(*toward),
                Phase::NeedsOperator { then } => leads(then),
                _ => None,
            }
        }
        leads(&self.phase)
    }

    /// Whether its steps are being undone, or were.
    pub fn is_going_back(&self) -> bool {
        self.toward().is_some()
    }

    /// Whether the units must be down now: from the beginning of `stop` to the beginning of `start`, and back. An upgrade
    /// that turns round holds them at once: a release that could not be proven is not launched once more on the way.
    /// One that took the place of another that held them goes on with that.
    pub fn holds_units(&self) -> bool {
        fn holds(phase: &Phase, from_the_beginning: bool) -> bool {
            match phase {
                Phase::Armed => from_the_beginning,
                Phase::Forward { step, attempt, .. } => match step {
                    Step::Recheck => from_the_beginning,
                    Step::Stop => from_the_beginning || *attempt > 0,
                    Step::Keep | Step::Switch | Step::Migrate => true,
                    Step::Start => *attempt == 0,
                    _ => false,
                },
                Phase::Backward { step, attempt, .. } => *step > Step::Stop || (*step == Step::Stop && *attempt == 0),
                Phase::NeedsOperator { then } => holds(then, from_the_beginning),
                _ => false,
            }
        }
        holds(&self.phase, self.facts.holds_units == Some(true))
    }

    /// The step after this one.
    fn after(&self, step: Step) -> Option<Step> {
        self.steps.iter().copied().find(|next| *next > step)
    }

    /// The step before this one.
    fn before(&self, step: Step) -> Option<Step> {
        self.steps.iter().rev().copied().find(|previous| *previous < step)
    }
}

/// What the journal says about one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitLedger {
    /// A person wants it up.
    pub wanted: bool,
    /// A person holds its launches.
    pub suspended: bool,
    /// Why it is parked.
    pub parked: Option<ParkReason>,
    /// The failures that are held against it, in this boot of the machine.
    pub failing: Option<Failing>,
    /// How long its longest orderly stop took, of those that made its grace grow.
    pub longest_stop_ms: u64,
}

/// The failures that are held against a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// The last launch whose end was judged.
    pub run: RunId,
    /// Failures in a row.
    pub in_a_row: u32,
    /// When those were that count towards a crash loop: on the monotonic clock, oldest first.
    pub recent_ms: Vec<u64>,
}

impl Default for UnitLedger {
    fn default() -> Self {
        Self { wanted: true, suspended: false, parked: None, failing: None, longest_stop_ms: 0 }
    }
}

/// How the main process ended last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEnd {
    /// When.
    pub at: Moment,
    /// How.
    pub status: Option<ExitStatus>,
    /// At which height it was last seen.
    pub height: Option<Height>,
    /// In which boot of the machine.
    pub boot: String,
}

/// The fold of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    pub(crate) entries: BTreeMap<PlanId, Entry>,
    pub(crate) units: BTreeMap<UnitName, UnitLedger>,
    pub(crate) last_end: Option<LastEnd>,
    pub(crate) height: Option<Height>,
    pub(crate) sign_state: Option<(u64, u64, u64)>,
    pub(crate) after_upgrade: Option<AfterUpgrade>,
    pub(crate) halt_at: Option<Height>,
    pub(crate) boot: String,
    pub(crate) plans_counted: u64,
}

/// A record that cannot follow those before it: the journal was written by something else, or by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IllegalRecord {
    /// What was wrong.
    pub why: String,
}

impl fmt::Display for IllegalRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for IllegalRecord {}

impl Ledger {
    /// Folds records.
    pub fn fold<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Self, IllegalRecord> {
        let mut ledger = Self::default();
        for record in records {
            ledger.apply(record)?;
        }
        Ok(ledger)
    }

    /// Upgrades, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.values()
    }

    /// An upgrade.
    pub fn entry(&self, id: PlanId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// What a person wants of a unit.
    pub fn unit(&self, name: &UnitName) -> UnitLedger {
        self.units.get(name).cloned().unwrap_or_default()
    }

    /// How a unit is stopped by now, which has this rule.
    pub fn stop_rule(&self, name: &UnitName, rule: StopRule) -> StopRule {
        rule.learned(self.units.get(name).map_or(0, |told| told.longest_stop_ms))
    }

    /// How the main process ended last.
    pub fn last_end(&self) -> Option<&LastEnd> {
        self.last_end.as_ref()
    }

    /// The highest thing a validator was seen to have signed: height, round, step.
    pub fn sign_state(&self) -> Option<(u64, u64, u64)> {
        self.sign_state
    }

    /// The last height that was noted.
    pub fn height(&self) -> Option<Height> {
        self.height
    }

    /// The upgrade to the release that is current, while that has not answered since.
    pub fn after_upgrade(&self) -> Option<AfterUpgrade> {
        self.after_upgrade
    }

    /// Where main was told, at its last launch, to halt by itself.
    pub fn halt_at(&self) -> Option<Height> {
        self.halt_at
    }

    /// The number the next plan gets.
    pub fn next_plan(&self) -> PlanId {
        PlanId(self.plans_counted + 1)
    }

    /// Takes one record in. An illegal one changes nothing.
    pub fn apply(&mut self, record: &Record) -> Result<(), IllegalRecord> {
        match record {
            Record::DaemonStarted { boot, .. } => {
                if self.boot != *boot {
                    // The clock that they were timed by has begun anew, and so does the unit.
                    self.forget_failures();
                }
                self.boot.clone_from(boot);
            }
            Record::PlanAdded { at, plan, steps, facts } => self.add(*at, plan, steps, facts)?,
            Record::UnitWanted { unit, up, .. } => self.unit_mut(unit).wanted = *up,
            Record::UnitSuspended { unit, suspended, .. } => self.unit_mut(unit).suspended = *suspended,
            Record::UnitParked { unit, reason, .. } => self.unit_mut(unit).parked = Some(reason.clone()),
            Record::UnitReleased { unit, .. } => self.unit_mut(unit).parked = None,
            Record::UnitFailed { unit, run, in_a_row, recent_ms, .. } => {
                let failing = Failing { run: *run, in_a_row: *in_a_row, recent_ms: recent_ms.clone() };
                self.unit_mut(unit).failing = Some(failing).filter(|failing| failing.in_a_row > 0);
            }
            Record::StopTook { unit, took_ms, .. } => {
                let told = self.unit_mut(unit);
                told.longest_stop_ms = told.longest_stop_ms.max(*took_ms);
            }
            Record::LaunchNoted { after_upgrade, halt_at, .. } => {
                (self.after_upgrade, self.halt_at) = (*after_upgrade, *halt_at);
            }
            Record::SignStateSeen { height, round, step, .. } => {
                self.sign_state = self.sign_state.max(Some((*height, *round, *step)));
            }
            Record::HeightSeen { height, .. } => self.height = Some(*height),
            Record::MainEnded { at, status, height } => {
                self.height = height.or(self.height);
                self.last_end = Some(LastEnd { at: *at, status: *status, height: *height, boot: self.boot.clone() });
            }
            Record::NearTold { plan, within_ms, .. } => self.live_mut(*plan)?.near_ms = Some(*within_ms),
            Record::PlanNamed { plan, origin, trigger, info, .. } => {
                self.name(*plan, origin, *trigger, info.as_ref())?;
            }
            Record::StepStarted { .. }
            | Record::StepDone { .. }
            | Record::StepFailed { .. }
            | Record::Armed { .. }
            | Record::Triggered { .. }
            | Record::TurnedBack { .. }
            | Record::NeedsOperator { .. }
            | Record::Resumed { .. }
            | Record::Ended { .. } => self.apply_to_entry(record)?,
        }
        if let Record::StepStarted { step, direction, .. } = record
            && gives_fresh_chance(*step, *direction)
        {
            self.forget_failures();
        }
        Ok(())
    }

    fn forget_failures(&mut self) {
        for unit in self.units.values_mut() {
            unit.failing = None;
        }
    }

    fn unit_mut(&mut self, name: &UnitName) -> &mut UnitLedger {
        self.units.entry(name.clone()).or_default()
    }

    fn add(&mut self, at: Moment, plan: &Plan, steps: &[Step], facts: &StepFacts) -> Result<(), IllegalRecord> {
        let illegal = |why: String| Err(IllegalRecord { why });
        if plan.id.0 <= self.plans_counted {
            return illegal(format!("plan {} is not newer than plan {}", plan.id, self.plans_counted));
        }
        let Some(first) = steps.first().copied() else {
            return illegal(format!("plan {} has no steps", plan.id));
        };
        if !steps.windows(2).all(|pair| pair[0] < pair[1]) {
            return illegal(format!("plan {} has its steps out of order", plan.id));
        }
        self.plans_counted = plan.id.0;
        let phase = Phase::Forward { step: first, attempt: 0, problem: None };
        let entry = Entry {
            plan: plan.clone(),
            named: BTreeMap::from([(plan.origin.clone(), plan.trigger)]),
            near_ms: None,
            steps: steps.to_vec(),
            phase,
            facts: facts.clone(),
            because: None,
            added: at,
            triggered: None,
            ended: None,
        };
        self.entries.insert(plan.id, entry);
        Ok(())
    }

    fn live_mut(&mut self, plan: PlanId) -> Result<&mut Entry, IllegalRecord> {
        let entry = self.entries.get_mut(&plan).filter(|entry| !entry.is_over());
        entry.ok_or_else(|| IllegalRecord { why: format!("a record is about plan {plan}, which is none, or over") })
    }

    fn name(
        &mut self,
        plan: PlanId,
        origin: &Origin,
        trigger: Option<Trigger>,
        info: Option<&String>,
    ) -> Result<(), IllegalRecord> {
        let entry = self.live_mut(plan)?;
        match trigger {
            Some(trigger) => drop(entry.named.insert(origin.clone(), trigger)),
            None => drop(entry.named.remove(origin)),
        }
        let trigger = entry.governing();
        if trigger.height() != entry.plan.trigger.height() {
            entry.near_ms = None;
        }
        entry.plan.trigger = trigger;
        entry.plan.info = info.cloned().or(entry.plan.info.take());
        Ok(())
    }

    fn apply_to_entry(&mut self, record: &Record) -> Result<(), IllegalRecord> {
        let heir = self.heir(record)?;
        let Some(entry) = record.plan().and_then(|plan| self.entries.get_mut(&plan)) else {
            return Err(IllegalRecord { why: format!("a record is about an unknown plan: {record:?}") });
        };
        let Some(next) = next_phase(entry, record) else {
            let why = format!("plan {} in phase {:?} cannot be followed by {record:?}", entry.plan.id, entry.phase);
            return Err(IllegalRecord { why });
        };
        match record {
            Record::StepDone { facts, .. } => merge(&mut entry.facts, facts),
            Record::Triggered { at, .. } => entry.triggered = Some(*at),
            Record::TurnedBack { because, .. } | Record::NeedsOperator { because, .. } => {
                entry.because = Some(because.clone());
            }
            Record::Ended { at, .. } => {
                entry.ended = Some(*at);
                if let Phase::Forward { problem: Some(problem), .. } = &entry.phase {
                    entry.because = Some(problem.clone());
                }
            }
            _ => {}
        }
        let (id, holds) = (entry.plan.id, entry.holds_units());
        entry.triggered = entry.triggered.filter(|_| waits_for_stop(&next));
        entry.phase = next;
        if let Some(heir) = heir.and_then(|heir| self.entries.get_mut(&heir)) {
            (heir.facts.superseded, heir.facts.holds_units) = (Some(id), holds.then_some(true));
        }
        self.forget_old_entries();
        Ok(())
    }

    /// The plan that takes the place of the one that a record ends. It must be ready to.
    fn heir(&self, record: &Record) -> Result<Option<PlanId>, IllegalRecord> {
        let Record::Ended { plan, outcome, by: Some(by), .. } = record else { return Ok(None) };
        let is_ready = self.entry(*by).is_some_and(|heir| heir.phase == Phase::Armed) && by != plan;
        if *outcome == Outcome::Superseded && is_ready {
            return Ok(Some(*by));
        }
        Err(IllegalRecord { why: format!("plan {by} cannot take the place of plan {plan}: {record:?}") })
    }

    fn forget_old_entries(&mut self) {
        let over: Vec<PlanId> =
            self.entries.values().filter(|entry| entry.is_over()).map(|entry| entry.plan.id).collect();
        for id in over.iter().take(over.len().saturating_sub(ENDED_MAX)) {
            self.entries.remove(id);
        }
    }
}

/// Whether this is where another release is launched: what the one before it did wrong is not held against it.
pub(crate) fn gives_fresh_chance(step: Step, direction: Direction) -> bool {
    matches!((step, direction), (Step::Start, Direction::Forward) | (Step::Stop, Direction::Backward))
}

/// Whether its trigger was reached, and its units were not told to stop yet.
fn waits_for_stop(phase: &Phase) -> bool {
    match phase {
        Phase::Forward { step, attempt, .. } => *step == Step::Recheck || (*step == Step::Stop && *attempt == 0),
        Phase::NeedsOperator { then } => waits_for_stop(then),
        _ => false,
    }
}

/// Later facts win; what a step does not mention stays.
fn merge(facts: &mut StepFacts, more: &StepFacts) {
    let StepFacts {
        previous,
        height,
        staged_here,
        snapshot,
        format,
        no_command,
        gap_ms,
        superseded,
        holds_units,
        note,
    } = more.clone();
    facts.previous = previous.or(facts.previous.take());
    facts.height = height.or(facts.height);
    facts.staged_here = staged_here.or(facts.staged_here);
    facts.snapshot = snapshot.or(facts.snapshot.take());
    facts.format = format.or(facts.format.take());
    facts.no_command = no_command.or(facts.no_command.take());
    facts.gap_ms = gap_ms.or(facts.gap_ms);
    facts.superseded = superseded.or(facts.superseded);
    facts.holds_units = holds_units.or(facts.holds_units);
    facts.note = note.or(facts.note.take());
}

/// The transition function of an upgrade: total, and `None` where the record is illegal.
fn next_phase(entry: &Entry, record: &Record) -> Option<Phase> {
    match (&entry.phase, record) {
        (_, Record::NeedsOperator { .. }) if !entry.is_over() => {
            let then = match &entry.phase {
                Phase::NeedsOperator { then } => then.clone(),
                other => Box::new(other.clone()),
            };
            Some(Phase::NeedsOperator { then })
        }
        (_, Record::Ended { outcome: Outcome::Superseded, .. }) if entry.is_stuck() => {
            Some(Phase::Ended { outcome: Outcome::Superseded })
        }
        (Phase::NeedsOperator { then }, Record::Resumed { .. }) => Some((**then).clone()),
        (Phase::NeedsOperator { then }, Record::TurnedBack { .. }) => turned(entry, then, record),
        (phase, Record::TurnedBack { .. }) => turned(entry, phase, record),
        (Phase::Forward { step, attempt, problem }, _) => forward(entry, *step, *attempt, problem.as_ref(), record),
        (Phase::Backward { step, attempt, toward }, _) => backward(entry, *step, *attempt, *toward, record),
        (Phase::Prepared, Record::Armed { .. }) => Some(Phase::Armed),
        (Phase::Armed, Record::Triggered { .. }) => {
            let step = entry.steps.iter().copied().find(|step| !step.is_preparation())?;
            Some(Phase::Forward { step, attempt: 0, problem: None })
        }
        (Phase::Finished, Record::Ended { outcome: Outcome::Committed, .. }) => {
            Some(Phase::Ended { outcome: Outcome::Committed })
        }
        (Phase::Undone { toward }, Record::Ended { outcome, .. }) if outcome == toward => {
            Some(Phase::Ended { outcome: *outcome })
        }
        _ => None,
    }
}

fn forward(entry: &Entry, step: Step, attempt: u32, problem: Option<&Problem>, record: &Record) -> Option<Phase> {
    match record {
        Record::StepStarted { step: started, direction: Direction::Forward, attempt: number, .. }
            if *started == step && *number > attempt =>
        {
            Some(Phase::Forward { step, attempt: *number, problem: problem.cloned() })
        }
        Record::StepFailed { step: failed, direction: Direction::Forward, problem, .. }
            if *failed == step && attempt > 0 =>
        {
            Some(Phase::Forward { step, attempt, problem: Some(problem.clone()) })
        }
        Record::StepDone { step: done, direction: Direction::Forward, .. } if *done == step && attempt > 0 => {
            Some(match entry.after(step) {
                None => Phase::Finished,
                Some(next) if step.is_preparation() && !next.is_preparation() => Phase::Prepared,
                Some(next) => Phase::Forward { step: next, attempt: 0, problem: None },
            })
        }
        _ => None,
    }
}

fn backward(entry: &Entry, step: Step, attempt: u32, toward: Outcome, record: &Record) -> Option<Phase> {
    match record {
        Record::StepStarted { step: started, direction: Direction::Backward, attempt: number, .. }
            if *started == step && *number > attempt =>
        {
            Some(Phase::Backward { step, attempt: *number, toward })
        }
        Record::StepFailed { step: failed, direction: Direction::Backward, .. } if *failed == step && attempt > 0 => {
            Some(Phase::Backward { step, attempt, toward })
        }
        Record::StepDone { step: done, direction: Direction::Backward, .. } if *done == step && attempt > 0 => {
            Some(match entry.before(step) {
                None => Phase::Undone { toward },
                Some(previous) => Phase::Backward { step: previous, attempt: 0, toward },
            })
        }
        _ => None,
    }
}

/// Where an upgrade that turns round begins to undo: at the step it was in, whether or not that was begun, since a
/// step that failed half-way must be undone too; never once there is no way back.
fn turned(entry: &Entry, phase: &Phase, record: &Record) -> Option<Phase> {
    let Record::TurnedBack { toward, .. } = record else { return None };
    if matches!(toward, Outcome::Committed | Outcome::Superseded) {
        return None;
    }
    let last_prepared = || entry.steps.iter().rev().copied().find(|step| step.is_preparation());
    let begin = |step: Step| Phase::Backward { step, attempt: 0, toward: *toward };
    match phase {
        Phase::Forward { step, attempt, .. } => {
            let limit = entry.point_of_no_return();
            let open = *step < limit || (*step == limit && *attempt == 0);
            let from = if *attempt > 0 { Some(*step) } else { entry.before(*step) };
            open.then(|| from.map_or(Phase::Undone { toward: *toward }, begin))
        }
        Phase::Armed if entry.facts.superseded.is_some() => None,
        Phase::Prepared | Phase::Armed => Some(last_prepared().map_or(Phase::Undone { toward: *toward }, begin)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
