//! The pause between an upgrade's trigger and the stop of units that run on.

use super::*;

const DELAY_MS: u64 = 5_000;

/// A world whose upgrade was triggered a moment ago.
fn triggered() -> World {
    let mut settings = settings();
    settings.upgrade.stop_delay_ms = DELAY_MS;
    let mut world = World::with(settings);
    world.order(Order::Add(wish("v2", Trigger::Height { height: Height(100) }, FailurePolicy::Rollback))).unwrap();
    world.run(100);
    world.give(Input::Height(Height(100)));
    settle(&mut world);
    world
}

/// Everything is answered, and no time passes.
fn settle(world: &mut World) {
    while let Some(input) = world.answers.pop_front() {
        world.give(input);
        world.check();
    }
}

fn left_ms(world: &World) -> u64 {
    world.node.next_wake_ms().expect("it waits for a time") - world.now.monotonic_ms
}

fn wait(world: &mut World, ms: u64) {
    world.now.monotonic_ms += ms;
    world.give(Input::Wake);
    settle(world);
}

#[test]
fn units_that_run_are_stopped_after_the_delay_and_not_before() {
    let mut world = triggered();
    for left in (1..=DELAY_MS / 1_000).rev() {
        assert_eq!((world.main, left_ms(&world)), (Some(RunId(1)), left * 1_000));
        wait(&mut world, 1_000);
    }
    world.run(100);
    assert_eq!((world.current, world.outcome()), ("v2", Some(Outcome::Committed)));
}

#[test]
fn the_next_daemon_waits_for_what_is_left_of_it() {
    let mut world = triggered();
    for left in [3_500, 2_000, 500] {
        wait(&mut world, 1_500);
        world.restart_daemon();
        settle(&mut world);
        assert_eq!((world.main, left_ms(&world)), (Some(RunId(1)), left));
    }
    world.run(100);
    assert_eq!(world.outcome(), Some(Outcome::Committed));
}

#[test]
fn a_clock_that_began_anew_costs_the_whole_delay_at_most() {
    for now_ms in [10, 2_000, 999_000] {
        let mut world = triggered();
        world.now.monotonic_ms = now_ms;
        world.restart_daemon();
        settle(&mut world);
        assert!(world.current == "v2" || left_ms(&world) <= DELAY_MS, "{now_ms}");
    }
}

#[test]
fn nobody_waits_for_a_main_that_does_not_run() {
    let mut world = triggered();
    wait(&mut world, 1_000);
    world.end_main(Some(ExitStatus::Code(0)));
    settle(&mut world);
    assert_eq!((world.current, world.launched.len()), ("v2", 2), "the old release was launched again");
}

#[test]
fn a_shutdown_and_a_person_may_come_in_between() {
    let mut world = triggered();
    world.order(Order::Shutdown).unwrap();
    settle(&mut world);
    assert!(world.exited);
    world.restart_daemon();
    world.run(100);
    assert_eq!((world.outcome(), world.launched.as_slice()), (Some(Outcome::Committed), &["v1", "v2"][..]));

    let mut world = triggered();
    let id = world.node.ledger().entries().next().unwrap().plan.id;
    world.order(Order::Rollback(id)).unwrap();
    settle(&mut world);
    assert_eq!((world.outcome(), world.main), (Some(Outcome::RolledBack), Some(RunId(1))));
    assert_eq!(world.node.next_wake_ms(), None);
}
