//! Units: what becomes of those that failed, who may run, who may be launched, who stops first.

use ov_types::{EventKind, ParkReason, Problem, Record, StartWhen, Step, UnitName, UnitRules, UnitState};

use super::{Node, UnitView};
use crate::ledger::{Entry, Failing, Phase};
use crate::unit::{Command, Doing, Gate, Unit};
use crate::{Effect, Fate};
use ov_types::Trigger;

impl Node {
    pub(super) fn settle_units(&mut self) {
        self.note_answer();
        let names: Vec<UnitName> = self.units.keys().cloned().collect();
        for name in names {
            let Some(rules) = self.settings.units.get(&name).cloned() else { continue };
            let Some(unit) = self.units.get_mut(&name) else { continue };
            if unit.is_late(&rules, self.now.monotonic_ms) {
                unit.stop_failing();
                let message = "it was not ready in time and is launched again".to_owned();
                self.tell(EventKind::UnitHealth { unit: name.clone(), healthy: false, message });
            }
            // Whether it failed, or halted for an upgrade, the scouts tell. A stop waits for nobody to tell.
            if self.consulting && !self.shutting_down && self.is_of_main(&name) {
                continue;
            }
            if name.is_main() {
                self.settle_halt();
                self.settle_proof();
            }
            if self.may_be_judged(&name, &rules) {
                self.judge(&name, &rules);
            }
        }
    }

    /// Decides what becomes of a unit that ended by itself.
    fn judge(&mut self, name: &UnitName, rules: &UnitRules) {
        let of_all = self.failures_of_all(name);
        let Some(unit) = self.units.get_mut(name) else { return };
        unit.count_from(of_all);
        let Some(decided) = unit.settle(rules, self.now.monotonic_ms, self.settings.seed) else { return };
        let (failures, launches) = (unit.failures().in_a_row, unit.launches);
        let runs_again_at_once = matches!(decided, Fate::Relaunch { wait_ms: 0 });
        // Noted when it runs again: nothing is to be waited for between an end and the launch that follows. What an
        // earlier daemon launched is noted at once, or it might be forgotten again and again.
        if !runs_again_at_once || launches == 0 {
            self.note_failures(name);
        }
        if !self.units.get(name).is_some_and(Unit::rests_well) {
            self.share_failure(name);
        }
        let unit = name.clone();
        match decided {
            Fate::Relaunch { wait_ms: 0 } => {}
            Fate::Relaunch { wait_ms } => self.tell(EventKind::UnitBackingOff { unit, wait_ms, failures }),
            Fate::RetrySlowly { wait_ms, reason } => {
                self.fail_proof_of(name, &reason.to_string());
                self.tell(EventKind::UnitLooping { unit, reason, wait_ms });
            }
            Fate::Park(reason) => self.park(unit, reason),
            Fate::Rest => self.fail_proof_of(name, "it ended, and its restart policy wants no restart"),
            Fate::End(reason) => self.fail_proof_of(name, &reason.to_string()),
        }
    }

    /// Writes down what is held against a unit by now, if that was not done yet.
    pub(super) fn note_failures(&mut self, name: &UnitName) {
        let failing = self.units.get_mut(name).and_then(Unit::take_unnoted);
        if let Some(Failing { run, in_a_row, recent_ms }) = failing {
            self.record(Record::UnitFailed { at: self.now, unit: name.clone(), run, in_a_row, recent_ms });
        }
    }

    /// Nothing is held against a unit any more, nor against those that it lives and dies with.
    pub(crate) fn forgive(&mut self, name: &UnitName) {
        let partners: Vec<UnitName> = self.partners(name).map(|(other, ..)| other.clone()).collect();
        for unit in partners.into_iter().chain([name.clone()]) {
            self.give_fresh_chance(&unit);
            if let Some(Failing { run, .. }) = self.ledger.unit(&unit).failing {
                let at = self.now;
                self.record(Record::UnitFailed { at, unit, run, in_a_row: 0, recent_ms: Vec::new() });
            }
        }
    }

    /// What a unit did counts no longer, except for an end after which a person has to look, and nobody did yet.
    pub(super) fn give_fresh_chance(&mut self, name: &UnitName) {
        self.take_partners_down(name);
        let rules = self.rules_of(name);
        if let Some((unit, rules)) = self.units.get_mut(name).zip(rules) {
            unit.give_fresh_chance(&rules);
        }
    }

