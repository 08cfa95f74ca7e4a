//! A node task that answers everything at once, and repeats what it was asked.

use ov_types::api::{
    Acknowledged, DaemonStatus, DoctorReport, HistoryEntry, PlanPhase, PlanStatus, ReleaseStatus, ReloadReport,
    SnapshotReport, SnapshotStatus, Status,
};
use ov_types::{
    FailurePolicy, Finding, Moment, Origin, Plan, PlanId, Record, ReleaseName, Severity, SnapshotId, Step, Trigger,
};
use tokio::sync::mpsc;

use crate::request::{Reply, Request, no_such_thing};

/// The plan that is not there.
pub(super) const MISSING: PlanId = PlanId(404);

pub(super) async fn run(mut queue: mpsc::Receiver<Request>) {
    while let Some(request) = queue.recv().await {
        answer(request);
    }
}

fn answer(request: Request) {
    match request {
        Request::Status { reply } => give(reply, status()),
        Request::Plans { all, reply } => give(reply, if all { vec![plan(1), plan(2)] } else { vec![plan(2)] }),
        Request::AddPlan { plan, reply } => say(reply, format!("add {}", plan.release)),
        Request::CancelPlan { plan: MISSING, reply } => drop(reply.send(Err(no_such_thing("plan", MISSING)))),
        Request::CancelPlan { plan, reply } => say(reply, format!("cancel {plan}")),
        Request::ApplyPlan { plan, reply } => say(reply, format!("apply {plan}")),
        Request::RetryPlan { plan, reply } => say(reply, format!("retry {plan}")),
        Request::Rollback { plan, reply } => say(reply, format!("rollback {plan:?}")),
        Request::Releases { reply } => give(reply, vec![release()]),
        Request::StageRelease { release, reply } => say(reply, format!("stage {}", release.name)),
        Request::RemoveRelease { release, reply } => say(reply, format!("remove {release}")),
        Request::Snapshots { reply } => give(reply, vec![snapshot()]),
        Request::TakeSnapshot { snapshot, reply } => say(reply, format!("snapshot {:?}", snapshot.reason)),
        Request::VerifySnapshot { snapshot, reply } => {
            give(reply, SnapshotReport { id: snapshot, problems: vec!["a file is missing".to_owned()], files: 3 });
        }
        Request::RestoreSnapshot { snapshot, confirmation, reply } => {
            say(reply, format!("restore {snapshot} of {}", confirmation.confirm));
        }
        Request::ConfirmMachine { confirmation, reply } => say(reply, format!("confirm {}", confirmation.confirm)),
        Request::RemoveSnapshot { snapshot, reply } => say(reply, format!("remove {snapshot}")),
        Request::Unit { unit, order, reply } => say(reply, format!("{} {unit}", order.word())),
        Request::Doctor { release, reply } => {
            let found = Finding::ok("binary.present", release.map_or(String::new(), String::from), "there");
            give(reply, DoctorReport { worst: Severity::Ok, findings: vec![found] });
        }
        Request::History { plan, since, reply } => give(reply, vec![entry(plan, since)]),
        Request::Reload { reply } => give(reply, ReloadReport { now: vec!["stall".to_owned()], next_start: vec![] }),
        Request::SelfUpgrade { program, reply } => say(reply, format!("become {}", program.display())),
        Request::Stop { units_stay, reply } => say(reply, format!("stop, units stay: {units_stay}")),
    }
}

fn give<T>(reply: Reply<T>, value: T) {
    // The peer may have left.
    let _ = reply.send(Ok(value));
}

fn say(reply: Reply<Acknowledged>, message: String) {
    give(reply, Acknowledged { message, plan: None, snapshot: None });
}

fn status() -> Status {
    Status {
        node: "alpha".to_owned(),
        home: "/home/alpha".to_owned(),
        chain: "generic".to_owned(),
        daemon: DaemonStatus { version: "1.2.3".to_owned(), pid: 1, since_ms: 2, stopping: false },
        release: None,
        height: None,
        height_age_ms: None,
        blocks_per_hour: None,
        units: Vec::new(),
        plans: vec![plan(2)],
        problems: Vec::new(),
    }
}

fn plan(id: u64) -> PlanStatus {
    PlanStatus {
        also: Vec::new(),
        plan: Plan {
            id: PlanId(id),
            release: ReleaseName::new("v2").unwrap(),
            trigger: Trigger::Now,
            on_failure: FailurePolicy::Hold,
            origin: Origin::Person,
            source: None,
            info: None,
            sha256: None,
            keep: true,
            supersedes: None,
        },
        phase: PlanPhase::Armed,
        steps: Step::ALL.to_vec(),
        eta_ms: None,
        gap_ms: None,
        behind: None,
        superseded: None,
        added_ms: 5,
        ended_ms: None,
    }
}

fn release() -> ReleaseStatus {
    let name = ReleaseName::new("v1").unwrap();
    ReleaseStatus { name, complete: true, current: true, bytes: 9, staged_ms: None, source: None, fetched: None }
}

fn snapshot() -> SnapshotStatus {
    SnapshotStatus {
        id: SnapshotId::new("before-v2").unwrap(),
        taken_ms: 1,
        release: None,
        height: None,
        reason: "upgrade".to_owned(),
        files: 3,
        bytes: 9,
        how: "copy 3".to_owned(),
        complete: true,
    }
}

fn entry(plan: Option<PlanId>, since: Option<u64>) -> HistoryEntry {
    let record = Record::Armed { at: Moment::default(), plan: plan.unwrap_or_default() };
    HistoryEntry { sequence: since.unwrap_or_default() + 1, record }
}
