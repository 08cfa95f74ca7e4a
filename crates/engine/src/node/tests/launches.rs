//! Why units are launched: after failures, after upgrades, and to halt where the next release begins.

use super::*;
use ov_types::{AfterUpgrade, RestartPolicy};

fn with_rules(change: impl FnOnce(&mut ov_types::UnitRules)) -> EngineSettings {
    let mut settings = EngineSettings { has_scouts: true, halts_when_told: true, ..settings() };
    change(settings.units.get_mut(&UnitName::main()).unwrap());
    settings
}

/// A node that is left down once it ended well, and halts where it is told to.
fn halting() -> World {
    World::with(with_rules(|rules| rules.restart = RestartPolicy::OnFailure))
}

fn at(height: u64) -> Trigger {
    Trigger::Height { height: Height(height) }
}

fn plan(world: &mut World, release: &str, trigger: Trigger) {
    world.order(Order::Add(wish(release, trigger, FailurePolicy::Hold))).unwrap();
    world.run(100);
}

fn restart(world: &mut World) {
    world.order(Order::Restart(UnitName::main())).unwrap();
    world.run(20);
}

/// Main ends by itself, with its data at this height.
fn end(world: &mut World, status: ExitStatus, at_rest: u64) {
    world.at_rest = Some(at_rest);
    world.end_main(Some(status));
    world.run(100);
}

fn last(world: &World) -> Occasion {
    *world.occasions.last().expect("it was launched")
}

const WELL: ExitStatus = ExitStatus::Code(0);
const BADLY: ExitStatus = ExitStatus::Code(2);

#[test]
fn main_is_told_to_halt_for_the_next_plan_that_it_would_pass() {
    let mut world = halting();
    plan(&mut world, "v3", at(200));
    plan(&mut world, "v2", at(100));
    assert_eq!((world.launched.len(), last(&world).halt_at), (1, None), "it is not launched anew for that");
    restart(&mut world);
    assert_eq!(last(&world), Occasion { halt_at: Some(Height(100)), ..Occasion::default() });
    assert_eq!(world.node.ledger().halt_at(), Some(Height(100)));
    // Where it is already it would not start for it.
    let mut world = halting();
    world.failing.push((Step::Stage, Direction::Forward, u32::MAX));
    world.give(Input::Height(Height(100)));
    plan(&mut world, "v2", at(100));
    restart(&mut world);
    assert_eq!(last(&world).halt_at, None);
}

#[test]
fn nothing_but_a_plan_that_the_network_depends_on_and_the_node_would_pass_has_it_halt() {
    for trigger in [
        Trigger::AwaitHalt { height: Height(100) },
        Trigger::Time { wall_ms: i64::MAX },
        // One that the node halts for by itself, under another name.
        at(50),
    ] {
        let mut world = halting();
        if trigger == at(50) {
            let own = Wish {
                origin: Origin::Service { address: "a".into(), name: "x".into() },
                ..wish("v3", Trigger::AwaitHalt { height: Height(50) }, FailurePolicy::Hold)
            };
            world.give(Input::PlanSeen(own));
        }
        plan(&mut world, "v2", trigger);
        restart(&mut world);
        assert_eq!(last(&world).halt_at, None, "{trigger:?}");
    }
    let mut world = halting();
    world.order(Order::Add(wish("v2", at(100), FailurePolicy::Rollback))).unwrap();
    world.run(100);
    restart(&mut world);
    assert_eq!(last(&world).halt_at, None);
    let mut world = World::new();
    plan(&mut world, "v2", at(100));
    restart(&mut world);
    assert_eq!(last(&world).halt_at, None, "this node cannot be told");
}

#[test]
fn a_halt_that_was_told_leads_to_the_upgrade_however_main_ended() {
    for status in [WELL, BADLY] {
        let mut world = halting();
        plan(&mut world, "v2", at(100));
        restart(&mut world);
        end(&mut world, status, 99);
        assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"), "{status}");
        assert_eq!(world.launched, ["v1", "v1", "v2"], "{status}");
        let failed = |record: &Record| matches!(record, Record::UnitFailed { .. });
        assert!(!world.journal.iter().any(failed), "{status} was held against it");
        assert_eq!(world.node.ledger().halt_at(), None);
    }
}

#[test]
fn main_that_came_to_its_halt_waits_for_a_release_that_is_late_whatever_becomes_of_the_daemon() {
    let mut world = halting();
    world.failing.push((Step::Stage, Direction::Forward, u32::MAX));
    plan(&mut world, "v2", at(100));
    restart(&mut world);
    end(&mut world, WELL, 99);
    world.restart_daemon();
    world.run(100);
    assert_eq!((world.launched.as_slice(), world.exited), (&["v1", "v1"][..], false));
    let waiting = world.node.unit_view(&UnitName::main()).unwrap().waiting_for;
    assert!(waiting.as_ref().is_some_and(|waiting| waiting.contains("v2")), "{waiting:?}");
    world.failing.clear();
    world.run(100);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"));
}

