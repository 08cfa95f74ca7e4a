//! What happened: each input taken into the state. What follows from it is settled afterwards.

use std::collections::BTreeMap;

use ov_types::record::{Outcome, StepFacts};
use ov_types::{
    EngineSettings, EventKind, Height, Origin, ParkReason, Plan, PlanId, Problem, Record, Step, StopRule, Trigger,
    UnitName, UnitRules,
};

use super::{Active, Node, plan_of};
use crate::ledger::{Entry, Phase};
use crate::unit::{Meaning, Unit};
use crate::upgrade::steps_for;
use crate::{Effect, Found, UnitReport, Wish};

/// Why a plan was taken back that was not there any more.
const GONE: &str = "OV-UPG-043";
/// How old the last height that was noted may be.
const HEIGHT_NOTED_EVERY_MS: u64 = 60_000;

impl Node {
    pub(super) fn take_found(&mut self, found: &BTreeMap<UnitName, Found>) {
        let main = self.settings.units.get(&UnitName::main());
        for (name, found) in found {
            // One that left the configuration while no daemon ran is ended as one that leaves it now.
            let Some(rules) = self.settings.units.get(name).or(main) else { continue };
            let unit = self.units.entry(name.clone()).or_insert_with(Unit::new);
            unit.found(found, rules, self.now.monotonic_ms);
            if let Some(failing) = self.ledger.unit(name).failing {
                unit.go_on_waiting(&failing, rules, self.now.monotonic_ms, self.settings.seed);
            }
        }
        self.found_ms = Some(self.now.monotonic_ms);
        self.tell_who_waits_for_a_person();
        self.begin_lifetime();
        self.consult();
    }

    /// Whoever starts a daemon sees nothing come up, and looks at what it says: an earlier one's reasons still hold.
    fn tell_who_waits_for_a_person(&mut self) {
        let names: Vec<UnitName> = self.units.keys().cloned().collect();
        for unit in names {
            if let Some(reason) = self.ledger.unit(&unit).parked.filter(ParkReason::waits_for_person) {
                self.tell(EventKind::UnitParked { unit, reason });
            }
        }
    }

    /// Asks the scouts before main is launched: a plan that waits for the node must not be overlooked.
    pub(super) fn consult(&mut self) {
        if self.settings.has_scouts && !self.consulting {
            self.consulting = true;
            self.effect(Effect::Consult);
        }
    }

    pub(super) fn take_settings(&mut self, settings: EngineSettings) {
        for name in settings.units.keys() {
            self.units.entry(name.clone()).or_insert_with(Unit::new);
        }
        self.settings = settings;
    }

    pub(super) fn take_report(&mut self, name: &UnitName, report: UnitReport) {
        let Some(rules) = self.rules_of(name) else { return };
        let Some(unit) = self.units.get_mut(name) else { return };
        let file_before = unit.suspend_file;
        let given_up_before = unit.given_up.is_some();
        let meaning = unit.note(report, &rules, self.now.monotonic_ms);
        let given_up = unit.given_up.clone().filter(|_| !given_up_before);
        let (run, file_now) = (unit.run, unit.suspend_file);
        if file_before != file_now {
            self.tell(EventKind::UnitSuspended { unit: name.clone(), suspended: file_now });
        }
        let unit = name.clone();
        match meaning {
            Meaning::Nothing => {}
            Meaning::Started { pid } => {
                self.tell(EventKind::UnitStarted { unit, run, pid });
                self.note_failures(name);
            }
            Meaning::NotStarted { message } => {
                self.tell(EventKind::UnitNotStarted { unit, message: message.clone() });
                if self.is_of_main(name) {
                    self.main_not_started(&message);
                }
            }
            Meaning::Unsafe { message } => self.park(unit, ParkReason::Unsafe { message }),
            Meaning::Stopped { took_ms } => self.learn_grace(unit, rules.stop, took_ms),
            Meaning::Exited { status, expected } => {
                self.tell(EventKind::UnitExited { unit, status, expected });
                if name.is_main() {
                    self.main_exited(status, expected);
                }
                if !expected && self.is_of_main(name) {
                    self.consult();
                    self.count_exit_while_proving(name, status);
                }
            }
            Meaning::BecameReady => self.tell(EventKind::UnitReady { unit }),
            Meaning::Health { healthy, message } => self.tell(EventKind::UnitHealth { unit, healthy, message }),
        }
        if let Some(reason) = given_up {
            self.fail_proof_of(name, &reason.to_string());
        }
    }

