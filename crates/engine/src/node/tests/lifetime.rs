//! A daemon whose life is main's: when it ends, when it does not, and what the next one makes of it.

use super::*;
use crate::Farewell;
use ov_types::RestartPolicy;

fn settings_of_main(restart: RestartPolicy) -> EngineSettings {
    let mut settings = settings();
    settings.lifetime = Lifetime::Main;
    settings.has_scouts = true;
    settings.units.entry(UnitName::main()).and_modify(|rules| rules.restart = restart);
    settings
}

fn world() -> World {
    World::with(settings_of_main(RestartPolicy::Never))
}

fn halt() -> Wish {
    let origin = Origin::File { path: "plan.json".into() };
    Wish { origin, ..wish("v2", Trigger::Halt { height: Height(100) }, FailurePolicy::Hold) }
}

/// Main ends, and this is what the scouts say when they are asked.
fn end_main_seeing(world: &mut World, code: i32, seen: Vec<Wish>) {
    world.end_main(Some(ExitStatus::Code(code)));
    while !world.answers.iter().any(|input| *input == Input::Consulted) {
        world.run(1);
    }
    let at = world.answers.iter().position(|input| *input == Input::Consulted).unwrap();
    for wish in seen {
        world.answers.insert(at, Input::PlanSeen(wish));
    }
}

fn next_daemon(world: &mut World) {
    world.restart_daemon();
    world.run(200);
}

fn farewell(world: &World) -> Option<Farewell> {
    world.exited.then(|| world.node.farewell())
}

#[test]
fn it_ends_with_main_and_tells_how_main_ended() {
    for code in [0, 3] {
        let mut world = world();
        end_main_seeing(&mut world, code, Vec::new());
        assert!(!world.exited, "it did not wait for what the scouts say");
        world.run(50);
        assert_eq!(farewell(&world), Some(Farewell::MainEnded(Some(ExitStatus::Code(code)))));
        assert_eq!(world.last_run, RunId(1));
        next_daemon(&mut world);
        assert_eq!((world.main, world.exited), (Some(RunId(2)), false), "the next one was started to launch it");
    }
}

#[test]
fn it_lives_on_while_main_is_launched_again() {
    let mut world = World::with(settings_of_main(RestartPolicy::OnFailure));
    end_main_seeing(&mut world, 1, Vec::new());
    world.run(50);
    assert_eq!((world.main, world.exited), (Some(RunId(2)), false));
    end_main_seeing(&mut world, 0, Vec::new());
    world.run(50);
    assert_eq!(farewell(&world), Some(Farewell::MainEnded(Some(ExitStatus::Code(0)))));
}

#[test]
fn a_standing_daemon_outlives_main() {
    let mut settings = settings_of_main(RestartPolicy::Never);
    settings.lifetime = Lifetime::Standing;
    let mut world = World::with(settings);
    end_main_seeing(&mut world, 1, Vec::new());
    world.run(50);
    assert_eq!((world.main, world.exited), (None, false));
}

#[test]
fn it_lives_on_while_main_waits_for_a_persons_word() {
    let mut settings = settings_of_main(RestartPolicy::Never);
    settings.units.entry(UnitName::main()).and_modify(|rules| rules.forbidden_exits = vec![129]);
    let mut world = World::with(settings);
    end_main_seeing(&mut world, 129, Vec::new());
    world.run(50);
    assert_eq!((world.main, world.exited), (None, false));
    next_daemon(&mut world);
    assert_eq!((world.main, world.last_run, world.exited), (None, RunId(1), false), "the next one knows no better");
    let parked = |event: &&EventKind| matches!(event, EventKind::UnitParked { .. });
    assert_eq!(world.told.iter().filter(parked).count(), 2, "and says so");
    world.order(Order::Start(UnitName::main())).unwrap();
    world.run(50);
    assert_eq!((world.main, world.exited), (Some(RunId(2)), false));
}

#[test]
fn a_stop_tells_how_main_took_it() {
    let mut world = world();
    world.order(Order::Shutdown).unwrap();
    world.run(50);
    assert_eq!(farewell(&world), Some(Farewell::MainEnded(Some(ExitStatus::Signal(15)))));
    let mut standing = World::new();
    standing.order(Order::Shutdown).unwrap();
    standing.run(50);
    assert_eq!(farewell(&standing), Some(Farewell::Told));
}

#[test]
fn an_upgrade_that_main_halted_for_is_carried_out_whatever_stands_in_its_way() {
    for failing in [None, Some(Step::Stage), Some(Step::Recheck), Some(Step::Switch)] {
        let mut world = world();
        world.failing.extend(failing.map(|step| (step, Direction::Forward, 4)));
        end_main_seeing(&mut world, 2, vec![halt()]);
        world.run(200);
        assert_eq!((world.current, world.outcome(), world.exited), ("v2", Some(Outcome::Committed), false));
        assert_eq!(world.last_run, RunId(2), "the old release was launched again");
    }
}

