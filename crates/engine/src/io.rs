//! What goes into the engine and what comes out of it.

use std::collections::BTreeMap;
use std::fmt;

use ov_types::record::{Outcome, StepFacts};
use ov_types::{
    Direction, EngineSettings, EventKind, ExitStatus, FailurePolicy, Height, Moment, Occasion, Origin, Plan, PlanId,
    Problem, Record, ReleaseName, RunId, Step, StopRule, Trigger, UnitName,
};

/// What a new daemon found of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing runs and nothing is known to have run.
    Nothing,
    /// It runs; its shim was adopted.
    Running {
        /// Which launch.
        run: RunId,
        /// Its process.
        pid: u32,
        /// When it was launched.
        since: Moment,
    },
    /// It runs, or something of it does, and its shim was told to end it.
    Stopping {
        /// Which launch.
        run: RunId,
        /// Its process, unless that has ended.
        pid: Option<u32>,
        /// When it was launched.
        since: Moment,
    },
    /// It was told to end and did, or nobody has to judge any more how it ended; its tree is empty.
    Stopped {
        /// Which launch.
        run: RunId,
        /// How, if anybody saw it.
        status: Option<ExitStatus>,
    },
    /// Its main process ended, but others of its tree live; the shim is ending them.
    Ending {
        /// Which launch.
        run: RunId,
        /// How it ended.
        status: Option<ExitStatus>,
    },
    /// It ended while no daemon watched, and its tree is empty.
    Ended {
        /// Which launch.
        run: RunId,
        /// How, if anybody saw it.
        status: Option<ExitStatus>,
        /// For how long it ran, if that is known.
        ran_ms: Option<u64>,
    },
    /// Its shim is gone, but processes of it live.
    Orphaned {
        /// Which launch.
        run: RunId,
    },
}

/// What happened to a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitReport {
    /// Its process runs.
    Launched {
        /// Which launch.
        run: RunId,
        /// Its process.
        pid: u32,
    },
    /// Its process could not be launched; nothing of it runs.
    LaunchFailed {
        /// Which launch.
        run: RunId,
        /// Why.
        message: String,
        /// Trying again without a person would be dangerous.
        is_unsafe: bool,
    },
    /// Its main process ended.
    Exited {
        /// Which launch.
        run: RunId,
        /// How, if anybody saw it.
        status: Option<ExitStatus>,
    },
    /// No process of it is left.
    Empty {
        /// Which launch.
        run: RunId,
    },
    /// Its shim died; processes of it may live.
    Lost,
    /// After it was lost: no process of it is left.
    OrphansGone,
    /// What its readiness probe says.
    Ready {
        /// Which launch.
        run: RunId,
        /// Ready.
        ready: bool,
    },
    /// What its health probe says, after as many equal answers as the rules ask for.
    Health {
        /// Which launch.
        run: RunId,
        /// Healthy.
        healthy: bool,
        /// How often it answered so in a row.
        answers: u32,
        /// What the probe said.
        message: String,
    },
    /// If it ends by itself, it is not launched again without a person, whatever its rules say: told before its end is.
    Danger {
        /// Which launch.
        run: RunId,
        /// Why.
        message: String,
    },
    /// It may go on only when a person has looked, whatever it is doing: it is stopped, and parked.
    Unsafe {
        /// Why.
        message: String,
    },
    /// Its launches are held by a file, or no longer.
    SuspendFile {
        /// The file is there.
        present: bool,
    },
}

/// A plan before it has a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The release to go to.
    pub release: ReleaseName,
    /// When.
    pub trigger: Trigger,
    /// What to do when it cannot be proven.
    pub on_failure: FailurePolicy,
    /// Where it was learned.
    pub origin: Origin,
    /// What to stage it from.
    pub source: Option<String>,
    /// What the plan says besides.
    pub info: Option<String>,
    /// SHA-256 the program must have.
    pub sha256: Option<String>,
    /// Whether to snapshot the data first.
    pub keep: bool,
    /// A plan it takes the place of.
    pub replaces: Option<PlanId>,
}

/// What a person (or the system on their behalf) tells the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Learn a plan.
    Add(Wish),
    /// Take a plan back.
    Cancel(PlanId),
    /// Carry a plan out now, whatever its trigger.
    Apply(PlanId),
    /// Turn an upgrade round.
    Rollback(PlanId),
    /// Let an upgrade that needs an operator, or waits before its next try, go on at once.
    Retry(PlanId),
    /// Keep a unit up, and release it if it is parked.
    Start(UnitName),
    /// Keep a unit down.
    Stop(UnitName),
    /// Stop a unit and launch it again.
    Restart(UnitName),
    /// Hold a unit's launches.
    Suspend(UnitName),
    /// Let a unit's launches go.
    Resume(UnitName),
    /// Keep every unit down for a while, for work on the data; a daemon that dies meanwhile is forgotten to have asked.
    Pause,
    /// The work on the data is over.
    Unpause,
    /// Stop every unit; the daemon ends when all are down.
    Shutdown,
    /// Wait for nothing any more while stopping.
    Hurry,
}

