//! What must hold in every world at every moment, whatever happens to it.

use std::collections::{BTreeMap, BTreeSet};

use ov_engine::{Entry, Ledger, Phase};
use ov_release::{CurrentRelease, State};
use ov_sys::Disk;
use ov_types::record::Outcome;
use ov_types::{AfterUpgrade, Height, Lasting, Occasion, PlanId, Problem, Step, Trigger, UnitName};
use ov_vault::OnDisk;

use crate::pair::partner;
use crate::{Home, Lawful, Program, Violation, World, home};

/// What the world remembers of itself, without looking at the disk.
#[derive(Debug, Default)]
pub struct Known {
    /// The highest block that was ever signed.
    pub(crate) signed: u64,
    /// The upgrades that the node has halted for: the level that it needs, and from which height on.
    pub(crate) halted: BTreeSet<(u64, u64)>,
    /// Plans that a person wanted to be carried out at once.
    pub(crate) applied: BTreeSet<PlanId>,
    ended: BTreeMap<PlanId, Outcome>,
    /// Where upgrades that turned round are going.
    toward: BTreeMap<PlanId, Outcome>,
    /// What the journal says, as far as the daemon knows that it does.
    durable: Ledger,
    /// What it says if the last append arrived although it failed.
    pub(crate) attempted: Option<Ledger>,
    /// The upgrade whose release did not come up yet.
    pub(crate) after_upgrade: Option<AfterUpgrade>,
    /// A release was complete and the current one.
    ever_current: bool,
    /// Operations at the last look.
    looked_at: u64,
}

fn law(holds: bool, what: impl FnOnce() -> String) -> Lawful {
    if holds { Ok(()) } else { Err(Violation::new(what())) }
}

impl Known {
    /// Takes in what is durable now: an upgrade that has ended stays as it ended.
    /// Returns those that were withdrawn just now.
    pub(crate) fn remember(&mut self, ledger: &Ledger) -> Lawful<Vec<PlanId>> {
        let mut withdrawn = Vec::new();
        for entry in ledger.entries() {
            let outcome = match entry.phase {
                Phase::Ended { outcome } => Some(outcome),
                _ => None,
            };
            let toward = self.toward.get(&entry.plan.id).copied();
            let superseded = outcome == Some(Outcome::Superseded);
            law(outcome.is_none() || superseded || outcome == toward.or(outcome), || {
                format!("upgrade {} turned round toward {toward:?} and ended as {outcome:?}", entry.plan.id)
            })?;
            let went_back = outcome == Some(Outcome::RolledBack) && entry.facts.superseded.is_some();
            law(!went_back, || format!("upgrade {} went back to a release that was never proven", entry.plan.id))?;
            self.toward.extend(toward_of(&entry.phase).map(|toward| (entry.plan.id, toward)));
            let before = self.ended.get(&entry.plan.id).copied();
            law(before.is_none() || before == outcome, || {
                format!("upgrade {} had ended as {before:?} and is {:?} now", entry.plan.id, entry.phase)
            })?;
            if before.is_none() && outcome == Some(Outcome::Withdrawn) {
                withdrawn.push(entry.plan.id);
            }
            self.ended.extend(outcome.map(|outcome| (entry.plan.id, outcome)));
        }
        self.durable = ledger.clone();
        self.attempted = None;
        Ok(withdrawn)
    }
}

/// Whether a folded ledger is the one that was.
fn same(before: &Ledger, folded: &Ledger) -> bool {
    let units = [UnitName::main(), helper(), partner()];
    let same_unit = |unit: &UnitName| {
        let (mut before, folded) = (before.unit(unit), folded.unit(unit));
        if folded.failing.is_none() {
            // Another boot makes failures forgotten.
            before.failing = None;
        }
        before == folded
    };
    before.entries().eq(folded.entries())
        && units.iter().all(same_unit)
        && (before.sign_state(), before.last_end()) == (folded.sign_state(), folded.last_end())
        && (before.after_upgrade(), before.halt_at()) == (folded.after_upgrade(), folded.halt_at())
}

#[expect(clippy::expect_used, reason = "a word is a name")]
pub(crate) fn helper() -> UnitName {
    UnitName::new("helper").expect("a name")
}

