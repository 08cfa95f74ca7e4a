//! The steps of an upgrade, in their order.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::FailurePolicy;

/// A step of an upgrade. The order of the variants is the order of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The release is in its folder, complete.
    Stage,
    /// The doctor found nothing that forbids the upgrade.
    Examine,
    /// The quick part of the examination once more, at the trigger, while the old release still runs.
    Recheck,
    /// No process of the node is left.
    Stop,
    /// The data directory is snapshotted.
    Keep,
    /// `current` names the new release.
    Switch,
    /// The hook that prepares the data for the new release has run.
    Migrate,
    /// The new release runs.
    Start,
    /// The new release is what it should be, and the chain moves.
    Prove,
    /// Old snapshots and releases are tidied away.
    Commit,
}

/// Which way a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Towards the new release.
    Forward,
    /// Back to the old one.
    Backward,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Step; 10] = [
        Step::Stage,
        Step::Examine,
        Step::Recheck,
        Step::Stop,
        Step::Keep,
        Step::Switch,
        Step::Migrate,
        Step::Start,
        Step::Prove,
        Step::Commit,
    ];

    /// Whether the step is taken before the trigger, while nothing visible changes.
    pub fn is_preparation(self) -> bool {
        self <= Step::Examine
    }

    /// The first step from which there is no way back under this policy.
    ///
    /// A patch release can be left until it is committed. A consensus upgrade's new release may write data that the
    /// old one must never see, so it cannot be left once it was started.
    pub fn point_of_no_return(policy: FailurePolicy) -> Step {
        match policy {
            FailurePolicy::Rollback => Step::Commit,
            FailurePolicy::Hold => Step::Start,
        }
    }

    /// The name used in journals, messages and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Step::Stage => "stage",
            Step::Examine => "examine",
            Step::Recheck => "recheck",
            Step::Stop => "stop",
            Step::Keep => "keep",
            Step::Switch => "switch",
            Step::Migrate => "migrate",
            Step::Start => "start",
            Step::Prove => "prove",
            Step::Commit => "commit",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialised_form_and_the_order_is_the_order() {
        for pair in Step::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for step in Step::ALL {
            assert_eq!(serde_json::to_string(&step).unwrap(), format!("\"{}\"", step.name()));
        }
    }
}
