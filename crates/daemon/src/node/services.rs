//! Services that are asked for their plan: one task each, which asks and knows nothing of the node, and what is made of
//! their answers on threads that may wait for a disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ov_chains::shape::Scout;
use ov_types::Origin;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::{Keeper, Message};
use crate::core::CoreError;
use crate::scout::Named;
use crate::scout::service::{self, Answered, Heard};

/// A node that comes up answers within this time, if it ever does.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// Those who ask, and what was last remarked on whom. Dropped, nobody is asked any more.
#[derive(Debug, Default)]
pub(super) struct Services {
    askers: Option<JoinSet<()>>,
    remarks: BTreeMap<String, String>,
}

impl Keeper {
    /// Begins to ask, unless that was begun.
    pub(super) fn ask_services(&mut self) {
        let (shape, messages) = (&self.shape, &self.messages);
        self.services.askers.get_or_insert_with(|| {
            let asked = shape.scouts.iter().filter(|scout| matches!(scout, Scout::Asked { .. }));
            asked.map(|scout| ask_again_and_again(Arc::new(scout.clone()), messages.clone())).collect()
        });
    }

    /// Has an answer understood. That there is no plan, where none was, is understood at once.
    pub(super) fn understand(&mut self, scout: Arc<Scout>, said: Answered) {
        let (disk, shape, messages) = (Arc::clone(&self.disk), Arc::clone(&self.shape), self.messages.clone());
        let known = self.known();
        let is_of_service = |named: &Named| matches!(named.origin, Origin::Service { .. });
        if said.plan == Ok(None) && !known.named.iter().any(is_of_service) {
            let Scout::Asked { question, .. } = &*scout else { return };
            self.services.remarks.remove(&question.shown());
            return;
        }
        drop(tokio::task::spawn_blocking(move || {
            let Scout::Asked { question, on_failure, rules, .. } = &*scout else { return };
            let address = question.shown();
            let heard = service::understand(&*disk, &shape, (&address, *on_failure, rules), &said, &known);
            let _ = messages.blocking_send(Message::Heard(address, heard));
        }));
    }

    /// Takes in what follows from an answer.
    pub(super) fn take_heard(&mut self, address: String, Heard { inputs, remark }: Heard) -> Result<(), CoreError> {
        match remark {
            Some(remark) if self.services.remarks.get(&address) != Some(&remark) => {
                tracing::warn!("{remark}");
                self.services.remarks.insert(address, remark);
            }
            Some(_) => {}
            None => drop(self.services.remarks.remove(&address)),
        }
        inputs.into_iter().try_for_each(|input| self.take(input))
    }
}

/// Asks for ever. That nobody answers is said once, when it has been so for a while.
async fn ask_again_and_again(scout: Arc<Scout>, messages: mpsc::Sender<Message>) {
    let Scout::Asked { question, every_ms, timeout_ms, rules, .. } = &*scout else { return };
    let mut turns = tokio::time::interval(Duration::from_millis(*every_ms));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut silent_since, mut is_told) = (Instant::now(), false);
    loop {
        turns.tick().await;
        match service::ask(question, rules.names, Duration::from_millis(*timeout_ms)).await {
            Ok(said) => {
                silent_since = Instant::now();
                if messages.send(Message::Answered(Arc::clone(&scout), said)).await.is_err() {
                    return;
                }
            }
            Err(why) if !is_told && silent_since.elapsed() >= SILENT_FOR => {
                is_told = true;
                tracing::info!(
                    "nobody tells which upgrade is planned, so one is seen when the node halts for it: {why}"
                );
            }
            Err(_) => {}
        }
    }
}