    /// Written down only where the unit is given more time by it.
    fn learn_grace(&mut self, unit: UnitName, rule: StopRule, took_ms: u64) {
        let grace_ms = rule.learned(took_ms).grace_ms;
        if grace_ms > rule.grace_ms {
            self.tell(EventKind::UnitGraceRaised { unit: unit.clone(), took_ms, grace_ms });
            self.record(Record::StopTook { at: self.now, unit, took_ms });
        }
    }

    /// The rules of a unit, with the grace that its stops have shown it to need. One that the configuration no longer names
    /// is stopped by the rules of main, and then forgotten.
    pub(super) fn rules_of(&self, name: &UnitName) -> Option<UnitRules> {
        let of_main = || self.units.get(name).and_then(|_| self.settings.units.get(&UnitName::main()));
        let rules = self.settings.units.get(name).or_else(of_main)?;
        Some(UnitRules { stop: self.ledger.stop_rule(name, rules.stop), ..rules.clone() })
    }

    pub(super) fn main_exited(&mut self, status: Option<ov_types::ExitStatus>, expected: bool) {
        self.main_ended = Some(self.now);
        let in_window = self.ledger.entries().any(Entry::is_in_window);
        if expected || in_window || self.settings.has_scouts {
            let height = self.height.map(|(height, _)| height);
            self.record(Record::MainEnded { at: self.now, status, height });
        }
    }

    fn count_exit_while_proving(&mut self, unit: &UnitName, status: Option<ov_types::ExitStatus>) {
        let Some(id) = self.in_flight_at(Step::Prove) else { return };
        let active = self.active.entry(id).or_default();
        active.exits += 1;
        let exits = active.exits;
        if exits > self.settings.upgrade.prove_exits_max {
            let how = status.map_or_else(|| "unseen".to_owned(), |status| status.to_string());
            let problem = Problem::permanent("OV-UPG-031", "prove the new release: it does not stay up")
                .cause(format!("it ended {exits} times while it was being proven; last {unit} did, with {how}"));
            self.effect(Effect::AbandonStep { plan: id });
            self.fail_step(id, problem);
        }
    }

    pub(super) fn main_not_started(&mut self, message: &str) {
        let Some(id) = self.in_flight_at(Step::Start) else { return };
        let problem = Problem::permanent("OV-UPG-030", "start the new release").cause(message);
        self.fail_step(id, problem);
    }

    /// The upgrade whose step of this kind was begun, towards the new release.
    pub(super) fn in_flight_at(&self, wanted: Step) -> Option<PlanId> {
        let at = |entry: &&Entry| matches!(entry.phase, Phase::Forward { step, .. } if step == wanted);
        let id = self.ledger.entries().find(at)?.plan.id;
        self.active.get(&id).is_some_and(|active| active.in_flight).then_some(id)
    }

    pub(super) fn take_height(&mut self, height: Height) {
        self.pace.note(self.now.monotonic_ms, height);
        let moved = self.height.is_none_or(|(before, _)| before != height);
        if moved {
            self.height = Some((height, self.now.monotonic_ms));
            self.note_height(height);
            if std::mem::take(&mut self.stuck_told) {
                self.tell(EventKind::NodeMoving { height });
            }
        }
    }

    /// What the data says is what counts, whatever was seen before: it may be other data. Of how fast the chain moves it
    /// tells nothing.
    pub(super) fn take_height_at_rest(&mut self, height: Height) {
        self.at_rest = Some(height);
        if self.height.is_none_or(|(before, _)| before != height) {
            self.height = Some((height, self.now.monotonic_ms));
        }
        if self.settings.has_scouts && self.ledger.height() != Some(height) {
            self.record(Record::HeightSeen { at: self.now, height });
        }
    }

