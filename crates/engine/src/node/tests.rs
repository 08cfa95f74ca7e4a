//! Nodes driven through whole lives by a small world that answers every effect, and fails and crashes on demand.

mod lifetime;

use std::collections::VecDeque;

use super::*;
use ov_types::record::{Outcome, StepFacts};
use ov_types::{
    Direction, ExitStatus, FailurePolicy, Lifetime, Occasion, Origin, Problem, ReleaseName, RunId, UpgradeRules,
};
use proptest::prelude::*;

use crate::unit::tests::rules;
use crate::{Found, Order, StepCall, StepReport, UnitReport};

mod dangers;
mod delays;
mod ends;
mod grace;
mod groups;
mod launches;
mod naming;
mod near;
mod superseding;
mod tallies;
mod waiting;

pub(crate) fn settings() -> EngineSettings {
    EngineSettings {
        units: BTreeMap::from([(UnitName::main(), rules())]),
        upgrade: UpgradeRules {
            keep: true,
            migrate: true,
            relaunch: true,
            stop_within_ms: 120_000,
            stop_delay_ms: 0,
            rest_ms: 0,
            start_within_ms: 60_000,
            prove_exits_max: 2,
            retry_first_ms: 200,
            retry_max_ms: 300_000,
        },
        stall: None,
        has_scouts: false,
        near_ms: vec![600_000, 86_400_000, 3_600_000],
        halts_when_told: false,
        lifetime: Lifetime::Standing,
        seed: 1,
    }
}

fn wish(release: &str, trigger: Trigger, on_failure: FailurePolicy) -> Wish {
    Wish {
        release: ReleaseName::new(release).unwrap(),
        trigger,
        on_failure,
        origin: Origin::Person,
        source: None,
        info: None,
        sha256: None,
        keep: true,
        replaces: None,
    }
}

fn known(release: &ReleaseName) -> &'static str {
    ["v1", "v2", "v3", "v4"].into_iter().find(|name| *name == release.as_str()).expect("a release of these tests")
}

/// What the world is made of: processes, the link, and which steps fail.
struct World {
    settings: EngineSettings,
    node: Node,
    journal: Vec<Record>,
    now: Moment,
    /// The run of main that lives, if any.
    main: Option<RunId>,
    last_run: RunId,
    current: &'static str,
    /// The releases that were launched, in order.
    launched: Vec<&'static str>,
    /// Why, each time.
    occasions: Vec<Occasion>,
    answers: VecDeque<Input>,
    /// How high the data is.
    at_rest: Option<u64>,
    /// Steps that fail, how often, and whether for good.
    failing: Vec<(Step, Direction, u32)>,
    /// How long such a failure lasts at least.
    lasts_ms: Option<u64>,
    /// Main of the new release ends this often right after its launch.
    crashes_of_new: u32,
    told: Vec<EventKind>,
    /// The daemon dies when this many more actions were carried out.
    dies_after: Option<usize>,
    exited: bool,
    paused: u32,
    mains_ever_two: bool,
}

