//! Work on the data while the node is down: a snapshot taken by hand, a restore. One at a time; the engine holds the
//! units down meanwhile, and a daemon that dies is followed by one that starts them again.

use std::sync::Arc;

use ov_engine::Order;
use ov_types::api::{Acknowledged, NewSnapshot, Refusal};
use ov_types::{EventKind, ExitCode, Problem, SnapshotId};
use ov_vault::{About, RestoreRequest};

use super::{Keeper, Message};
use crate::core::CoreError;
use crate::crash_points::CrashPoint;
use crate::request::Reply;
use crate::steps::{Workshop, copying, data_rules, describe, of_vault, take};

/// Work on the data.
#[derive(Debug)]
pub(crate) enum Job {
    /// Asked for; the units are going down.
    Waiting(Task, Reply<Acknowledged>),
    /// Under way.
    Running,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Task {
    /// Take a snapshot.
    Snapshot(NewSnapshot),
    /// Put one in the place of the data.
    Restore(SnapshotId),
}

impl Keeper {
    /// Has the node pause for this.
    pub(super) fn ask_for_job(&mut self, task: Task, reply: Reply<Acknowledged>) -> Result<(), CoreError> {
        let (answer, effects) = self.core.order(self.clock.now(), Order::Pause)?;
        match answer {
            Ok(_) => self.job = Some(Job::Waiting(task, reply)),
            Err(refused) => drop(reply.send(Err(super::requests::refusal(Order::Pause.to_string(), &refused)))),
        }
        self.carry_out(effects)
    }

    /// All units are down: begin.
    pub(super) fn begin_job(&mut self) -> Result<(), CoreError> {
        let Some(Job::Waiting(task, reply)) = self.job.take() else { return self.let_go() };
        let shop = self.workshop(None);
        let release = self.current_release();
        let (messages, events, clock) =
            (self.messages.clone(), Arc::clone(&self.handle.events), Arc::clone(&self.clock));
        self.job = Some(Job::Running);
        drop(tokio::task::spawn_blocking(move || {
            CrashPoint::WorkBegun.reach();
            let done = match task {
                Task::Snapshot(wanted) => snapshot(&shop, release, wanted),
                Task::Restore(id) => restore(&shop, &id),
            };
            if let Ok(acknowledged) = &done {
                events.push(EventKind::DataWorkDone { message: acknowledged.message.clone() }, clock.now());
            }
            let answer = done.map_err(|problem| {
                let problem = problem.state("the data was not changed; the node is started again");
                Refusal { problem, exit_code: ExitCode::Failed.number() }
            });
            CrashPoint::WorkDone.reach();
            let _ = messages.blocking_send(Message::JobDone(reply, answer));
        }));
        Ok(())
    }

    /// Lets the units go, and answers only then: whoever asked may ask for the next work at once.
    pub(super) fn finish_job(
        &mut self,
        reply: Reply<Acknowledged>,
        answer: Result<Acknowledged, Refusal>,
    ) -> Result<(), CoreError> {
        self.let_go()?;
        let _ = reply.send(answer);
        Ok(())
    }

    fn let_go(&mut self) -> Result<(), CoreError> {
        self.job = None;
        let (_, effects) = self.core.order(self.clock.now(), Order::Unpause)?;
        self.carry_out(effects)
    }
}

fn snapshot(
    shop: &Workshop,
    release: Option<ov_types::ReleaseName>,
    wanted: NewSnapshot,
) -> Result<Acknowledged, Problem> {
    let summary = "snapshot the data directory";
    let layout = &shop.shape.layout;
    let proposed = ov_vault::propose_id(shop.clock.now().wall_ms, release.as_ref());
    let proposed =
        proposed.ok_or_else(|| Problem::permanent("OV-SNP-003", summary).cause("the clock is out of range"))?;
    let id = ov_vault::free_id(&*shop.disk, &layout.snapshots, proposed).map_err(|error| of_vault(summary, &error))?;
    let about = About {
        release,
        height: shop.height,
        data_format: shop.format_marker()?,
        reason: wanted.reason.unwrap_or_else(|| "asked for by a person".to_owned()),
    };
    let taken = take(shop, id.clone(), about)?;
    Ok(Acknowledged { message: describe(&taken), plan: None, snapshot: Some(id) })
}

fn restore(shop: &Workshop, id: &SnapshotId) -> Result<Acknowledged, Problem> {
    let layout = &shop.shape.layout;
    let rules = data_rules(&shop.shape)?;
    let request = RestoreRequest {
        snapshots: &layout.snapshots,
        id: id.clone(),
        data: &layout.data,
        rules: &rules,
        recorded: shop.recorded_sign_state,
        is_foreign: false,
    };
    let restored = ov_vault::restore(&*shop.disk, &request, &mut copying(shop, format!("snapshot {id}")))
        .map_err(|error| of_vault(&format!("restore snapshot {id}"), &error))?;
    let kept =
        restored.kept.map_or_else(String::new, |path| format!("; the data from before is kept at {}", path.display()));
    let signed = restored.sign_state.map_or_else(String::new, |state| format!("; the sign state stays at {state}"));
    Ok(Acknowledged {
        message: format!("snapshot {id} was restored{kept}{signed}"),
        plan: None,
        snapshot: Some(id.clone()),
    })
}