#[test]
fn main_that_ends_before_its_halt_has_failed_and_is_told_again() {
    let mut world = halting();
    plan(&mut world, "v2", at(100));
    restart(&mut world);
    end(&mut world, BADLY, 98);
    let again = Occasion { halt_at: Some(Height(100)), after_failure: true, after_upgrade: None };
    assert_eq!((last(&world), world.current), (again, "v1"));
    end(&mut world, WELL, 98);
    assert_eq!((world.main, world.current), (None, "v1"), "its rules say what an end with 0 means");
}

#[test]
fn a_forbidden_end_at_the_halt_is_what_it_is_elsewhere() {
    let mut world = World::with(with_rules(|rules| rules.forbidden_exits = vec![2]));
    plan(&mut world, "v2", at(100));
    restart(&mut world);
    end(&mut world, BADLY, 99);
    assert_eq!((world.node.unit_view(&UnitName::main()).unwrap().state, world.main), (UnitState::Parked, None));
}

#[test]
fn a_halt_that_nobody_wants_any_more_ends_by_a_launch_without_it() {
    // It stands there, alive.
    let mut world = halting();
    plan(&mut world, "v2", at(100));
    restart(&mut world);
    world.order(Order::Cancel(PlanId(1))).unwrap();
    world.run(50);
    world.give(Input::Height(Height(99)));
    world.run(50);
    assert_eq!(world.launched.len(), 2, "it has not come there");
    world.restart_daemon();
    world.run(50);
    world.give(Input::Height(Height(100)));
    world.run(50);
    assert_eq!(world.launched.len(), 2, "it may just be on its way");
    world.now.monotonic_ms += 60_000;
    world.give(Input::Height(Height(100)));
    world.run(50);
    assert_eq!((world.launched.len(), last(&world).halt_at, world.node.ledger().halt_at()), (3, None, None));
    world.give(Input::Height(Height(101)));
    world.run(50);
    assert_eq!(world.launched.len(), 3);
    // It has ended.
    let mut world = halting();
    plan(&mut world, "v2", at(100));
    restart(&mut world);
    world.order(Order::Cancel(PlanId(1))).unwrap();
    world.run(50);
    end(&mut world, WELL, 99);
    assert_eq!((world.launched.len(), last(&world)), (3, Occasion::default()), "it was no failure");
}

/// `v2`, told to halt for `v3`, is being proven.
fn being_proven() -> World {
    let mut world = asked();
    say_ready(&mut world);
    plan(&mut world, "v2", at(100));
    plan(&mut world, "v3", at(130));
    restart(&mut world);
    world.at_rest = Some(99);
    world.end_main(Some(WELL));
    run_to_proof_of(&mut world, PlanId(1));
    world.answers.clear();
    assert_eq!((world.current, last(&world).halt_at), ("v2", Some(Height(130))));
    world
}

#[test]
fn a_release_that_comes_to_its_halt_while_it_is_being_proven_is_proven() {
    for ends in [true, false] {
        let mut world = being_proven();
        if ends {
            end(&mut world, WELL, 129);
        } else {
            world.give(Input::Height(Height(130)));
            world.run(100);
        }
        assert_eq!(world.launched, ["v1", "v1", "v2", "v3"]);
        let first = world.node.ledger().entry(PlanId(1)).unwrap();
        assert_eq!(first.phase, Phase::Ended { outcome: Outcome::Committed });
    }
    let mut world = being_proven();
    world.give(Input::Height(Height(129)));
    world.run(100);
    assert_eq!(world.launched, ["v1", "v1", "v2"]);
}

fn run_to_proof_of(world: &mut World, plan: PlanId) {
    for _ in 0..200 {
        let phase = world.node.ledger().entry(plan).map(|entry| entry.phase.clone());
        if matches!(phase, Some(Phase::Forward { step: Step::Prove, attempt: 1, .. })) {
            return;
        }
        world.run(1);
    }
    panic!("plan {plan} never came to be proven");
}

#[test]
fn a_plan_of_the_node_itself_that_is_learned_late_is_halted_for_by_the_node() {
    let mut world = halting();
    plan(&mut world, "v2", at(100));
    restart(&mut world);
    let origin = Origin::Service { address: "a".into(), name: "v2".into() };
    let own = wish("v2", Trigger::AwaitHalt { height: Height(100) }, FailurePolicy::Hold);
    world.give(Input::PlanSeen(Wish { origin, ..own }));
    end(&mut world, WELL, 99);
    assert_eq!((last(&world).halt_at, world.current, world.main.is_some()), (None, "v1", true));
    // Now it wrote what the next release needs.
    let file = Origin::File { path: "p".into() };
    let halt = wish("v2", Trigger::Halt { height: Height(100) }, FailurePolicy::Hold);
    world.give(Input::PlanSeen(Wish { origin: file, ..halt }));
    world.run(100);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"));
}

#[test]
fn data_that_lies_right_before_a_plan_gets_its_release_before_anything_is_launched() {
    let mut world = halting();
    world.order(Order::Stop(UnitName::main())).unwrap();
    world.run(20);
    plan(&mut world, "v2", at(100));
    world.at_rest = Some(99);
    world.restart_daemon();
    world.order(Order::Start(UnitName::main())).unwrap();
    world.run(100);
    assert_eq!(world.launched, ["v1", "v2"]);
}

