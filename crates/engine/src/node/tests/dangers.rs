//! An end after which a person has to look is never forgotten before it was judged, whatever comes in between.

use super::*;
use ov_types::RestartPolicy;

fn settings_with(lifetime: Lifetime) -> EngineSettings {
    let mut settings = EngineSettings { has_scouts: true, lifetime, ..settings() };
    settings.units.entry(UnitName::main()).and_modify(|rules| {
        (rules.restart, rules.forbidden_exits) = (RestartPolicy::Always, vec![77]);
    });
    settings
}

/// Main ended with the code that is not to be followed by another launch, or wrote what means the same, and no daemon
/// looked after it. The next one learns that.
fn end_unwatched(world: &mut World, code: i32, danger: bool) {
    world.answers.clear();
    let run = world.main.take().expect("main runs");
    let ledger = Ledger::fold(&world.journal).unwrap();
    world.node = Node::new(world.settings.clone(), ledger);
    if danger {
        world.give(Input::Unit(UnitName::main(), UnitReport::Danger { run, message: "it signed twice".into() }));
    }
    let found = Found::Ended { run, status: Some(ExitStatus::Code(code)), ran_ms: Some(10) };
    world.give(Input::Found(BTreeMap::from([(UnitName::main(), found)])));
}

fn is_held(world: &World) -> bool {
    world.main.is_none() && world.node.ledger().unit(&UnitName::main()).parked.is_some_and(|it| it.waits_for_person())
}

const ENDS: [(i32, bool); 2] = [(77, false), (1, true)];

#[test]
fn by_a_daemon_that_was_started_to_launch_it() {
    for lifetime in [Lifetime::Standing, Lifetime::Main] {
        for (code, danger) in ENDS {
            let mut world = World::with(settings_with(lifetime));
            end_unwatched(&mut world, code, danger);
            world.run(50);
            assert!(is_held(&world), "{lifetime:?}, exit code {code}");
        }
    }
}

#[test]
fn by_an_upgrade_that_was_launching_it() {
    for (code, danger) in ENDS {
        let mut world = World::with(settings_with(Lifetime::Standing));
        world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Hold))).unwrap();
        while world.current == "v1" || world.main.is_none() {
            world.run(1);
        }
        end_unwatched(&mut world, code, danger);
        let before = world.launched.len();
        world.run(50);
        assert!(is_held(&world) && world.launched.len() == before, "exit code {code}");
    }
}

#[test]
fn by_a_stop_of_the_node() {
    for (code, danger) in ENDS {
        let mut world = World::with(settings_with(Lifetime::Standing));
        end_unwatched(&mut world, code, danger);
        world.order(Order::Shutdown).unwrap();
        world.run(50);
        assert!(world.exited && is_held(&world), "exit code {code}");
    }
}
