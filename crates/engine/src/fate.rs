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
    /// It is left down, and the daemon is to end.
    End(ParkReason),
}

/// A unit's recent failures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    /// In a row, without a stable run in between.
    pub(crate) in_a_row: u32,
    /// When they happened, on the monotonic clock, oldest first; at most as many as make a crash loop within its time,
    /// and of those that are counted in a row only the last.
    pub(crate) at_ms: Vec<u64>,
}

impl Failures {
    /// Notes a run of `ran_ms` that ended at `now_ms`.
    pub(crate) fn note(&mut self, rules: &UnitRules, now_ms: u64, ran_ms: u64) {
        if rules.back_off.reset_after_ms.is_some_and(|stable_ms| ran_ms >= stable_ms) {
            *self = Self::default();
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.at_ms.push(now_ms);
        let keep = match rules.crash_loop.within_ms {
            Some(within_ms) => {
                self.at_ms.retain(|at| *at >= now_ms.saturating_sub(within_ms));
                rules.crash_loop.count.max(1) as usize
            }
            None => 1,
        };
        self.at_ms.drain(..self.at_ms.len().saturating_sub(keep));
    }

    /// How many of them count towards a crash loop.
    pub(crate) fn counted(&self, rules: &UnitRules) -> u32 {
        match rules.crash_loop.within_ms {
            Some(_) => u32::try_from(self.at_ms.len()).unwrap_or(u32::MAX),
            None => self.in_a_row,
        }
    }
}

/// What becomes of a unit by the way in which it ended, however often it did: it must not be launched again, or has no
/// need to be.
pub(crate) fn final_fate(rules: &UnitRules, status: Option<ExitStatus>) -> Option<Fate> {
    if let Some(ExitStatus::Code(code)) = status
        && rules.forbidden_exits.contains(&code)
    {
        return Some(Fate::Park(ParkReason::ForbiddenExit { code }));
    }
    match rules.restart {
        RestartPolicy::Never => Some(Fate::Rest),
        RestartPolicy::OnFailure if status.is_some_and(ExitStatus::is_success) => Some(Fate::Rest),
        RestartPolicy::OnFailure | RestartPolicy::Always => None,
    }
}

/// Decides what becomes of a unit that ended with `status` (`None`: nobody saw how, or it could not be launched),
/// given its failures in a row, this one included, and how many count towards a crash loop. `roll` is any number; it
/// spreads the pause.
pub fn fate(rules: &UnitRules, status: Option<ExitStatus>, in_a_row: u32, counted: u32, roll: u64) -> Fate {
    if let Some(decided) = final_fate(rules, status) {
        return decided;
    }
    if counted >= rules.crash_loop.count.max(1) {
        let reason = ParkReason::CrashLoop { count: counted, within_ms: rules.crash_loop.within_ms, last: status };
        return match rules.crash_loop.then {
            WhenLooping::Park => Fate::Park(reason),
            WhenLooping::Retry { every_ms } => Fate::RetrySlowly { wait_ms: spread(rules, every_ms, roll), reason },
            WhenLooping::End => Fate::End(reason),
        };
    }
    Fate::Relaunch { wait_ms: pause(rules, in_a_row, roll) }
}

/// The first failures are made good at once; then the pause doubles.
fn pause(rules: &UnitRules, in_a_row: u32, roll: u64) -> u64 {
    let Some(doublings) = in_a_row.checked_sub(rules.back_off.at_once.saturating_add(1)) else { return 0 };
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
    use ov_types::{BackOff, CrashLoop};
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
            for then in [WhenLooping::Park, WhenLooping::Retry { every_ms: 60_000 }, WhenLooping::End] {
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
                                assert!(!expected_rest && within >= 3 && matches!(then, WhenLooping::Retry { .. }));
                            }
                            Fate::End(_) => assert!(!expected_rest && within >= 3 && then == WhenLooping::End),
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

    /// What becomes of a unit after each of its failures, one a minute.
    fn fates(rules: &UnitRules, failures: usize) -> Vec<Fate> {
        let (mut known, status) = (Failures::default(), Some(ExitStatus::Code(1)));
        let judge = |number: usize| {
            known.note(rules, number as u64 * 60_000, 50_000);
            fate(rules, status, known.in_a_row, known.counted(rules), 7)
        };
        (0..failures).map(judge).collect()
    }

    /// A pause that never changes, the first launch delayed too, and a total number of launches.
    #[test]
    fn so_many_relaunches_each_after_the_same_pause() {
        for relaunches in [0usize, 1, 3, 40] {
            let mut rules = rules();
            rules.back_off =
                BackOff { at_once: 0, first_ms: 5_000, max_ms: 5_000, jitter_percent: 0, reset_after_ms: None };
            let count = u32::try_from(relaunches).unwrap() + 1;
            rules.crash_loop = CrashLoop { count, within_ms: None, then: WhenLooping::End };
            let fates = fates(&rules, relaunches + 1);
            assert!(fates[..relaunches].iter().all(|fate| *fate == Fate::Relaunch { wait_ms: 5_000 }), "{fates:?}");
            let last = Some(ExitStatus::Code(1));
            let reason = ParkReason::CrashLoop { count, within_ms: None, last };
            assert_eq!(fates[relaunches], Fate::End(reason));
        }
    }

    #[test]
    fn so_many_failures_are_made_good_at_once() {
        for at_once in 0..4u32 {
            let mut rules = rules();
            (rules.back_off.at_once, rules.back_off.jitter_percent, rules.crash_loop.count) = (at_once, 0, 100);
            let waits = fates(&rules, 6).into_iter().map(|fate| match fate {
                Fate::Relaunch { wait_ms } => wait_ms,
                other => panic!("{other:?}"),
            });
            let expected = (0..6u32).map(|done| if done < at_once { 0 } else { 1_000 << (done - at_once) });
            assert!(waits.eq(expected), "{at_once}");
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
                prop_assert!(failures.at_ms.iter().all(|at| now - at <= 120_000));
            }
        }
    }
}
