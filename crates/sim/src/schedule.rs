//! What is going to happen, in the order of its time.

use std::collections::BTreeMap;

/// Things that will happen, each at its time; of two at the same time, the one planned first happens first.
#[derive(Debug)]
pub(crate) struct Schedule<T> {
    planned: BTreeMap<(u64, u64), T>,
    count: u64,
}

impl<T> Default for Schedule<T> {
    fn default() -> Self {
        Self { planned: BTreeMap::new(), count: 0 }
    }
}

impl<T> Schedule<T> {
    /// Plans something.
    pub(crate) fn plan(&mut self, at_ms: u64, what: T) {
        self.count += 1;
        self.planned.insert((at_ms, self.count), what);
    }

    /// When the next thing happens.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.planned.keys().next().map(|(at_ms, _)| *at_ms)
    }

    /// Takes the next thing out.
    pub(crate) fn take(&mut self) -> Option<T> {
        self.planned.pop_first().map(|(_, what)| what)
    }

    /// Forgets what will not happen any more.
    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.planned.retain(|_, what| keep(what));
    }
}
