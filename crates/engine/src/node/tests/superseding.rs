//! An upgrade that can neither go on nor back gives way to a plan of a person, and to nothing else.

use super::*;

fn phase(world: &World, plan: u64) -> Phase {
    world.node.ledger().entry(PlanId(plan)).expect("a plan").phase.clone()
}

fn ended(world: &World, plan: u64) -> Option<Outcome> {
    match phase(world, plan) {
        Phase::Ended { outcome } => Some(outcome),
        _ => None,
    }
}

fn add(world: &mut World, release: &str, policy: FailurePolicy) -> PlanId {
    world.order(Order::Add(wish(release, Trigger::Now, policy))).unwrap().expect("a number")
}

/// v2 crashes for ever and is held.
fn held() -> World {
    let mut world = World::new();
    world.crashes_of_new = u32::MAX;
    add(&mut world, "v2", FailurePolicy::Hold);
    for _ in 0..200 {
        world.run(1);
        if matches!(phase(&world, 1), Phase::Forward { problem: Some(_), .. }) {
            return world;
        }
    }
    panic!("it is not held: {:?}", phase(&world, 1));
}

/// v2 could not be proven, and the undo of a step fails for good.
fn needs_operator(step: Step) -> World {
    let mut world = World::new();
    world.failing = vec![(Step::Prove, Direction::Forward, 1), (step, Direction::Backward, u32::MAX)];
    add(&mut world, "v2", FailurePolicy::Rollback);
    world.run(300);
    assert!(matches!(phase(&world, 1), Phase::NeedsOperator { .. }), "{:?}", phase(&world, 1));
    world.failing.clear();
    world
}

/// Those in which nobody else may go on; undoing others leaves the window.
const UNDONE_IN_WINDOW: [Step; 5] = [Step::Prove, Step::Migrate, Step::Switch, Step::Keep, Step::Recheck];

#[test]
fn a_plan_of_a_person_takes_the_place_of_one_that_is_held() {
    for policy in POLICIES {
        let mut world = held();
        add(&mut world, "v3", policy);
        world.run(300);
        assert_eq!((ended(&world, 1), ended(&world, 2)), (Some(Outcome::Superseded), Some(Outcome::Committed)));
        assert_eq!((world.current, world.main.is_some()), ("v3", true));
        assert_eq!((world.told("upgrade-superseded"), world.told("upgrade-committed")), (1, 1));
        let heir = world.node.ledger().entry(PlanId(2)).unwrap();
        assert_eq!(heir.facts.superseded, Some(PlanId(1)));
        let over = world.node.ledger().entry(PlanId(1)).unwrap();
        assert_eq!(over.because.as_ref().map(|problem| problem.code.as_str()), Some("OV-UPG-031"));
        let steps = |plan| {
            let done = world.journal.iter().filter_map(move |record| match record {
                Record::StepDone { plan: of, step, .. } if *of == plan => Some(*step),
                _ => None,
            });
            done.collect::<Vec<_>>()
        };
        assert_eq!(steps(PlanId(2)), Step::ALL, "it goes through every step");
        let first = world.launched.iter().position(|release| *release == "v3").expect("v3 was launched");
        assert!(world.launched[first..].iter().all(|release| *release == "v3"), "{:?}", world.launched);
    }
}

#[test]
fn it_does_so_out_of_a_back_off_and_out_of_a_crash_loop() {
    for crashes in [1, 2, 3, 4, 5, u32::MAX] {
        let mut world = World::new();
        world.settings.upgrade.prove_exits_max = 100;
        world.give(Input::Settings(world.settings.clone()));
        world.crashes_of_new = u32::MAX;
        add(&mut world, "v2", FailurePolicy::Hold);
        while world.launched.iter().filter(|release| **release == "v2").count() < crashes.min(5) as usize {
            world.run(1);
        }
        world.run(4);
        let parked = world.node.unit_view(&UnitName::main()).unwrap().state == UnitState::Parked;
        assert_eq!(parked, crashes >= 5, "after {crashes} crashes");
        add(&mut world, "v3", FailurePolicy::Hold);
        world.run(300);
        assert_eq!(ended(&world, 2), Some(Outcome::Committed), "after {crashes} crashes");
        assert!(world.main.is_some());
    }
}

#[test]
fn it_takes_the_place_of_one_that_needs_an_operator_and_launches_nothing_before_it_has_switched() {
    for step in UNDONE_IN_WINDOW {
        let mut world = needs_operator(step);
        let before = world.launched.len();
        assert_eq!(world.main.is_none(), step > Step::Stop, "{step}");
        add(&mut world, "v3", FailurePolicy::Rollback);
        world.run(300);
        assert_eq!((ended(&world, 1), ended(&world, 2)), (Some(Outcome::Superseded), Some(Outcome::Committed)));
        assert_eq!(world.launched[before..], ["v3"], "{step}");
    }
}