impl World {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: EngineSettings) -> Self {
        let mut world = Self {
            node: Node::new(settings.clone(), Ledger::default()),
            settings,
            journal: Vec::new(),
            now: Moment { monotonic_ms: 1_000_000, wall_ms: 1_700_000_000_000 },
            main: None,
            last_run: RunId(0),
            current: "v1",
            launched: Vec::new(),
            occasions: Vec::new(),
            answers: VecDeque::new(),
            at_rest: None,
            failing: Vec::new(),
            lasts_ms: None,
            crashes_of_new: 0,
            told: Vec::new(),
            dies_after: None,
            exited: false,
            paused: 0,
            mains_ever_two: false,
        };
        world.give(Input::Found(BTreeMap::new()));
        world.run(50);
        world
    }

    fn give(&mut self, input: Input) {
        let actions = self.node.decide(self.now, input);
        self.carry_out(actions);
    }

    fn order(&mut self, order: Order) -> Result<Option<PlanId>, crate::Refused> {
        let (answer, actions) = self.node.order(self.now, order);
        self.carry_out(actions);
        answer
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Some(left) = &mut self.dies_after {
                if *left == 0 {
                    self.restart_daemon();
                    return;
                }
                *left -= 1;
            }
            match action {
                Action::Record(record) => self.journal.push(record),
                Action::Effect(effect) => self.effect(effect),
            }
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Launch { unit, run, occasion } => {
                self.occasions.push(occasion);
                self.mains_ever_two |= self.main.is_some();
                assert!(run > self.last_run, "a launch was numbered twice");
                self.launched.push(self.current);
                (self.main, self.last_run) = (Some(run), run);
                self.answers.push_back(Input::Unit(unit.clone(), UnitReport::Launched { run, pid: 7 }));
                if self.current == "v2" && self.crashes_of_new > 0 {
                    self.crashes_of_new -= 1;
                    self.end_main(Some(ExitStatus::Code(1)));
                }
            }
            Effect::Stop { .. } => self.end_main(Some(ExitStatus::Signal(15))),
            Effect::EndOrphans { unit, .. } => {
                self.main = None;
                self.answers.push_back(Input::Unit(unit, UnitReport::OrphansGone));
            }
            Effect::Consult => {
                self.answers.extend(self.at_rest.map(|at_rest| Input::HeightAtRest(Height(at_rest))));
                self.answers.push_back(Input::Consulted);
            }
            Effect::RunStep(call) => self.step(&call),
            Effect::AbandonStep { .. } => {}
            Effect::Tell(kind) => self.told.push(kind),
            Effect::Paused => self.paused += 1,
            Effect::Exit => self.exited = true,
        }
    }

    fn end_main(&mut self, status: Option<ExitStatus>) {
        if let Some(run) = self.main.take() {
            let main = UnitName::main();
            self.answers.push_back(Input::Unit(main.clone(), UnitReport::Exited { run, status }));
            self.answers.push_back(Input::Unit(main, UnitReport::Empty { run }));
        }
    }

    fn step(&mut self, call: &StepCall) {
        let StepCall { plan, step, direction, attempt, .. } = call;
        let planned = self.failing.iter_mut().find(|(s, d, left)| s == step && d == direction && *left > 0);
        let result = if let Some((_, _, left)) = planned {
            *left -= 1;
            Err(Problem { lasts_ms: self.lasts_ms, ..Problem::transient("OV-TEST-001", "take the step") })
        } else {
            if *step == Step::Switch || *step == Step::Keep || *step == Step::Migrate {
                assert!(self.main.is_none(), "{step} while main runs");
            }
            match (step, direction) {
                (Step::Switch, Direction::Forward) => self.current = known(&plan.release),
                (Step::Switch, Direction::Backward) => {
                    self.current = known(call.facts.previous.as_ref().expect("it was noted before"));
                }
                _ => {}
            }
            let previous = (*step == Step::Recheck).then(|| ReleaseName::new(self.current).unwrap());
            Ok(StepFacts { previous, ..StepFacts::default() })
        };
        // A proof needs a living process; without one it takes until the engine gives it up.
        let crashes = self.current == "v2" && self.crashes_of_new > 0;
        if *step == Step::Prove && *direction == Direction::Forward && crashes {
            return;
        }
        let (plan, step, direction, attempt) = (plan.id, *step, *direction, *attempt);
        self.answers.push_back(Input::Step(StepReport { plan, step, direction, attempt, result }));
    }

    /// The daemon dies; processes live on; the next one folds what was made durable.
    fn restart_daemon(&mut self) {
        (self.dies_after, self.exited) = (None, false);
        self.answers.clear();
        let ledger = Ledger::fold(&self.journal).expect("the journal of a dead daemon is legal");
        self.node = Node::new(self.settings.clone(), ledger);
        let found = match self.main {
            Some(run) => Found::Running { run, pid: 7, since: self.now },
            None if self.last_run == RunId(0) => Found::Nothing,
            None => Found::Ended { run: self.last_run, status: Some(ExitStatus::Signal(15)), ran_ms: Some(9_999_999) },
        };
        self.give(Input::Found(BTreeMap::from([(UnitName::main(), found)])));
    }

    /// Lets the world answer, and time pass when nothing else happens, for at most `rounds`.
    fn run(&mut self, rounds: usize) {
        for _ in 0..rounds {
            if self.exited {
                break;
            }
            if let Some(input) = self.answers.pop_front() {
                self.give(input);
            } else if let Some(at) = self.node.next_wake_ms() {
                let passed = at.saturating_sub(self.now.monotonic_ms);
                self.now.monotonic_ms += passed;
                self.now.wall_ms += i64::try_from(passed).unwrap();
                self.give(Input::Wake);
            } else {
                break;
            }
            self.check();
        }
    }

    fn check(&self) {
        assert!(!self.mains_ever_two, "two main processes");
        let folded = Ledger::fold(&self.journal).expect("every journal is legal");
        let restated = folded.restate();
        assert_eq!(Ledger::fold(&restated).expect("a restated ledger is legal"), folded);
    }

    fn outcome(&self) -> Option<Outcome> {
        match self.node.ledger().entries().next_back()?.phase {
            Phase::Ended { outcome } => Some(outcome),
            _ => None,
        }
    }

    fn told(&self, name: &str) -> usize {
        self.told.iter().filter(|kind| kind.notification() == Some(name)).count()
    }
}