#[test]
fn a_halt_for_what_is_under_way_is_no_other_upgrade() {
    let mut world = world();
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Hold))).unwrap();
    while !world.node.ledger().entries().any(Entry::is_in_window) {
        world.run(1);
    }
    world.give(Input::PlanSeen(halt()));
    world.run(200);
    assert_eq!((world.outcome(), world.node.ledger().entries().count()), (Some(Outcome::Committed), 1));
}

#[test]
fn a_release_that_halts_for_the_next_upgrade_is_proven_by_that() {
    let mut world = world();
    end_main_seeing(&mut world, 2, vec![halt()]);
    // The proof takes its time, and the node is quicker.
    while world.node.in_flight_at(Step::Prove).is_none() {
        world.run(1);
    }
    world.answers.retain(|input| !matches!(input, Input::Step(_)));
    let next =
        Wish { release: ReleaseName::new("v3").unwrap(), trigger: Trigger::Halt { height: Height(101) }, ..halt() };
    end_main_seeing(&mut world, 2, vec![next]);
    world.run(300);
    let ends: Vec<Phase> = world.node.ledger().entries().map(|entry| entry.phase.clone()).collect();
    assert_eq!(ends, vec![Phase::Ended { outcome: Outcome::Committed }; 2]);
    assert_eq!((world.last_run, world.exited), (RunId(3), false), "each release is launched once");
}

#[test]
fn what_the_release_before_said_proves_nothing() {
    for made_blocks in [false, true] {
        let mut world = World::new();
        world.give(Input::Height(Height(99)));
        world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
        world.crashes_of_new = 3;
        while world.node.in_flight_at(Step::Prove).is_none() {
            world.run(1);
        }
        if made_blocks {
            world.give(Input::Height(Height(100)));
        }
        let origin = Origin::File { path: "upgrade-info.json".into() };
        let next = wish("v3", Trigger::Halt { height: Height(101) }, FailurePolicy::Hold);
        world.give(Input::PlanSeen(Wish { origin, ..next }));
        world.run(300);
        let proven =
            world.node.ledger().entry(PlanId(1)).unwrap().phase == Phase::Ended { outcome: Outcome::Committed };
        assert_eq!(proven, made_blocks);
    }
}

#[test]
fn what_main_halted_for_is_learned_before_its_proof_is_called_failed() {
    let mut world = world();
    end_main_seeing(&mut world, 2, vec![halt()]);
    while world.node.in_flight_at(Step::Prove).is_none() {
        world.run(1);
    }
    world.answers.retain(|input| !matches!(input, Input::Step(_)));
    // Its plan was seen while it still ran, as one that may have been written ahead.
    let origin = halt().origin;
    let ahead =
        Wish { origin: origin.clone(), ..wish("v3", Trigger::Height { height: Height(101) }, FailurePolicy::Hold) };
    world.failing.push((Step::Examine, Direction::Forward, 1));
    world.give(Input::PlanSeen(ahead));
    world.run(4);
    world.end_main(Some(ExitStatus::Code(2)));
    // Nothing of it is left before the scouts answer.
    world.run(2);
    assert_eq!(world.answers, [Input::Consulted]);
    let next = Wish { origin, ..wish("v3", Trigger::Halt { height: Height(101) }, FailurePolicy::Hold) };
    world.answers.insert(0, Input::PlanSeen(next));
    world.run(300);
    let ends: Vec<Phase> = world.node.ledger().entries().map(|entry| entry.phase.clone()).collect();
    assert_eq!(ends, vec![Phase::Ended { outcome: Outcome::Committed }; 2]);
    assert_eq!((world.last_run, world.exited), (RunId(3), false));
    let failed = |record: &Record| matches!(record, Record::StepFailed { step: Step::Prove, .. });
    assert!(!world.journal.iter().any(failed));
}

#[test]
fn a_plan_that_is_not_due_waits_for_another_daemon() {
    let mut world = world();
    world.order(Order::Add(wish("v2", Trigger::Height { height: Height(100) }, FailurePolicy::Hold))).unwrap();
    world.give(Input::Height(Height(50)));
    world.run(50);
    end_main_seeing(&mut world, 1, Vec::new());
    world.run(50);
    assert_eq!(farewell(&world), Some(Farewell::MainEnded(Some(ExitStatus::Code(1)))));
    next_daemon(&mut world);
    assert_eq!((world.current, world.exited), ("v1", false));
    world.give(Input::Height(Height(100)));
    world.run(200);
    assert_eq!((world.current, world.outcome(), world.exited), ("v2", Some(Outcome::Committed), false));
}