/// Main says by its probe when it is ready.
fn asked() -> World {
    World::with(with_rules(|rules| rules.has_readiness = true))
}

fn say_ready(world: &mut World) {
    let run = world.last_run;
    world.give(Input::Unit(UnitName::main(), UnitReport::Ready { run, ready: true }));
    world.run(20);
}

#[test]
fn launches_know_of_the_upgrade_until_the_new_release_was_ready_once() {
    let unanswered = Some(AfterUpgrade { height: Some(Height(100)) });
    let mut world = asked();
    say_ready(&mut world);
    world.order(Order::Add(wish("v2", Trigger::Halt { height: Height(100) }, FailurePolicy::Hold))).unwrap();
    world.run(30);
    assert_eq!((world.current, last(&world)), ("v2", Occasion { after_upgrade: unanswered, ..Occasion::default() }));
    for _ in 0..3 {
        end(&mut world, BADLY, 100);
        assert_eq!(last(&world), Occasion { after_upgrade: unanswered, after_failure: true, halt_at: None });
        world.restart_daemon();
        world.run(30);
    }
    say_ready(&mut world);
    assert_eq!(world.node.ledger().after_upgrade(), None);
    world.restart_daemon();
    world.run(30);
    end(&mut world, BADLY, 100);
    assert_eq!(last(&world), Occasion { after_failure: true, ..Occasion::default() });
    restart(&mut world);
    assert_eq!(last(&world), Occasion::default(), "a person asked for it");
}

#[test]
fn the_next_daemon_learns_from_a_running_release_without_a_probe_that_it_came_up() {
    let mut world = halting();
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Hold))).unwrap();
    while world.launched.last() != Some(&"v2") {
        world.run(1);
    }
    assert_eq!(last(&world).after_upgrade, Some(AfterUpgrade { height: None }));
    world.answers.clear();
    world.restart_daemon();
    world.run(30);
    assert_eq!(world.node.ledger().after_upgrade(), None);
}

#[test]
fn a_release_that_is_gone_back_to_is_launched_as_ever() {
    let mut world = asked();
    say_ready(&mut world);
    world.crashes_of_new = 50;
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
    world.run(300);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::RolledBack), "v1"));
    assert_eq!(last(&world), Occasion::default());
    let known: Vec<bool> = world.occasions.iter().map(|occasion| occasion.after_upgrade.is_some()).collect();
    let new: Vec<bool> = world.launched.iter().map(|release| *release == "v2").collect();
    assert_eq!(known, new);
}

#[test]
fn a_failure_of_any_unit_is_known_to_the_launch_that_makes_it_good_and_to_no_other() {
    let helper = UnitName::new("helper").unwrap();
    let mut settings = settings();
    settings.units.insert(helper.clone(), rules());
    let mut node = Node::new(settings, Ledger::default());
    let now = Moment { monotonic_ms: 1_000_000, wall_ms: 0 };
    let launches = |actions: Vec<Action>| {
        let launch = |action| match action {
            Action::Effect(Effect::Launch { unit, run, occasion }) => Some((unit, run, occasion.after_failure)),
            _ => None,
        };
        actions.into_iter().filter_map(launch).collect::<Vec<_>>()
    };
    let first = launches(node.decide(now, Input::Found(BTreeMap::new())));
    assert_eq!(first.iter().map(|(.., after_failure)| *after_failure).collect::<Vec<_>>(), [false, false]);
    for (unit, run, _) in &first {
        node.decide(now, Input::Unit(unit.clone(), UnitReport::Launched { run: *run, pid: 7 }));
    }
    let run = RunId(1);
    node.decide(now, Input::Unit(helper.clone(), UnitReport::Exited { run, status: Some(BADLY) }));
    let main = UnitName::main();
    node.decide(now, Input::Unit(main.clone(), UnitReport::Lost));
    let main_again = launches(node.decide(now, Input::Unit(main.clone(), UnitReport::OrphansGone)));
    assert_eq!(main_again, [(main.clone(), RunId(2), true)]);
    node.decide(now, Input::Unit(main.clone(), UnitReport::Launched { run: RunId(2), pid: 8 }));
    let helper_again = launches(node.decide(now, Input::Unit(helper.clone(), UnitReport::Empty { run })));
    assert_eq!(helper_again, [(helper.clone(), RunId(2), true)]);
    node.decide(now, Input::Unit(helper.clone(), UnitReport::Launched { run: RunId(2), pid: 9 }));
    node.order(now, Order::Restart(main.clone())).0.unwrap();
    node.decide(now, Input::Unit(main.clone(), UnitReport::Exited { run: RunId(2), status: Some(WELL) }));
    let ordered = launches(node.decide(now, Input::Unit(main.clone(), UnitReport::Empty { run: RunId(2) })));
    assert_eq!(ordered, [(main, RunId(3), false)]);
}