const POLICIES: [FailurePolicy; 2] = [FailurePolicy::Rollback, FailurePolicy::Hold];

#[test]
fn an_upgrade_goes_through_all_its_steps() {
    let mut world = World::new();
    assert!(world.main.is_some());
    world.order(Order::Add(wish("v2", Trigger::Height { height: Height(100) }, FailurePolicy::Hold))).unwrap();
    world.run(100);
    assert_eq!(world.told("upgrade-armed"), 1);
    world.give(Input::Height(Height(99)));
    world.run(100);
    assert_eq!(world.current, "v1", "it was early");
    world.give(Input::Height(Height(100)));
    world.run(100);
    assert_eq!((world.current, world.outcome()), ("v2", Some(Outcome::Committed)));
    assert!(world.main.is_some());
    let entry = world.node.ledger().entries().next().unwrap();
    assert_eq!(entry.facts.gap_ms, Some(0));
    let done: Vec<Step> = world
        .journal
        .iter()
        .filter_map(|record| match record {
            Record::StepDone { step, .. } => Some(*step),
            _ => None,
        })
        .collect();
    assert_eq!(done, Step::ALL);
}

#[test]
fn the_height_of_data_at_rest_is_remembered_as_it_is_and_makes_plans_due() {
    let mut node = Node::new(EngineSettings { has_scouts: true, ..settings() }, Ledger::default());
    let now = Moment { monotonic_ms: 1_000, wall_ms: 0 };
    let noted = |actions: Vec<Action>| {
        let height = |action| match action {
            Action::Record(Record::HeightSeen { height, .. }) => Some(height.0),
            _ => None,
        };
        actions.into_iter().filter_map(height).collect::<Vec<_>>()
    };
    node.decide(now, Input::Found(BTreeMap::from([(UnitName::main(), Found::Nothing)])));
    assert_eq!(noted(node.decide(now, Input::Height(Height(500)))), [500]);
    // Other data may be lower, and is noted at once; the same is noted once.
    assert_eq!(noted(node.decide(now, Input::HeightAtRest(Height(90)))), [90]);
    assert_eq!(noted(node.decide(now, Input::HeightAtRest(Height(90)))), [0; 0]);
    assert_eq!((node.height().map(|(height, _)| height.0), node.ledger().height()), (Some(90), Some(Height(90))));
    assert_eq!(node.pace().eta_ms(2_000, Height(501)), None, "it tells nothing of how fast blocks come");

    let mut world = World::new();
    world.order(Order::Add(wish("v2", Trigger::Height { height: Height(100) }, FailurePolicy::Hold))).unwrap();
    world.run(100);
    world.give(Input::HeightAtRest(Height(100)));
    world.run(100);
    assert_eq!(world.current, "v2");
}

