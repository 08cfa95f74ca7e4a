//! Work that was ordered before plans came and went sees the node as it stands when it is done.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use ov_daemon::core::Core;
use ov_daemon::fetch::Supply;
use ov_daemon::steps::{Place, Workshop, carry_out};
use ov_engine::{Effect, Input, Order, StepCall, StepReport, Wish};
use ov_journal::Options;
use ov_release::State;
use ov_sim::Home;
use ov_sys::{Clock, Random, SimClock};
use ov_types::{Direction, FailurePolicy, Height, Moment, Origin, PlanId, ReleaseName, Step, Trigger};

struct Daemon {
    home: Home,
    core: Core,
}

impl Daemon {
    fn new() -> Self {
        let clock = SimClock::new(Moment { monotonic_ms: 50_000, wall_ms: 1_700_000_000_000 });
        let home = Home::new(&mut Random::new(1), clock, false).unwrap();
        ov_daemon::tidy_up::tidy_up(&home.disk, &home.clock, &home.shape).unwrap();
        let directory = home.shape.layout.journal();
        ov_sys::durable::make_directories(&home.disk, &home.shape.layout.state, 0o700).unwrap();
        let disk = Arc::new(home.disk.clone());
        let settings = home.shape.engine.clone();
        let core = Core::open(disk, &directory, settings, Options::new("test"), "boot", home.clock.now()).unwrap();
        let mut daemon = Self { home, core };
        daemon.give(Input::Found(BTreeMap::new()));
        daemon
    }

    fn give(&mut self, input: Input) -> Vec<Effect> {
        self.core.take(self.home.clock.now(), input).unwrap()
    }

    fn order(&mut self, order: Order) -> Vec<Effect> {
        let (answer, effects) = self.core.order(self.home.clock.now(), order).unwrap();
        answer.unwrap();
        effects
    }

    fn shop(&self, call: &StepCall) -> Workshop {
        let (disk, clock) = (Arc::new(self.home.disk.clone()), Arc::new(self.home.clock.clone()));
        let (shape, supply) = (Arc::clone(&self.home.shape), Supply::of(&self.home.shape.fetch));
        let place = Place { disk, clock, source: Arc::clone(&shape) as _, shape, supply };
        Workshop::of(&self.core, place, Some(call.plan.id))
    }

    /// Carries a step out with the workshop that it was ordered with.
    fn carry_out(&mut self, shop: &Workshop, call: &StepCall) -> Vec<Effect> {
        let result = Ok(carry_out(shop, call).unwrap());
        let (plan, step, direction, attempt) = (call.plan.id, call.step, call.direction, call.attempt);
        self.give(Input::Step(StepReport { plan, step, direction, attempt, result }))
    }

    fn is_staged(&self) -> bool {
        matches!(self.home.state(&release()).unwrap(), State::Complete(_))
    }
}

fn release() -> ReleaseName {
    ReleaseName::new("v2").unwrap()
}

fn wish(home: &Home, height: u64, replaces: Option<PlanId>) -> Wish {
    Wish {
        release: release(),
        trigger: Trigger::Height { height: Height(height) },
        on_failure: FailurePolicy::Hold,
        origin: Origin::Person,
        source: Some(home.source(2).display().to_string()),
        info: None,
        sha256: None,
        keep: true,
        replaces,
    }
}

#[track_caller]
fn step_of(effects: &[Effect], plan: u64, wanted: Step, way: Direction) -> StepCall {
    let calls = effects.iter().filter_map(|effect| match effect {
        Effect::RunStep(call) => Some(call),
        _ => None,
    });
    let mut calls = calls.filter(|call| (call.plan.id, call.step, call.direction) == (PlanId(plan), wanted, way));
    calls.next().unwrap_or_else(|| panic!("{wanted} {way:?} of plan {plan} is not among {effects:?}")).clone()
}

/// Plan 1 staged v2; plan 2 takes its place; its undo is ordered, and waits for its turn.
fn replaced() -> (Daemon, StepCall, Workshop) {
    let mut daemon = Daemon::new();
    let first = wish(&daemon.home, 100, None);
    let effects = daemon.order(Order::Add(first));
    let stage = step_of(&effects, 1, Step::Stage, Direction::Forward);
    let shop = daemon.shop(&stage);
    let effects = daemon.carry_out(&shop, &stage);
    let examine = step_of(&effects, 1, Step::Examine, Direction::Forward);
    assert!(daemon.is_staged());
    let second = wish(&daemon.home, 200, Some(PlanId(1)));
    let effects = daemon.order(Order::Add(second));
    let undo = step_of(&effects, 1, Step::Examine, Direction::Backward);
    assert!(examine.attempt >= 1);
    let shop = daemon.shop(&undo);
    let effects = daemon.carry_out(&shop, &undo);
    let undo = step_of(&effects, 1, Step::Stage, Direction::Backward);
    let shop = daemon.shop(&undo);
    (daemon, undo, shop)
}

#[test]
fn a_release_goes_when_the_plan_that_wanted_it_too_is_taken_back_before_the_undo_runs() {
    let (mut daemon, undo, shop) = replaced();
    daemon.order(Order::Cancel(PlanId(2)));
    daemon.carry_out(&shop, &undo);
    assert!(!daemon.is_staged(), "neither plan wants it any more, and neither removed it");
}

#[test]
fn a_release_stays_while_another_plan_wants_it() {
    let (mut daemon, undo, shop) = replaced();
    daemon.carry_out(&shop, &undo);
    assert!(daemon.is_staged(), "plan 2 wants it");
}
