//! One unit through every order and every fate: its table, and its properties.

use super::*;
use ov_types::{BackOff, CrashLoop, Moment, RestartPolicy, WhenLooping};
use proptest::prelude::*;

pub(crate) fn rules() -> UnitRules {
    UnitRules {
        restart: RestartPolicy::Always,
        forbidden_exits: vec![],
        back_off: BackOff {
            at_once: 1,
            first_ms: 1_000,
            max_ms: 60_000,
            jitter_percent: 20,
            reset_after_ms: Some(60_000),
        },
        crash_loop: CrashLoop { count: 5, within_ms: Some(120_000), then: WhenLooping::Park },
        after: vec![],
        together: None,
        stop: StopRule { signal: 15, grace_ms: 90_000, grace_ms_max: 600_000 },
        has_readiness: false,
        ready_within_ms: None,
        when_unhealthy: WhenUnhealthy::Tell,
    }
}

const OPEN: Gate = Gate { may_run: true, may_launch: true, may_stop: true, hurry: false };
const HELD: Gate = Gate { may_run: true, may_launch: false, may_stop: true, hurry: false };
const CLOSED: Gate = Gate { may_run: false, may_launch: false, may_stop: true, hurry: false };

/// Every state a unit can be in, for the tables below.
fn every_doing() -> Vec<Doing> {
    let mut all = vec![
        Doing::Down,
        Doing::BackOff { until_ms: 500 },
        Doing::BackOff { until_ms: 5_000 },
        Doing::Launching { since_ms: 10 },
        Doing::Ending { ran_ms: 3 },
    ];
    for ready in [true, false] {
        all.push(Doing::Up { pid: 7, since_ms: 10, ready });
    }
    for told in [Told::NotYet, Told::Gently, Told::Hurriedly] {
        for cause in [StopCause::Told, StopCause::Failing] {
            all.push(Doing::Stopping { pid: Some(7), launched_ms: 10, cause, told });
        }
        for failed in [true, false] {
            all.push(Doing::Lost { ran_ms: 3, failed, told });
        }
    }
    all
}

fn every_report(run: RunId) -> Vec<UnitReport> {
    let status = Some(ExitStatus::Code(1));
    let mut all = vec![
        UnitReport::Launched { run, pid: 8 },
        UnitReport::Exited { run, status },
        UnitReport::Empty { run },
        UnitReport::Lost,
        UnitReport::OrphansGone,
    ];
    for flag in [true, false] {
        all.push(UnitReport::LaunchFailed { run, message: "no".into(), is_unsafe: flag });
        all.push(UnitReport::Ready { run, ready: flag });
        all.push(UnitReport::Health { run, healthy: flag, answers: 1, message: "m".into() });
        all.push(UnitReport::SuspendFile { present: flag });
    }
    all
}

fn in_state(doing: &Doing) -> Unit {
    Unit { doing: doing.clone(), run: RunId(4), ..Unit::new() }
}

/// Whether processes may exist in a state: then nothing may be launched from it.
fn may_have_processes(doing: &Doing) -> bool {
    !matches!(doing, Doing::Down | Doing::BackOff { .. })
}

