//! Units that live and die together: what becomes of one is the business of all.
//!
//! A group has no state of its own. Whoever goes down takes the others down, each by its own stop rule; nobody is
//! launched before all are down and may be launched; and the failures that count are those of whoever failed last.

use ov_types::{UnitName, UnitRules};

use super::Node;
use crate::fate::Failures;
use crate::unit::{Doing, Unit};

impl Node {
    /// The others that live and die with a unit.
    pub(super) fn partners<'n>(
        &'n self,
        name: &UnitName,
    ) -> impl Iterator<Item = (&'n UnitName, &'n UnitRules, &'n Unit)> + use<'n> {
        let group = self.settings.units.get(name).and_then(|rules| rules.together.as_ref());
        let name = name.clone();
        let others = self
            .settings
            .units
            .iter()
            .filter(move |(other, rules)| group.is_some() && rules.together.as_ref() == group && **other != name);
        others.filter_map(|(other, rules)| Some((other, rules, self.units.get(other)?)))
    }

    /// Whether it is main, or lives and dies with it.
    pub(crate) fn is_of_main(&self, name: &UnitName) -> bool {
        name.is_main() || self.partners(name).any(|(other, ..)| other.is_main())
    }

    /// Main, and those that live and die with it.
    pub(crate) fn those_of_main(&self) -> impl Iterator<Item = (&UnitName, &Unit)> {
        let main = self.units.get_key_value(&UnitName::main());
        main.into_iter().chain(self.partners(&UnitName::main()).map(|(name, _, unit)| (name, unit)))
    }

    /// Whether a unit may not run because another one of its group does not, or is about to.
    pub(super) fn is_dragged_down(&self, name: &UnitName) -> bool {
        self.partners(name).any(|(other, rules, unit)| {
            let told = self.ledger.unit(other);
            !told.wanted || told.parked.is_some() || unit.takes_others_down(rules)
        })
    }

    /// What a group waits for before all of it is launched, in words.
    pub(super) fn group_waits_for(&self, name: &UnitName) -> Option<String> {
        let now_ms = self.now.monotonic_ms;
        self.partners(name).find_map(|(other, rules, unit)| {
            let told = self.ledger.unit(other);
            let is_held = !told.wanted || told.parked.is_some() || (unit.rested && !unit.rests_well());
            match unit.doing {
                _ if unit.takes_others_down(rules) => Some(format!("unit {other} to be down")),
                _ if is_held => Some(format!("`omnivisor unit start {other}`")),
                Doing::BackOff { until_ms } if until_ms > now_ms => Some(format!("the pause of unit {other}")),
                Doing::Down | Doing::BackOff { .. } if !unit.rested => self.own_condition(other, rules),
                _ => None,
            }
        })
    }

    /// Whether what a unit ended with can be judged: of a group that fails, once all of it is down.
    pub(super) fn may_be_judged(&self, name: &UnitName, rules: &UnitRules) -> bool {
        let Some(unit) = self.units.get(name).filter(|unit| unit.awaits_judgement()) else { return false };
        unit.has_finished(rules) || self.partners(name).all(|(_, _, other)| other.is_down())
    }

    /// What is held against a unit and all that it lives and dies with.
    pub(super) fn failures_of_all(&self, name: &UnitName) -> Failures {
        let own = self.units.get(name).into_iter();
        let all = own.chain(self.partners(name).map(|(_, _, unit)| unit)).filter(|unit| !unit.rests_well());
        let newest = all.map(Unit::failures).max_by_key(|failures| (failures.at_ms.last(), failures.in_a_row));
        newest.cloned().unwrap_or_default()
    }

    /// One failure of all, whoever else ended by it.
    pub(super) fn share_failure(&mut self, name: &UnitName) {
        let of_all = self.failures_of_all(name);
        let others: Vec<(UnitName, UnitRules)> =
            self.partners(name).map(|(other, rules, _)| (other.clone(), rules.clone())).collect();
        for (other, rules) in others {
            let Some(unit) = self.units.get_mut(&other).filter(|unit| unit.awaits_judgement()) else { continue };
            let reason = unit.join_failure(&rules, &of_all);
            self.note_failures(&other);
            if let Some(reason) = reason {
                self.park(other, reason);
            }
        }
    }

    /// Before it is forgotten that a unit failed: those that live and die with it go down all the same.
    pub(super) fn take_partners_down(&mut self, name: &UnitName) {
        let Some((rules, unit)) = self.settings.units.get(name).zip(self.units.get(name)) else { return };
        if !unit.awaits_judgement() || unit.has_finished(rules) {
            return;
        }
        let others: Vec<UnitName> = self.partners(name).map(|(other, ..)| other.clone()).collect();
        for other in others {
            if let Some(unit) = self.units.get_mut(&other) {
                unit.stop_for_restart();
            }
        }
    }

    /// Those whose work is done are launched once more with the others of a group that is down.
    pub(super) fn wake_rested(&mut self) {
        let is_waking = |node: &Self, name: &UnitName, unit: &Unit| {
            unit.rests_well()
                && node.partners(name).all(|(_, _, other)| other.is_down())
                && node.partners(name).any(|(_, _, other)| !other.rested)
        };
        let waking: Vec<UnitName> = self
            .units
            .iter()
            .filter(|(name, unit)| is_waking(self, name, unit))
            .map(|(name, _)| name.clone())
            .collect();
        for name in waking {
            if let Some(unit) = self.units.get_mut(&name) {
                unit.rested = false;
            }
        }
    }
}
