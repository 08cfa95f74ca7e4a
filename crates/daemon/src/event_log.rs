//! The event stream of one node: a bounded ring in memory, kept on disk so that it goes on after a restart.
//!
//! It owns the directory `events/`: `current.ndjson` and `previous.ndjson` hold one [`Event`] a line, and `reserved`
//! holds a number below which every index may have been given out. That number is durable *before* any index beneath
//! it is used, so that (while the disk takes writes at all) no index is used twice, even when the last lines were lost
//! with the power. Events themselves are not synced: they tell what happened, the journal decides.
//!
//! Nothing here may stop the node: what cannot be written stays in memory, is counted, and is tried again.

mod store;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ov_sys::Disk;
use ov_types::{Event, EventKind, Moment};
use tokio::sync::watch;

use crate::crash_points::CrashPoint;
use store::Store;

/// Events that are kept in memory, and hence can be asked for.
pub const EVENTS_KEPT_MAX: usize = 4_096;

/// The events in `directory`, as far as they are kept, for whoever has no daemon to ask. What a daemon writes
/// meanwhile may be missing.
pub(crate) fn kept(disk: &dyn Disk, directory: &Path) -> io::Result<VecDeque<Event>> {
    store::read(disk, directory).map(|(events, _)| events)
}

/// The events of a node. Written by the task that owns the node, read by everybody.
pub struct EventLog {
    inner: Mutex<Inner>,
    newest: watch::Sender<u64>,
    /// The last word on how far something is: never kept, and gone with the next.
    progress: watch::Sender<Option<(EventKind, i64)>>,
}

struct Inner {
    ring: VecDeque<Event>,
    /// The highest index that was forgotten.
    forgotten: u64,
    /// The last index found on disk; beyond it and below `first_own`, indices may have been used and lost.
    last_found: u64,
    /// The first index given out since the log was opened.
    first_own: u64,
    next: u64,
    store: Store,
}

impl EventLog {
    /// Opens the log in `directory`, which is made if missing. A torn or damaged line is left out.
    ///
    /// The caller holds the node's lock.
    pub fn open(disk: Arc<dyn Disk>, directory: &Path) -> io::Result<Self> {
        let (store, found) = Store::open(disk, directory)?;
        let last_found = found.events.back().map_or(0, |event| event.index);
        let first_own = found.reserved.max(last_found + 1);
        let mut ring = found.events;
        // Whatever preceded the first line on disk is gone, unless that was the very first event.
        let mut forgotten = ring.front().map_or(first_own, |event| event.index).saturating_sub(1);
        while ring.len() > EVENTS_KEPT_MAX {
            forgotten = ring.pop_front().map_or(forgotten, |event| event.index);
        }
        let inner = Inner { ring, forgotten, last_found, first_own, next: first_own, store };
        Ok(Self {
            inner: Mutex::new(inner),
            newest: watch::Sender::new(last_found),
            progress: watch::Sender::new(None),
        })
    }

    /// Notes that something happened.
    pub fn push(&self, kind: EventKind, at: Moment) -> Event {
        let event = {
            let mut inner = self.lock();
            let event = Event { index: inner.next, at_ms: at.wall_ms, kind };
            inner.next += 1;
            if inner.ring.len() == EVENTS_KEPT_MAX {
                inner.forgotten = inner.ring.pop_front().map_or(inner.forgotten, |oldest| oldest.index);
            }
            inner.ring.push_back(event.clone());
            let Inner { ring, store, .. } = &mut *inner;
            store.keep(ring);
            CrashPoint::EventKept.reach();
            event
        };
        self.newest.send_replace(event.index);
        event
    }

    /// Tells whoever listens just now how far something is.
    pub fn tell_progress(&self, kind: EventKind, at: Moment) {
        self.progress.send_replace(Some((kind, at.wall_ms)));
    }

    /// Tells whenever something is further: the value is the last word on it, and when that was said.
    pub fn progress(&self) -> watch::Receiver<Option<(EventKind, i64)>> {
        self.progress.subscribe()
    }

    /// At most `limit` events after `index`, oldest first. When some were forgotten, [`EventKind::EventsMissed`]
    /// precedes them; reading on after any of the returned events skips and repeats nothing.
    pub fn since(&self, index: u64, limit: usize) -> Vec<Event> {
        let inner = self.lock();
        // Whoever saw an index that was lost with the power saw events that nobody has any more; whoever saw one that
        // was never given out comes from another history, and is told this one from its beginning.
        let lost = index > inner.last_found && index + 1 < inner.first_own;
        let foreign = index >= inner.next;
        let start = if foreign { 0 } else { inner.ring.partition_point(|event| event.index <= index) };
        let mut events = Vec::new();
        if let Some(oldest) = inner.ring.get(start)
            && (index < inner.forgotten || lost || foreign)
        {
            let missed = EventKind::EventsMissed { oldest: oldest.index };
            events.push(Event { index: oldest.index - 1, at_ms: oldest.at_ms, kind: missed });
        }
        let room = limit.saturating_sub(events.len());
        events.extend(inner.ring.range(start..).take(room).cloned());
        events
    }

    /// The highest index so far; zero before the first event.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Tells whenever there is a new event: the value is its index.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Events that could not be kept on disk so far, and are in memory only (or no more).
    pub fn unwritten(&self) -> u64 {
        self.lock().store.unwritten()
    }

    /// Gives the reserved indices back, so that the next daemon goes on without a jump. Events may still be pushed.
    pub fn close(&self) {
        let mut inner = self.lock();
        let next = inner.next;
        inner.store.release(next);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked while holding it left complete events behind: each is pushed in one step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("newest", &self.newest()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