#[test]
fn an_upgrade_is_carried_out_again_on_data_that_was_replaced() {
    let seen = |release, height, origin| {
        let halt = wish(release, Trigger::Halt { height: Height(height) }, FailurePolicy::Hold);
        Input::PlanSeen(Wish { origin, ..halt })
    };
    let upgrade = || seen("v2", 100, Origin::File { path: "p".into() });
    let older_data = || seen("v1", 61, Origin::Data { path: "d".into() });
    let mut world = World::new();
    for _ in 0..3 {
        world.give(upgrade());
        world.run(100);
        world.give(upgrade());
        world.run(100);
        assert_eq!(world.current, "v2");
        world.give(older_data());
        world.run(100);
        world.give(older_data());
        world.run(100);
        assert_eq!(world.current, "v1");
    }
    assert_eq!(world.node.ledger().entries().count(), 6, "each of them once");
    // The node halts again while the way back is still being proven.
    world.give(upgrade());
    world.run(100);
    world.give(older_data());
    run_to_proof(&mut world);
    world.give(upgrade());
    world.run(100);
    assert_eq!((world.current, world.outcome()), ("v2", Some(Outcome::Committed)));
}

/// Lets the world go on until the last upgrade is being proven.
fn run_to_proof(world: &mut World) {
    let proving = |world: &World| {
        let last = world.node.ledger().entries().next_back().map(|entry| entry.phase.clone());
        matches!(last, Some(Phase::Forward { step: Step::Prove, attempt: 1, .. }))
    };
    for _ in 0..200 {
        if proving(world) {
            return;
        }
        world.run(1);
    }
    panic!("nothing came to be proven");
}

#[test]
fn times_and_halts_trigger_too() {
    let mut world = World::new();
    let at = world.now.wall_ms + 3_600_000;
    world.order(Order::Add(wish("v2", Trigger::Time { wall_ms: at }, FailurePolicy::Rollback))).unwrap();
    world.run(100);
    assert_eq!(world.outcome(), Some(Outcome::Committed));
    assert!(world.now.wall_ms >= at);

    let mut world = World::new();
    let halt = Wish {
        origin: Origin::File { path: "p".into() },
        ..wish("v2", Trigger::Halt { height: Height(5) }, FailurePolicy::Hold)
    };
    world.give(Input::PlanSeen(halt.clone()));
    world.give(Input::PlanSeen(halt));
    world.run(100);
    assert_eq!((world.outcome(), world.node.ledger().entries().count()), (Some(Outcome::Committed), 1));
}

#[test]
fn a_halted_node_is_not_launched_with_the_old_release() {
    let mut world = World::new();
    world.failing.push((Step::Stage, Direction::Forward, 3));
    let halt = wish("v2", Trigger::Halt { height: Height(5) }, FailurePolicy::Hold);
    world.end_main(Some(ExitStatus::Code(2)));
    world.give(Input::PlanSeen(halt));
    let before = world.last_run;
    world.run(3);
    assert_eq!(world.last_run, before);
    world.run(100);
    assert_eq!(world.outcome(), Some(Outcome::Committed));
    assert_eq!(world.last_run.0, before.0 + 1);
}

#[test]
fn data_is_left_alone_until_main_was_down_for_as_long_as_is_wanted() {
    let rest_ms = 5_000;
    let rested = |upgrade: UpgradeRules| EngineSettings { upgrade: UpgradeRules { rest_ms, ..upgrade }, ..settings() };
    let mut world = World::with(rested(settings().upgrade));
    world.end_main(Some(ExitStatus::Code(2)));
    let ended_ms = world.now.monotonic_ms;
    world.give(Input::PlanSeen(wish("v2", Trigger::Halt { height: Height(5) }, FailurePolicy::Hold)));
    world.run(200);
    assert_eq!(world.outcome(), Some(Outcome::Committed));
    let kept = world.journal.iter().find_map(|record| match record {
        Record::StepStarted { step: Step::Keep, at, .. } => Some(at.monotonic_ms),
        _ => None,
    });
    assert_eq!(kept, Some(ended_ms + rest_ms));
}