    pub(crate) fn forgive_all(&mut self) {
        for unit in self.units.keys().cloned().collect::<Vec<_>>() {
            self.forgive(&unit);
        }
    }

    pub(super) fn park(&mut self, unit: UnitName, reason: ParkReason) {
        self.fail_proof_of(&unit, &format!("it is parked because it {reason}"));
        self.tell(EventKind::UnitParked { unit: unit.clone(), reason: reason.clone() });
        self.record(Record::UnitParked { at: self.now, unit, reason });
    }

    /// Main will not come up by itself any more: what waits for it has failed.
    pub(super) fn fail_proof_of(&mut self, unit: &UnitName, why: &str) {
        if !self.is_of_main(unit) {
            return;
        }
        for (step, code) in [(Step::Start, "OV-UPG-030"), (Step::Prove, "OV-UPG-031")] {
            if let Some(id) = self.in_flight_at(step) {
                self.effect(Effect::AbandonStep { plan: id });
                let problem =
                    Problem::permanent(code, format!("prove the new release: {unit} does not stay up")).cause(why);
                self.fail_step(id, problem);
            }
        }
    }

    pub(super) fn reconcile_units(&mut self) {
        if self.found_ms.is_none() {
            return;
        }
        self.wake_rested();
        let names: Vec<UnitName> = self.units.keys().cloned().collect();
        for name in names {
            let Some(rules) = self.rules_of(&name) else { continue };
            let gate = self.gate(&name, &rules);
            let Some(unit) = self.units.get_mut(&name) else { continue };
            let Some(command) = unit.reconcile(&rules, gate, self.now.monotonic_ms) else { continue };
            let unit = name;
            match command {
                Command::Launch(run) => {
                    let occasion = self.occasion(&unit);
                    self.effect(Effect::Launch { unit, run, occasion });
                }
                Command::EndOrphans(rule) => self.effect(Effect::EndOrphans { unit, rule }),
                Command::Stop(run, rule) => {
                    self.tell(EventKind::UnitStopping { unit: unit.clone() });
                    self.effect(Effect::Stop { unit, run, rule });
                }
            }
        }
        let settings = &self.settings;
        self.units.retain(|name, unit| settings.units.contains_key(name) || !unit.is_down());
    }

    pub(super) fn gate(&self, name: &UnitName, rules: &UnitRules) -> Gate {
        let may_run = self.may_run(name, rules);
        let is_judged = self.units.get(name).is_none_or(|unit| !unit.awaits_judgement());
        let may_launch = is_judged && self.unmet_condition(name, rules).is_none();
        // Asked of those alone that would be stopped now: of each it takes a look at all others.
        let would_stop = !may_run && !self.hurry && self.units.get(name).is_some_and(Unit::is_running);
        let waits_for_helpers = would_stop
            && self.settings.units.iter().any(|(other, other_rules)| {
                let depends = other_rules.after.iter().any(|after| after.down_first && after.unit == *name);
                let down = self.units.get(other).is_none_or(Unit::is_down);
                depends && !down && !self.may_run(other, other_rules)
            });
        Gate { may_run, may_launch, may_stop: !waits_for_helpers, hurry: self.hurry }
    }

    pub(super) fn may_run(&self, name: &UnitName, rules: &UnitRules) -> bool {
        let known = self.settings.units.contains_key(name);
        let told = self.ledger.unit(name);
        let holds = |entry: &Entry| entry.holds_units() || entry.is_ending_without_launch();
        let held = self.ledger.entries().any(holds);
        let bound_to_down = rules.after.iter().any(|after| after.bound && !self.is_up(&after.unit, StartWhen::Up));
        let free = !held && !self.shutting_down && self.pause.is_none();
        known && told.wanted && told.parked.is_none() && free && !bound_to_down && !self.is_dragged_down(name)
    }

    pub(super) fn is_up(&self, name: &UnitName, when: StartWhen) -> bool {
        self.units.get(name).is_some_and(|unit| unit.is_up(when == StartWhen::Ready))
    }

    /// What a launch waits for, in words.
    pub(super) fn unmet_condition(&self, name: &UnitName, rules: &UnitRules) -> Option<String> {
        let within = || self.unmet_order(name, rules, true);
        self.own_condition(name, rules).or_else(within).or_else(|| self.group_waits_for(name))
    }