    /// Plans that may be due while nobody can be asked are judged by the last height; not worth a write for each block.
    fn note_height(&mut self, height: Height) {
        let now_ms = self.now.monotonic_ms;
        let is_fresh = self.height_noted_ms.is_some_and(|at| now_ms.saturating_sub(at) < HEIGHT_NOTED_EVERY_MS);
        if self.settings.has_scouts && !is_fresh {
            self.height_noted_ms = Some(now_ms);
            self.record(Record::HeightSeen { at: self.now, height });
        }
    }

    pub(super) fn take_wish(&mut self, wish: &Wish) {
        let is_said = |entry: &&Entry| entry.says(wish) && !was_gone(entry) && !self.was_left(entry);
        if self.ledger.entries().filter(is_said).any(|entry| !entry.is_over()) {
            return;
        }
        let waits = |entry: &&Entry| !entry.is_over() && !entry.is_in_window() && !was_gone(entry);
        let waiting = self.ledger.entries().filter(waits).find(|entry| entry.plan.release == wish.release);
        let waiting = waiting.map(|entry| entry.plan.id);
        // What a person took back stays so.
        if (waiting.is_none() && self.ledger.entries().any(|entry| is_said(&entry))) || self.is_under_way(wish) {
            return;
        }
        // Several places name this very release, or one does so anew: one upgrade, not two.
        if let Some(id) = waiting {
            self.name_plan(id, &wish.origin, Some(wish));
            return;
        }
        self.take_back(&wish.origin);
        self.add_plan(wish, None);
    }

    /// Notes that a plan is named somewhere, or no longer, and tells if it is due at another moment by that.
    fn name_plan(&mut self, id: PlanId, origin: &Origin, wish: Option<&Wish>) {
        let Some(entry) = self.ledger.entry(id) else { return };
        let before = entry.plan.trigger;
        let trigger = wish.map(|wish| wish.trigger);
        let height = trigger.as_ref().and_then(Trigger::height);
        // What halted stays so, until something else is said there than that it comes to this height.
        let has_halted = |said: &Trigger| matches!(said, Trigger::Halt { .. }) && said.height() == height;
        if entry.named.get(origin).is_some_and(has_halted) {
            return;
        }
        let info = wish.filter(|wish| !entry.knows_info(wish)).and_then(|wish| wish.info.clone());
        self.record(Record::PlanNamed { at: self.now, plan: id, origin: origin.clone(), trigger, info });
        let Some(plan) = self.ledger.entry(id).map(|entry| entry.plan.clone()) else { return };
        if plan.trigger == before {
            return;
        }
        if matches!(plan.trigger, Trigger::Halt { .. })
            && let Some(active) = self.active.get_mut(&id)
        {
            // There is nothing to wait for any more.
            active.retry_at_ms = None;
        }
        if plan.trigger.height() != before.height() {
            self.tell(EventKind::PlanMoved { plan });
        }
    }

    /// Whether a plan was carried out on data that was replaced since: then it is meant anew, as by a node that halts once
    /// more after older data was restored, or where the same data was restored once more.
    fn was_left(&self, entry: &Entry) -> bool {
        let committed = |entry: &Entry| match entry.phase {
            Phase::Ended { outcome: Outcome::Committed } => entry.ended.map(|ended| (ended.wall_ms, entry.plan.id)),
            _ => None,
        };
        let Some(was) = committed(entry) else { return false };
        let is_data = |origin: &Origin| matches!(origin, Origin::Data { .. });
        let is_of_data = |entry: &Entry| is_data(&entry.plan.origin) || entry.named.keys().any(is_data);
        self.ledger.entries().any(|other| {
            let is_later = other.is_in_window() || committed(other).is_some_and(|is| is > was);
            let went_elsewhere = is_later && other.plan.release != entry.plan.release;
            went_elsewhere && (is_of_data(other) || is_of_data(entry))
        })
    }

    /// Whether what a scout saw is being carried out already, by whatever plan. A node that runs the release of an
    /// upgrade which is being proven, and halts for the next one, has shown what there was to prove.
    fn is_under_way(&mut self, wish: &Wish) -> bool {
        let same = |entry: &Entry| entry.plan.release == wish.release && !entry.is_going_back();
        if self.ledger.entries().any(|entry| entry.is_in_window() && same(entry)) {
            return true;
        }
        if let Trigger::Halt { height } = wish.trigger {
            self.finish_proof_at(height);
        }
        false
    }

