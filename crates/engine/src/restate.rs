//! The present state of a ledger as records: the beginning of a new journal segment, after which older segments are
//! history only.

use ov_types::record::{Outcome, StepFacts};
use ov_types::{Direction, Moment, Origin, PlanId, Problem, Record, Step, Trigger};

use crate::ledger::{Entry, Failing, Ledger, Phase};

impl Ledger {
    /// Records whose fold is this ledger.
    pub fn restate(&self) -> Vec<Record> {
        let mut records = Vec::new();
        if let Some(end) = &self.last_end {
            records.push(daemon_started(&end.boot, end.at));
            records.push(Record::MainEnded { at: end.at, status: end.status, height: end.height });
        }
        records.push(daemon_started(&self.boot, Moment::default()));
        let at = Moment::default();
        for (unit, told) in &self.units {
            let unit = unit.clone();
            records.push(Record::UnitWanted { at, unit: unit.clone(), up: told.wanted });
            if told.suspended {
                records.push(Record::UnitSuspended { at, unit: unit.clone(), suspended: true });
            }
            if told.longest_stop_ms > 0 {
                records.push(Record::StopTook { at, unit: unit.clone(), took_ms: told.longest_stop_ms });
            }
            if let Some(reason) = &told.parked {
                records.push(Record::UnitParked { at, unit, reason: reason.clone() });
            }
        }
        if let Some(height) = self.height {
            records.push(Record::HeightSeen { at, height });
        }
        if let Some((height, round, step)) = self.sign_state {
            records.push(Record::SignStateSeen { at, height, round, step });
        }
        let (after_upgrade, halt_at) = (self.after_upgrade, self.halt_at);
        if after_upgrade.is_some() || halt_at.is_some() {
            records.push(Record::LaunchNoted { at, after_upgrade, halt_at });
        }
        for entry in self.entries.values() {
            restate_entry(entry, &mut records);
        }
        // After the steps that would make them forgotten.
        for (unit, told) in &self.units {
            if let Some(Failing { run, in_a_row, recent_ms }) = told.failing.clone() {
                records.push(Record::UnitFailed { at, unit: unit.clone(), run, in_a_row, recent_ms });
            }
        }
        records
    }
}

fn daemon_started(boot: &str, at: Moment) -> Record {
    Record::DaemonStarted { at, version: env!("CARGO_PKG_VERSION").to_owned(), boot: boot.to_owned() }
}

/// A shortest way to the entry's phase that the transition function accepts.
fn restate_entry(entry: &Entry, records: &mut Vec<Record>) {
    let walk = Walk { entry, at: entry.added, plan: entry.plan.id };
    let (plan, steps, facts) = (entry.plan.clone(), entry.steps.clone(), entry.facts.clone());
    let (origin, at) = (plan.origin.clone(), entry.added);
    records.push(Record::PlanAdded { at, plan, steps, facts });
    walk.to_names(&origin, records);
    let near = entry.near_ms.map(|within_ms| Record::NearTold { at, plan: walk.plan, within_ms });
    records.extend(near);
    walk.to_phase(&entry.phase, records);
}

struct Walk<'a> {
    entry: &'a Entry,
    at: Moment,
    plan: PlanId,
}

