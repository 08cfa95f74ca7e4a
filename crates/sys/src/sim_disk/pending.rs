//! Changes of names that programs see and the device may not have yet, in the order they happened.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::tree::Id;
use crate::random::Random;

/// One name that leads somewhere else, or nowhere, from now on.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) directory: Id,
    pub(super) name: OsString,
    pub(super) target: Option<Id>,
}

impl Change {
    /// Returns where the name led before.
    pub(super) fn apply(&self, names: &mut BTreeMap<OsString, Id>) -> Option<Id> {
        match self.target {
            Some(id) => names.insert(self.name.clone(), id),
            None => names.remove(&self.name),
        }
    }
}

/// Changes that happen together or not at all.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) changes: Vec<Change>,
    /// Moves a directory to another parent: ordered with everything, as losing or keeping it out of order
    /// could leave a tree that no order of operations leads to.
    pub(super) ordered_with_all: bool,
}

impl Transaction {
    fn touches(&self, directories: &BTreeSet<Id>) -> bool {
        self.changes.iter().any(|change| directories.contains(&change.directory))
    }

    fn directories(&self) -> impl Iterator<Item = Id> + '_ {
        self.changes.iter().map(|change| change.directory)
    }
}

/// What is not durable yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    transactions: Vec<Transaction>,
}

impl Pending {
    pub(super) fn push(&mut self, transaction: Transaction) {
        self.transactions.push(transaction);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    pub(super) fn take_all(&mut self) -> Vec<Transaction> {
        std::mem::take(&mut self.transactions)
    }

    /// Those that become durable with a directory: its own, and all that had to happen before them.
    pub(super) fn take_needed_by(&mut self, directory: Id) -> Vec<Transaction> {
        let mut needed = BTreeSet::from([directory]);
        let mut needs_all = false;
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for transaction in self.take_all().into_iter().rev() {
            let needed_later = needs_all || (!taken.is_empty() && transaction.ordered_with_all);
            if needed_later || transaction.touches(&needed) {
                needs_all |= transaction.ordered_with_all;
                needed.extend(transaction.directories());
                taken.push(transaction);
            } else {
                left.push(transaction);
            }
        }
        taken.reverse();
        left.reverse();
        self.transactions = left;
        taken
    }

    /// Those that were on the device when the power went. Nothing survives what it came after in the same
    /// directory.
    pub(super) fn take_surviving(&mut self, random: &mut Random) -> Vec<Transaction> {
        // In eighths: some crashes lose nothing, some everything, most something in between.
        let loss = [0, 1, 3, 8][usize::try_from(random.below(4)).unwrap_or(0)];
        let mut severed = BTreeSet::new();
        let mut severed_all = false;
        let mut surviving = Vec::new();
        for transaction in self.take_all() {
            let follows_a_loss =
                severed_all || transaction.touches(&severed) || (transaction.ordered_with_all && !severed.is_empty());
            if follows_a_loss || random.chance(loss, 8) {
                severed.extend(transaction.directories());
                severed_all |= transaction.ordered_with_all;
            } else {
                surviving.push(transaction);
            }
        }
        surviving
    }
}