#[test]
fn what_was_told_to_end_is_no_failure_of_the_next_daemon() {
    let since = ov_types::Moment { monotonic_ms: 10, wall_ms: 10 };
    let strict = UnitRules { restart: RestartPolicy::Never, forbidden_exits: vec![0], ..rules() };
    let mut unit = Unit::new();
    unit.found(&Found::Stopped { run: RunId(4), status: Some(ExitStatus::Code(0)) }, &strict, 1_000);
    assert_eq!(unit.settle(&strict, 1_000, 7), None);
    assert_eq!(unit.last_exit, Some(ExitStatus::Code(0)));
    assert_eq!(unit.reconcile(&strict, OPEN, 1_000), Some(Command::Launch(RunId(5))));

    let mut unit = Unit::new();
    unit.found(&Found::Stopping { run: RunId(4), pid: Some(7), since }, &strict, 1_000);
    assert_eq!(unit.reconcile(&strict, OPEN, 1_000), None, "its shim is at it, and it is not down");
    let hurried = StopRule { grace_ms: 0, ..strict.stop };
    let hurry = Gate { hurry: true, ..CLOSED };
    assert_eq!(unit.clone().reconcile(&strict, hurry, 1_000), Some(Command::Stop(RunId(4), hurried)));
    let exited = UnitReport::Exited { run: RunId(4), status: Some(ExitStatus::Code(0)) };
    let expected = Meaning::Exited { status: Some(ExitStatus::Code(0)), expected: true };
    assert_eq!(unit.note(exited, &strict, 1_100), expected);
    let stopped = Meaning::Stopped { took_ms: 100 };
    assert_eq!(unit.note(UnitReport::Empty { run: RunId(4) }, &strict, 1_100), stopped, "since it was found so");
    assert_eq!(unit.settle(&strict, 1_100, 7), None);
    assert_eq!(unit.reconcile(&strict, OPEN, 1_100), Some(Command::Launch(RunId(5))));
}

#[test]
fn only_proof_of_emptiness_leads_to_a_state_without_processes() {
    let run = RunId(4);
    for doing in every_doing() {
        for report in every_report(run) {
            let mut unit = in_state(&doing);
            unit.note(report.clone(), &rules(), 1_000);
            let proof = matches!(
                (&doing, &report),
                (Doing::Ending { .. } | Doing::Stopping { .. }, UnitReport::Empty { .. })
                    | (Doing::Launching { .. } | Doing::Stopping { .. }, UnitReport::LaunchFailed { .. })
                    | (Doing::Lost { .. }, UnitReport::OrphansGone)
            );
            if may_have_processes(&doing) && !proof {
                assert!(
                    may_have_processes(&unit.doing),
                    "{report:?} in {doing:?} led to {:?} without proof",
                    unit.doing
                );
            }
            if !may_have_processes(&doing) {
                assert!(!may_have_processes(&unit.doing), "{report:?} in {doing:?} made a process appear");
            }
        }
    }
}

#[test]
fn only_a_stop_that_had_its_grace_tells_how_long_it_took() {
    for doing in every_doing() {
        let mut unit = Unit { told_ms: 400, ..in_state(&doing) };
        let in_order = matches!(doing, Doing::Stopping { told: Told::Gently, .. });
        let expected = if in_order { Meaning::Stopped { took_ms: 600 } } else { Meaning::Nothing };
        assert_eq!(unit.note(UnitReport::Empty { run: RunId(4) }, &rules(), 1_000), expected, "{doing:?}");
    }
}

#[test]
fn reports_about_another_launch_change_nothing() {
    for doing in every_doing() {
        for report in every_report(RunId(3)) {
            if matches!(report, UnitReport::Lost | UnitReport::OrphansGone | UnitReport::SuspendFile { .. }) {
                continue;
            }
            let mut unit = in_state(&doing);
            assert_eq!(unit.note(report, &rules(), 1_000), Meaning::Nothing);
            assert_eq!(unit, in_state(&doing));
        }
    }
}

#[test]
fn commands_follow_from_state_and_gate_alone() {
    let hurried = Gate { hurry: true, ..CLOSED };
    let waits = Gate { may_stop: false, ..CLOSED };
    for doing in every_doing() {
        for gate in [OPEN, HELD, CLOSED, hurried, waits] {
            let mut unit = in_state(&doing);
            let command = unit.reconcile(&rules(), gate, 1_000);
            let is_down = matches!(doing, Doing::Down | Doing::BackOff { until_ms: 500 });
            let launches = is_down && gate == OPEN;
            assert_eq!(matches!(command, Some(Command::Launch(RunId(5)))), launches, "{doing:?} {gate:?}");
            let running = matches!(doing, Doing::Up { .. } | Doing::Launching { .. });
            let untold = matches!(doing, Doing::Stopping { told: Told::NotYet, .. });
            let hurriable = matches!(doing, Doing::Stopping { told: Told::Gently, .. }) && gate.hurry;
            let stops = (running && !gate.may_run && gate.may_stop) || untold || hurriable;
            assert_eq!(matches!(command, Some(Command::Stop(RunId(4), _))), stops, "{doing:?} {gate:?}");
            let ends_orphans = match doing {
                Doing::Lost { told, .. } => told == Told::NotYet || (told == Told::Gently && gate.hurry),
                _ => false,
            };
            assert_eq!(matches!(command, Some(Command::EndOrphans(_))), ends_orphans, "{doing:?} {gate:?}");
            if let Some(Command::Stop(_, rule) | Command::EndOrphans(rule)) = command {
                assert_eq!(rule.grace_ms == 0, gate.hurry);
            }
            assert_eq!(unit.reconcile(&rules(), gate, 1_000), None, "a command is given once: {doing:?} {gate:?}");
        }
    }
}

