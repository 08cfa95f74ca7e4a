//! What tells whether a plan in a file is due: how main is, how the files are written, and whether the height stands.
//!
//! The scouts look on threads that may wait for a disk; what they are told to begin with, and what of it is remembered,
//! is here, with the node.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ov_engine::{Entry, Input};
use ov_types::{EventKind, Height, Moment, Trigger, UnitName};
use tokio::sync::Notify;

use super::{Keeper, Message};
use crate::core::CoreError;
use crate::scout::{self, Known, Looked, MainSeen, Named, Writing};

/// A height that did not move for this long is one where the node stands.
const SETTLED_MS: u64 = 5_000;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(super) struct Senses {
    main: MainSeen,
    files: BTreeMap<PathBuf, Seen>,
    remarks: BTreeMap<String, String>,
    poke: Arc<Notify>,
}

/// One state of a file, and what was learned of it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    writing: Writing,
    /// Whether the node had come to its plan's height when it was written, as the first answer after that says.
    at_its_height: Option<bool>,
}

impl Senses {
    /// Takes in what happens to main.
    pub(super) fn note(&mut self, kind: &EventKind, now: Moment) {
        match kind {
            EventKind::UnitStarted { unit, .. } if unit.is_main() => self.main = MainSeen::Runs,
            EventKind::UnitExited { unit, status, expected } if unit.is_main() => {
                let failed = !status.is_some_and(ov_types::ExitStatus::is_success);
                self.main = match expected {
                    true => MainSeen::Stopped,
                    false => MainSeen::EndedItself { at_ms: now.wall_ms, failed },
                };
            }
            _ => {}
        }
    }

    /// Has the height asked for at once.
    pub(super) fn poke(&self) -> Arc<Notify> {
        Arc::clone(&self.poke)
    }
}

/// Where a plan is named.
fn named(entry: &Entry) -> impl Iterator<Item = Named> {
    entry.named.iter().map(|(origin, trigger)| Named {
        origin: origin.clone(),
        release: entry.plan.release.clone(),
        height: trigger.height(),
    })
}

impl Keeper {
    /// How often the files of plans are looked at besides when the kernel tells of a change.
    pub(super) fn polls_every(&self) -> Option<Duration> {
        let every = self.shape.plan_files().filter_map(|(_, rules)| rules.every_ms).min()?;
        Some(Duration::from_millis(every.max(10)))
    }

    /// Looks whether any file of plans is written in another way than when it was read last.
    pub(super) fn look_for_changes(&mut self) {
        let changed = self.shape.plan_files().any(|(path, _)| {
            let seen = self.senses.files.get(path).map(|seen| (seen.writing.modified_ms, seen.writing.len));
            scout::writing(&*self.disk, path).map(|writing| (writing.modified_ms, writing.len)) != seen
        });
        if changed {
            self.look_for_plans(false);
        }
    }

    /// Looks where plans appear, and tells the engine; `consulted`: it waits for the answer.
    pub(super) fn look_for_plans(&self, consulted: bool) {
        let (disk, shape, messages) = (Arc::clone(&self.disk), Arc::clone(&self.shape), self.messages.clone());
        let known = self.known();
        drop(tokio::task::spawn_blocking(move || {
            let looked = scout::ask(&*disk, &shape, &known);
            let _ = messages.blocking_send(Message::Looked(looked, consulted));
        }));
    }

    pub(super) fn known(&self) -> Known {
        let node = self.core.node();
        let is_up = node.unit_view(&UnitName::main()).is_some_and(|main| main.pid.is_some());
        let signed = node.ledger().sign_state().map(|(height, ..)| Height(height.saturating_sub(1)));
        let stands =
            node.height().is_some_and(|(_, moved)| self.clock.now().monotonic_ms.saturating_sub(moved) >= SETTLED_MS);
        Known {
            current: self.current_release(),
            height: node.height().map(|(height, _)| height),
            remembered: node.ledger().height().max(signed),
            is_upgrading: node.ledger().entries().any(ov_engine::Entry::is_in_window),
            noted: node.ledger().height(),
            at_rest: None,
            is_settled: stands || self.senses.files.values().any(|seen| seen.at_its_height == Some(true)),
            main: if is_up { MainSeen::Runs } else { self.senses.main },
            named: node.ledger().entries().filter(|it| !it.is_over()).flat_map(named).collect(),
        }
    }

    /// Takes in what the scouts saw.
    pub(super) fn take_looked(&mut self, looked: Looked, consulted: bool) -> Result<(), CoreError> {
        let Looked { inputs, writings, remarks, at_rest } = looked;
        for (path, writing) in &writings {
            let before = self.senses.files.get(path).copied().filter(|seen| seen.writing == *writing);
            if before.is_none() {
                // Whether the node wrote it at its halt shows in the next height.
                self.senses.poke.notify_one();
            }
            let seen = before.unwrap_or(Seen { writing: *writing, at_its_height: None });
            self.senses.files.insert(path.clone(), seen);
        }
        self.senses.files.retain(|path, _| writings.contains_key(path));
        for (of, remark) in &remarks {
            if self.senses.remarks.get(of) != Some(remark) {
                tracing::warn!("{remark}");
            }
        }
        self.senses.remarks = remarks;
        for input in inputs {
            self.take(input)?;
        }
        // Behind the plans: one that is due before main is launched is known as such by now.
        let is_down = self.core.node().unit_view(&UnitName::main()).is_some_and(|main| main.pid.is_none());
        if let Some(height) = at_rest.and_then(|at_rest| at_rest.certain()).filter(|_| is_down) {
            self.take(Input::HeightAtRest(height))?;
        }
        // Only now is it known what the files say, so that nothing is taken back that stands in them.
        self.ask_services();
        if consulted { self.take(Input::Consulted) } else { Ok(()) }
    }

    /// A new answer about the height: does it make a plan due that waits?
    pub(super) fn weigh_height(&mut self) {
        let Some((Height(height), _)) = self.core.node().height() else { return };
        let reached = |plan: Height| height.saturating_add(1) >= plan.0;
        for seen in self.senses.files.values_mut().filter(|seen| seen.at_its_height.is_none()) {
            seen.at_its_height = seen.writing.height.map(reached);
        }
        let is_near = self.core.node().ledger().entries().any(|entry| {
            let waits = matches!(entry.plan.trigger, Trigger::Height { height } | Trigger::AwaitHalt { height } if reached(height));
            waits && !entry.is_over() && !entry.is_in_window()
        });
        if is_near {
            self.look_for_plans(false);
        }
    }
}
