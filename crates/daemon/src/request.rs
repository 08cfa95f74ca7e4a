//! What may be asked of the task that owns the node, and the handle through which it is asked.
//!
//! The node task alone holds the node's state. Everybody else sends it a [`Request`] over a bounded queue and waits,
//! for a bounded time, for the answer. A request that the task accepted is carried out even when nobody waits any
//! more, but for a download, which the next one goes on with. Nothing here decides anything.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ov_types::api::{
    Acknowledged, ConfirmMachine, DoctorReport, HistoryEntry, NewPlan, NewRelease, NewSnapshot, PlanStatus, Refusal,
    ReleaseStatus, ReloadReport, RestoreSnapshot, SnapshotReport, SnapshotStatus, Status, UnitOrder,
};
use ov_types::{ExitCode, PlanId, Problem, ReleaseName, SnapshotId, UnitName};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::event_log::EventLog;
use crate::metrics::Metrics;

/// Requests that may wait for the node task. One more waits in its own connection, and is refused in the end.
const QUEUE_LEN_MAX: usize = 64;

/// How long a request may wait for room in the queue.
const QUEUE_MS_MAX: u64 = 5_000;

/// How long the node task may take over an answer it has at hand.
const QUICK_MS_MAX: u64 = 10_000;

/// How long the node task may take over an answer for which files are copied, read through or programs run.
const SLOW_MS_MAX: u64 = 30 * 60 * 1_000;

/// How long the node task may take over a release, which may have to be fetched. What came of it is kept.
const FETCH_MS_MAX: u64 = 7 * 60 * 60 * 1_000;

