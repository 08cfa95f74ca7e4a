//! Services that are asked for their plan: one task each, which asks and knows nothing of the node, and what is made of
//! their answers on threads that may wait for a disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ov_chains::shape::Scout;
use ov_types::{Height, ReleaseName};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Keeper, Message};
use crate::core::CoreError;
use crate::scout::service::{self, Answered, Heard, Told};
use crate::scout::{MainSeen, Named};

/// A node that comes up answers within this time, if it ever does.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// Those who ask, what was understood last of whom, and what was remarked. Dropped, nobody is asked any more.
#[derive(Debug, Default)]
pub(super) struct Services {
    askers: Option<JoinSet<()>>,
    understood: BTreeMap<String, Understood>,
    remarks: BTreeMap<String, String>,
}

/// An answer, and what its meaning depends on.
#[derive(Debug, PartialEq, Eq)]
struct Understood {
    said: Answered,
    named: Vec<Named>,
    current: Option<ReleaseName>,
    height: Option<Height>,
    main: MainSeen,
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

    /// Has an answer understood, unless that was done when it meant the same.
    pub(super) fn understand(&mut self, scout: Arc<Scout>, said: Answered) {
        let (disk, shape, messages) = (Arc::clone(&self.disk), Arc::clone(&self.shape), self.messages.clone());
        let Scout::Asked { question, .. } = &*scout else { return };
        let known = self.known();
        let (named, current) = (known.named.clone(), known.current.clone());
        let understood = Understood { said: said.clone(), named, current, height: known.height, main: known.main };
        if self.services.understood.get(&question.shown()) == Some(&understood) {
            return;
        }
        self.services.understood.insert(question.shown(), understood);
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
    let Scout::Asked { question, every_ms, planned_every_ms, timeout_ms, rules, .. } = &*scout else { return };
    let (mut silent_since, mut is_told, mut wait_ms) = (Instant::now(), false, 0);
    loop {
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        // Who does not answer yet may have something urgent to say.
        wait_ms = *planned_every_ms;
        match service::ask(question, rules.names, Duration::from_millis(*timeout_ms)).await {
            Ok(said) => {
                silent_since = Instant::now();
                if !matches!(said.plan, Told::Plan(_)) {
                    wait_ms = *every_ms;
                }
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