impl Walk<'_> {
    /// Where it is named, which by its addition is `learned` alone.
    fn to_names(&self, learned: &Origin, records: &mut Vec<Record>) {
        let (at, plan) = (self.at, self.plan);
        let said =
            |origin: &Origin, trigger| Record::PlanNamed { at, plan, origin: origin.clone(), trigger, info: None };
        let as_added =
            |(origin, trigger): &(&Origin, &Trigger)| *origin == learned && **trigger == self.entry.plan.trigger;
        let named = self.entry.named.iter();
        records.extend(named.filter(|it| !as_added(it)).map(|(origin, trigger)| said(origin, Some(*trigger))));
        if !self.entry.named.contains_key(learned) {
            records.push(said(learned, None));
        }
    }

    fn to_phase(&self, phase: &Phase, records: &mut Vec<Record>) {
        match phase {
            Phase::Forward { step, attempt, problem } => {
                self.forward_until(Some(*step), records);
                self.begin(*step, Direction::Forward, *attempt, records);
                if let Some(problem) = problem {
                    records.push(self.failed(*step, problem));
                }
            }
            Phase::Prepared => self.prepare(records),
            Phase::Armed => {
                self.prepare(records);
                records.push(Record::Armed { at: self.at, plan: self.plan });
            }
            Phase::Finished => self.forward_until(None, records),
            Phase::Backward { step, attempt, toward } => {
                self.turn(Some(*step), *toward, records);
                self.begin(*step, Direction::Backward, *attempt, records);
            }
            Phase::Undone { toward } => self.turn(None, *toward, records),
            Phase::NeedsOperator { then } => {
                self.to_phase(then, records);
                records.push(Record::NeedsOperator { at: self.at, plan: self.plan, because: self.because() });
            }
            Phase::Ended { outcome } => {
                match outcome {
                    Outcome::Committed => self.forward_until(None, records),
                    Outcome::Superseded => self.stand_still(records),
                    toward => self.turn(None, *toward, records),
                }
                let at = self.entry.ended.unwrap_or(self.at);
                // Whose place was taken is among the facts of whoever took it.
                records.push(Record::Ended { at, plan: self.plan, outcome: *outcome, by: None });
            }
        }
    }

    /// Everything before `limit` done; everything if there is none.
    fn forward_until(&self, limit: Option<Step>, records: &mut Vec<Record>) {
        let window = limit.is_none_or(|limit| !limit.is_preparation());
        for step in self.entry.steps.iter().copied().filter(|step| limit.is_none_or(|limit| *step < limit)) {
            self.finish(step, Direction::Forward, records);
            if window && self.is_last_preparation(step) {
                records.push(Record::Armed { at: self.at, plan: self.plan });
                let at = self.entry.triggered.unwrap_or(self.at);
                records.push(Record::Triggered { at, plan: self.plan, height: None });
            }
        }
    }

    /// Where it could neither go on nor back.
    fn stand_still(&self, records: &mut Vec<Record>) {
        self.forward_until(self.entry.steps.iter().copied().find(|step| !step.is_preparation()), records);
        records.push(Record::NeedsOperator { at: self.at, plan: self.plan, because: self.because() });
    }

    fn prepare(&self, records: &mut Vec<Record>) {
        for step in self.entry.steps.iter().copied().filter(|step| step.is_preparation()) {
            self.finish(step, Direction::Forward, records);
        }
    }

    fn is_last_preparation(&self, step: Step) -> bool {
        let last = self.entry.steps.iter().rev().copied().find(|step| step.is_preparation());
        last == Some(step)
    }

    /// Turned round so that `step` is the next to be undone; everything undone if there is none.
    fn turn(&self, step: Option<Step>, toward: Outcome, records: &mut Vec<Record>) {
        let turned = Record::TurnedBack { at: self.at, plan: self.plan, toward, because: self.because() };
        match step {
            None => records.push(turned),
            Some(step) => {
                self.forward_until(Some(step), records);
                self.begin(step, Direction::Forward, 1, records);
                records.push(turned);
            }
        }
    }

    fn begin(&self, step: Step, direction: Direction, attempt: u32, records: &mut Vec<Record>) {
        if attempt > 0 {
            records.push(Record::StepStarted { at: self.at, plan: self.plan, step, direction, attempt });
        }
    }

    fn finish(&self, step: Step, direction: Direction, records: &mut Vec<Record>) {
        self.begin(step, direction, 1, records);
        let facts = StepFacts::default();
        records.push(Record::StepDone { at: self.at, plan: self.plan, step, direction, facts });
    }

    fn failed(&self, step: Step, problem: &Problem) -> Record {
        let direction = Direction::Forward;
        Record::StepFailed { at: self.at, plan: self.plan, step, direction, problem: problem.clone() }
    }

    fn because(&self) -> Problem {
        let unknown = || Problem::permanent("OV-UPG-099", "go on").cause("the reason is in an older journal segment");
        self.entry.because.clone().unwrap_or_else(unknown)
    }
}
