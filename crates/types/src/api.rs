//! Questions and answers of the control API. Times are milliseconds since 1970 in UTC.

use serde::{Deserialize, Serialize};

use crate::record::Outcome;
use crate::{
    ExitStatus, FailurePolicy, Finding, Height, Origin, ParkReason, Plan, PlanId, Problem, Record, ReleaseName, RunId,
    Severity, SnapshotId, Step, Trigger, UnitName, UnitState,
};

/// `GET /v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Status {
    /// The node's name.
    pub node: String,
    /// Its home directory.
    pub home: String,
    /// The chain adapter.
    pub chain: String,
    /// The daemon that answers.
    pub daemon: DaemonStatus,
    /// The release that `current` names.
    pub release: Option<ReleaseName>,
    /// The last height seen.
    pub height: Option<Height>,
    /// Milliseconds since the height last moved.
    pub height_age_ms: Option<u64>,
    /// Blocks per hour, measured.
    pub blocks_per_hour: Option<u64>,
    /// The units, main first.
    pub units: Vec<UnitStatus>,
    /// Plans that are not over yet, next one first.
    pub plans: Vec<PlanStatus>,
    /// What somebody should look at.
    pub problems: Vec<Problem>,
}

/// About the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it took over the node.
    pub since_ms: i64,
    /// Whether it is stopping.
    pub stopping: bool,
}

/// About one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnitStatus {
    /// Its name.
    pub name: UnitName,
    /// What it is doing.
    pub state: UnitState,
    /// Its process id, while there is one.
    pub pid: Option<u32>,
    /// The present or last launch.
    pub run: Option<RunId>,
    /// When the present process was launched.
    pub since_ms: Option<i64>,
    /// When it will be launched again, while it backs off.
    pub launch_in_ms: Option<u64>,
    /// Launches since the daemon took over.
    pub launches: u64,
    /// How it ended last.
    pub last_exit: Option<ExitStatus>,
    /// Why its last launch came to nothing; `None` once one works.
    #[serde(default)]
    pub not_started: Option<String>,
    /// What the health probe said last; `None` without a probe.
    pub healthy: Option<bool>,
    /// Whether a person wants it up.
    pub wanted: bool,
    /// Whether its launches are held.
    pub suspended: bool,
    /// Why it is parked.
    pub parked: Option<ParkReason>,
    /// What a waiting unit waits for.
    pub waiting_for: Option<String>,
    /// How long it may take to stop before it is killed: as given, or as its stops have shown.
    #[serde(default)]
    pub stop_grace_ms: u64,
    /// What the process says of itself (sd_notify STATUS).
    pub says: Option<String>,
}

/// How far a plan is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum PlanPhase {
    /// Nothing was done yet.
    Queued,
    /// A step towards the new release is under way or will be tried again.
    Forward {
        /// Which.
        step: Step,
        /// Counted from 1.
        attempt: u32,
        /// Why the last attempt failed.
        problem: Option<Problem>,
    },
    /// Prepared; waiting for its trigger.
    Armed,
    /// A step is being undone.
    Backward {
        /// Which.
        step: Step,
        /// Counted from 1.
        attempt: u32,
        /// Why the upgrade turned round.
        because: Problem,
    },
    /// Only a person may decide.
    NeedsOperator {
        /// Why, and what to do.
        because: Problem,
    },
    /// Over.
    Ended {
        /// How.
        outcome: Outcome,
        /// Why, when it was not committed.
        because: Option<Problem>,
    },
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// About one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanStatus {
    /// The plan.
    pub plan: Plan,
    /// Where else it is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Origin>,
    /// How far it is.
    pub phase: PlanPhase,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// Estimated milliseconds until its trigger, if it can be told.
    pub eta_ms: Option<u64>,
    /// Milliseconds without a process, once measured.
    pub gap_ms: Option<u64>,
    /// The upgrade that has to end, or to be superseded, before this one can begin.
    #[serde(default)]
    pub behind: Option<PlanId>,
    /// The upgrade whose place this one took.
    #[serde(default)]
    pub superseded: Option<PlanId>,
    /// When it was learned.
    pub added_ms: i64,
    /// When it was over.
    pub ended_ms: Option<i64>,
}

/// `POST /v1/plans`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewPlan {
    /// The release to go to.
    pub release: ReleaseName,
    /// When.
    pub trigger: Trigger,
    /// What to do when it cannot be proven; the configuration's default if absent.
    #[serde(default)]
    pub on_failure: Option<FailurePolicy>,
    /// File, directory or address to stage it from. An address must not hold secrets: it is written down.
    #[serde(default)]
    pub source: Option<String>,
    /// SHA-256 the program must have.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Whether to snapshot the data first; the configuration's default if absent.
    #[serde(default)]
    pub keep: Option<bool>,
    /// A plan to put this one in the place of.
    #[serde(default)]
    pub replaces: Option<PlanId>,
}