/// Fits "failed to …".
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Order::Add(wish) => write!(f, "plan an upgrade to {}", wish.release),
            Order::Cancel(plan) => write!(f, "take plan {plan} back"),
            Order::Apply(plan) => write!(f, "carry plan {plan} out now"),
            Order::Rollback(plan) => write!(f, "turn upgrade {plan} round"),
            Order::Retry(plan) => write!(f, "go on with upgrade {plan}"),
            Order::Start(unit) => write!(f, "start unit {unit}"),
            Order::Stop(unit) => write!(f, "stop unit {unit}"),
            Order::Restart(unit) => write!(f, "restart unit {unit}"),
            Order::Suspend(unit) => write!(f, "hold the launches of unit {unit}"),
            Order::Resume(unit) => write!(f, "let the launches of unit {unit} go"),
            Order::Pause => f.write_str("stop the node for work on its data"),
            Order::Unpause => f.write_str("start the node after work on its data"),
            Order::Shutdown => f.write_str("stop the node"),
            Order::Hurry => f.write_str("stop the node at once"),
        }
    }
}

/// Why an order is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: String,
    /// What to do instead.
    pub hint: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Refused {}

/// The result of a step that the daemon carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// Which upgrade.
    pub plan: PlanId,
    /// Which step.
    pub step: Step,
    /// Which way.
    pub direction: Direction,
    /// Which attempt; an answer to an earlier one is ignored.
    pub attempt: u32,
    /// What it found out, or why it failed.
    pub result: Result<StepFacts, Problem>,
}

/// Something the engine has to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// What was found of the units. The first input of every daemon, and given once.
    Found(BTreeMap<UnitName, Found>),
    /// The rules changed.
    Settings(EngineSettings),
    /// Something happened to a unit.
    Unit(UnitName, UnitReport),
    /// The node was seen at a height.
    Height(Height),
    /// How high the data of the node is, which does not run.
    HeightAtRest(Height),
    /// What a validator has signed, as its file says.
    SignState {
        /// Height.
        height: u64,
        /// Round.
        round: u64,
        /// Step.
        step: u64,
    },
    /// A scout saw a plan.
    PlanSeen(Wish),
    /// A plan that a scout saw is gone from where it was.
    PlanGone(Origin),
    /// The scouts were asked, and everything they saw has been given.
    Consulted,
    /// A step was carried out.
    Step(StepReport),
    /// A time passed that [`crate::Node::next_wake_ms`] named.
    Wake,
}

/// A step for the daemon to carry out: probe, apply, verify; or undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepCall {
    /// The plan.
    pub plan: Plan,
    /// Which step.
    pub step: Step,
    /// Which way.
    pub direction: Direction,
    /// Which attempt.
    pub attempt: u32,
    /// What earlier steps found out.
    pub facts: StepFacts,
    /// Where an undo leads.
    pub toward: Option<Outcome>,
}

/// Something for the daemon to do. None of it may be begun before the records ahead of it are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Launch a unit. The answer is `Launched` or `LaunchFailed`.
    Launch {
        /// Which unit.
        unit: UnitName,
        /// The number of the launch.
        run: RunId,
        /// Why.
        occasion: Occasion,
    },
    /// End a unit's tree. The answer is `Exited`, then `Empty`. Repeated with less grace to hurry.
    Stop {
        /// Which unit.
        unit: UnitName,
        /// Which launch.
        run: RunId,
        /// How.
        rule: StopRule,
    },
    /// End what a dead shim left behind. The answer is `OrphansGone`. Repeated with less grace to hurry.
    EndOrphans {
        /// Which unit.
        unit: UnitName,
        /// How.
        rule: StopRule,
    },
    /// Ask all scouts once. The answer is `Consulted`, within a bound, whatever they say.
    Consult,
    /// Carry out a step. The answer is `Step`. Steps of one plan are carried out one after the other.
    RunStep(StepCall),
    /// Give up the step that is under way, if it can be given up; its answer is no longer wanted.
    AbandonStep {
        /// Which upgrade.
        plan: PlanId,
    },
    /// Tell the world.
    Tell(EventKind),
    /// All units are down after `Pause`.
    Paused,
    /// All units are down after `Shutdown`: end.
    Exit,
}

/// What the engine wants, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make this durable before anything after it.
    Record(Record),
    /// Do this.
    Effect(Effect),
}
