//! What the journal holds: every decision that must survive a crash, and nothing else.

use serde::{Deserialize, Serialize};

use crate::{
    AfterUpgrade, Direction, ExitStatus, Height, Moment, Origin, ParkReason, Plan, PlanId, Problem, ReleaseName, RunId,
    SnapshotId, Step, Trigger, UnitName,
};

/// What is known of an upgrade that its later steps, or their undoing, need: mostly what earlier steps found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepFacts {
    /// The release that ran before; told by `recheck`, before anything changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<ReleaseName>,
    /// The height that the old release was last seen at; told by `recheck`, and once more by `stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Height>,
    /// The release was put into its folder by this upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged_here: Option<bool>,
    /// The snapshot that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// The data's format marker before the new release touched it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Which program it was that said, while the old release ran, that it has no command to prepare the data with; told by
    /// `examine`. Any other program has to be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_command: Option<String>,
    /// Milliseconds between the old process's end and the new one's start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<u64>,
    /// The upgrade that could not go on and whose place this one took. What ran before was never proven, so that
    /// there is nothing to go back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded: Option<PlanId>,
    /// That one held the units down, and so does this one from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds_units: Option<bool>,
    /// Anything worth reading in the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl StepFacts {
    /// Facts with a note only.
    pub fn noted(note: impl Into<String>) -> Self {
        Self { note: Some(note.into()), ..Self::default() }
    }
}

/// How an upgrade ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new release runs and was proven.
    Committed,
    /// The old release runs again.
    RolledBack,
    /// The plan was taken back before its trigger.
    Withdrawn,
    /// It could neither go on nor back, and a person's plan took its place.
    Superseded,
}

/// One record of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[expect(clippy::large_enum_variant, reason = "no more than a handful lives at a time, and a plan is the rarest")]
pub enum Record {
    /// A daemon took over the node.
    DaemonStarted {
        /// When.
        at: Moment,
        /// Its version.
        version: String,
        /// Which boot of the machine, so that monotonic times can be compared.
        boot: String,
    },
    /// A plan was learned, with the steps that will carry it out.
    PlanAdded {
        /// When.
        at: Moment,
        /// The plan.
        plan: Plan,
        /// Its steps, in order.
        steps: Vec<Step>,
        /// What its steps found out before the journal segment that restates it; empty for a new plan.
        #[serde(default)]
        facts: StepFacts,
    },
    /// A plan is named in another place too, in another way than before, or there no more.
    PlanNamed {
        /// When.
        at: Moment,
        /// The plan.
        plan: PlanId,
        /// Where.
        origin: Origin,
        /// When it is due by what is said there; `None` when it is gone from there.
        trigger: Option<Trigger>,
        /// What is said there besides, if it takes the place of what was known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        info: Option<String>,
    },
    /// It was told that the trigger is near.
    NearTold {
        /// When.
        at: Moment,
        /// The plan.
        plan: PlanId,
        /// Nearer than this.
        within_ms: u64,
    },
    /// A step begins (again).
    StepStarted {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
        /// Which step.
        step: Step,
        /// Which way.
        direction: Direction,
        /// Counted from 1 for each step and direction.
        attempt: u32,
    },
    /// A step was carried out and verified.
    StepDone {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
        /// Which step.
        step: Step,
        /// Which way.
        direction: Direction,
        /// What it found out.
        #[serde(default)]
        facts: StepFacts,
    },
    /// A step failed; what follows is decided by the next record.
    StepFailed {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
        /// Which step.
        step: Step,
        /// Which way.
        direction: Direction,
        /// Why.
        problem: Problem,
    },
    /// Everything is prepared; the upgrade waits for its trigger.
    Armed {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
    },
    /// The trigger was reached.
    Triggered {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
        /// The node's height, if it was known.
        height: Option<Height>,
    },
    /// The upgrade turns round: its steps are undone in reverse order.
    TurnedBack {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
        /// Where that leads.
        toward: Outcome,
        /// Why.
        because: Problem,
    },
    /// The upgrade neither goes on nor back by itself any more.
    NeedsOperator {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
        /// Why, and what to do.
        because: Problem,
    },
    /// A person lets an upgrade that needed one go on.
    Resumed {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
    },
    /// The upgrade is over.
    Ended {
        /// When.
        at: Moment,
        /// Which upgrade.
        plan: PlanId,
        /// How.
        outcome: Outcome,
        /// The plan that takes its place, if it is superseded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<PlanId>,
    },
    /// A person wants a unit up, or down.
    UnitWanted {
        /// When.
        at: Moment,
        /// Which unit.
        unit: UnitName,
        /// Up.
        up: bool,
    },
    /// A person holds a unit's launches, or lets them go.
    UnitSuspended {
        /// When.
        at: Moment,
        /// Which unit.
        unit: UnitName,
        /// Held.
        suspended: bool,
    },
    /// A unit is parked.
    UnitParked {
        /// When.
        at: Moment,
        /// Which unit.
        unit: UnitName,
        /// Why.
        reason: ParkReason,
    },
    /// A parked unit is released.
    UnitReleased {
        /// When.
        at: Moment,
        /// Which unit.
        unit: UnitName,
    },
    /// A unit ended by itself, and what is held against it by now; so that the next daemon goes on from there.
    UnitFailed {
        /// When.
        at: Moment,
        /// Which unit.
        unit: UnitName,
        /// Which launch.
        run: RunId,
        /// Failures in a row; 0 when they are forgotten.
        in_a_row: u32,
        /// When those were that count towards a crash loop, this one too: on the monotonic clock, oldest first.
        recent_ms: Vec<u64>,
    },
    /// An orderly stop took longer than any before, so that the unit's grace grows.
    StopTook {
        /// When.
        at: Moment,
        /// Which unit.
        unit: UnitName,
        /// From the order to stop until nothing of it was left; a stop that was cut short by its grace too.
        took_ms: u64,
    },
    /// What the launches of main depend on, besides plans, is this from now on.
    LaunchNoted {
        /// When.
        at: Moment,
        /// The upgrade to the release that is current, while that has not answered since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_upgrade: Option<AfterUpgrade>,
        /// Where main was told, at its last launch, to halt by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        halt_at: Option<Height>,
    },
    /// What a validator had signed when its process ended: it must never be lower at a start.
    SignStateSeen {
        /// When.
        at: Moment,
        /// The height, round and step last signed.
        height: u64,
        /// The round.
        round: u64,
        /// The step.
        step: u64,
    },
    /// The node was seen at a height: noted now and then, so that a daemon which finds it down knows where it was.
    HeightSeen {
        /// When.
        at: Moment,
        /// The height.
        height: Height,
    },
    /// The main process ended; kept because gaps are measured from here.
    MainEnded {
        /// When.
        at: Moment,
        /// How; `None` when nobody was there to see it.
        status: Option<ExitStatus>,
        /// The last height it was seen at.
        height: Option<Height>,
    },
}