#[test]
fn what_a_person_prepared_is_used_when_the_node_halts_for_it() {
    let mut world = World::new();
    world.order(Order::Add(wish("v2", Trigger::Height { height: Height(100) }, FailurePolicy::Hold))).unwrap();
    world.run(100);
    world.end_main(Some(ExitStatus::Code(2)));
    let file = Origin::File { path: "upgrade-info.json".into() };
    world.give(Input::PlanSeen(Wish {
        origin: file,
        ..wish("v2", Trigger::Halt { height: Height(100) }, FailurePolicy::Hold)
    }));
    world.run(100);
    assert_eq!((world.outcome(), world.node.ledger().entries().count()), (Some(Outcome::Committed), 1));
}

#[test]
fn every_step_that_fails_for_good_ends_where_the_policy_says() {
    for step in Step::ALL.into_iter().filter(|step| !matches!(step, Step::Stop | Step::Start)) {
        for policy in POLICIES {
            let mut world = World::new();
            world.failing.push((step, Direction::Forward, u32::MAX));
            world.order(Order::Add(wish("v2", Trigger::Now, policy))).unwrap();
            world.run(300);
            let back = policy == FailurePolicy::Rollback && !step.is_preparation() && step != Step::Commit;
            if back {
                assert_eq!((world.outcome(), world.current), (Some(Outcome::RolledBack), "v1"), "{step}");
                assert!(world.main.is_some(), "{step}: the old release does not run again");
            } else {
                assert_eq!(world.outcome(), None, "{step} under {policy:?}");
                let alarm = if step.is_preparation() { "upgrade-blocked" } else { "upgrade-held" };
                assert_eq!(world.told(alarm), 1, "{step} under {policy:?}: the alarm is raised once");
                world.failing.clear();
                world.run(300);
                assert_eq!(
                    (world.outcome(), world.current),
                    (Some(Outcome::Committed), "v2"),
                    "{step} is not taken up again"
                );
            }
        }
    }
}

#[test]
fn an_undo_that_fails_for_good_asks_a_person_and_goes_on_when_told() {
    for step in [Step::Switch, Step::Keep, Step::Migrate, Step::Recheck, Step::Stage] {
        let mut world = World::new();
        world.failing = vec![(Step::Prove, Direction::Forward, u32::MAX), (step, Direction::Backward, u32::MAX)];
        world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
        world.run(300);
        assert_eq!((world.outcome(), world.told("needs-operator")), (None, 1), "{step}");
        if step > Step::Stop {
            assert!(world.main.is_none(), "{step}: a doubtful node runs");
        }
        // Its data may be worked on: a restored snapshot may be all that it needs.
        world.order(Order::Pause).unwrap();
        world.run(100);
        assert_eq!((world.paused, world.main), (1, None), "{step}");
        world.order(Order::Unpause).unwrap();
        world.run(100);
        assert_eq!((world.outcome(), world.told("needs-operator")), (None, 1), "{step}");
        world.failing.clear();
        world.order(Order::Retry(PlanId(1))).unwrap();
        world.run(300);
        assert_eq!((world.outcome(), world.current), (Some(Outcome::RolledBack), "v1"), "{step}");
    }
}

#[test]
fn a_release_that_does_not_stay_up_is_not_proven() {
    let mut world = World::new();
    world.crashes_of_new = 50;
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
    world.run(300);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::RolledBack), "v1"));
    assert!(world.main.is_some());
    assert!(world.crashes_of_new >= 45, "it was tried too often");
}

