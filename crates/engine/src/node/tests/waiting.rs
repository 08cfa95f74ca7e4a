//! What waits wakes nobody, and is not held against whoever made it wait.

use super::*;
use ov_types::StallPolicy;

/// Lets the world go on until the last upgrade is in flight at a step.
fn run_until(world: &mut World, wanted: Step) {
    for _ in 0..200 {
        world.run(1);
        let phase = world.node.ledger().entries().next().map(|entry| entry.phase.clone());
        if matches!(phase, Some(Phase::Forward { step, attempt: 1, .. }) if step == wanted) {
            return;
        }
    }
    panic!("the upgrade never came to {wanted}");
}

fn let_time_pass(world: &mut World, by_ms: u64) {
    world.now.monotonic_ms += by_ms;
    world.give(Input::Wake);
}

#[track_caller]
fn assert_sleeps(world: &World) {
    let wake = world.node.next_wake_ms();
    assert!(wake.is_none_or(|at| at > world.now.monotonic_ms), "woken at {wake:?}, it is {:?}", world.now);
}

#[test]
fn a_try_that_is_due_and_must_wait_for_another_upgrade_wakes_nobody() {
    let mut world = World::new();
    world.order(Order::Add(wish("v2", Trigger::Height { height: Height(100) }, FailurePolicy::Hold))).unwrap();
    world.run(100);
    world.failing.push((Step::Stage, Direction::Forward, u32::MAX));
    world.order(Order::Add(wish("v3", Trigger::Now, FailurePolicy::Hold))).unwrap();
    world.run(1);
    world.give(Input::Height(Height(100)));
    run_until(&mut world, Step::Prove);
    // The proof takes its time.
    world.answers.clear();
    let_time_pass(&mut world, 3_600_000);
    assert_sleeps(&world);
}

#[test]
fn a_node_that_stands_still_while_its_helpers_stop_wakes_nobody() {
    let (main, helper) = (UnitName::main(), UnitName::new("helper").unwrap());
    let after = vec![ov_types::StartAfter {
        unit: main.clone(),
        when: ov_types::StartWhen::Up,
        bound: false,
        down_first: true,
    }];
    let mut settings = settings();
    settings.units.insert(helper.clone(), ov_types::UnitRules { after, ..rules() });
    settings.stall = Some(StallPolicy { within_ms: 1_000, restart: true });
    let mut node = Node::new(settings, Ledger::default());
    let now = Moment { monotonic_ms: 1_000_000, wall_ms: 0 };
    let running = |pid| Found::Running { run: RunId(1), pid, since: now };
    node.decide(now, Input::Found(BTreeMap::from([(main.clone(), running(1)), (helper, running(2))])));
    node.order(now, Order::Shutdown).0.unwrap();
    let later = Moment { monotonic_ms: now.monotonic_ms + 60_000, wall_ms: 0 };
    node.decide(later, Input::Wake);
    assert!(node.unit_view(&main).unwrap().pid.is_some(), "it is stopped before what depends on it");
    assert_eq!(node.next_wake_ms().filter(|at| *at <= later.monotonic_ms), None);
}

#[test]
fn a_main_that_is_found_running_has_all_its_time_to_move() {
    let main = UnitName::main();
    let mut settings = settings();
    settings.stall = Some(StallPolicy { within_ms: 60_000, restart: true });
    let mut node = Node::new(settings, Ledger::default());
    let at = |monotonic_ms| Moment { monotonic_ms, wall_ms: 0 };
    let running = Found::Running { run: RunId(1), pid: 7, since: at(1_000) };
    let is_told = |actions: &[Action]| {
        actions.iter().any(|action| matches!(action, Action::Effect(Effect::Tell(EventKind::NodeStuck { .. }))))
    };
    let actions = node.decide(at(1_000_000), Input::Found(BTreeMap::from([(main, running)])));
    assert!(!is_told(&actions), "it ran long before anybody looked");
    assert_eq!(node.next_wake_ms(), Some(1_060_000));
    assert!(!is_told(&node.decide(at(1_059_999), Input::Wake)));
    assert!(is_told(&node.decide(at(1_060_000), Input::Wake)));
}

#[test]
fn the_bound_of_a_start_begins_when_a_person_lets_main_go() {
    let mut world = World::new();
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
    run_until(&mut world, Step::Switch);
    world.order(Order::Suspend(UnitName::main())).unwrap();
    run_until(&mut world, Step::Start);
    let_time_pass(&mut world, 10 * settings().upgrade.start_within_ms);
    world.order(Order::Resume(UnitName::main())).unwrap();
    world.run(100);
    assert_eq!(world.outcome(), Some(Outcome::Committed));
    let failed = world.journal.iter().find(|record| matches!(record, Record::StepFailed { .. }));
    assert_eq!(failed, None);
}

#[test]
fn a_release_that_failed_its_proof_is_not_launched_again_on_the_way_back() {
    let mut world = World::new();
    world.crashes_of_new = 3;
    world.failing.push((Step::Prove, Direction::Backward, 4));
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
    let turned = |world: &World| world.journal.iter().any(|record| matches!(record, Record::TurnedBack { .. }));
    for _ in 0..200 {
        if turned(&world) {
            break;
        }
        world.run(1);
    }
    assert!(turned(&world));
    let before = world.last_run;
    world.run(200);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::RolledBack), "v1"));
    assert_eq!(world.last_run.0, before.0 + 1, "only the old release is launched");
}

#[test]
fn what_is_known_to_last_is_not_tried_before_and_never_waited_for_too_long() {
    const HOUR_MS: u64 = 3_600_000;
    for (lasts_ms, pause_ms) in
        [(None, 200), (Some(100), 200), (Some(HOUR_MS), HOUR_MS), (Some(HOUR_MS * 9), HOUR_MS * 2)]
    {
        let mut world = World::new();
        world.failing.push((Step::Stage, Direction::Forward, 1));
        world.lasts_ms = lasts_ms;
        world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
        world.run(3);
        let told = world.told.iter().find_map(|kind| match kind {
            EventKind::StepFailed { retry_in_ms, .. } => *retry_in_ms,
            _ => None,
        });
        assert_eq!(told, Some(pause_ms), "{lasts_ms:?}");
    }
}
