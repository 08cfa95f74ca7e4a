//! The event stream: what happened, for people and programs. Every view of a node renders this one stream.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::{Outcome, StepFacts};
use crate::{Direction, ExitStatus, Height, ParkReason, Plan, PlanId, Problem, ReleaseName, RunId, Step, UnitName};

/// How loudly an event is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Importance {
    /// Ordinary life.
    Routine,
    /// Worth a notification.
    Notice,
    /// Something went wrong and is dealt with.
    Trouble,
    /// Somebody should look.
    Alarm,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Rises with every event of a node, also over restarts of the daemon.
    pub index: u64,
    /// Milliseconds since 1970 in UTC.
    pub at_ms: i64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Bytes of a release are on their way here.
    Download,
    /// A release is unpacked.
    Unpack,
    /// Data is copied.
    Copy,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum EventKind {
    /// A daemon took over the node.
    DaemonStarted {
        /// Its version.
        version: String,
        /// Units that were found running and were left alone.
        adopted: Vec<UnitName>,
    },
    /// The daemon ends.
    DaemonStopping {
        /// Whether the units go on running.
        units_stay: bool,
    },
    /// The configuration was read again.
    ConfigurationReloaded {
        /// Keys whose new value holds now.
        now: Vec<String>,
        /// Keys whose new value holds from the next start of what they are about.
        next_start: Vec<String>,
    },
    /// The configuration could not be read again; the earlier one stays in force.
    ConfigurationRefused {
        /// Why.
        problem: Problem,
    },
    /// A unit's process runs.
    UnitStarted {
        /// Which unit.
        unit: UnitName,
        /// Which launch.
        run: RunId,
        /// Its process id.
        pid: u32,
    },
    /// A unit's process could not be launched.
    UnitNotStarted {
        /// Which unit.
        unit: UnitName,
        /// Why.
        message: String,
    },
    /// A unit is ready.
    UnitReady {
        /// Which unit.
        unit: UnitName,
    },
    /// A unit's health changed.
    UnitHealth {
        /// Which unit.
        unit: UnitName,
        /// Whether it is healthy.
        healthy: bool,
        /// What the probe said.
        message: String,
    },
    /// A unit is told to stop.
    UnitStopping {
        /// Which unit.
        unit: UnitName,
    },
    /// A unit's process ended.
    UnitExited {
        /// Which unit.
        unit: UnitName,
        /// How; `None` when nobody was there to see it.
        status: Option<ExitStatus>,
        /// Whether it was told to.
        expected: bool,
    },
    /// A unit took so long to stop that it gets a longer grace from now on.
    UnitGraceRaised {
        /// Which unit.
        unit: UnitName,
        /// How long it took.
        took_ms: u64,
        /// How long it may take.
        grace_ms: u64,
    },
    /// A unit waits before it is launched again.
    UnitBackingOff {
        /// Which unit.
        unit: UnitName,
        /// How long.
        wait_ms: u64,
        /// Failures in a row.
        failures: u32,
    },
    /// A unit in a crash loop is tried again slowly.
    UnitLooping {
        /// Which unit.
        unit: UnitName,
        /// Why.
        reason: ParkReason,
        /// How long until the next try.
        wait_ms: u64,
    },
    /// A unit is parked.
    UnitParked {
        /// Which unit.
        unit: UnitName,
        /// Why.
        reason: ParkReason,
    },
    /// The daemon ends, as the rules of a unit say for what happened to it; every unit is stopped.
    NodeGivenUp {
        /// Which unit.
        unit: UnitName,
        /// What happened to it.
        reason: ParkReason,
    },
    /// A unit's launches are held, or let go.
    UnitSuspended {
        /// Which unit.
        unit: UnitName,
        /// Held.
        suspended: bool,
    },
    /// Output of a unit could not be kept.
    OutputLost {
        /// Which unit.
        unit: UnitName,
        /// How many bytes; 0 when it has just begun.
        bytes: u64,
        /// Why.
        #[serde(default)]
        reason: String,
    },
    /// The height does not move.
    NodeStuck {
        /// The height.
        height: Option<Height>,
        /// For how long.
        for_ms: u64,
        /// Whether it is launched again because of that.
        restarting: bool,
    },
    /// The height moves again.
    NodeMoving {
        /// The height.
        height: Height,
    },
    /// A person said that this machine, and no other, signs with the node's key.
    MachineConfirmed,
    /// Work on the data that a person asked for is done.
    DataWorkDone {
        /// What was done.
        message: String,
    },
    /// A release is being fetched.
    FetchStarted {
        /// Which.
        release: ReleaseName,
        /// Where from, without what is secret in the address.
        address: String,
    },
    /// A release was fetched, believed, and is in its place.
    FetchDone {
        /// Which.
        release: ReleaseName,
        /// Where from, without what is secret in the address.
        address: String,
        /// Bytes that were fetched.
        bytes: u64,
        /// What they were compared with; without it, nothing said what they should be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checksum: Option<String>,
        /// Who signed them, if that was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signer: Option<String>,
    },
    /// How far something is that takes its time. It may be left out at any time: it is never kept, has the index of the
    /// event before it, and the next one says it better.
    Progress {
        /// What is done.
        work: Work,
        /// With what: a release, a snapshot.
        of: String,
        /// Bytes done.
        done: u64,
        /// Bytes in all, if known.
        total: Option<u64>,
        /// Bytes in a second, lately; 0 while that cannot be told.
        rate: u64,
    },
    /// A plan was learned.
    PlanAdded {
        /// The plan.
        plan: Plan,
    },
    /// A plan is due at another moment than it was.
    PlanMoved {
        /// The plan.
        plan: Plan,
    },
    /// A plan cannot be prepared at present.
    PlanBlocked {
        /// Which plan.
        plan: PlanId,
        /// Why.
        problem: Problem,
    },
    /// A step begins.
    StepStarted {
        /// Which upgrade.
        plan: PlanId,
        /// Which step.
        step: Step,
        /// Which way.
        direction: Direction,
        /// Counted from 1.
        attempt: u32,
    },
    /// A step was carried out and verified.
    StepDone {
        /// Which upgrade.
        plan: PlanId,
        /// Which step.
        step: Step,
        /// Which way.
        direction: Direction,
        /// What it found out.
        facts: StepFacts,
    },
    /// A step failed.
    StepFailed {
        /// Which upgrade.
        plan: PlanId,
        /// Which step.
        step: Step,
        /// Which way.
        direction: Direction,
        /// Why.
        problem: Problem,
        /// When it is tried again; `None` when it is not.
        retry_in_ms: Option<u64>,
    },
    /// Everything is prepared; the upgrade waits for its trigger.
    UpgradeArmed {
        /// The plan.
        plan: Plan,
        /// Estimated milliseconds until the trigger, if it can be told.
        eta_ms: Option<u64>,
    },
    /// The trigger comes near.
    UpgradeNear {
        /// The plan.
        plan: Plan,
        /// Estimated milliseconds until the trigger.
        eta_ms: u64,
        /// Whether everything is prepared.
        armed: bool,
    },
    /// The trigger was reached.
    UpgradeStarted {
        /// Which upgrade.
        plan: PlanId,
        /// To which release.
        release: ReleaseName,
        /// At which height.
        height: Option<Height>,
        /// The upgrade whose place it takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        superseded: Option<PlanId>,
    },
    /// The new release cannot be proven yet and is kept.
    UpgradeHeld {
        /// Which upgrade.
        plan: PlanId,
        /// At which step.
        step: Step,
        /// Why.
        problem: Problem,
    },
    /// The upgrade turns round.
    UpgradeTurnedBack {
        /// Which upgrade.
        plan: PlanId,
        /// Why.
        problem: Problem,
    },
    /// The upgrade stands where only a person may decide.
    UpgradeNeedsOperator {
        /// Which upgrade.
        plan: PlanId,
        /// Why.
        problem: Problem,
    },
    /// The upgrade is over.
    UpgradeEnded {
        /// Which upgrade.
        plan: PlanId,
        /// To which release.
        release: ReleaseName,
        /// How.
        outcome: Outcome,
        /// Milliseconds between the old process's end and the new one's start.
        gap_ms: Option<u64>,
    },
    /// Events before this one are no longer kept: a reader that asked for them missed some.
    EventsMissed {
        /// The oldest index that is still kept.
        oldest: u64,
    },
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// Whether it may be left out: nothing is decided by it, and it is not kept.
    pub fn is_droppable(&self) -> bool {
        matches!(self, EventKind::Progress { .. })
    }

    /// The name under which an operator can subscribe to it by webhook; `None` for ordinary life.
    pub fn notification(&self) -> Option<&'static str> {
        Some(match self {
            EventKind::PlanAdded { .. } => "upgrade-discovered",
            EventKind::PlanMoved { .. } => "upgrade-moved",
            EventKind::PlanBlocked { .. } => "upgrade-blocked",
            EventKind::UpgradeArmed { .. } => "upgrade-armed",
            EventKind::UpgradeNear { .. } => "upgrade-near",
            EventKind::UpgradeStarted { .. } => "upgrade-started",
            EventKind::UpgradeHeld { .. } => "upgrade-held",
            EventKind::UpgradeEnded { outcome: Outcome::Committed, .. } => "upgrade-committed",
            EventKind::UpgradeEnded { outcome: Outcome::RolledBack, .. } => "upgrade-rolled-back",
            EventKind::UpgradeEnded { outcome: Outcome::Withdrawn, .. } => "upgrade-withdrawn",
            EventKind::UpgradeEnded { outcome: Outcome::Superseded, .. } => "upgrade-superseded",
            EventKind::UpgradeNeedsOperator { .. } => "needs-operator",
            EventKind::UnitParked { reason: ParkReason::CrashLoop { .. }, .. } | EventKind::UnitLooping { .. } => {
                "crash-loop"
            }
            EventKind::UnitParked { .. } => "unit-parked",
            EventKind::NodeGivenUp { .. } => "given-up",
            EventKind::NodeStuck { .. } => "stuck",
            EventKind::ConfigurationRefused { .. } => "configuration-refused",
            _ => return None,
        })
    }

    /// Whether something went wrong that nobody has to be called for.
    fn is_trouble(&self) -> bool {
        matches!(
            self,
            EventKind::UnitNotStarted { .. }
                | EventKind::UnitExited { expected: false, .. }
                | EventKind::UnitHealth { healthy: false, .. }
                | EventKind::OutputLost { .. }
                | EventKind::StepFailed { .. }
                | EventKind::UpgradeTurnedBack { .. }
        )
    }

    /// How loudly it is told.
    pub fn importance(&self) -> Importance {
        match self.notification() {
            None if self.is_trouble() => Importance::Trouble,
            None => Importance::Routine,
            Some(
                "upgrade-discovered" | "upgrade-moved" | "upgrade-armed" | "upgrade-near" | "upgrade-started"
                | "upgrade-committed" | "upgrade-withdrawn" | "upgrade-superseded",
            ) => Importance::Notice,
            Some(_) => Importance::Alarm,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::event_text::write(self, f)
    }
}
