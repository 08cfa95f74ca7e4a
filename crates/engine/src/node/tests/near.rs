//! What people are told of an upgrade that comes near, on a clock that is moved by hand.

use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// A block each six seconds.
const BLOCK_MS: u64 = 6_000;
const PER_HOUR: u64 = HOUR / BLOCK_MS;

/// Blocks come, one by one, until this height.
fn blocks(world: &mut World, from: u64, until: u64) {
    for height in from..=until {
        world.now.monotonic_ms += BLOCK_MS;
        world.now.wall_ms += i64::try_from(BLOCK_MS).unwrap();
        world.give(Input::Height(Height(height)));
        world.run(3);
    }
}

/// How far it was said to be, in minutes, and whether it was armed.
fn told(world: &World) -> Vec<(u64, bool)> {
    let near = world.told.iter().filter_map(|kind| match kind {
        EventKind::UpgradeNear { eta_ms, armed, .. } => Some((eta_ms.div_ceil(MINUTE), *armed)),
        _ => None,
    });
    near.collect()
}

fn plan(world: &mut World, height: u64) {
    let trigger = Trigger::Height { height: Height(height) };
    world.order(Order::Add(wish("v2", trigger, FailurePolicy::Hold))).unwrap();
    world.run(30);
}

#[test]
fn a_height_is_told_a_day_an_hour_and_ten_minutes_before_each_once() {
    let mut world = World::new();
    let target = 26 * PER_HOUR;
    plan(&mut world, target);
    blocks(&mut world, 1, target - 2 * PER_HOUR - 1);
    assert_eq!(told(&world), [(24 * 60, true)]);
    world.restart_daemon();
    world.run(30);
    blocks(&mut world, target - 2 * PER_HOUR, target - 1);
    assert_eq!(told(&world), [(24 * 60, true), (60, true), (10, true)], "the next daemon knows what was told");
    assert_eq!(world.current, "v1");
    blocks(&mut world, target, target);
    world.run(100);
    assert_eq!((world.outcome(), told(&world).len()), (Some(Outcome::Committed), 3));
}

#[test]
fn of_what_was_missed_the_nearest_is_told() {
    let mut world = World::new();
    blocks(&mut world, 1, 20);
    plan(&mut world, 20 + PER_HOUR / 2);
    assert_eq!(told(&world), [(30, false)], "it is learned half an hour before, and not prepared yet");
    blocks(&mut world, 21, 40);
    assert_eq!(told(&world).len(), 1);
    blocks(&mut world, 41, 20 + PER_HOUR / 2 - 1);
    assert_eq!(told(&world), [(30, false), (10, true)]);
}

#[test]
fn a_plan_that_is_moved_away_is_told_again_when_it_comes_near() {
    let mut world = World::new();
    blocks(&mut world, 1, 20);
    let origin = Origin::Service { address: "a:1".into(), name: "v2".into() };
    let awaits = |height| {
        let trigger = Trigger::AwaitHalt { height: Height(height) };
        Input::PlanSeen(Wish { origin: origin.clone(), ..wish("v2", trigger, FailurePolicy::Hold) })
    };
    world.give(awaits(20 + PER_HOUR / 2));
    world.run(30);
    world.give(awaits(30 * PER_HOUR));
    world.run(30);
    blocks(&mut world, 21, 30 * PER_HOUR + 50);
    let minutes: Vec<u64> = told(&world).into_iter().map(|(minutes, _)| minutes).collect();
    assert_eq!(minutes, [30, 24 * 60, 60, 10], "and nothing more once it should have halted");
}

#[test]
fn nothing_is_told_by_few_blocks_or_of_a_node_that_stands() {
    let mut world = World::new();
    plan(&mut world, 20 + 2 * PER_HOUR);
    blocks(&mut world, 1, 10);
    assert_eq!(told(&world), []);
    blocks(&mut world, 11, 11);
    assert_eq!(told(&world).len(), 1);
    world.now.monotonic_ms += 3 * HOUR;
    world.give(Input::Height(Height(11)));
    world.give(Input::Wake);
    world.run(30);
    assert_eq!(told(&world).len(), 1, "by the clock it would be due long ago");
}

#[test]
fn a_time_is_told_by_the_clock_alone() {
    let mut world = World::new();
    let wall_ms = world.now.wall_ms + i64::try_from(30 * HOUR).unwrap();
    world.order(Order::Add(wish("v2", Trigger::Time { wall_ms }, FailurePolicy::Hold))).unwrap();
    world.run(100);
    let minutes: Vec<u64> = told(&world).into_iter().map(|(minutes, _)| minutes).collect();
    assert_eq!((minutes, world.outcome()), (vec![24 * 60, 60, 10], Some(Outcome::Committed)));
    assert_eq!(world.now.wall_ms, wall_ms, "it was woken for each, and for nothing else");
}
