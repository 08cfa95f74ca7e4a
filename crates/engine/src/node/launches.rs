//! Why units are launched, and what of that has to outlive the daemon: the upgrade that has not shown itself yet, and
//! where main was told to halt.
//!
//! A node that can be told to halt before the block of a height is told so for the next plan that it would pass: that block is
//! the next release's to make. It is told at launches alone; what changes while it runs, is seen to when it stands there.

use ov_types::{AfterUpgrade, FailurePolicy, Height, Occasion, Record, StartWhen, Trigger, UnitName};

use super::Node;
use crate::ledger::Entry;
use crate::unit::{Doing, Unit};

impl Entry {
    /// The block that the old release must not make, although it would not halt for it by itself. What the network does not
    /// depend on is no reason to have a node stand still.
    fn first_block(&self) -> Option<Height> {
        let is_ahead = !self.is_over() && !self.is_going_back();
        match self.plan.trigger {
            Trigger::Height { height } if is_ahead && self.plan.on_failure == FailurePolicy::Hold => Some(height),
            _ => None,
        }
    }

    /// Whether the node halts there by itself: what it writes down then the next release needs.
    fn is_own_halt_at(&self, height: Height) -> bool {
        let is_own = matches!(self.plan.trigger, Trigger::Halt { .. } | Trigger::AwaitHalt { .. });
        is_own && !self.is_over() && self.plan.trigger.height() == Some(height)
    }
}

impl Node {
    /// Why a unit is launched now. What a later launch has to know of it is noted.
    pub(super) fn occasion(&mut self, unit: &UnitName) -> Occasion {
        let halt_at = self.next_halt().filter(|_| unit.is_main());
        if unit.is_main() {
            self.at_rest = None;
            self.note_launches(self.ledger.after_upgrade, halt_at);
        }
        let after_failure = self.units.values().any(|unit| unit.has_failed);
        Occasion { after_failure, after_upgrade: self.ledger.after_upgrade, halt_at }
    }

    pub(super) fn note_launches(&mut self, after_upgrade: Option<AfterUpgrade>, halt_at: Option<Height>) {
        if (self.ledger.after_upgrade, self.ledger.halt_at) != (after_upgrade, halt_at) {
            self.record(Record::LaunchNoted { at: self.now, after_upgrade, halt_at });
        }
    }

    /// Once the release of the last upgrade has been ready, it is launched as every other.
    pub(super) fn note_answer(&mut self) {
        if self.ledger.after_upgrade.is_some() && self.is_up(&UnitName::main(), StartWhen::Ready) {
            self.note_launches(None, self.ledger.halt_at);
        }
    }

    /// Whether the node may be told to halt for a plan: not where it halts for one by itself.
    fn halts_for(&self, entry: &Entry) -> Option<Height> {
        let height = entry.first_block().filter(|_| self.settings.halts_when_told)?;
        (!self.ledger.entries().any(|other| other.is_own_halt_at(height))).then_some(height)
    }

    /// Where main is to halt if it is launched now. It must not have come there yet, or it would not start at all.
    fn next_halt(&self) -> Option<Height> {
        let known = self.at_rest.or_else(|| self.height.map(|(height, _)| height).max(self.ledger.height));
        let waiting = self.ledger.entries().filter(|entry| !entry.is_in_window());
        waiting.filter_map(|entry| self.halts_for(entry)).filter(|height| Some(*height) > known).min()
    }

    /// Whether main is down and has nothing left to do before a plan: its next block is that of the next release.
    pub(super) fn has_come_to(&self, entry: &Entry) -> bool {
        let is_down = self.units.get(&UnitName::main()).is_some_and(Unit::is_down);
        let next = self.at_rest.map(|Height(height)| Height(height.saturating_add(1)));
        is_down && next.is_some() && self.halts_for(entry) == next
    }

    /// An upgrade whose release comes to where the next one begins has shown what there was to prove.
    pub(super) fn settle_proof(&mut self) {
        let Some((seen, _)) = self.height else { return };
        let stands_at = |entry: &&Entry| self.halts_for(entry).is_some_and(|height| seen >= height);
        let waiting = || self.ledger.entries().filter(|entry| !entry.is_in_window());
        let next = waiting().find(|entry| self.has_come_to(entry) || stands_at(entry));
        let height = next.and_then(|entry| entry.plan.trigger.height());
        // What was seen may have been seen of the release before.
        let came_further = |entry: &Entry| entry.is_in_window() && entry.facts.height.is_none_or(|was| was < seen);
        if let Some(height) = height.filter(|_| self.ledger.entries().any(came_further)) {
            self.finish_proof_at(height);
        }
    }

    /// A halt that main was told is no failure. If nothing wants it any more, main is launched anew without it.
    pub(super) fn settle_halt(&mut self) {
        let main = UnitName::main();
        let Some(told) = self.ledger.halt_at else { return };
        let came_there = self.at_rest.is_some_and(|Height(height)| height.saturating_add(1) >= told.0);
        let is_wanted = self.ledger.entries().any(|entry| entry.is_in_window() || self.halts_for(entry) == Some(told));
        let standing_ms = self.pace.standing_ms();
        let has_stood = |moved: u64| self.now.monotonic_ms.saturating_sub(moved) >= standing_ms;
        let stands_there = self.height.is_some_and(|(height, moved)| height >= told && has_stood(moved));
        if came_there {
            self.take_partners_down(&main);
        }
        let Some((rules, unit)) = self.settings.units.get(&main).zip(self.units.get_mut(&main)) else { return };
        if came_there && unit.is_down() {
            unit.excuse(rules);
        }
        if stands_there && !is_wanted && matches!(unit.doing, Doing::Up { .. }) {
            unit.stop_for_restart();
        }
    }
}