#[test]
fn a_plan_can_be_taken_back_until_its_trigger_and_turned_round_until_there_is_no_way_back() {
    let mut world = World::new();
    world.order(Order::Add(wish("v2", Trigger::Height { height: Height(100) }, FailurePolicy::Hold))).unwrap();
    assert!(world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Hold))).is_err(), "the same release twice");
    world.run(100);
    world.order(Order::Cancel(PlanId(1))).unwrap();
    world.run(100);
    assert_eq!((world.outcome(), world.current), (Some(Outcome::Withdrawn), "v1"));
    assert!(world.order(Order::Cancel(PlanId(1))).is_err());
    assert!(world.order(Order::Rollback(PlanId(9))).is_err());

    for (policy, step, possible) in [
        (FailurePolicy::Rollback, Step::Prove, true),
        (FailurePolicy::Hold, Step::Migrate, true),
        (FailurePolicy::Hold, Step::Prove, false),
    ] {
        let mut world = World::new();
        world.failing.push((step, Direction::Forward, 1));
        world.order(Order::Add(wish("v2", Trigger::Now, policy))).unwrap();
        while !matches!(world.node.ledger().entry(PlanId(1)).unwrap().phase, Phase::Forward { step: at, attempt: 1, .. } if at == step)
        {
            world.run(1);
        }
        assert!(world.order(Order::Cancel(PlanId(1))).is_err(), "a plan past its trigger cannot be cancelled");
        assert_eq!(world.order(Order::Rollback(PlanId(1))).is_ok(), possible, "{policy:?} {step}");
        world.run(200);
        let expected = if possible { Outcome::RolledBack } else { Outcome::Committed };
        assert_eq!(world.outcome(), Some(expected), "{policy:?} {step}");
    }
}

#[test]
fn the_next_upgrade_is_prepared_while_another_is_held() {
    let mut world = World::new();
    world.crashes_of_new = 1_000;
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Hold))).unwrap();
    world.run(60);
    assert_eq!(world.outcome(), None);
    world.order(Order::Add(wish("v3", Trigger::Height { height: Height(9) }, FailurePolicy::Hold))).unwrap();
    world.run(60);
    assert_eq!(world.node.ledger().entries().next_back().unwrap().phase, Phase::Armed);
}

#[test]
fn a_release_that_takes_long_to_come_holds_up_no_other_but_there_is_a_bound() {
    let mut world = World::new();
    let begun = |world: &World| {
        let stages = |record: &&Record| matches!(record, Record::StepStarted { step: Step::Stage, .. });
        world.journal.iter().filter(stages).count()
    };
    for number in 1..=6 {
        let far = Trigger::Height { height: Height(1_000 + number) };
        world.order(Order::Add(wish(&format!("r{number}"), far, FailurePolicy::Hold))).unwrap();
    }
    // None of them has come yet.
    assert_eq!(begun(&world), 4);
    world.run(200);
    assert_eq!(begun(&world), 6);
    assert!(world.node.ledger().entries().all(|entry| entry.phase == Phase::Armed));
}

#[test]
fn a_stopped_node_is_not_upgraded_and_a_parked_one_stays_parked_over_restarts() {
    let mut world = World::new();
    world.order(Order::Stop(UnitName::main())).unwrap();
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
    world.run(100);
    assert_eq!((world.current, world.main), ("v1", None));
    world.order(Order::Start(UnitName::main())).unwrap();
    world.run(100);
    assert_eq!((world.current, world.outcome()), ("v2", Some(Outcome::Committed)));

    let mut world = World::new();
    world.settings.units.get_mut(&UnitName::main()).unwrap().forbidden_exits = vec![129];
    world.give(Input::Settings(world.settings.clone()));
    world.end_main(Some(ExitStatus::Code(129)));
    world.run(100);
    world.restart_daemon();
    world.run(100);
    assert_eq!(world.main, None);
    assert_eq!(world.node.unit_view(&UnitName::main()).unwrap().state, UnitState::Parked);
    world.order(Order::Start(UnitName::main())).unwrap();
    world.run(100);
    assert!(world.main.is_some());
}

#[test]
fn a_pause_holds_the_node_down_and_off_upgrades_until_it_ends() {
    let mut world = World::new();
    world.order(Order::Pause).unwrap();
    world.run(100);
    assert_eq!((world.paused, world.main), (1, None));
    assert!(world.order(Order::Pause).is_err());
    world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
    world.run(100);
    assert_eq!((world.current, world.main), ("v1", None));
    world.order(Order::Unpause).unwrap();
    world.run(100);
    assert_eq!((world.current, world.paused), ("v2", 1));
    assert!(world.main.is_some());
}

