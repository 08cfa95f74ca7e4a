//! Plans that several places name, or that one names in several ways: one upgrade, at the moment that counts.

use super::*;

fn service(name: &str) -> Origin {
    Origin::Service { address: "127.0.0.1:9090".into(), name: name.into() }
}

fn file() -> Origin {
    Origin::File { path: "upgrade-info.json".into() }
}

fn said(origin: Origin, release: &str, trigger: Trigger) -> Input {
    Input::PlanSeen(Wish { origin, ..wish(release, trigger, FailurePolicy::Hold) })
}

fn awaits(height: u64) -> Trigger {
    Trigger::AwaitHalt { height: Height(height) }
}

fn halts(height: u64) -> Trigger {
    Trigger::Halt { height: Height(height) }
}

fn at(height: u64) -> Trigger {
    Trigger::Height { height: Height(height) }
}

/// Release, trigger and phase of every plan that is not over.
fn live(world: &World) -> Vec<(String, Trigger, Phase)> {
    let live = world.node.ledger().entries().filter(|entry| !entry.is_over());
    live.map(|entry| (entry.plan.release.to_string(), entry.plan.trigger, entry.phase.clone())).collect()
}

fn armed(release: &str, trigger: Trigger) -> Vec<(String, Trigger, Phase)> {
    vec![(release.to_owned(), trigger, Phase::Armed)]
}

fn give(world: &mut World, inputs: impl IntoIterator<Item = Input>) {
    for input in inputs {
        world.give(input);
        world.run(100);
    }
}

#[test]
fn a_node_that_halts_by_itself_is_never_stopped_for_it() {
    let mut world = World::new();
    give(&mut world, [said(service("v2"), "v2", awaits(100))]);
    assert_eq!(world.told("upgrade-armed"), 1);
    let before = world.main;
    give(&mut world, [Input::Height(Height(100)), Input::Height(Height(101))]);
    assert_eq!((live(&world), world.main), (armed("v2", awaits(100)), before));
    // And launched again where nothing tells that it halted: it halts again, and says so.
    world.end_main(Some(ExitStatus::Code(1)));
    world.run(100);
    assert!(world.main.is_some() && world.main != before);
    assert_eq!(live(&world), armed("v2", awaits(100)));
    give(&mut world, [said(file(), "v2", halts(100))]);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"));
    assert_eq!(world.node.ledger().entries().count(), 1);
}

#[test]
fn what_is_known_of_a_halt_outlives_the_daemon() {
    let mut world = World::new();
    world.failing.push((Step::Stage, Direction::Forward, u32::MAX));
    world.order(Order::Add(wish("v2", at(100), FailurePolicy::Hold))).unwrap();
    give(&mut world, [said(service("v2"), "v2", awaits(100))]);
    world.restart_daemon();
    world.failing.clear();
    world.run(100);
    let before = world.main;
    give(&mut world, [Input::Height(Height(100))]);
    assert_eq!(
        (live(&world), world.main),
        (armed("v2", awaits(100)), before),
        "a person's plan waits for the halt too"
    );
    world.failing.push((Step::Recheck, Direction::Forward, u32::MAX));
    world.end_main(Some(ExitStatus::Code(2)));
    world.give(said(file(), "v2", halts(100)));
    world.restart_daemon();
    world.run(50);
    assert_eq!((world.main, world.current), (None, "v1"), "it halted, so that the old release is not launched");
    world.failing.clear();
    world.run(300);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"));
}

