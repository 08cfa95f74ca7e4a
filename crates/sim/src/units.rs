//! The processes of the node and their shims, as the machine would have them: what lives, what has ended and who was
//! told. They outlive the daemon, and nothing outlives the machine.

use std::collections::BTreeMap;

use ov_engine::Found;
use ov_types::{ExitStatus, Moment, RunId, UnitName};

use crate::{Lawful, Program, Violation};

/// A process.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) run: RunId,
    pub(crate) launched_ms: u64,
    pub(crate) program: Program,
    /// SIGTERM does nothing to it.
    pub(crate) ignores_term: bool,
    /// Something of it lives on for a while after it ended.
    pub(crate) leaves_behind: bool,
    /// Told to end.
    pub(crate) ending: bool,
    /// The block it is at.
    pub(crate) height: u64,
    /// It waits for its upgrade, or hangs.
    pub(crate) stands_still: bool,
}

/// One unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unit {
    /// Its shim lives.
    pub(crate) shim: bool,
    /// Its last launch, 0 if there was none.
    pub(crate) run: RunId,
    pub(crate) process: Option<Process>,
    /// Its main process has ended, and something of its tree lives on.
    pub(crate) leftover: bool,
    /// How its last run ended, and for how long it ran.
    pub(crate) ended: Option<(ExitStatus, u64)>,
    /// It was told to.
    pub(crate) settled: bool,
    /// The last launch that a daemon wanted stopped.
    pub(crate) told_to_stop: RunId,
    /// Not to be launched before this time, as somebody was told.
    pub(crate) not_before_ms: u64,
}

impl Unit {
    /// Whether any process of it lives.
    pub(crate) fn is_occupied(&self) -> bool {
        self.process.is_some() || self.leftover
    }

    /// What a new daemon finds of it, as `daemon::units::find` does.
    fn find(&self, now: Moment, true_ms: u64) -> Found {
        let run = self.run;
        match (&self.process, self.shim) {
            (Some(_), false) => Found::Orphaned { run },
            (None, false) if self.leftover => Found::Orphaned { run },
            (Some(process), true) => {
                let age_ms = true_ms.saturating_sub(process.launched_ms);
                let since = Moment { monotonic_ms: now.monotonic_ms.saturating_sub(age_ms), ..now };
                if process.ending {
                    Found::Stopping { run, pid: Some(process.pid), since }
                } else {
                    Found::Running { run, pid: process.pid, since }
                }
            }
            (None, _) if run == RunId(0) => Found::Nothing,
            (None, true) if self.leftover && self.settled => {
                let since = now;
                Found::Stopping { run, pid: None, since }
            }
            (None, true) if self.leftover => Found::Ending { run, status: self.ended.map(|(status, _)| status) },
            (None, _) => match self.ended {
                Some((status, _)) if self.settled => Found::Stopped { run, status: Some(status) },
                Some((status, ran_ms)) => Found::Ended { run, status: Some(status), ran_ms: Some(ran_ms) },
                // It went down with the machine.
                None => Found::Stopped { run, status: None },
            },
        }
    }
}

/// All units of the node.
#[derive(Debug, Default)]
pub(crate) struct Units {
    units: BTreeMap<UnitName, Unit>,
    pids: u32,
}

impl Units {
    pub(crate) fn of(&mut self, name: &UnitName) -> &mut Unit {
        self.units.entry(name.clone()).or_default()
    }

    pub(crate) fn names(&self) -> Vec<UnitName> {
        self.units.keys().cloned().collect()
    }

    /// The process of main, if one lives.
    pub(crate) fn main(&mut self) -> Option<&mut Process> {
        self.of(&UnitName::main()).process.as_mut()
    }

    /// The unit whose process this is.
    pub(crate) fn owner(&self, pid: u32) -> Option<UnitName> {
        let is_it = |unit: &Unit| unit.process.as_ref().is_some_and(|process| process.pid == pid);
        self.units.iter().find(|(_, unit)| is_it(unit)).map(|(name, _)| name.clone())
    }

    /// A process comes to life. Never a second one.
    pub(crate) fn launch(&mut self, name: &UnitName, process: &Process) -> Lawful<u32> {
        self.pids += 1;
        let pid = self.pids;
        let unit = self.of(name);
        if unit.is_occupied() {
            return Err(Violation::new(format!("run {} of {name} was launched beside run {}", process.run, unit.run)));
        }
        let process = Process { pid, ..process.clone() };
        let told_to_stop = unit.told_to_stop;
        *unit = Unit { shim: true, run: process.run, process: Some(process), told_to_stop, ..Unit::default() };
        Ok(pid)
    }

    /// What a new daemon finds.
    pub(crate) fn find(&self, now: Moment, true_ms: u64) -> BTreeMap<UnitName, Found> {
        self.units.iter().map(|(name, unit)| (name.clone(), unit.find(now, true_ms))).collect()
    }

    /// The power goes: what the shims wrote down about the last runs is there, and what ran has no end.
    pub(crate) fn lose_power(&mut self) {
        for unit in self.units.values_mut() {
            *unit = Unit { run: unit.run, ended: unit.ended, settled: unit.settled, ..Unit::default() };
        }
    }

    /// What was held against them is forgotten.
    pub(crate) fn forgive(&mut self) {
        for unit in self.units.values_mut() {
            unit.not_before_ms = 0;
        }
    }

    /// Whether no process of the node lives.
    pub(crate) fn are_down(&self) -> bool {
        self.units.values().all(|unit| !unit.is_occupied())
    }
}
