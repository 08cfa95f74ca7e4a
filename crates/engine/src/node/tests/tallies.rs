//! What is held against a unit outlives the daemon, and nothing else does.

use super::*;

/// Main crashes right after each launch.
fn crashing() -> World {
    let mut world = World::new();
    (world.current, world.crashes_of_new) = ("v2", u32::MAX);
    world.end_main(Some(ExitStatus::Code(1)));
    world
}

/// The daemon is killed. How main ended stays where its shim wrote it, whether or not it was judged.
fn kill(world: &mut World) {
    world.answers.clear();
    let ledger = Ledger::fold(&world.journal).expect("the journal of a dead daemon is legal");
    world.node = Node::new(world.settings.clone(), ledger);
    let status = Some(ExitStatus::Code(1));
    let found = match world.main {
        Some(run) => Found::Running { run, pid: 7, since: world.now },
        None => Found::Ended { run: world.last_run, status, ran_ms: Some(0) },
    };
    world.give(Input::Found(BTreeMap::from([(UnitName::main(), found)])));
}

fn run_until_backing_off(world: &mut World, failures: u32) {
    let is_there =
        |kind: &EventKind| matches!(kind, EventKind::UnitBackingOff { failures: now, .. } if *now == failures);
    for _ in 0..200 {
        if world.told.iter().any(is_there) {
            return;
        }
        world.run(1);
    }
    panic!("it never failed {failures} times in a row: {:?}", world.told);
}

fn is_parked(world: &World) -> bool {
    world.node.unit_view(&UnitName::main()).unwrap().state == UnitState::Parked
}

#[test]
fn a_pause_goes_on_where_the_daemon_died() {
    for failures in 2..4 {
        let mut world = crashing();
        run_until_backing_off(&mut world, failures);
        let (launches, until) = (world.launched.len(), world.node.next_wake_ms());
        for _ in 0..3 {
            kill(&mut world);
            assert_eq!((world.launched.len(), world.node.next_wake_ms()), (launches, until), "{failures} failures");
        }
        run_until_backing_off(&mut world, failures + 1);
        assert_eq!(world.launched.len(), launches + 1);
    }
}

/// However often the daemon is killed, a crash loop is as long as the rules say. Killed between the end of a run and the
/// launch after it, a first failure may be forgotten, since that launch waits for nothing.
#[test]
fn a_crash_loop_is_as_long_as_the_rules_say_whoever_counts() {
    let count = rules().crash_loop.count as usize;
    for rounds in 1..30 {
        let mut world = crashing();
        let before = world.launched.len();
        for _ in 0..200 {
            if is_parked(&world) {
                break;
            }
            world.run(rounds);
            kill(&mut world);
        }
        assert!(is_parked(&world), "every {rounds} rounds");
        let launched = world.launched.len() - before;
        assert!((count - 1..=count + 1).contains(&launched), "{launched} launches, killed every {rounds} rounds");
    }
}

#[test]
fn a_person_a_stop_another_release_and_another_boot_make_failures_forgotten() {
    let failing = |world: &World| world.node.ledger().unit(&UnitName::main()).failing.is_some();
    let mut world = crashing();
    run_until_backing_off(&mut world, 3);
    assert!(failing(&world));
    world.order(Order::Start(UnitName::main())).unwrap();
    assert!(!failing(&world));
    run_until_backing_off(&mut world, 3);
    world.order(Order::Shutdown).unwrap();
    assert!(!failing(&world));

    let mut world = crashing();
    run_until_backing_off(&mut world, 3);
    world.order(Order::Add(wish("v3", Trigger::Now, FailurePolicy::Hold))).unwrap();
    world.run(200);
    assert_eq!((world.outcome(), failing(&world)), (Some(Outcome::Committed), false));

    let mut world = crashing();
    run_until_backing_off(&mut world, 3);
    let started = |boot: &str| Record::DaemonStarted { at: world.now, version: "1".into(), boot: boot.into() };
    let mut ledger = world.node.ledger().clone();
    ledger.apply(&started("")).unwrap();
    assert!(ledger.unit(&UnitName::main()).failing.is_some(), "the same boot");
    ledger.apply(&started("another")).unwrap();
    assert_eq!(ledger.unit(&UnitName::main()).failing, None);
}

#[test]
fn a_healthy_unit_writes_nothing() {
    let mut world = World::new();
    let before = world.journal.len();
    for _ in 0..50 {
        world.now.monotonic_ms += 60_000;
        world.give(Input::Wake);
        world.give(Input::Height(Height(world.now.monotonic_ms)));
    }
    assert_eq!(world.journal.len(), before);
}
