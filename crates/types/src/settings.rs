//! What the engine is told about a node: rules, all of them data.
//!
//! A chain adapter fills these in; the engine knows nothing else about a chain.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{GroupName, UnitName};

/// When a unit that ended by itself is launched again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Whatever its exit status.
    #[default]
    Always,
    /// Unless it exited with zero.
    OnFailure,
    /// Not at all.
    Never,
}

/// How long to wait before a unit is launched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackOff {
    /// So many failures in a row are made good at once.
    pub at_once: u32,
    /// After the next one.
    pub first_ms: u64,
    /// Doubled after each further failure, up to this.
    pub max_ms: u64,
    /// Spread by up to this much either way, so that a fleet does not move in step.
    pub jitter_percent: u8,
    /// A run this long counts as stable and makes earlier failures forgotten; `None`: time alone forgives nothing.
    pub reset_after_ms: Option<u64>,
}

/// What happens to a unit in a crash loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "then")]
pub enum WhenLooping {
    /// It is parked until a person releases it.
    Park,
    /// It is tried again, slowly, for ever.
    Retry {
        /// How slowly.
        every_ms: u64,
    },
    /// Every unit is stopped, and the daemon ends: whoever started it is to decide.
    End,
}

/// When a unit counts as being in a crash loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrashLoop {
    /// This many failures …
    pub count: u32,
    /// … within this time; `None`: in a row, however long that takes.
    pub within_ms: Option<u64>,
    /// What happens then.
    pub then: WhenLooping,
}

/// What follows when a running unit does not answer well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenUnhealthy {
    /// It is told.
    #[default]
    Tell,
    /// It is stopped and launched again, which counts as a failure.
    Restart,
    /// Every unit is stopped, and the daemon ends: whoever started it is to decide.
    End,
}

/// How far another unit must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StartWhen {
    /// Its process runs.
    #[default]
    Up,
    /// Its readiness probe says so.
    Ready,
}

/// A condition on another unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartAfter {
    /// The other unit.
    pub unit: UnitName,
    /// How far it must be before this one is launched.
    pub when: StartWhen,
    /// Whether this one is stopped when the other goes down.
    pub bound: bool,
    /// Whether the other is told to stop only once this one is down; otherwise both are told at once.
    #[serde(default = "yes")]
    pub down_first: bool,
}

/// How a unit is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRule {
    /// The signal that asks it to end.
    pub signal: i32,
    /// After this long everything left is killed.
    pub grace_ms: u64,
    /// How far the grace grows where stops turn out to take longer; as long as the grace where that holds as it is.
    pub grace_ms_max: u64,
}

impl StopRule {
    /// A grace that was given, and holds as it is.
    pub fn fixed(signal: i32, grace_ms: u64) -> Self {
        Self { signal, grace_ms, grace_ms_max: grace_ms }
    }

    /// The rule for a unit whose longest orderly stop took so long: three times as long, so that the next one, with more to
    /// write down, is not cut short.
    #[must_use]
    pub fn learned(self, longest_ms: u64) -> Self {
        let needed_ms = longest_ms.saturating_mul(3).min(self.grace_ms_max);
        Self { grace_ms: self.grace_ms.max(needed_ms), ..self }
    }
}

/// The rules for one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRules {
    /// When it is launched again.
    pub restart: RestartPolicy,
    /// Exit codes after which it must not be launched again without a person.
    pub forbidden_exits: Vec<i32>,
    /// How long to wait in between.
    pub back_off: BackOff,
    /// When to stop trying.
    pub crash_loop: CrashLoop,
    /// What must be up before it.
    pub after: Vec<StartAfter>,
    /// The group with which it lives and dies: when one of that fails, or is to be down, all are stopped; they are
    /// launched together once all are down, and their failures are counted together.
    #[serde(default)]
    pub together: Option<GroupName>,
    /// How it is stopped.
    pub stop: StopRule,
    /// Whether something tells when it is ready; if not, up is ready.
    pub has_readiness: bool,
    /// It must be ready this long after its launch, or it is stopped and counts as failed.
    pub ready_within_ms: Option<u64>,
    /// What follows when its health probe fails.
    #[serde(default)]
    pub when_unhealthy: WhenUnhealthy,
}

/// What to do with a node whose height does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StallPolicy {
    /// The height must move within this time.
    pub within_ms: u64,
    /// Stop and launch it again; otherwise it is only told.
    pub restart: bool,
}

/// How snapshots are taken before a switch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepMethod {
    /// The fastest that is safe: reflink, else hard links for write-once files and copies of the rest.
    #[default]
    Auto,
    /// Share blocks; fails where the file system cannot.
    Reflink,
    /// Hard links for write-once files, copies of the rest.
    HardLink,
    /// Copy everything.
    Copy,
    /// Take none.
    Off,
}

/// How long a daemon looks after its node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// Until it is told to end.
    #[default]
    Standing,
    /// Until main has ended by itself, its rules leave it down, and no upgrade is to launch it again.
    Main,
}

/// The rules for upgrades.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeRules {
    /// Whether there is anything to snapshot, and a wish to.
    pub keep: bool,
    /// Whether there is a hook that prepares the data.
    pub migrate: bool,
    /// Whether the new release is launched and proven. Otherwise the upgrade is over with the switch, and so is the
    /// daemon: the next one launches what `current` names then.
    #[serde(default = "yes")]
    pub relaunch: bool,
    /// Units that run go on running for this long after the trigger: for others who need them to come there too.
    #[serde(default)]
    pub stop_delay_ms: u64,
    /// All units must be down this long after they were told to stop.
    pub stop_within_ms: u64,
    /// Main must have been down for this long before anything is done with its data: for what it leaves behind outside
    /// of its own processes.
    #[serde(default)]
    pub rest_ms: u64,
    /// The new release must run this long after the switch.
    pub start_within_ms: u64,
    /// The main process may end this often while it is being proven.
    pub prove_exits_max: u32,
    /// Pause before a step that failed is tried again; doubled each time.
    pub retry_first_ms: u64,
    /// The longest such pause.
    pub retry_max_ms: u64,
}

/// Everything the engine is told about a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineSettings {
    /// The units, with their rules. `main` is always among them.
    pub units: BTreeMap<UnitName, UnitRules>,
    /// The rules for upgrades.
    pub upgrade: UpgradeRules,
    /// What to do when the height does not move; `None` when nobody asks the node for its height.
    pub stall: Option<StallPolicy>,
    /// Whether plans can appear by themselves: then the scouts are asked before main is launched again.
    pub has_scouts: bool,
    /// How long before its trigger it is told that an upgrade is near, each once.
    #[serde(default)]
    pub near_ms: Vec<u64>,
    /// Whether main can be told, at its launch, to halt by itself before the block of a height, and its data tells how far
    /// it came.
    #[serde(default)]
    pub halts_when_told: bool,
    /// How long the daemon looks after the node.
    #[serde(default)]
    pub lifetime: Lifetime,
    /// Mixed into the jitter, so that nodes differ.
    pub seed: u64,
}

fn yes() -> bool {
    true
}