impl World {
    /// The journal holds what was durable before the last daemon ended, or what that one was writing.
    pub(crate) fn check_ledger(&mut self) -> Lawful {
        let Some(daemon) = &self.daemon else { return Ok(()) };
        let folded = daemon.core.node().ledger().clone();
        let attempted = self.known.attempted.as_ref().is_some_and(|attempted| same(attempted, &folded));
        law(attempted || same(&self.known.durable, &folded), || {
            format!(
                "the journal says neither what was durable nor what was being written:\n  journal {folded:?}\n  durable {:?}\n  attempted {:?}",
                self.known.durable, self.known.attempted
            )
        })?;
        self.remember(&folded)
    }

    /// Takes in what is durable now.
    pub(crate) fn remember(&mut self, ledger: &Ledger) -> Lawful {
        for id in self.known.remember(ledger)? {
            self.check_withdrawn(ledger, id)?;
        }
        Ok(())
    }

    /// After a daemon's first look around, nothing half-made is left.
    pub(crate) fn check_leftovers(&mut self) -> Lawful {
        let aside = self.home.aside();
        let layout = &aside.shape.layout;
        for folder in [&layout.releases, &layout.snapshots] {
            for name in aside.disk.list(folder).unwrap_or_default() {
                let name = name.to_string_lossy().into_owned();
                let half_made = [".staging-", ".removing-", ".taking-"].iter().any(|prefix| name.starts_with(prefix));
                // A release whose tree is in place waits for its staging to be repeated.
                let pending = name.strip_prefix(".staging-").and_then(|name| name.strip_suffix(".release.json"));
                let waits =
                    pending.is_some_and(|name| aside.disk.facts(&folder.join(name)).is_ok_and(|it| it.is_some()));
                law(!half_made || waits, || format!("{name} is left in {} after a start", folder.display()))?;
            }
        }
        if aside.disk.list(&layout.journal()).is_ok_and(|segments| segments.len() > 1) {
            self.tally.count("journal.rotated");
        }
        if let CurrentRelease::Release(name) = aside.current()? {
            self.known.ever_current |= matches!(aside.state(&name)?, State::Complete(_));
        }
        Ok(())
    }

    /// What must hold on the disk.
    pub(crate) fn check_disk(&mut self) -> Lawful {
        let operations = self.home.disk.operations();
        if std::mem::replace(&mut self.known.looked_at, operations) == operations {
            return Ok(());
        }
        let aside = self.home.aside();
        self.check_current(&aside)?;
        match aside.sign_state()? {
            OnDisk::State(signed, _) => law(signed.height >= self.known.signed, || {
                format!("the sign state says {signed}, and {} was signed", self.known.signed)
            }),
            OnDisk::Missing => {
                let data = aside.disk.facts(&aside.shape.layout.data).map_err(home::unexpected)?;
                // Between two renames of a restore there is no data, and nobody runs.
                let swapping = data.is_none() && self.units.are_down();
                law(self.known.signed == 0 || swapping, || "the sign state is gone".to_owned())
            }
            OnDisk::Unreadable(why) => Err(Violation::new(format!("the sign state cannot be read: {why}"))),
        }
    }

    fn check_current(&self, aside: &Home) -> Lawful {
        if !self.known.ever_current {
            return Ok(());
        }
        match aside.current()? {
            CurrentRelease::Release(name) => {
                let state = aside.state(&name)?;
                law(matches!(state, State::Complete(_)), || {
                    format!("`current` names {name}, which is {}", state.describe())
                })
            }
            other => Err(Violation::new(format!("`current` names no release any more: {other:?}"))),
        }
    }

    /// Before a launch: after the node halted for an upgrade, nothing is launched until that is switched or over.
    pub(crate) fn check_launch(&mut self, unit: &UnitName, ledger: &Ledger) -> Lawful {
        if !unit.is_main() {
            return Ok(());
        }
        let current = self.home.aside().current()?.release();
        for entry in ledger.entries().filter(|entry| !entry.is_over()) {
            law(!entry.holds_units(), || format!("main is launched while upgrade {} holds it", entry.plan.id))?;
            let halted = matches!(entry.plan.trigger, Trigger::Halt { .. });
            law(!halted || !is_forward(&entry.phase) || current.as_ref() == Some(&entry.plan.release), || {
                format!("{current:?} is launched although the node halted for plan {}", entry.plan.id)
            })?;
        }
        Ok(())
    }