#[test]
fn a_shutdown_leaves_nothing_running_and_the_next_daemon_goes_on() {
    for after in 0..60 {
        let mut world = World::new();
        world.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Rollback))).unwrap();
        world.run(after);
        world.order(Order::Shutdown).unwrap();
        world.run(200);
        assert!(world.exited && world.main.is_none(), "after {after} rounds");
        world.restart_daemon();
        world.run(300);
        assert_eq!((world.outcome(), world.current), (Some(Outcome::Committed), "v2"), "after {after} rounds");
        assert!(world.main.is_some());
    }
}

/// The daemon dies after every single action of an upgrade, of a rollback and of a withdrawal: each is finished.
#[test]
fn a_daemon_that_dies_anywhere_is_followed_by_one_that_finishes() {
    for (policy, crashes) in [(FailurePolicy::Rollback, 0), (FailurePolicy::Hold, 0), (FailurePolicy::Rollback, 50)] {
        for dies_after in 0..160 {
            let mut world = World::new();
            world.crashes_of_new = crashes;
            world.dies_after = Some(dies_after);
            if world.order(Order::Add(wish("v2", Trigger::Now, policy))).is_err()
                || world.node.ledger().entries().count() == 0
            {
                continue;
            }
            world.run(600);
            let expected =
                if crashes > 0 { (Some(Outcome::RolledBack), "v1") } else { (Some(Outcome::Committed), "v2") };
            assert_eq!((world.outcome(), world.current), expected, "{policy:?}, died after {dies_after} actions");
            assert!(world.main.is_some());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Orders, exits, failures, heights and deaths of the daemon in any order: no two mains, every journal legal, and
    /// once the trouble stops every upgrade ends.
    #[test]
    fn any_life_ends_well(script in proptest::collection::vec((0u8..17, 0u64..5_000, 0usize..6), 1..60)) {
        let mut world = World::new();
        for (what, passed, rounds) in script {
            world.now.monotonic_ms += passed;
            let main = UnitName::main();
            let last = world.node.ledger().entries().next_back().map_or(PlanId(1), |entry| entry.plan.id);
            let policy = POLICIES[usize::from(what) % 2];
            match what {
                0 | 1 => drop(world.order(Order::Add(wish("v2", Trigger::Now, policy)))),
                2 => drop(world.order(Order::Cancel(last))),
                3 => drop(world.order(Order::Rollback(last))),
                4 => drop(world.order(Order::Retry(last))),
                5 => drop(world.order(Order::Stop(main))),
                6 => drop(world.order(Order::Start(main))),
                7 => drop(world.order(Order::Restart(main))),
                8 => world.end_main(Some(ExitStatus::Code(1))),
                9 => world.failing.push((Step::ALL[(passed % 10) as usize], Direction::Forward, 2)),
                10 => world.failing.push((Step::ALL[(passed % 10) as usize], Direction::Backward, 2)),
                11 => world.restart_daemon(),
                12 => world.dies_after = Some(rounds),
                13 | 14 => drop(world.order(Order::Add(wish("v3", Trigger::Now, policy)))),
                15 => drop(world.order(Order::Apply(last))),
                _ => world.crashes_of_new = 2,
            }
            world.run(rounds);
        }
        world.failing.clear();
        (world.dies_after, world.crashes_of_new) = (None, 0);
        world.restart_daemon();
        let _ = world.order(Order::Start(UnitName::main()));
        world.run(400);
        let waiting: Vec<PlanId> = world.node.ledger().entries().filter(|entry| matches!(entry.phase, Phase::NeedsOperator { .. })).map(|entry| entry.plan.id).collect();
        for id in waiting {
            world.order(Order::Retry(id)).unwrap();
        }
        world.run(400);
        for entry in world.node.ledger().entries() {
            prop_assert!(entry.is_over(), "plan {} stands at {:?}", entry.plan.id, entry.phase);
        }
        prop_assert!(world.main.is_some(), "main does not run");
    }
}
