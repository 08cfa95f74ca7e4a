//! What happened in how many worlds, to see that a simulator exercises what it claims to.

use std::collections::BTreeMap;
use std::fmt;

/// Counts, by a name of two or three words joined by dots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<String, u64>,
}

impl Tally {
    /// Counts one.
    pub fn count(&mut self, name: impl Into<String>) {
        *self.counts.entry(name.into()).or_default() += 1;
    }

    /// How often something happened.
    pub fn of(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Adds what happened elsewhere.
    pub fn add(&mut self, other: &Tally) {
        for (name, count) in &other.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
    }

    /// What never happened of all that has to happen in enough worlds.
    pub fn missing(&self) -> Vec<String> {
        expected().filter(|name| self.of(name) == 0).collect()
    }
}

/// Everything that enough worlds must show: else the simulator proves less than it says.
fn expected() -> impl Iterator<Item = String> {
    let steps = ov_types::Step::ALL.into_iter();
    let steps = steps.flat_map(|step| {
        let names = ["began", "done", "failed"].map(|what| format!("step.{step}.{what}"));
        let undone = (step < ov_types::Step::Commit).then(|| format!("undo.{step}.done"));
        names.into_iter().filter(move |name| can_happen(name)).chain(undone)
    });
    steps.chain(NAMES.iter().map(|name| (*name).to_owned()))
}

/// Steps that look at files only fail when the disk does, or the doctor objects; one that has nothing to do cannot.
fn can_happen(name: &str) -> bool {
    name != "step.migrate.failed"
}

const NAMES: &[&str] = &[
    "outcome.committed",
    "outcome.rolled-back",
    "outcome.withdrawn",
    "outcome.superseded",
    "upgrade.held",
    "upgrade.needs-operator",
    "plan.blocked",
    "plan.seen",
    "plan.gone",
    "plan.foretold",
    "plan.foretold.gone",
    "upgrade.awaited",
    "death.killed",
    "death.power-cut",
    "death.journal",
    "death.not-begun",
    "death.in-step",
    "fault.no-space",
    "fault.input-output",
    "fault.read-only",
    "fault.kill",
    "fault.power-cut",
    "fault.full-disk",
    "clock.forward",
    "clock.back",
    "order.add.obeyed",
    "order.add.refused",
    "order.replace.obeyed",
    "order.cancel.obeyed",
    "order.cancel.refused",
    "order.apply.obeyed",
    "order.apply.refused",
    "order.rollback.obeyed",
    "order.rollback.refused",
    "order.retry.obeyed",
    "order.stop.obeyed",
    "order.stop.refused",
    "order.start.obeyed",
    "order.restart.obeyed",
    "order.suspend.obeyed",
    "order.resume.obeyed",
    "order.pause.obeyed",
    "unit.launched",
    "unit.not-launched",
    "unit.crashed",
    "unit.stopped",
    "unit.killed",
    "unit.orphaned",
    "unit.parked",
    "unit.refused-data",
    "pair.fell",
    "pair.followed",
    "pair.launched",
    "found.running",
    "launch.after-upgrade",
    "found.ended",
    "found.ending",
    "found.stopping",
    "found.stopped",
    "found.orphaned",
    "node.halted",
    "node.raised",
    "data.restored",
    "journal.rotated",
];

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.counts.keys().map(String::len).max().unwrap_or(0);
        for (name, count) in &self.counts {
            writeln!(f, "{name:<widest$} {count:>10}")?;
        }
        Ok(())
    }
}
