//! Upgrades whose trigger comes near: told ahead, once for each of the bounds that people chose.
//!
//! What was told is in the journal, so that a daemon which comes back is silent about what is known, and of what it missed
//! tells the nearest alone.

use ov_types::{EventKind, Record, Trigger};

use super::Node;
use crate::ledger::{Entry, Phase};

impl Node {
    /// Tells of every upgrade that came nearer than a bound since it was last told.
    pub(super) fn tell_near(&mut self) {
        let near: Vec<(Entry, u64, u64)> = self
            .ledger
            .entries()
            .filter_map(|entry| {
                let eta_ms = self.near_eta_ms(entry)?;
                let within_ms = self.bounds_ahead(entry).filter(|within_ms| eta_ms <= *within_ms).min()?;
                Some((entry.clone(), eta_ms, within_ms))
            })
            .collect();
        for (Entry { plan, phase, .. }, eta_ms, within_ms) in near {
            self.record(Record::NearTold { at: self.now, plan: plan.id, within_ms });
            self.tell(EventKind::UpgradeNear { plan, eta_ms, armed: phase == Phase::Armed });
        }
    }

    /// When there will be something to tell by the clock alone.
    pub(super) fn near_wake_ms(&self, entry: &Entry) -> Option<u64> {
        let Trigger::Time { .. } = entry.plan.trigger else { return None };
        let eta_ms = self.near_eta_ms(entry)?;
        let next = self.bounds_ahead(entry).filter(|within_ms| *within_ms < eta_ms).max()?;
        Some(self.now.monotonic_ms.saturating_add(eta_ms - next))
    }

    /// Bounds that were not told yet.
    fn bounds_ahead(&self, entry: &Entry) -> impl Iterator<Item = u64> {
        let told = entry.near_ms;
        self.settings.near_ms.iter().copied().filter(move |within_ms| told.is_none_or(|told| *within_ms < told))
    }

    /// How far the trigger of an upgrade is that waits for it, where that can be told with some right: a height is
    /// expected by blocks that come, and not while the node stands.
    fn near_eta_ms(&self, entry: &Entry) -> Option<u64> {
        if entry.is_over() || entry.is_in_window() || entry.is_going_back() {
            return None;
        }
        let moves = self.height.is_some_and(|(_, moved)| moved == self.now.monotonic_ms) && self.pace.is_steady();
        let eta_ms = match entry.plan.trigger {
            Trigger::Now | Trigger::Halt { .. } => None,
            Trigger::Time { .. } => self.eta_ms(entry),
            Trigger::Height { .. } | Trigger::AwaitHalt { .. } => self.eta_ms(entry).filter(|_| moves),
        };
        eta_ms.filter(|eta_ms| *eta_ms > 0)
    }
}
