//! When a daemon has nothing left to look after, and how it says goodbye.
//!
//! A standing daemon ends when it is told to. One whose life is that of main also ends once main rests and no upgrade
//! will launch it again; and any daemon ends after an upgrade that leaves launching to the next one, and where the rules
//! of a unit want that for what happened to it.

use ov_types::{EventKind, Lifetime, ParkReason, Step, UnitName};

use super::Node;
use crate::ledger::{Entry, Phase};
use crate::unit::Unit;

/// Why a daemon that was not torn away ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Farewell {
    /// It was told to.
    #[default]
    Told,
    /// Main ended, by itself or when told to, and the daemon lives no longer than main. How, if anybody saw it.
    MainEnded(Option<ov_types::ExitStatus>),
    /// An upgrade was carried out, and the new release is for the next daemon to launch.
    Upgraded,
    /// The rules of a unit want it for what happened to that: whoever started the daemon is to decide.
    GivenUp {
        /// Which unit.
        unit: UnitName,
        /// What happened to it.
        reason: ParkReason,
    },
}

impl Entry {
    /// Whether the new release is launched as a part of the upgrade.
    fn launches(&self) -> bool {
        self.steps.contains(&Step::Start)
    }

    /// Whether main stays down now although its step holds no unit: nothing of this upgrade launches it.
    pub(super) fn is_ending_without_launch(&self) -> bool {
        let beyond = matches!(self.phase, Phase::Forward { step, .. } if step > Step::Start);
        !self.launches() && (beyond || self.phase == Phase::Finished)
    }

    /// Whether units will yet be launched, or left down, as a part of it.
    fn is_before_launch(&self) -> bool {
        fn before(phase: &Phase) -> bool {
            match phase {
                Phase::Forward { step, attempt, .. } => *step < Step::Start || (*step == Step::Start && *attempt == 0),
                Phase::Backward { step, attempt, .. } => *step > Step::Stop || (*step == Step::Stop && *attempt == 0),
                Phase::NeedsOperator { then } => before(then),
                _ => false,
            }
        }
        self.is_in_window() && (before(&self.phase) || !self.launches())
    }
}

impl Node {
    /// Why the daemon ends. Of interest once it does.
    pub fn farewell(&self) -> Farewell {
        let main = self.units.get(&UnitName::main());
        match (&self.farewell, self.settings.lifetime) {
            (Farewell::Told, Lifetime::Main) if self.main_ended.is_some() => {
                Farewell::MainEnded(main.and_then(|main| main.last_exit))
            }
            (farewell, _) => farewell.clone(),
        }
    }

    /// A daemon whose life is main's was started to launch it: how main ended in another one's time is over.
    pub(super) fn begin_lifetime(&mut self) {
        if self.settings.lifetime == Lifetime::Main {
            self.give_units_fresh_chance();
        }
    }

    /// Begins to end when there is nothing left to look after.
    pub(super) fn end_when_over(&mut self) {
        if self.shutting_down || self.found_ms.is_none() {
            return;
        }
        let over = |entry: &Entry| entry.phase == Phase::Finished && entry.is_ending_without_launch();
        if self.ledger.entries().any(over) {
            self.begin_end(Farewell::Upgraded);
        } else if let Some((unit, reason)) = self.given_up() {
            self.tell(EventKind::NodeGivenUp { unit: unit.clone(), reason: reason.clone() });
            // The next daemon was started by somebody who decided that it is worth another try.
            self.forgive_all();
            self.begin_end(Farewell::GivenUp { unit, reason });
        } else if self.settings.lifetime == Lifetime::Main && self.is_main_over() {
            let seen = self.main_ended.and_then(|_| self.units.get(&UnitName::main())?.last_exit);
            self.begin_end(Farewell::MainEnded(seen));
        }
    }

    fn begin_end(&mut self, farewell: Farewell) {
        self.farewell = farewell;
        (self.shutting_down, self.shutdown_since_ms) = (true, self.now.monotonic_ms);
    }

    /// Whether main is down, stays so by its own rules, and no upgrade waits for anything but main. One that waits for a
    /// person's word is not over: somebody has to be there to hear it, and another daemon may not launch it either.
    fn is_main_over(&self) -> bool {
        let parked = |name: &UnitName| self.ledger.unit(name).parked;
        let waits = |(name, _): (&UnitName, &Unit)| parked(name).is_some_and(|reason| reason.waits_for_person());
        if self.those_of_main().any(waits) {
            return false;
        }
        let rests = |unit: &Unit, name: &UnitName| unit.is_down() && (unit.rested || parked(name).is_some());
        let is_down = self.units.get(&UnitName::main()).is_some_and(Unit::is_down);
        // What rests well of those that main lives and dies with does not keep main down.
        let holds = |(name, unit): (&UnitName, &Unit)| rests(unit, name) && (name.is_main() || !unit.rests_well());
        is_down && self.those_of_main().any(holds) && !self.is_main_awaited()
    }

    /// A unit for whose sake the daemon is to end, and why, unless an upgrade will give it another chance before.
    fn given_up(&self) -> Option<(UnitName, ParkReason)> {
        let (unit, reason) = self.units.iter().find_map(|(name, unit)| Some((name.clone(), unit.given_up.clone()?)))?;
        (!self.is_main_awaited()).then_some((unit, reason))
    }

    /// Whether something else is to be done with main first, or is being done: an upgrade that is due or began, a
    /// question to the scouts, work on the data.
    fn is_main_awaited(&self) -> bool {
        let awaited = |entry: &Entry| {
            let due = !entry.is_in_window() && !entry.is_going_back() && self.is_due(entry);
            !entry.is_over() && (due || entry.is_before_launch() || self.is_halted_for(entry))
        };
        self.consulting || self.pause.is_some() || self.ledger.entries().any(awaited)
    }
}