#[test]
fn a_plan_that_is_due_when_main_ends_is_carried_out() {
    let mut world = world();
    world.order(Order::Add(wish("v2", Trigger::Height { height: Height(100) }, FailurePolicy::Hold))).unwrap();
    world.run(50);
    world.end_main(Some(ExitStatus::Code(1)));
    world.answers.insert(0, Input::Height(Height(100)));
    world.run(200);
    assert_eq!((world.current, world.outcome(), world.exited), ("v2", Some(Outcome::Committed), false));
}

#[test]
fn a_new_release_that_does_not_stay_up_is_proven_by_a_later_daemon() {
    let mut world = world();
    world.crashes_of_new = 2;
    end_main_seeing(&mut world, 2, vec![halt()]);
    world.run(300);
    assert_eq!(farewell(&world), Some(Farewell::MainEnded(Some(ExitStatus::Code(1)))));
    assert_eq!((world.current, world.outcome()), ("v2", None));
    next_daemon(&mut world);
    assert_eq!((farewell(&world), world.outcome()), (Some(Farewell::MainEnded(Some(ExitStatus::Code(1)))), None));
    next_daemon(&mut world);
    assert_eq!((world.outcome(), world.exited), (Some(Outcome::Committed), false));
    assert!(world.main.is_some());
}

#[test]
fn launching_is_left_to_the_next_daemon_where_that_is_wanted() {
    for lifetime in [Lifetime::Main, Lifetime::Standing] {
        let mut settings = settings_of_main(RestartPolicy::Never);
        (settings.lifetime, settings.upgrade.relaunch) = (lifetime, false);
        let mut world = World::with(settings);
        world.failing.push((Step::Commit, Direction::Forward, 2));
        end_main_seeing(&mut world, 2, vec![halt()]);
        world.run(200);
        assert_eq!((world.current, world.outcome()), ("v2", Some(Outcome::Committed)));
        assert_eq!((world.main, world.last_run, farewell(&world)), (None, RunId(1), Some(Farewell::Upgraded)));
        next_daemon(&mut world);
        let relaunches = lifetime == Lifetime::Main;
        assert_eq!((world.main.is_some(), world.exited), (relaunches, false), "{lifetime:?}");
    }
}

proptest! {
    /// Exits, heights, halts, failures and deaths of the daemon in any order, each daemon that ended followed by
    /// another: it ends only when nothing it was started for is left, and every upgrade comes to its end.
    #[test]
    fn any_life_of_main_ends_where_it_should(
        relaunch: bool,
        often: bool,
        script in proptest::collection::vec((0u8..9, 0u64..5_000, 0usize..6), 1..60),
    ) {
        let restart = if often { RestartPolicy::OnFailure } else { RestartPolicy::Never };
        let mut settings = settings_of_main(restart);
        settings.upgrade.relaunch = relaunch;
        let mut world = World::with(settings);
        for (what, passed, rounds) in script {
            world.now.monotonic_ms += passed;
            match what {
                0 => world.end_main(Some(ExitStatus::Code(0))),
                1 => world.end_main(Some(ExitStatus::Code(2))),
                2 => world.give(Input::Height(Height(passed / 10))),
                3 => world.give(Input::PlanSeen(halt())),
                4 => drop(world.order(Order::Add(wish("v2", Trigger::Height { height: Height(300) }, FailurePolicy::Hold)))),
                5 => world.failing.push((Step::ALL[(passed % 10) as usize], Direction::Forward, 2)),
                6 => world.restart_daemon(),
                7 => world.dies_after = Some(rounds),
                _ => world.crashes_of_new = 1,
            }
            world.run(rounds);
            if world.exited {
                prop_assert!(world.main.is_none(), "main was left running");
                let stuck = world.node.ledger().entries().any(|entry| entry.is_in_window() && entry.holds_units());
                prop_assert!(!stuck, "it ended in the middle of an upgrade");
                world.restart_daemon();
            }
        }
        world.failing.clear();
        (world.crashes_of_new, world.dies_after) = (0, None);
        // A proof that was begun on a release that crashes is never answered in this world.
        world.restart_daemon();
        world.give(Input::Height(Height(1_000)));
        for _ in 0..6 {
            world.run(400);
            if world.exited {
                next_daemon(&mut world);
            }
        }
        prop_assert!(world.main.is_some() && !world.exited, "nothing runs in the end");
        let open: Vec<_> = world.node.ledger().entries().filter(|entry| !entry.is_over()).collect();
        prop_assert!(open.is_empty(), "left open: {open:?}");
    }
}
