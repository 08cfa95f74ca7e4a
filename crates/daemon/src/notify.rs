//! Tells webhooks what happened.
//!
//! One task per webhook reads the event log from where it left off, which a small file of its own remembers, and goes
//! on to the next event when one was delivered or tried often enough. So the log is the queue: nothing here is
//! unbounded, nobody waits for a webhook, and a daemon that comes back tells what its predecessor could not; an event
//! may arrive twice, with the same `X-Omnivisor-Delivery`. Addresses, headers and secrets are read when they are used
//! and are in no message, not even in that of an error.

mod cursor;
mod delivery;
mod signature;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ov_chains::shape::Webhook;
use ov_sys::Disk;
use ov_types::{Event, EventKind};
use tokio::task::JoinSet;

use crate::event_log::EventLog;
use crate::metrics::Metrics;

use cursor::Cursor;

/// Events taken from the log at once.
const BATCH_MAX: usize = 64;

/// How long to wait between tries: at first, and at most; three times as long after each. With six tries, the last one
/// is made about eight minutes after the first.
#[derive(Debug, Clone, Copy)]
struct Pace {
    first: Duration,
    max: Duration,
}

const PACE: Pace = Pace { first: Duration::from_secs(5), max: Duration::from_secs(300) };

/// What webhooks are told about, and what they leave behind.
#[derive(Debug, Clone)]
pub struct Sources {
    /// The node's name.
    pub node: String,
    /// Where secrets are read and progress is kept.
    pub disk: Arc<dyn Disk>,
    /// The folder for one small file per webhook; made if missing.
    pub folder: PathBuf,
    /// What happened.
    pub events: Arc<EventLog>,
    /// Where deliveries are counted.
    pub metrics: Arc<Metrics>,
}

/// The webhooks of a node. Dropped, they end where they stand, and go on from there when started again.
#[derive(Debug)]
pub struct Webhooks {
    _tasks: JoinSet<()>,
}

impl Webhooks {
    /// Starts them. One that was never started before is told what happens from now on.
    pub fn start(hooks: &[Webhook], sources: &Sources) -> Self {
        Self::start_at(hooks, sources, PACE)
    }

    fn start_at(hooks: &[Webhook], sources: &Sources, pace: Pace) -> Self {
        let mut tasks = JoinSet::new();
        let newest = sources.events.newest();
        for hook in hooks {
            let cursor = Cursor::new(sources.disk.clone(), &sources.folder, &hook.name);
            let teller = Teller { hook: hook.clone(), sources: sources.clone(), pace, cursor };
            tasks.spawn(teller.run(newest));
        }
        Self { _tasks: tasks }
    }
}

struct Teller {
    hook: Webhook,
    sources: Sources,
    pace: Pace,
    cursor: Cursor,
}

impl Teller {
    async fn run(self, newest: u64) {
        let mut changed = self.sources.events.changed();
        let mut told = match self.cursor.load().await {
            Ok(told) => told.unwrap_or(newest),
            Err(error) => {
                tracing::warn!(webhook = self.hook.name, %error, "earlier events are not told to this webhook");
                newest
            }
        };
        // Where a new webhook begins must outlive us too, or what happens next is lost with this daemon.
        self.save(told).await;
        loop {
            changed.mark_unchanged();
            let events = self.sources.events.since(told, BATCH_MAX);
            if events.is_empty() && changed.changed().await.is_err() {
                return;
            }
            for event in events {
                if let EventKind::EventsMissed { oldest } = event.kind {
                    tracing::warn!(webhook = self.hook.name, oldest, "events were forgotten before they could be told");
                } else if let Some(name) = self.wants(&event) {
                    let delivered = self.tell(name, &event).await;
                    self.sources.metrics.webhook(delivered);
                    self.save(event.index).await;
                }
                told = event.index;
            }
        }
    }

    /// The name under which this webhook subscribed to the event.
    fn wants(&self, event: &Event) -> Option<&'static str> {
        let name = event.kind.notification()?;
        (self.hook.events.is_empty() || self.hook.events.iter().any(|wanted| wanted == name)).then_some(name)
    }

    /// Tries until it is delivered, or was tried often enough.
    async fn tell(&self, name: &'static str, event: &Event) -> bool {
        let mut wait = self.pace.first;
        for attempt in 1..=self.hook.attempts.max(1) {
            if attempt > 1 {
                tokio::time::sleep(wait).await;
                wait = self.pace.max.min(wait * 3);
            }
            match delivery::deliver(&self.hook, &self.sources, name, event).await {
                Ok(()) => return true,
                Err(error) => {
                    tracing::warn!(
                        webhook = self.hook.name,
                        event = event.index,
                        attempt,
                        why = error.whole(),
                        "not told"
                    );
                }
            }
        }
        tracing::error!(webhook = self.hook.name, event = event.index, name, "given up: this event is not told");
        false
    }

    async fn save(&self, told: u64) {
        if let Err(error) = self.cursor.save(told).await {
            tracing::warn!(webhook = self.hook.name, %error, "after a restart some events may be told twice");
        }
    }
}

#[cfg(test)]
mod tests;