/// `POST /v1/self-upgrade`: another program file takes the daemon's place; the units go on running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewDaemon {
    /// The program file, as an absolute path.
    pub program: String,
}

/// What a person may tell a unit: `POST /v1/units/{unit}/{order}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UnitOrder {
    /// Keep it down.
    Stop,
    /// Keep it up; releases a parked one.
    Start,
    /// Stop it and launch it again.
    Restart,
    /// Hold its launches; a running process goes on.
    Suspend,
    /// Let its launches go.
    Resume,
}

impl UnitOrder {
    /// All orders, with their words.
    pub const ALL: [(UnitOrder, &'static str); 5] = [
        (UnitOrder::Stop, "stop"),
        (UnitOrder::Start, "start"),
        (UnitOrder::Restart, "restart"),
        (UnitOrder::Suspend, "suspend"),
        (UnitOrder::Resume, "resume"),
    ];

    /// The order with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(order, _)| *order)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(order, _)| *order == self).map_or("", |(_, word)| word)
    }
}

/// `GET /v1/releases`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReleaseStatus {
    /// Its name.
    pub name: ReleaseName,
    /// Whether everything is there.
    pub complete: bool,
    /// Whether `current` names it.
    pub current: bool,
    /// Bytes on disk.
    pub bytes: u64,
    /// When it was staged.
    pub staged_ms: Option<i64>,
    /// Where it came from.
    pub source: Option<String>,
    /// What was fetched for it, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<FetchedStatus>,
}

/// What was fetched to make a release of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FetchedStatus {
    /// Where from, without what is secret in the address.
    pub address: String,
    /// Bytes that were fetched.
    pub bytes: u64,
    /// SHA-256 of these bytes.
    pub sha256: String,
    /// What they were compared with; without it, nothing said what they should be.
    pub checksum: Option<String>,
    /// Who signed them, if that was asked for.
    pub signer: Option<String>,
}

/// `POST /v1/releases`: stage a release without a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRelease {
    /// Its name.
    pub name: ReleaseName,
    /// File, directory or address to stage it from; without it, it is looked for by its name.
    #[serde(default)]
    pub source: Option<String>,
    /// SHA-256 the program must have.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// `GET /v1/snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotStatus {
    /// Its name.
    pub id: SnapshotId,
    /// When it was taken.
    pub taken_ms: i64,
    /// The release that ran.
    pub release: Option<ReleaseName>,
    /// The height that was last seen.
    pub height: Option<Height>,
    /// Why it was taken.
    pub reason: String,
    /// Files in it.
    pub files: u64,
    /// Bytes, as a restored directory would have them.
    pub bytes: u64,
    /// How its files were made, such as `reflink 32, copy 3`.
    pub how: String,
    /// Whether everything is there.
    pub complete: bool,
}

/// `POST /v1/snapshots`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NewSnapshot {
    /// Why it is taken.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /v1/snapshots/{id}/restore`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RestoreSnapshot {
    /// The node's name, typed by a person who means it.
    pub confirm: String,
    /// The height of the snapshot, typed by a person who knows that the network goes on from there: a validator's data
    /// is not replaced without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Height>,
}

/// `POST /v1/machine/confirm`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfirmMachine {
    /// The node's name, typed by a person who knows that nobody else signs with its key.
    pub confirm: String,
}

/// `POST /v1/snapshots/{id}/verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SnapshotReport {
    /// Which.
    pub id: SnapshotId,
    /// What is wrong with it; empty when nothing is.
    pub problems: Vec<String>,
    /// Files looked at.
    pub files: u64,
}

/// `GET /v1/doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DoctorReport {
    /// The worst severity.
    pub worst: Severity,
    /// Everything that was looked at.
    pub findings: Vec<Finding>,
}

/// One line of `GET /v1/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryEntry {
    /// Its number in the journal.
    pub sequence: u64,
    /// What was written.
    pub record: Record,
}

/// What a command that changed something says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Acknowledged {
    /// What was done, as one sentence.
    pub message: String,
    /// The plan it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanId>,
    /// The snapshot it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
}

/// `POST /v1/reload`: what became of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReloadReport {
    /// Keys whose new value holds now.
    pub now: Vec<String>,
    /// Keys whose new value holds from the next start of what they are about.
    pub next_start: Vec<String>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refusal {
    /// What went wrong.
    pub problem: Problem,
    /// The exit code a command line program should end with.
    pub exit_code: u8,
}