#[test]
fn what_took_the_place_of_another_is_held_and_never_goes_back() {
    let forward = |step: &Step| !step.is_preparation() && !matches!(step, Step::Stop | Step::Start);
    for step in Step::ALL.into_iter().filter(forward) {
        for mut world in [held(), needs_operator(Step::Switch)] {
            world.failing.push((step, Direction::Forward, u32::MAX));
            add(&mut world, "v3", FailurePolicy::Rollback);
            world.run(300);
            let Phase::Forward { problem: Some(problem), step: at, .. } = phase(&world, 2) else {
                panic!("{step}: {:?}", phase(&world, 2));
            };
            assert_eq!((at, ended(&world, 1)), (step, Some(Outcome::Superseded)));
            assert_eq!(problem.hint.contains("plan add"), step != Step::Commit, "{}", problem.hint);
            let refused = world.order(Order::Rollback(PlanId(2))).unwrap_err();
            assert!(refused.why.contains("took the place of upgrade 1"), "{refused}");
            assert!(world.order(Order::Cancel(PlanId(2))).is_err());
            let before = world.launched.len();
            add(&mut world, "v4", FailurePolicy::Rollback);
            if step < Step::Start && step > Step::Recheck {
                assert_eq!(world.main, None, "{step}");
            }
            world.failing.clear();
            world.run(300);
            let outcomes = (ended(&world, 1), ended(&world, 2), ended(&world, 3));
            assert_eq!(outcomes, (Some(Outcome::Superseded), Some(Outcome::Superseded), Some(Outcome::Committed)));
            assert_eq!(world.current, "v4");
            if step < Step::Start && step > Step::Recheck {
                assert_eq!(world.launched[before..], ["v4"], "{step}");
            }
        }
    }
}

#[test]
fn only_a_person_can_say_so_who_has_seen_what_is_under_way() {
    for policy in POLICIES {
        let mut world = World::new();
        let height = Trigger::Height { height: Height(100) };
        // Before anything was wrong.
        world.order(Order::Add(wish("v4", height, policy))).unwrap();
        world.run(100);
        world.crashes_of_new = u32::MAX;
        add(&mut world, "v2", FailurePolicy::Hold);
        world.run(60);
        // A scout, while it is wrong.
        let origin = Origin::File { path: "plan.json".into() };
        world.give(Input::PlanSeen(Wish { origin, ..wish("v3", height, FailurePolicy::Hold) }));
        world.give(Input::Height(Height(100)));
        world.run(60);
        for plan in [1, 3] {
            assert_eq!(phase(&world, plan), Phase::Armed);
            let entry = world.node.ledger().entry(PlanId(plan)).unwrap();
            assert_eq!(world.node.waits_behind(entry), Some(PlanId(2)));
        }
        world.order(Order::Apply(PlanId(3))).unwrap();
        world.run(300);
        assert_eq!((ended(&world, 2), ended(&world, 3)), (Some(Outcome::Superseded), Some(Outcome::Committed)));
    }
}

#[test]
fn an_upgrade_that_can_still_go_back_or_on_is_not_superseded() {
    let mut world = World::new();
    world.failing.push((Step::Keep, Direction::Forward, u32::MAX));
    add(&mut world, "v2", FailurePolicy::Hold);
    world.run(60);
    let plan = add(&mut world, "v3", FailurePolicy::Hold);
    world.run(10);
    assert_eq!((ended(&world, 1), phase(&world, 2)), (None, Phase::Armed));
    assert!(world.order(Order::Apply(plan)).is_err(), "nothing has to be left that can be turned round");
    world.order(Order::Rollback(PlanId(1))).unwrap();
    world.failing.clear();
    world.run(300);
    assert_eq!((ended(&world, 1), ended(&world, 2)), (Some(Outcome::RolledBack), Some(Outcome::Committed)));
    assert_eq!(world.node.ledger().entry(plan).unwrap().facts.superseded, None);
}

#[test]
fn the_same_release_is_no_way_out_of_itself() {
    let mut world = held();
    let refused = world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Hold))).unwrap_err();
    assert!(refused.hint.contains("another name"), "{refused:?}");
    let replacing = Wish { replaces: Some(PlanId(1)), ..wish("v3", Trigger::Now, FailurePolicy::Hold) };
    let refused = world.order(Order::Add(replacing)).unwrap_err();
    assert!(refused.hint.contains("plan add --now"), "{refused:?}");
}

/// The daemon dies after every single action on the way out: the next one finishes.
#[test]
fn a_daemon_that_dies_anywhere_on_the_way_out_is_followed_by_one_that_finishes() {
    for dies_after in 0..120 {
        for mut world in [held(), needs_operator(Step::Switch), needs_operator(Step::Recheck)] {
            let before = world.launched.len();
            let holds = world.node.ledger().entry(PlanId(1)).unwrap().holds_units();
            world.dies_after = Some(dies_after);
            if world.order(Order::Add(wish("v3", Trigger::Now, FailurePolicy::Rollback))).is_err()
                || world.node.ledger().entries().count() == 1
            {
                continue;
            }
            world.run(600);
            let outcomes = (ended(&world, 1), ended(&world, 2));
            assert_eq!(outcomes, (Some(Outcome::Superseded), Some(Outcome::Committed)), "died after {dies_after}");
            assert_eq!((world.current, world.main.is_some()), ("v3", true));
            assert!(!holds || world.launched[before..].iter().all(|release| *release == "v3"), "{:?}", world.launched);
        }
    }
}

#[test]
fn data_can_be_worked_on_while_an_upgrade_is_held_and_it_is_tried_again_afterwards() {
    for rounds in 0..12 {
        let mut world = held();
        world.run(rounds);
        world.order(Order::Pause).unwrap();
        world.run(100);
        assert_eq!((world.paused, world.main), (1, None));
        let before = world.launched.len();
        add(&mut world, "v3", FailurePolicy::Hold);
        world.run(100);
        assert_eq!((ended(&world, 1), world.launched.len()), (None, before), "nothing happens meanwhile");
        world.crashes_of_new = 0;
        world.order(Order::Cancel(PlanId(2))).unwrap();
        world.order(Order::Unpause).unwrap();
        world.order(Order::Start(UnitName::main())).unwrap();
        world.run(300);
        assert_eq!((ended(&world, 1), world.main.is_some()), (Some(Outcome::Committed), true));
    }
}