#[test]
fn a_unit_that_ends_is_launched_again_only_when_its_tree_is_empty() {
    let (rules, mut unit) = (rules(), Unit::new());
    assert_eq!(unit.reconcile(&rules, OPEN, 0), Some(Command::Launch(RunId(1))));
    unit.note(UnitReport::Launched { run: RunId(1), pid: 7 }, &rules, 1);
    unit.note(UnitReport::Exited { run: RunId(1), status: Some(ExitStatus::Signal(9)) }, &rules, 100_000);
    assert_eq!(unit.settle(&rules, 100_000, 0), None);
    assert_eq!(unit.reconcile(&rules, OPEN, 100_000), None);
    unit.note(UnitReport::Empty { run: RunId(1) }, &rules, 100_001);
    assert_eq!(unit.settle(&rules, 100_001, 0), Some(Fate::Relaunch { wait_ms: 0 }));
    assert_eq!(unit.reconcile(&rules, OPEN, 100_001), Some(Command::Launch(RunId(2))));
}

proptest! {
    /// Whatever happens, at most one launch is out, and launches are never numbered twice.
    #[test]
    fn never_two_launches(script in proptest::collection::vec((0usize..32, 0u8..4, 0u64..5_000), 0..200)) {
        let (rules, mut unit, mut now) = (rules(), Unit::new(), 0u64);
        let (mut alive, mut last_run) = (false, 0u64);
        for (which, gate, passed) in script {
            now += passed;
            // The world only reports what is possible: emptiness when there was something, and so on.
            let reports = every_report(unit.run);
            let report = reports[which % reports.len()].clone();
            let possible = match &report {
                UnitReport::Empty { .. } => matches!(unit.doing, Doing::Ending { .. } | Doing::Stopping { .. }),
                UnitReport::LaunchFailed { .. } => matches!(unit.doing, Doing::Launching { .. }),
                UnitReport::OrphansGone => matches!(unit.doing, Doing::Lost { .. }),
                _ => true,
            };
            if possible {
                if matches!(report, UnitReport::Empty { .. } | UnitReport::LaunchFailed { .. } | UnitReport::OrphansGone) {
                    alive = false;
                }
                unit.note(report, &rules, now);
            }
            unit.settle(&rules, now, 1);
            let gate = [OPEN, HELD, CLOSED, Gate { hurry: true, ..CLOSED }][usize::from(gate)];
            if let Some(Command::Launch(run)) = unit.reconcile(&rules, gate, now) {
                prop_assert!(!alive, "launched while processes may live");
                prop_assert!(run.0 > last_run);
                prop_assert!(gate == OPEN);
                (alive, last_run) = (true, run.0);
            }
        }
    }
}

#[test]
fn a_unit_that_is_found_running_has_all_its_time_to_become_ready() {
    let rules = UnitRules { has_readiness: true, ready_within_ms: Some(60_000), ..rules() };
    let since = Moment { monotonic_ms: 1_000, wall_ms: 0 };
    let mut unit = Unit::new();
    unit.found(&Found::Running { run: RunId(1), pid: 7, since }, &rules, 1_000_000);
    assert!(!unit.is_late(&rules, 1_000_000), "it ran long before anybody looked");
    assert_eq!(unit.next_wake_ms(&rules), Some(1_060_000));
    assert!(unit.is_late(&rules, 1_060_000));
}