    /// When an upgrade begins: one that the node halts for by itself does not begin before it has, unless a person says so.
    pub(crate) fn check_started(&mut self, entry: &Entry) -> Lawful {
        let (trigger, level) = (entry.plan.trigger, home::level(&entry.plan.release));
        if !entry.named.values().any(|named| matches!(named, Trigger::AwaitHalt { .. })) {
            return Ok(());
        }
        let by_a_person = self.known.applied.contains(&entry.plan.id) || entry.facts.superseded.is_some();
        let has_halted = |height: Height| self.known.halted.contains(&(level, height.0));
        let may_begin = match trigger {
            Trigger::Halt { height } => has_halted(height),
            Trigger::Now | Trigger::Time { .. } => true,
            Trigger::Height { .. } | Trigger::AwaitHalt { .. } => false,
        };
        if matches!(trigger, Trigger::Halt { .. }) {
            self.tally.count("upgrade.awaited");
        }
        law(may_begin || by_a_person, || {
            format!("upgrade {} begins at {trigger:?}, before the node halts", entry.plan.id)
        })
    }

    /// Main's launches know of an upgrade until its release came up once, and never later.
    pub(crate) fn check_occasion(&mut self, unit: &UnitName, occasion: &Occasion) -> Lawful {
        if !unit.is_main() {
            return Ok(());
        }
        if occasion.after_upgrade.is_some() {
            self.tally.count("launch.after-upgrade");
        }
        law(occasion.after_upgrade == self.known.after_upgrade, || {
            format!("main is launched with {occasion:?}, and what holds is {:?}", self.known.after_upgrade)
        })
    }

    /// A program that cannot read the data may be started only to be proven bad.
    pub(crate) fn check_refused(&mut self, program: Program) -> Lawful {
        let ledger = self.daemon.as_ref().map(|daemon| daemon.core.node().ledger());
        // A launch may have been under way when the upgrade turned round.
        let just_turned = |phase: &Phase| matches!(phase, Phase::Backward { step, .. } if *step >= Step::Start);
        let tried = |entry: &Entry| {
            let is_tried = is_forward(&entry.phase) || just_turned(&entry.phase) || entry.is_over();
            home::level(&entry.plan.release) == program.level && is_tried
        };
        // Until the next one stops it, what was tried goes on being tried.
        let gives_way = |ledger: &Ledger, entry: &Entry| {
            let old = entry.facts.superseded.and_then(|superseded| ledger.entry(superseded));
            entry.is_in_window() && old.is_some_and(tried)
        };
        let explained = ledger.is_none_or(|ledger| {
            ledger.entries().any(|entry| !entry.is_over() && (tried(entry) || gives_way(ledger, entry)))
        });
        law(explained, || format!("{program} was launched on data that it cannot read"))
    }

    /// A plan that was taken back has left nothing that only it wanted.
    fn check_withdrawn(&self, ledger: &Ledger, id: PlanId) -> Lawful {
        let Some(entry) = ledger.entry(id) else { return Ok(()) };
        let Some(source) = &entry.plan.source else { return Ok(()) };
        let aside = self.home.aside();
        let name = &entry.plan.release;
        let live = || ledger.entries().filter(|entry| !entry.is_over());
        let wanted = live().any(|entry| entry.plan.release == *name || entry.facts.previous.as_ref() == Some(name));
        if wanted || aside.current()?.release().as_ref() == Some(name) {
            return Ok(());
        }
        let State::Complete(provenance) = aside.state(name)? else { return Ok(()) };
        law(provenance.source != format!("{source} for plan {id}"), || {
            format!("plan {id} was withdrawn, and the release {name} that it staged is still there")
        })
    }
}

/// Where an upgrade that turned round is going.
fn toward_of(phase: &Phase) -> Option<Outcome> {
    match phase {
        Phase::Backward { toward, .. } | Phase::Undone { toward } => Some(*toward),
        Phase::NeedsOperator { then } => toward_of(then),
        _ => None,
    }
}

/// An undo fails only for reasons that pass, or because there is nothing to go back to.
pub(crate) fn check_undo(step: Step, problem: &Problem) -> Lawful {
    let passes = problem.lasting == Lasting::Transient || problem.code == "OV-UPG-023";
    law(passes, || format!("the undo of {step} fails for good: {problem}"))
}

/// Whether an upgrade is on its way to its release.
fn is_forward(phase: &Phase) -> bool {
    match phase {
        Phase::Forward { step, attempt, .. } => *step < Step::Start || *attempt > 0 || *step > Step::Start,
        Phase::Prepared | Phase::Armed => true,
        Phase::NeedsOperator { then } => is_forward(then),
        Phase::Finished | Phase::Backward { .. } | Phase::Undone { .. } | Phase::Ended { .. } => false,
    }
}