/// Where an answer goes. It is dropped without an answer only when the node task ends.
pub type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// A question or an order to the node task.
#[derive(Debug)]
pub enum Request {
    /// How is everything?
    Status {
        /// Where the answer goes.
        reply: Reply<Status>,
    },
    /// Which plans are there?
    Plans {
        /// Also those that are over.
        all: bool,
        /// Where the answer goes.
        reply: Reply<Vec<PlanStatus>>,
    },
    /// Queue a plan.
    AddPlan {
        /// It.
        plan: NewPlan,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Withdraw a plan before its trigger.
    CancelPlan {
        /// Which.
        plan: PlanId,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Trigger a plan now.
    ApplyPlan {
        /// Which.
        plan: PlanId,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Try an upgrade again that needs an operator.
    RetryPlan {
        /// Which.
        plan: PlanId,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Turn an upgrade round.
    Rollback {
        /// Which; the one under way, or the last one, if absent.
        plan: Option<PlanId>,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Which releases are there?
    Releases {
        /// Where the answer goes.
        reply: Reply<Vec<ReleaseStatus>>,
    },
    /// Stage a release without a plan.
    StageRelease {
        /// It.
        release: NewRelease,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Remove a release that nothing needs.
    RemoveRelease {
        /// Which.
        release: ReleaseName,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Which snapshots are there?
    Snapshots {
        /// Where the answer goes.
        reply: Reply<Vec<SnapshotStatus>>,
    },
    /// Snapshot the data directory.
    TakeSnapshot {
        /// Why.
        snapshot: NewSnapshot,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Read a snapshot through.
    VerifySnapshot {
        /// Which.
        snapshot: SnapshotId,
        /// Where the answer goes.
        reply: Reply<SnapshotReport>,
    },
    /// Put a snapshot in the place of the data directory.
    RestoreSnapshot {
        /// Which.
        snapshot: SnapshotId,
        /// That a person means it.
        confirmation: RestoreSnapshot,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Take it that nobody else signs with the node's key.
    ConfirmMachine {
        /// That a person means it.
        confirmation: ConfirmMachine,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Remove a snapshot.
    RemoveSnapshot {
        /// Which.
        snapshot: SnapshotId,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Tell a unit something.
    Unit {
        /// Which.
        unit: UnitName,
        /// What.
        order: UnitOrder,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// Look for anything that would go wrong.
    Doctor {
        /// The release to examine; the next plan's, else the current one, if absent.
        release: Option<ReleaseName>,
        /// Where the answer goes.
        reply: Reply<DoctorReport>,
    },
    /// What does the journal say?
    History {
        /// Of one upgrade only.
        plan: Option<PlanId>,
        /// Only records after this number.
        since: Option<u64>,
        /// Where the answer goes.
        reply: Reply<Vec<HistoryEntry>>,
    },
    /// Read the configuration again.
    Reload {
        /// Where the answer goes.
        reply: Reply<ReloadReport>,
    },
    /// Have another program file take the daemon's place.
    SelfUpgrade {
        /// The program file; the daemon's own path, as it is now, if the same name holds a newer one.
        program: std::path::PathBuf,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
    /// End the daemon.
    Stop {
        /// Whether the units go on running.
        units_stay: bool,
        /// Where the answer goes.
        reply: Reply<Acknowledged>,
    },
}

impl Request {
    /// How long its answer may take.
    fn answer_ms_max(&self) -> u64 {
        match self {
            Request::StageRelease { .. } => FETCH_MS_MAX,
            Request::RemoveRelease { .. }
            | Request::TakeSnapshot { .. }
            | Request::VerifySnapshot { .. }
            | Request::RestoreSnapshot { .. }
            | Request::RemoveSnapshot { .. }
            | Request::Unit { .. }
            | Request::Doctor { .. }
            | Request::Stop { .. } => SLOW_MS_MAX,
            _ => QUICK_MS_MAX,
        }
    }
}

/// Everything that the node's surroundings share with the task that owns it.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    requests: mpsc::Sender<Request>,
    /// What happened.
    pub events: Arc<EventLog>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl NodeHandle {
    /// A handle, and the queue that the node task reads.
    pub fn new(events: Arc<EventLog>, metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Request>) {
        let (requests, queue) = mpsc::channel(QUEUE_LEN_MAX);
        (Self { requests, events, metrics }, queue)
    }

    /// Sends the request that `make` builds around the reply, and waits for its answer.
    pub async fn ask<T>(&self, make: impl FnOnce(Reply<T>) -> Request) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.send(make(reply), answer).await
    }

    /// Sends a request, and waits for the answer at the other end of its reply.
    pub(crate) async fn send<T>(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let answer_ms_max = request.answer_ms_max();
        let queued = self.requests.send_timeout(request, Duration::from_millis(QUEUE_MS_MAX)).await;
        match queued {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Err(busy(QUEUE_MS_MAX, "nothing was done")),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(stopping("nothing was done")),
        }
        match timeout(Duration::from_millis(answer_ms_max), answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_dropped)) => Err(stopping("the request may have been carried out")),
            Err(_elapsed) => Err(busy(answer_ms_max, "the request may still be carried out")),
        }
    }
}

/// The stable code of [`no_such_thing`].
pub const NO_SUCH_THING: &str = "OV-API-022";

/// The refusal of a request about something that is not there: `no_such_thing("snapshot", id)`.
pub fn no_such_thing(what: &str, name: impl fmt::Display) -> Refusal {
    let problem = Problem::permanent(NO_SUCH_THING, format!("find {what} `{name}`"))
        .cause(format!("there is no {what} of that name"))
        .state("nothing was done")
        .hint(match what {
            "plan" => "`omnivisor plan list --all` shows all there are",
            "snapshot" => "`omnivisor snapshot list` shows all there are",
            "release" => "`omnivisor release list` shows all there are",
            _ => "",
        });
    Refusal { problem, exit_code: ExitCode::Refused.number() }
}

fn busy(waited_ms: u64, state: &str) -> Refusal {
    let problem = Problem::transient("OV-API-020", "get an answer from the daemon")
        .cause(format!("the daemon is busy: no answer within {}", ov_types::Span::from_ms(waited_ms)))
        .state(state)
        .hint("see `omnivisor status` and try again");
    Refusal { problem, exit_code: ExitCode::TimedOut.number() }
}

fn stopping(state: &str) -> Refusal {
    let problem = Problem::transient("OV-API-021", "get an answer from the daemon")
        .cause("the daemon is stopping")
        .state(state)
        .hint("try again once it runs again");
    Refusal { problem, exit_code: ExitCode::NotRunning.number() }
}
