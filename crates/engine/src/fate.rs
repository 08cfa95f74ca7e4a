//! What becomes of a unit whose process ended by itself: one total function.

use ov_types::{ExitStatus, ParkReason, RestartPolicy, UnitRules, WhenLooping};

/// What becomes of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is launched again after a pause.
    Relaunch {
        /// The pause.
        wait_ms: u64,
    },
    /// It is left down: the policy wants no restart.
    Rest,
    /// It is in a crash loop and tried again slowly.
    RetrySlowly {
        /// The pause.
        wait_ms: u64,
        /// Why.
        reason: ParkReason,
    },
    /// It is held down until a person releases it.
    Park(ParkReason),
}

/// A unit's recent failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// In a row, without a stable run in between.
    pub(crate) in_a_row: u32,
    /// When they happened, on the monotonic clock, oldest first; at most as many as make a crash loop.
    pub(crate) at_ms: Vec<u64>,
}

impl Failures {
    /// Notes a run of `ran_ms` that ended at `now_ms`.
    pub(crate) fn note(&mut self, rules: &UnitRules, now_ms: u64, ran_ms: u64) {
        if ran_ms >= rules.back_off.reset_after_ms {
            *self = Self::default();
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        let oldest = now_ms.saturating_sub(rules.crash_loop.within_ms);
        self.at_ms.retain(|at| *at >= oldest);
        self.at_ms.push(now_ms);
        let keep = rules.crash_loop.count.max(1) as usize;
        if self.at_ms.len() > keep {
            self.at_ms.drain(..self.at_ms.len() - keep);
        }
    }
}

/// Decides what becomes of a unit that ended with `status` (`None`: nobody saw how, or it could not be launched),
/// given its failures in a row, this one included, and how many of them lie within the crash loop's time. `roll` is
/// any number; it spreads the pause.
pub fn fate(rules: &UnitRules, status: Option<ExitStatus>, in_a_row: u32, within: u32, roll: u64) -> Fate {
    if let Some(ExitStatus::Code(code)) = status
        && rules.forbidden_exits.contains(&code)
    {
        return Fate::Park(ParkReason::ForbiddenExit { code });
    }
    let succeeded = status.is_some_and(ExitStatus::is_success);
    match rules.restart {
        RestartPolicy::Never => return Fate::Rest,
        RestartPolicy::OnFailure if succeeded => return Fate::Rest,
        RestartPolicy::OnFailure | RestartPolicy::Always => {}
    }
    if within >= rules.crash_loop.count.max(1) {
        let reason = ParkReason::CrashLoop { count: within, within_ms: rules.crash_loop.within_ms, last: status };
        return match rules.crash_loop.then {
            WhenLooping::Park => Fate::Park(reason),
            WhenLooping::Retry { every_ms } => Fate::RetrySlowly { wait_ms: spread(rules, every_ms, roll), reason },
        };
    }
    Fate::Relaunch { wait_ms: pause(rules, in_a_row, roll) }
}

/// The first failure is made good at once; then the pause doubles.
fn pause(rules: &UnitRules, in_a_row: u32, roll: u64) -> u64 {
    let Some(doublings) = in_a_row.checked_sub(2) else { return 0 };
    let factor = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let wait_ms = rules.back_off.first_ms.saturating_mul(factor).min(rules.back_off.max_ms);
    spread(rules, wait_ms, roll)
}

fn spread(rules: &UnitRules, wait_ms: u64, roll: u64) -> u64 {
    let width = wait_ms / 100 * u64::from(rules.back_off.jitter_percent.min(100));
    if width == 0 {
        return wait_ms;
    }
    (wait_ms - width).saturating_add(mix(roll) % (2 * width + 1))
}

/// Scatters neighbouring numbers (the finaliser of SplitMix64).
fn mix(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unit::tests::rules;
    use proptest::prelude::*;

    #[test]
    fn every_combination_has_one_fate() {
        let statuses = [
            None,
            Some(ExitStatus::Code(0)),
            Some(ExitStatus::Code(1)),
            Some(ExitStatus::Code(129)),
            Some(ExitStatus::Signal(9)),
        ];
        for restart in [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never] {
            for then in [WhenLooping::Park, WhenLooping::Retry { every_ms: 60_000 }] {
                for status in statuses {
                    for within in 1..=4u32 {
                        let mut rules = rules();
                        (rules.restart, rules.crash_loop.then, rules.forbidden_exits) = (restart, then, vec![129]);
                        rules.crash_loop.count = 3;
                        let decided = fate(&rules, status, within, within, 7);
                        let success = status == Some(ExitStatus::Code(0));
                        let expected_rest =
                            restart == RestartPolicy::Never || (restart == RestartPolicy::OnFailure && success);
                        match decided {
                            Fate::Park(ParkReason::ForbiddenExit { code }) => {
                                assert_eq!((code, status), (129, Some(ExitStatus::Code(129))));
                            }
                            Fate::Rest => assert!(expected_rest),
                            Fate::Park(_) => assert!(!expected_rest && within >= 3 && then == WhenLooping::Park),
                            Fate::RetrySlowly { .. } => {
                                assert!(!expected_rest && within >= 3 && then != WhenLooping::Park);
                            }
                            Fate::Relaunch { wait_ms } => {
                                assert!(!expected_rest && within < 3 && status != Some(ExitStatus::Code(129)));
                                assert_eq!(wait_ms == 0, within == 1, "only the first failure is made good at once");
                            }
                        }
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn pauses_grow_to_their_bound_and_stay_within_the_jitter(in_a_row in 2u32..80, roll: u64) {
            let rules = rules();
            let plain = rules.back_off.first_ms.saturating_mul(1u64.checked_shl(in_a_row - 2).unwrap_or(u64::MAX)).min(rules.back_off.max_ms);
            let got = pause(&rules, in_a_row, roll);
            let width = plain / 100 * u64::from(rules.back_off.jitter_percent);
            prop_assert!(got >= plain - width && got <= plain + width, "{got} is not near {plain}");
        }

        #[test]
        fn failures_are_remembered_in_bounded_space(runs in proptest::collection::vec((0u64..200_000, 0u64..200_000), 0..200)) {
            let rules = rules();
            let (mut failures, mut now) = (Failures::default(), 0);
            for (gap, ran) in runs {
                now += gap;
                failures.note(&rules, now, ran);
                prop_assert!(failures.at_ms.len() <= rules.crash_loop.count as usize);
                prop_assert!(failures.in_a_row >= 1);
                prop_assert!(failures.at_ms.iter().all(|at| now - at <= rules.crash_loop.within_ms));
            }
        }
    }
}