#[test]
fn a_plan_is_gone_when_nobody_names_it_any_more() {
    let (by_service, by_file) = (|| said(service("v2"), "v2", awaits(100)), || said(file(), "v2", at(100)));
    for restarts in [false, true] {
        for service_first in [false, true] {
            let mut world = World::new();
            give(&mut world, if service_first { [by_service(), by_file()] } else { [by_file(), by_service()] });
            assert_eq!(live(&world), armed("v2", awaits(100)));
            give(&mut world, [Input::PlanGone(service("v2"))]);
            assert_eq!(live(&world), armed("v2", at(100)), "it is due by what is left");
            if restarts {
                world.restart_daemon();
                world.run(100);
            }
            give(&mut world, [Input::PlanGone(service("v2"))]);
            assert_eq!(live(&world), armed("v2", at(100)));
            give(&mut world, [by_service(), Input::PlanGone(file())]);
            assert_eq!(live(&world), armed("v2", awaits(100)));
            give(&mut world, [Input::PlanGone(service("v2"))]);
            assert_eq!((live(&world), world.outcome()), (vec![], Some(Outcome::Withdrawn)));
            give(&mut world, [by_service()]);
            assert_eq!(live(&world), armed("v2", awaits(100)), "named again, it is a new one");
        }
    }
}

#[test]
fn a_height_that_changes_moves_the_plan_and_another_release_replaces_it() {
    let mut world = World::new();
    give(&mut world, [said(service("v2"), "v2", awaits(100)), said(service("v2"), "v2", awaits(200))]);
    assert_eq!((live(&world), world.told("upgrade-moved")), (armed("v2", awaits(200)), 1));
    give(&mut world, [Input::PlanGone(service("v2")), said(service("v3"), "v3", awaits(150))]);
    assert_eq!(live(&world), armed("v3", awaits(150)));
}

#[test]
fn the_file_of_a_halted_node_counts_whatever_else_is_said() {
    for gone in [false, true] {
        let mut world = World::new();
        world.failing.push((Step::Stage, Direction::Forward, u32::MAX));
        give(&mut world, [said(service("v2"), "v2", awaits(200))]);
        world.end_main(Some(ExitStatus::Code(2)));
        world.give(said(file(), "v2", halts(100)));
        world.give(if gone { Input::PlanGone(service("v2")) } else { said(service("v2"), "v2", awaits(300)) });
        // What stands in the file is read again, as if somebody had written it ahead.
        world.give(said(file(), "v2", at(100)));
        assert_eq!(live(&world)[0].1, halts(100));
        world.failing.clear();
        world.run(300);
        assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"));
    }
}

#[test]
fn what_a_person_wants_at_once_waits_for_no_halt_and_what_they_took_back_stays_so() {
    let mut world = World::new();
    world.failing.push((Step::Stage, Direction::Forward, 1));
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Hold))).unwrap();
    give(&mut world, [said(service("v2"), "v2", awaits(100))]);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"));

    let mut world = World::new();
    give(&mut world, [said(service("v2"), "v2", awaits(100))]);
    world.order(Order::Cancel(PlanId(1))).unwrap();
    give(&mut world, [said(service("v2"), "v2", awaits(100))]);
    assert_eq!((live(&world), world.node.ledger().entries().count()), (vec![], 1));
    world.order(Order::Add(wish("v2", at(100), FailurePolicy::Hold))).unwrap();
    give(&mut world, [said(service("v2"), "v2", awaits(100))]);
    assert_eq!(live(&world), armed("v2", awaits(100)), "a plan of their own is held to the halt again");
    world.order(Order::Apply(PlanId(2))).unwrap();
    world.run(100);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"));
}

#[test]
fn what_is_said_besides_is_kept_up_with_where_the_plan_was_learned() {
    let with = |origin: Origin, info: &str| {
        let wish = wish("v2", awaits(100), FailurePolicy::Hold);
        Input::PlanSeen(Wish { origin, info: Some(info.to_owned()), ..wish })
    };
    let info = |world: &World| world.node.ledger().entries().next().unwrap().plan.info.clone();
    let mut world = World::new();
    give(&mut world, [said(service("v2"), "v2", awaits(100)), with(file(), "a")]);
    assert_eq!(info(&world).as_deref(), Some("a"), "nothing was known before");
    give(&mut world, [with(service("v2"), "b"), with(file(), "c"), with(service("v2"), "d")]);
    assert_eq!(info(&world).as_deref(), Some("d"));
    let written = world.journal.len();
    give(&mut world, [with(file(), "c"), with(service("v2"), "d")]);
    assert_eq!((world.journal.len(), world.node.ledger().entries().count()), (written, 1), "nothing is said anew");
}
