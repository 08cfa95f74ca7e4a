//! Daemons that end because the rules of a unit say so, and those that have something to do first.

use super::*;
use crate::Farewell;
use ov_types::{CrashLoop, UnitRules, WhenLooping, WhenUnhealthy};

const CODE: Option<ExitStatus> = Some(ExitStatus::Code(1));

/// Main may be launched again `relaunches` times; then the daemon ends.
fn settings_ending(relaunches: u32) -> EngineSettings {
    let mut settings = settings();
    settings.units.entry(UnitName::main()).and_modify(|rules: &mut UnitRules| {
        rules.back_off.reset_after_ms = None;
        rules.crash_loop = CrashLoop { count: relaunches + 1, within_ms: None, then: WhenLooping::End };
        rules.when_unhealthy = WhenUnhealthy::End;
    });
    settings
}

fn crash_loop(count: u32) -> Farewell {
    let reason = ParkReason::CrashLoop { count, within_ms: None, last: CODE };
    Farewell::GivenUp { unit: UnitName::main(), reason }
}

fn farewell(world: &World) -> Option<Farewell> {
    world.exited.then(|| world.node.farewell())
}

fn unhealthy(world: &mut World) {
    let run = world.main.unwrap();
    let report = UnitReport::Health { run, healthy: false, answers: 3, message: "no answer".into() };
    world.give(Input::Unit(UnitName::main(), report));
}

#[test]
fn too_many_failures_end_it_however_long_they_take_and_the_next_one_counts_anew() {
    for (relaunches, lifetime) in [(0, Lifetime::Standing), (1, Lifetime::Main), (3, Lifetime::Standing)] {
        let mut world = World::with(EngineSettings { lifetime, ..settings_ending(relaunches) });
        for _ in 0..2 {
            let before = world.launched.len();
            for _ in 0..=relaunches {
                assert_eq!(farewell(&world), None);
                world.now.monotonic_ms += 3_600_000;
                world.end_main(CODE);
                world.run(50);
            }
            assert_eq!(farewell(&world), Some(crash_loop(relaunches + 1)));
            assert_eq!(world.launched.len() - before, relaunches as usize);
            assert_eq!(world.told("given-up"), 1);
            assert_eq!(world.node.ledger().unit(&UnitName::main()).failing, None);
            // Its shim was told that nobody has to judge how it ended.
            let (run, status) = (world.last_run, CODE);
            (world.exited, world.node) = (false, Node::new(world.settings.clone(), world.node.ledger().clone()));
            world.told.clear();
            world.give(Input::Found(BTreeMap::from([(UnitName::main(), Found::Stopped { run, status })])));
            world.run(50);
            assert!(world.main.is_some() && !world.exited);
        }
    }
}

#[test]
fn answers_that_are_no_longer_borne_end_it_in_order() {
    for what in [WhenUnhealthy::Tell, WhenUnhealthy::Restart, WhenUnhealthy::End] {
        let mut settings = settings_ending(3);
        settings.units.entry(UnitName::main()).and_modify(|rules| rules.when_unhealthy = what);
        let mut world = World::with(settings);
        unhealthy(&mut world);
        world.run(50);
        let reason = ParkReason::Unhealthy { answers: 3, message: "no answer".into() };
        let given_up = Farewell::GivenUp { unit: UnitName::main(), reason };
        assert_eq!(farewell(&world), (what == WhenUnhealthy::End).then_some(given_up));
        let runs = match what {
            WhenUnhealthy::Tell => Some(RunId(1)),
            WhenUnhealthy::Restart => Some(RunId(2)),
            WhenUnhealthy::End => None,
        };
        assert_eq!(world.main, runs, "{what:?}");
    }
}

#[test]
fn a_unit_that_is_being_stopped_may_be_silent() {
    let mut world = World::with(settings_ending(3));
    let run = world.main.unwrap();
    world.order(Order::Restart(UnitName::main())).unwrap();
    let report = UnitReport::Health { run, healthy: false, answers: 3, message: "no answer".into() };
    world.give(Input::Unit(UnitName::main(), report));
    world.run(50);
    assert_eq!((farewell(&world), world.main), (None, Some(RunId(2))));
}

#[test]
fn an_upgrade_that_main_halted_for_comes_first() {
    let mut settings = settings_ending(0);
    settings.has_scouts = true;
    let mut world = World::with(settings);
    let halt = wish("v2", Trigger::Halt { height: Height(100) }, FailurePolicy::Hold);
    world.end_main(CODE);
    while !world.answers.contains(&Input::Consulted) {
        world.run(1);
    }
    world.answers.push_front(Input::PlanSeen(Wish { origin: Origin::File { path: "plan.json".into() }, ..halt }));
    world.run(200);
    assert_eq!((world.outcome(), farewell(&world)), (Some(Outcome::Committed), None));
    assert_eq!(world.launched, ["v1", "v2"]);
}

#[test]
fn a_release_that_can_be_gone_back_from_is_and_one_that_cannot_ends_it() {
    for policy in POLICIES {
        let mut world = World::with(settings_ending(1));
        world.crashes_of_new = u32::MAX;
        world.order(Order::Add(wish("v2", Trigger::Now, policy))).unwrap();
        world.run(200);
        if policy == FailurePolicy::Rollback {
            assert_eq!((world.outcome(), world.current), (Some(Outcome::RolledBack), "v1"));
            assert!(world.main.is_some() && !world.exited);
        } else {
            assert_eq!(farewell(&world), Some(crash_loop(2)));
            let entry = world.node.ledger().entries().next().unwrap();
            assert!(matches!(entry.phase, Phase::Forward { step: Step::Prove, problem: Some(_), .. }), "{entry:?}");
        }
    }
}

#[test]
fn a_release_that_does_not_answer_is_not_proven() {
    for policy in POLICIES {
        let mut world = World::with(settings_ending(1));
        world.order(Order::Add(wish("v2", Trigger::Now, policy))).unwrap();
        while world.node.in_flight_at(Step::Prove).is_none() {
            world.run(1);
        }
        world.answers.clear();
        unhealthy(&mut world);
        world.run(200);
        let (goes_back, held) = (policy == FailurePolicy::Rollback, world.told("upgrade-held"));
        assert_eq!((world.current, held), if goes_back { ("v1", 0) } else { ("v2", 1) });
        assert_eq!((world.main.is_some(), world.exited), (goes_back, !goes_back));
    }
}

#[test]
fn a_daemon_that_was_killed_before_it_ended_is_followed_by_one_that_ends() {
    let mut world = World::with(settings_ending(0));
    world.end_main(CODE);
    let Some(input) = world.answers.pop_front() else { panic!("it ended") };
    world.give(input);
    let emptied = world.answers.pop_front().expect("nothing of it is left");
    // What was decided is durable as far as the failure, and no further.
    let records: Vec<Record> = world.node.decide(world.now, emptied).into_iter().filter_map(record_of).collect();
    let failed = records.iter().position(|record| matches!(record, Record::UnitFailed { .. })).expect("it is noted");
    world.journal.extend(records[..=failed].iter().cloned());
    world.restart_daemon();
    world.run(50);
    assert_eq!(world.launched, ["v1"]);
    assert!(matches!(farewell(&world), Some(Farewell::GivenUp { .. })));
}

fn record_of(action: Action) -> Option<Record> {
    match action {
        Action::Record(record) => Some(record),
        Action::Effect(_) => None,
    }
}
