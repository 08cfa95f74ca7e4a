//! The upgrade machine's decisions, as total functions. [`crate::Node`] carries them out.

use ov_types::{Direction, FailurePolicy, Lasting, Plan, Step, UpgradeRules};

/// A step that failed is tried this often when trying again may help and going back is possible.
const TRIES_BEFORE_TURNING: u32 = 3;
/// The undoing of a step is tried this often before a person is asked.
const TRIES_OF_UNDOING: u32 = 5;

/// What follows the failure of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after a pause.
    Retry {
        /// The pause.
        wait_ms: u64,
    },
    /// Try again after a pause, for as long as it takes, and say so loudly.
    Hold {
        /// The pause.
        wait_ms: u64,
    },
    /// Turn round.
    TurnBack,
    /// Neither on nor back.
    NeedsOperator,
}

/// Decides what follows the `attempt`-th failure of a step.
pub fn verdict(
    policy: FailurePolicy,
    step: Step,
    direction: Direction,
    attempt: u32,
    lasting: Lasting,
    rules: &UpgradeRules,
) -> Verdict {
    let wait_ms = pause(rules, attempt);
    if direction == Direction::Backward {
        let hope = lasting == Lasting::Transient && attempt < TRIES_OF_UNDOING;
        return if hope { Verdict::Retry { wait_ms } } else { Verdict::NeedsOperator };
    }
    if step.is_preparation() || step == Step::Commit {
        return Verdict::Hold { wait_ms };
    }
    match policy {
        FailurePolicy::Hold => Verdict::Hold { wait_ms },
        // A release that was given its time and could not be proven does not get better by asking again.
        FailurePolicy::Rollback if step == Step::Prove => Verdict::TurnBack,
        FailurePolicy::Rollback if lasting == Lasting::Transient && attempt < TRIES_BEFORE_TURNING => {
            Verdict::Retry { wait_ms }
        }
        FailurePolicy::Rollback => Verdict::TurnBack,
    }
}

fn pause(rules: &UpgradeRules, attempt: u32) -> u64 {
    let factor = 1u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
    rules.retry_first_ms.saturating_mul(factor).min(rules.retry_max_ms)
}

/// The steps that carry a plan out under these rules. Steps that would do nothing are left out, since each one costs
/// two records inside the window.
pub fn steps_for(plan: &Plan, rules: &UpgradeRules) -> Vec<Step> {
    Step::ALL
        .into_iter()
        .filter(|step| match step {
            Step::Keep => plan.keep && rules.keep,
            Step::Migrate => rules.migrate,
            Step::Start | Step::Prove => rules.relaunch,
            _ => true,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::tests::settings;

    #[test]
    fn every_failure_has_one_verdict() {
        let rules = settings().upgrade;
        for policy in [FailurePolicy::Rollback, FailurePolicy::Hold] {
            for step in Step::ALL {
                for direction in [Direction::Forward, Direction::Backward] {
                    for lasting in [Lasting::Transient, Lasting::Permanent] {
                        for attempt in 1..20 {
                            check(policy, step, direction, attempt, lasting, &rules);
                        }
                    }
                }
            }
        }
    }

    fn check(
        policy: FailurePolicy,
        step: Step,
        direction: Direction,
        attempt: u32,
        lasting: Lasting,
        rules: &UpgradeRules,
    ) {
        let decided = verdict(policy, step, direction, attempt, lasting, rules);
        let forward = direction == Direction::Forward;
        match decided {
            Verdict::Retry { wait_ms } | Verdict::Hold { wait_ms } => {
                assert!(wait_ms >= rules.retry_first_ms && wait_ms <= rules.retry_max_ms);
            }
            Verdict::TurnBack => {
                assert!(forward && policy == FailurePolicy::Rollback);
                assert!(step < Step::point_of_no_return(policy), "{step} cannot turn back");
                assert!(!step.is_preparation(), "a plan that cannot be prepared yet waits");
            }
            Verdict::NeedsOperator => {
                assert!(!forward && (attempt >= TRIES_OF_UNDOING || lasting == Lasting::Permanent));
            }
        }
        let for_ever = matches!(decided, Verdict::Hold { .. });
        assert_eq!(
            for_ever,
            forward && (policy == FailurePolicy::Hold || step.is_preparation() || step == Step::Commit)
        );
    }
}
