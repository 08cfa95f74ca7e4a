//! Plans: "at height H (or time T, or now) go to release R", and where that was learned.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Height, PlanId, ReleaseName};

/// When a plan is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "at")]
pub enum Trigger {
    /// As soon as everything is prepared.
    Now,
    /// At a time, in milliseconds since 1970.
    Time {
        /// That time.
        wall_ms: i64,
    },
    /// When the node is seen at this height or above it.
    Height {
        /// That height.
        height: Height,
    },
    /// The node stops itself at this height and said so: due at once, whether a height can be learned or not, and
    /// the old release is not launched again.
    Halt {
        /// That height.
        height: Height,
    },
    /// The node will stop itself at this height: due when it did, and never a reason to stop it. What it writes down
    /// at its halt the new release may need.
    AwaitHalt {
        /// That height.
        height: Height,
    },
}

impl Trigger {
    /// The height that the new release has to pass, if the trigger names one.
    pub fn height(&self) -> Option<Height> {
        match self {
            Trigger::Height { height } | Trigger::Halt { height } | Trigger::AwaitHalt { height } => Some(*height),
            Trigger::Now | Trigger::Time { .. } => None,
        }
    }

    /// Which of several triggers of one plan counts, the greatest: that the node halted is a fact, a time is a person's
    /// word, and whoever knows that the node halts by itself knows better than who would stop it at a height.
    pub fn rank(&self) -> u8 {
        match self {
            Trigger::Halt { .. } => 4,
            Trigger::Now => 3,
            Trigger::Time { .. } => 2,
            Trigger::AwaitHalt { .. } => 1,
            Trigger::Height { .. } => 0,
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trigger::Now => f.write_str("at once"),
            Trigger::Time { wall_ms } => write!(f, "at {}", crate::utc(*wall_ms)),
            Trigger::Height { height } => write!(f, "at height {height}"),
            Trigger::Halt { height } | Trigger::AwaitHalt { height } => {
                write!(f, "when the node halts at height {height}")
            }
        }
    }
}

/// What to do when the new release cannot be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FailurePolicy {
    /// Go back to the old release: for patch releases, which the network does not depend on.
    Rollback,
    /// Keep the new release and try again, more and more slowly: for consensus upgrades, whose height the old
    /// release cannot pass anyway.
    Hold,
}

/// Where a plan was learned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Origin {
    /// A person (or their script) asked for it.
    Person,
    /// A file that the node writes.
    File {
        /// That file.
        path: String,
    },
    /// A service that is asked.
    Service {
        /// Where.
        address: String,
        /// What it calls the plan: another one of the same service is another plan.
        name: String,
    },
    /// The data of the node: at its height another release than the current one is needed.
    Data {
        /// The data directory.
        path: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Person => f.write_str("a person"),
            Origin::File { path } => write!(f, "file {path}"),
            Origin::Service { address, .. } => write!(f, "the service at {address}"),
            Origin::Data { path } => write!(f, "the height of the data in {path}"),
        }
    }
}

/// A plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// Its number.
    pub id: PlanId,
    /// The release to go to.
    pub release: ReleaseName,
    /// When.
    pub trigger: Trigger,
    /// What to do when the new release cannot be proven.
    pub on_failure: FailurePolicy,
    /// Where it was learned.
    pub origin: Origin,
    /// File, directory or address to stage the release from; `None` when it is staged already, will be by hand, or is
    /// to be found by what the plan itself says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the plan says besides, as it was written where it was learned. It is as public as the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// SHA-256 that the program must have, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether the data directory is snapshotted before the switch.
    #[serde(default = "yes")]
    pub keep: bool,
    /// The upgrade that was under way when a person added this plan: if that one can neither go on nor back, this one
    /// takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<PlanId>,
}

fn yes() -> bool {
    true
}
