//! What the threads of one node share: its switches, and what it says about itself.

use crate::error::Error;
use crate::files;
use crate::plan::Upgrade;
use crate::switches::Switches;
use crate::time;
use nix::sys::signal::Signal;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What wakes the node up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    Signal(Signal),
    SwitchesChanged,
    /// The flood is written and asked to end the process with this code.
    FloodDone(u8),
}

/// One per process.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) version: String,
    schedule_path: PathBuf,
    switches: Mutex<Switches>,
    events: Mutex<Sender<Event>>,
    height: AtomicU64,
    stored: AtomicU64,
    block_time_ms: AtomicU64,
    ready: AtomicBool,
    hung: AtomicBool,
}

impl Shared {
    pub(crate) fn new(version: &str, switches: Switches, data: &Path) -> (Self, Receiver<Event>) {
        let (sender, receiver) = channel();
        let shared = Self {
            version: version.to_owned(),
            schedule_path: data.join("schedule.json"),
            switches: Mutex::new(switches),
            events: Mutex::new(sender),
            height: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            block_time_ms: AtomicU64::new(time::now_ms()),
            ready: AtomicBool::new(false),
            hung: AtomicBool::new(false),
        };
        (shared, receiver)
    }

    pub(crate) fn switches(&self) -> Switches {
        self.lock_switches().clone()
    }

    /// Replaces some switches. A new schedule is part of the chain's state, so it goes to disk too.
    pub(crate) fn change(&self, changes: &Map<String, Value>) -> Result<Switches, Error> {
        let mut switches = self.lock_switches();
        let changed = switches.with(changes)?;
        if changes.contains_key("upgrades") {
            files::replace_json(&self.schedule_path, &changed.upgrades)?;
        }
        *switches = changed.clone();
        drop(switches);
        self.wake(Event::SwitchesChanged);
        Ok(changed)
    }

    /// Replaces all switches.
    pub(crate) fn replace(&self, switches: Switches) {
        *self.lock_switches() = switches;
    }

    /// Takes the schedule that an earlier run was told, if there is one.
    pub(crate) fn load_schedule(&self) -> Result<(), Error> {
        let Some(text) = files::read_if_there(&self.schedule_path)? else { return Ok(()) };
        let upgrades: Vec<Upgrade> = serde_json::from_str(&text).map_err(Error::json(&self.schedule_path))?;
        let mut switches = self.lock_switches();
        switches.upgrades = upgrades;
        switches.halt_at = None;
        Ok(())
    }

    /// Forgets a switch that acts once.
    pub(crate) fn thawed(&self) {
        self.lock_switches().freeze = false;
    }

    pub(crate) fn wake(&self, event: Event) {
        let sender = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        // The receiver is gone only while the process ends.
        let _ = sender.send(event);
    }

    pub(crate) fn set_height(&self, height: u64) {
        self.block_time_ms.store(time::now_ms(), Ordering::Relaxed);
        self.height.store(height, Ordering::Relaxed);
        self.set_stored(height);
    }

    /// The block of this height is there, and perhaps never carried out.
    pub(crate) fn set_stored(&self, height: u64) {
        self.stored.store(height, Ordering::Relaxed);
    }

    pub(crate) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    pub(crate) fn height(&self) -> u64 {
        self.height.load(Ordering::Relaxed)
    }

    pub(crate) fn block_time(&self) -> String {
        time::rfc3339(self.block_time_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    pub(crate) fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    pub(crate) fn set_hung(&self, hung: bool) {
        self.hung.store(hung, Ordering::Relaxed);
    }

    pub(crate) fn hung(&self) -> bool {
        self.hung.load(Ordering::Relaxed)
    }

    fn lock_switches(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