    /// Takes an upgrade for proven whose release came to this height, where the next one begins.
    pub(super) fn finish_proof_at(&mut self, height: Height) {
        let has_come_there = |entry: &Entry| match (entry.plan.trigger.height(), entry.facts.height, self.height) {
            (Some(began), ..) => began < height,
            // What the node says may have been said by the release before: this one has to have come further.
            (None, Some(was), Some((seen, _))) => was < seen && was < height,
            _ => false,
        };
        let shown = |entry: &&Entry| {
            let at_proof = matches!(entry.phase, Phase::Forward { step: Step::Prove, attempt: 1.., .. });
            at_proof && has_come_there(entry)
        };
        let proven = self.ledger.entries().find(shown).map(|entry| entry.plan.id);
        if let Some(proven) = proven {
            self.effect(Effect::AbandonStep { plan: proven });
            let facts = StepFacts::noted(format!("it came to height {height}, where it halts for the next one"));
            self.finish_step(proven, Step::Prove, ov_types::Direction::Forward, facts);
        }
    }

    /// A plan is gone from there; it stays while it is named elsewhere.
    pub(super) fn take_back(&mut self, origin: &Origin) {
        let gone: Vec<(PlanId, bool)> = self
            .ledger
            .entries()
            .filter(|entry| !entry.is_over() && !entry.is_in_window() && entry.named.contains_key(origin))
            .filter(|entry| !entry.is_going_back())
            .map(|entry| (entry.plan.id, entry.named.len() == 1))
            .collect();
        for (id, was_last) in gone {
            if was_last {
                let gone = Problem::permanent(GONE, "carry the plan out");
                self.turn_back(id, Outcome::Withdrawn, gone.cause("the plan is gone from where it was learned"));
            } else {
                self.name_plan(id, origin, None);
            }
        }
    }

    pub(crate) fn add_plan(&mut self, wish: &Wish, supersedes: Option<PlanId>) -> PlanId {
        let plan = Plan { supersedes, ..plan_of(self.ledger.next_plan(), wish) };
        let steps = steps_for(&plan, &self.settings.upgrade);
        let id = plan.id;
        self.tell(EventKind::PlanAdded { plan: plan.clone() });
        self.record(Record::PlanAdded { at: self.now, plan, steps, facts: StepFacts::default() });
        id
    }

    pub(crate) fn withdraw(&mut self, id: PlanId, why: &str) {
        let problem = Problem::permanent("OV-UPG-040", "carry the plan out").cause(why);
        self.turn_back(id, Outcome::Withdrawn, problem);
    }

    pub(crate) fn abandon_step(&mut self, id: PlanId) {
        if self.active.get(&id).is_some_and(|active| active.in_flight) {
            self.effect(Effect::AbandonStep { plan: id });
        }
    }

    pub(crate) fn turn_back(&mut self, id: PlanId, toward: Outcome, because: Problem) {
        self.abandon_step(id);
        if toward != Outcome::Withdrawn {
            self.tell(EventKind::UpgradeTurnedBack { plan: id, problem: because.clone() });
        }
        self.record(Record::TurnedBack { at: self.now, plan: id, toward, because });
        self.active.insert(id, Active::default());
    }
}

impl Entry {
    /// Whether it is named there, in this way.
    fn says(&self, wish: &Wish) -> bool {
        let is_same = self.plan.release == wish.release && self.named.get(&wish.origin) == Some(&wish.trigger);
        is_same && self.knows_info(wish)
    }

    /// Whether what is said there besides is nothing new. What counts is what is said where the plan was learned, if
    /// anything is.
    fn knows_info(&self, wish: &Wish) -> bool {
        let is_own = wish.origin == self.plan.origin;
        wish.info.is_none() || self.plan.info == wish.info || (self.plan.info.is_some() && !is_own)
    }
}

/// Whether a plan was taken back because it was gone from where it was learned: there again, it is a new one. What a
/// person took back stays so.
fn was_gone(entry: &Entry) -> bool {
    (entry.is_going_back() || entry.is_over()) && entry.because.as_ref().is_some_and(|because| because.code == GONE)
}