impl Record {
    /// When it was written.
    pub fn at(&self) -> Moment {
        match self {
            Record::DaemonStarted { at, .. }
            | Record::PlanAdded { at, .. }
            | Record::PlanNamed { at, .. }
            | Record::NearTold { at, .. }
            | Record::StepStarted { at, .. }
            | Record::StepDone { at, .. }
            | Record::StepFailed { at, .. }
            | Record::Armed { at, .. }
            | Record::Triggered { at, .. }
            | Record::TurnedBack { at, .. }
            | Record::NeedsOperator { at, .. }
            | Record::Resumed { at, .. }
            | Record::Ended { at, .. }
            | Record::UnitWanted { at, .. }
            | Record::UnitSuspended { at, .. }
            | Record::UnitParked { at, .. }
            | Record::UnitReleased { at, .. }
            | Record::UnitFailed { at, .. }
            | Record::StopTook { at, .. }
            | Record::LaunchNoted { at, .. }
            | Record::SignStateSeen { at, .. }
            | Record::HeightSeen { at, .. }
            | Record::MainEnded { at, .. } => *at,
        }
    }

    /// The upgrade it belongs to, if any.
    pub fn plan(&self) -> Option<PlanId> {
        match self {
            Record::PlanAdded { plan, .. } => Some(plan.id),
            Record::PlanNamed { plan, .. }
            | Record::NearTold { plan, .. }
            | Record::StepStarted { plan, .. }
            | Record::StepDone { plan, .. }
            | Record::StepFailed { plan, .. }
            | Record::Armed { plan, .. }
            | Record::Triggered { plan, .. }
            | Record::TurnedBack { plan, .. }
            | Record::NeedsOperator { plan, .. }
            | Record::Resumed { plan, .. }
            | Record::Ended { plan, .. } => Some(*plan),
            _ => None,
        }
    }
}
