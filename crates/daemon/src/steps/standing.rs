//! What work beside the node has to know of it as it is now, and not as it was when the work was ordered: a step may
//! wait for its turn while plans come and go and units are launched again.
//!
//! The core shows it after every decision; whoever carries something out looks when it matters. Owns nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use ov_engine::Node;
use ov_types::record::Outcome;
use ov_types::{PlanId, ReleaseName};
use tokio::sync::watch;

/// What the core shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shown {
    /// Releases that plans still want, and those that they may go back to.
    wanted: Vec<(PlanId, ReleaseName)>,
    /// The processes of the units.
    pids: Vec<u32>,
}

/// Where the core shows how the node stands.
#[derive(Debug)]
pub(crate) struct Show {
    shown: watch::Sender<Shown>,
    releases: Arc<Mutex<()>>,
    fetched: Arc<Mutex<BTreeSet<ReleaseName>>>,
}

impl Show {
    pub(crate) fn of(node: &Node) -> Self {
        Self { shown: watch::Sender::new(shown(node)), releases: Arc::default(), fetched: Arc::default() }
    }

    pub(crate) fn update(&self, node: &Node) {
        let now = shown(node);
        self.shown.send_if_modified(|before| std::mem::replace(before, now.clone()) != now);
    }

    /// A look at it that lasts; what only the plan `except` wants is not wanted for whoever looks.
    pub(crate) fn standing(&self, except: Option<PlanId>) -> Standing {
        let (releases, fetched) = (Arc::clone(&self.releases), Arc::clone(&self.fetched));
        Standing { shown: Some(self.shown.subscribe()), except, releases, fetched }
    }
}

fn shown(node: &Node) -> Shown {
    // A plan on its way to be withdrawn wants nothing any more: the last of them to be undone leaves nothing behind.
    let wants = |entry: &&ov_engine::Entry| !entry.is_over() && entry.toward() != Some(Outcome::Withdrawn);
    let of = |entry: &ov_engine::Entry| {
        let releases = std::iter::once(entry.plan.release.clone()).chain(entry.facts.previous.clone());
        let plan = entry.plan.id;
        releases.map(move |release| (plan, release)).collect::<Vec<_>>()
    };
    let units = node.settings().units.keys();
    Shown {
        wanted: node.ledger().entries().filter(wants).flat_map(of).collect(),
        pids: units.filter_map(|unit| node.unit_view(unit)?.pid).collect(),
    }
}

/// How the node stands now. The default is that of a node without a daemon: nothing is wanted, and nothing runs.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    shown: Option<watch::Receiver<Shown>>,
    except: Option<PlanId>,
    releases: Arc<Mutex<()>>,
    /// Releases that are being fetched.
    fetched: Arc<Mutex<BTreeSet<ReleaseName>>>,
}

/// Whoever holds it is the only one who fetches a release.
#[derive(Debug)]
pub(crate) struct Alone {
    fetched: Arc<Mutex<BTreeSet<ReleaseName>>>,
    release: ReleaseName,
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.release);
    }
}

impl Standing {
    /// Puts releases into their folder, or takes them out, while nobody else does: a person may stage by hand what a
    /// plan waits for, and each would take the other's half for what a dead one left.
    pub fn alone_with_releases<T>(&self, work: impl FnOnce() -> T) -> T {
        let _alone = self.releases.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// The right to fetch a release, or to remove what fetching it left; `None` while somebody else has it.
    pub(crate) fn alone_with_release(&self, release: &ReleaseName) -> Option<Alone> {
        let is_free = self.fetched.lock().unwrap_or_else(PoisonError::into_inner).insert(release.clone());
        is_free.then(|| Alone { fetched: Arc::clone(&self.fetched), release: release.clone() })
    }

    /// Releases that must stay.
    pub fn needed(&self) -> BTreeSet<ReleaseName> {
        let Some(shown) = &self.shown else { return BTreeSet::new() };
        let shown = shown.borrow();
        let others = shown.wanted.iter().filter(|(plan, _)| Some(*plan) != self.except);
        others.map(|(_, release)| release.clone()).collect()
    }

    /// The daemon and the processes it looks after; the shims are its children or were its predecessor's.
    pub fn own_processes(&self) -> Vec<u32> {
        let units = self.shown.iter().flat_map(|shown| shown.borrow().pids.clone());
        std::iter::once(std::process::id()).chain(units).collect()
    }
}