    /// The same without what concerns the units that it is launched together with.
    pub(super) fn own_condition(&self, name: &UnitName, rules: &UnitRules) -> Option<String> {
        let unit = self.units.get(name)?;
        if self.ledger.unit(name).suspended {
            return Some(format!("`omnivisor unit resume {name}`"));
        }
        if unit.suspend_file {
            return Some("its `suspend-file` to go, or its `only-when` file to come".to_owned());
        }
        if let Some(unmet) = self.unmet_order(name, rules, false) {
            return Some(unmet);
        }
        if name.is_main() {
            if self.consulting {
                return Some("the scouts".to_owned());
            }
            if let Some(entry) = self.ledger.entries().find(|entry| self.is_halted_for(entry)) {
                return Some(format!("upgrade {} to {}: the node halted for it", entry.plan.id, entry.plan.release));
            }
        }
        None
    }

    /// Which unit must be up or ready first: of those that it is launched together with, or of the others.
    fn unmet_order(&self, name: &UnitName, rules: &UnitRules, within: bool) -> Option<String> {
        let is_partner = |unit: &UnitName| self.partners(name).any(|(other, ..)| other == unit);
        let mut meant = rules.after.iter().filter(|after| is_partner(&after.unit) == within);
        let unmet = meant.find(|after| !self.is_up(&after.unit, after.when))?;
        let how = if unmet.when == StartWhen::Ready { "ready" } else { "up" };
        Some(format!("unit {} to be {how}", unmet.unit))
    }

    /// Whether main is down for no other reason than that something is wrong.
    pub(crate) fn main_is_free(&self) -> bool {
        self.those_of_main().all(|(name, unit)| {
            let told = self.ledger.unit(name);
            told.wanted && !told.suspended && !unit.suspend_file
        })
    }

    /// Whether main is up, with all that it lives and dies with.
    pub(super) fn main_is_up(&self) -> bool {
        self.is_up(&UnitName::main(), StartWhen::Up)
            && self.those_of_main().all(|(_, unit)| unit.is_up(false) || unit.rests_well())
    }

    /// Whether there is such a unit, be it only to be ended because the configuration does not name it any more.
    pub fn has_unit(&self, name: &UnitName) -> bool {
        self.units.contains_key(name)
    }

    /// A unit, as others may see it.
    pub fn unit_view(&self, name: &UnitName) -> Option<UnitView> {
        let unit = self.units.get(name)?;
        let rules = self.settings.units.get(name)?;
        let told = self.ledger.unit(name);
        let waiting_for = if unit.is_down() { self.unmet_condition(name, rules) } else { None };
        let state = match unit.state(rules) {
            UnitState::Down | UnitState::BackingOff if told.parked.is_some() => UnitState::Parked,
            // Its time to be launched may come, but nothing is launched then.
            UnitState::BackingOff if !self.may_run(name, rules) => UnitState::Down,
            UnitState::Down if self.may_run(name, rules) && waiting_for.is_some() => UnitState::Waiting,
            state => state,
        };
        let (since_ms, launch_in_ms) = match unit.doing {
            Doing::Up { since_ms, .. } => (Some(since_ms), None),
            Doing::BackOff { until_ms } if state == UnitState::BackingOff => {
                (None, Some(until_ms.saturating_sub(self.now.monotonic_ms)))
            }
            _ => (None, None),
        };
        Some(UnitView {
            state,
            pid: unit.pid(),
            run: unit.run,
            since_ms,
            launch_in_ms,
            launches: unit.launches,
            last_exit: unit.last_exit,
            not_started: unit.not_started.clone(),
            failures: self.failures_of_all(name).in_a_row,
            healthy: unit.healthy,
            wanted: told.wanted,
            suspended: told.suspended || unit.suspend_file,
            parked: told.parked,
            waiting_for,
            stop_grace_ms: self.ledger.stop_rule(name, rules.stop).grace_ms,
        })
    }
}

impl Node {
    /// Whether the node halted for an upgrade, and the new release was not launched yet: the old one must not be.
    pub(super) fn is_halted_for(&self, entry: &Entry) -> bool {
        let before_start = match &entry.phase {
            Phase::Forward { step, attempt, .. } => *step < Step::Start || (*step == Step::Start && *attempt == 0),
            Phase::Prepared | Phase::Armed => true,
            _ => false,
        };
        before_start && (matches!(entry.plan.trigger, Trigger::Halt { .. }) || self.has_come_to(entry))
    }
}
