//! Two units that live and die together: every way in which one goes down, and what becomes of the other.

use super::*;
use ov_types::{
    BackOff, CrashLoop, GroupName, RestartPolicy, StartAfter, StartWhen, StopRule, UnitRules, WhenLooping,
    WhenUnhealthy,
};

const DELAY_MS: u64 = 5_000;
const CODE: Option<ExitStatus> = Some(ExitStatus::Code(1));

fn main() -> UnitName {
    UnitName::main()
}

fn data() -> UnitName {
    UnitName::new("data").unwrap()
}

fn both() -> [UnitName; 2] {
    [data(), main()]
}

fn other(unit: &UnitName) -> UnitName {
    if unit.is_main() { data() } else { main() }
}

/// What a process of the machine is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Process {
    None,
    Runs(RunId),
    /// Told to end, or ended with something of it left.
    Ends(RunId),
}

/// A node of two units, and the machine they run on.
struct Pair {
    node: Node,
    settings: EngineSettings,
    journal: Vec<Record>,
    now: Moment,
    processes: BTreeMap<UnitName, Process>,
    /// How the last run of a unit ended by itself, as its shim wrote it down.
    ended: BTreeMap<UnitName, Found>,
    answers: VecDeque<Input>,
    /// Units that cannot be launched.
    broken: Vec<UnitName>,
    /// Which units were told to launch and to stop since they were asked for last.
    launched: Vec<UnitName>,
    stopped: Vec<(UnitName, StopRule)>,
    told: Vec<EventKind>,
    exited: bool,
}

fn pair_settings() -> EngineSettings {
    let mut settings = settings();
    let of = |signal, grace_ms, code| UnitRules {
        together: Some(GroupName::new("pair").unwrap()),
        back_off: BackOff { at_once: 0, first_ms: DELAY_MS, max_ms: DELAY_MS, jitter_percent: 0, reset_after_ms: None },
        crash_loop: CrashLoop { count: 4, within_ms: None, then: WhenLooping::End },
        stop: StopRule::fixed(signal, grace_ms),
        forbidden_exits: vec![code],
        has_readiness: true,
        ready_within_ms: Some(60_000),
        when_unhealthy: WhenUnhealthy::Restart,
        ..rules()
    };
    settings.units = BTreeMap::from([(main(), of(15, 15_000, 77)), (data(), of(2, 40_000, 78))]);
    settings
}

impl Pair {
    fn new() -> Self {
        Self::with(pair_settings())
    }

    fn with(settings: EngineSettings) -> Self {
        let mut pair = Self {
            node: Node::new(settings.clone(), Ledger::default()),
            settings,
            journal: Vec::new(),
            now: Moment { monotonic_ms: 1_000_000, wall_ms: 1_700_000_000_000 },
            processes: both().map(|unit| (unit, Process::None)).into(),
            ended: BTreeMap::new(),
            answers: VecDeque::new(),
            broken: Vec::new(),
            launched: Vec::new(),
            stopped: Vec::new(),
            told: Vec::new(),
            exited: false,
        };
        pair.give(Input::Found(BTreeMap::new()));
        pair.give(Input::Consulted);
        let mut launched = pair.launched();
        launched.sort();
        assert_eq!(launched, both(), "both are launched at once");
        pair
    }

    fn give(&mut self, input: Input) {
        let actions = self.node.decide(self.now, input);
        self.carry_out(actions);
        self.answer();
    }

    fn order(&mut self, order: Order) {
        let (answer, actions) = self.node.order(self.now, order);
        answer.expect("the order is obeyed");
        self.carry_out(actions);
        self.answer();
    }

    fn answer(&mut self) {
        while let Some(input) = self.answers.pop_front() {
            let actions = self.node.decide(self.now, input);
            self.carry_out(actions);
        }
    }

    fn report(&mut self, unit: &UnitName, report: UnitReport) {
        self.give(Input::Unit(unit.clone(), report));
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Record(record) => self.journal.push(record),
                Action::Effect(Effect::Launch { unit, run, .. }) => self.launch(&unit, run),
                Action::Effect(Effect::Stop { unit, run, rule }) => {
                    self.processes.insert(unit.clone(), Process::Ends(run));
                    self.stopped.push((unit, rule));
                }
                Action::Effect(Effect::EndOrphans { unit, rule }) => self.stopped.push((unit, rule)),
                Action::Effect(Effect::Tell(kind)) => self.told.push(kind),
                Action::Effect(Effect::Exit) => self.exited = true,
                Action::Effect(Effect::RunStep(call)) => self.step(&call),
                Action::Effect(_) => {}
            }
        }
    }

    fn launch(&mut self, unit: &UnitName, run: RunId) {
        let partner = self.processes[&other(unit)];
        assert_eq!(self.processes[unit], Process::None, "{unit} is launched twice");
        assert!(!matches!(partner, Process::Ends(_)), "{unit} is launched while its partner goes down");
        self.launched.push(unit.clone());
        self.ended.remove(unit);
        let report = if self.broken.contains(unit) {
            UnitReport::LaunchFailed { run, message: "no such program".into(), is_unsafe: false }
        } else {
            self.processes.insert(unit.clone(), Process::Runs(run));
            UnitReport::Launched { run, pid: 7 }
        };
        self.answers.push_back(Input::Unit(unit.clone(), report));
    }

    fn step(&mut self, call: &StepCall) {
        if call.step == Step::Prove {
            return;
        }
        let (plan, step, direction, attempt) = (call.plan.id, call.step, call.direction, call.attempt);
        let previous = (step == Step::Recheck).then(|| ReleaseName::new("v1").unwrap());
        let result = Ok(StepFacts { previous, ..StepFacts::default() });
        self.answers.push_back(Input::Step(StepReport { plan, step, direction, attempt, result }));
    }

    fn run_of(&self, unit: &UnitName) -> RunId {
        match self.processes[unit] {
            Process::Runs(run) | Process::Ends(run) => run,
            Process::None => self.node.unit_view(unit).unwrap().run,
        }
    }

    /// Its process ends by itself, or because it was told to; something of it lives on.
    fn exit(&mut self, unit: &UnitName, status: Option<ExitStatus>) {
        let run = self.run_of(unit);
        let found = match self.processes[unit] {
            Process::Runs(_) => Found::Ended { run, status, ran_ms: Some(10) },
            _ => Found::Stopped { run, status },
        };
        self.ended.insert(unit.clone(), found);
        self.processes.insert(unit.clone(), Process::Ends(run));
        self.report(unit, UnitReport::Exited { run, status });
    }

    fn empty(&mut self, unit: &UnitName) {
        let run = self.run_of(unit);
        self.processes.insert(unit.clone(), Process::None);
        self.report(unit, UnitReport::Empty { run });
    }

    fn end(&mut self, unit: &UnitName, status: Option<ExitStatus>) {
        self.exit(unit, status);
        self.empty(unit);
    }

    /// Lets time pass until something is due, and says how long that was.
    fn pass(&mut self) -> Option<u64> {
        let at_ms = self.node.next_wake_ms()?;
        let waited = at_ms.saturating_sub(self.now.monotonic_ms);
        self.now.monotonic_ms += waited;
        self.give(Input::Wake);
        Some(waited)
    }

    fn taken<T>(list: &mut Vec<T>) -> Vec<T> {
        std::mem::take(list)
    }

    fn launched(&mut self) -> Vec<UnitName> {
        Self::taken(&mut self.launched)
    }

    fn stopped(&mut self) -> Vec<UnitName> {
        Self::taken(&mut self.stopped).into_iter().map(|(unit, _)| unit).collect()
    }

    fn pauses(&self) -> Vec<(u64, u32)> {
        let pause = |kind: &EventKind| match kind {
            EventKind::UnitBackingOff { wait_ms, failures, .. } => Some((*wait_ms, *failures)),
            _ => None,
        };
        self.told.iter().filter_map(pause).collect()
    }

    fn failures(&self) -> u32 {
        self.node.unit_view(&main()).unwrap().failures
    }

    /// The daemon is killed, and another one takes over.
    fn kill(&mut self) {
        let ledger = Ledger::fold(&self.journal).expect("the journal of a dead daemon is legal");
        self.node = Node::new(self.settings.clone(), ledger);
        let mut found = self.ended.clone();
        for (unit, process) in &self.processes {
            match process {
                Process::Runs(run) => {
                    found.insert(unit.clone(), Found::Running { run: *run, pid: 7, since: self.now });
                }
                Process::Ends(run) => {
                    let told = match self.ended.get(unit) {
                        Some(Found::Ended { run, status, .. }) => Found::Ending { run: *run, status: *status },
                        _ => Found::Stopping { run: *run, pid: Some(7), since: self.now },
                    };
                    found.insert(unit.clone(), told);
                }
                Process::None => {}
            }
        }
        self.give(Input::Found(found));
    }
}

/// The ways in which a unit fails, up to where nothing of it is left.
const FAILINGS: [fn(&mut Pair, &UnitName); 5] = [
    |pair, unit| pair.end(unit, CODE),
    |pair, unit| pair.end(unit, Some(ExitStatus::Code(0))),
    |pair, unit| {
        pair.processes.insert(unit.clone(), Process::Ends(pair.run_of(unit)));
        pair.report(unit, UnitReport::Lost);
        let rule = pair.settings.units[unit].stop;
        let at = pair.stopped.iter().position(|told| *told == (unit.clone(), rule)).expect("what is left is ended");
        pair.stopped.remove(at);
        pair.processes.insert(unit.clone(), Process::None);
        pair.report(unit, UnitReport::OrphansGone);
    },
    |pair, unit| {
        let run = pair.run_of(unit);
        pair.report(unit, UnitReport::Health { run, healthy: false, answers: 3, message: "no".into() });
        let at = pair.stopped.iter().position(|(told, _)| told == unit).expect("it is stopped");
        pair.stopped.remove(at);
        pair.end(unit, Some(ExitStatus::Code(0)));
    },
    |pair, unit| {
        let run = pair.run_of(&other(unit));
        pair.report(&other(unit), UnitReport::Ready { run, ready: true });
        pair.pass();
        let at = pair.stopped.iter().position(|(told, _)| told == unit).expect("it was not ready in time");
        pair.stopped.remove(at);
        pair.end(unit, Some(ExitStatus::Signal(15)));
    },
];

#[test]
fn the_failure_of_one_takes_the_other_down_in_order_and_both_come_back_together() {
    for unit in both() {
        for (number, fails) in FAILINGS.iter().enumerate() {
            let mut pair = Pair::new();
            let partner = other(&unit);
            for round in 1..=3u32 {
                fails(&mut pair, &unit);
                let rule = pair.settings.units[&partner].stop;
                assert_eq!(Pair::taken(&mut pair.stopped), [(partner.clone(), rule)], "{unit}, way {number}");
                assert_eq!(pair.launched(), [], "the other is not down yet");
                assert_eq!(pair.failures(), round - 1, "it is judged when all are down");
                pair.now.monotonic_ms += 3_000;
                pair.exit(&partner, Some(ExitStatus::Signal(15)));
                assert_eq!(pair.launched(), []);
                pair.empty(&partner);
                assert_eq!((pair.launched(), pair.stopped()), (vec![], vec![]));
                assert_eq!(pair.pauses().last(), Some(&(DELAY_MS, round)), "one failure of both");
                assert_eq!(pair.pass(), Some(DELAY_MS));
                assert_eq!(pair.launched(), both(), "{unit}, way {number}, round {round}");
            }
            fails(&mut pair, &unit);
            pair.end(&partner, Some(ExitStatus::Signal(15)));
            let given_up = matches!(pair.node.farewell(), crate::Farewell::GivenUp { unit: of, .. } if of == unit);
            assert!(given_up && pair.exited, "{:?}", pair.node.farewell());
        }
    }
}

#[test]
fn one_that_cannot_be_launched_takes_the_other_down() {
    for unit in both() {
        let mut pair = Pair::new();
        pair.broken.push(unit.clone());
        pair.order(Order::Restart(unit.clone()));
        pair.end(&unit, CODE);
        pair.end(&other(&unit), CODE);
        assert_eq!((pair.launched(), pair.pauses()), (both().to_vec(), vec![]));
        let stopped = pair.stopped();
        assert_eq!(stopped[2..], [other(&unit)], "{stopped:?}");
        pair.broken.clear();
        pair.end(&other(&unit), CODE);
        assert_eq!((pair.pauses(), pair.pass()), (vec![(DELAY_MS, 1)], Some(DELAY_MS)));
        assert_eq!(pair.launched(), both());
    }
}

#[test]
fn what_people_say_of_one_holds_for_both_and_is_no_failure() {
    for unit in both() {
        let partner = other(&unit);
        let mut pair = Pair::new();
        pair.order(Order::Stop(unit.clone()));
        assert_eq!(pair.stopped(), both());
        pair.end(&partner, CODE);
        pair.end(&unit, CODE);
        assert_eq!((pair.launched(), pair.node.next_wake_ms()), (vec![], None));
        let waits = pair.node.unit_view(&partner).unwrap();
        assert_eq!(waits.waiting_for, Some(format!("`omnivisor unit start {unit}`")));
        pair.order(Order::Start(unit.clone()));
        assert_eq!(pair.launched(), both());

        pair.order(Order::Restart(unit.clone()));
        assert_eq!(pair.stopped(), both());
        pair.end(&unit, CODE);
        assert_eq!(pair.launched(), []);
        pair.end(&partner, CODE);
        assert_eq!((pair.launched(), pair.failures()), (both().to_vec(), 0));

        // Held, it goes on running; down, it holds the other too.
        pair.order(Order::Suspend(unit.clone()));
        assert_eq!(pair.stopped(), []);
        pair.end(&partner, CODE);
        pair.end(&unit, CODE);
        assert_eq!((pair.pass(), pair.launched()), (Some(DELAY_MS), vec![]));
        pair.order(Order::Resume(unit.clone()));
        assert_eq!((pair.launched(), pair.failures()), (both().to_vec(), 1));
        pair.order(Order::Shutdown);
        assert_eq!(pair.failures(), 0);
    }
}

#[test]
fn a_shutdown_gives_each_its_own_grace() {
    let mut pair = Pair::new();
    pair.order(Order::Shutdown);
    let rules = both().map(|unit| (unit.clone(), pair.settings.units[&unit].stop));
    assert_eq!(Pair::taken(&mut pair.stopped), rules);
    for unit in both() {
        assert!(!pair.exited);
        pair.end(&unit, CODE);
    }
    assert!(pair.exited && pair.node.farewell() == crate::Farewell::Told);
}

#[test]
fn one_that_is_launched_after_the_other_is_told_to_stop_before_it_or_at_once_with_it() {
    for down_first in [true, false] {
        let mut settings = pair_settings();
        let after = StartAfter { unit: main(), when: StartWhen::Up, bound: false, down_first };
        settings.units.get_mut(&data()).unwrap().after = vec![after];
        let mut pair = Pair::with(settings);
        pair.order(Order::Shutdown);
        let expected = if down_first { vec![data()] } else { both().to_vec() };
        assert_eq!(pair.stopped(), expected);
        pair.end(&data(), CODE);
        assert_eq!(pair.stopped(), if down_first { vec![main()] } else { vec![] });
        pair.end(&main(), CODE);
        assert!(pair.exited);
    }
}

#[test]
fn a_parked_one_keeps_the_other_down() {
    for (unit, code) in [(main(), 77), (data(), 78)] {
        let mut pair = Pair::new();
        pair.end(&unit, Some(ExitStatus::Code(code)));
        pair.end(&other(&unit), Some(ExitStatus::Signal(15)));
        let reason = Some(ParkReason::ForbiddenExit { code });
        assert_eq!(pair.node.unit_view(&unit).unwrap().parked, reason);
        assert_eq!((pair.launched(), pair.node.next_wake_ms(), pair.exited), (vec![], None, false));
        pair.kill();
        assert_eq!(pair.launched(), []);
        pair.order(Order::Start(other(&unit)));
        assert_eq!(pair.launched(), [], "nobody said that the parked one may run");
        pair.order(Order::Start(unit));
        assert_eq!(pair.launched(), both());
    }
}

#[test]
fn one_whose_work_is_done_takes_nobody_with_it_and_comes_back_with_the_other() {
    for unit in both() {
        let mut settings = pair_settings();
        settings.units.get_mut(&unit).unwrap().restart = RestartPolicy::OnFailure;
        let mut pair = Pair::with(settings);
        let partner = other(&unit);
        pair.end(&unit, Some(ExitStatus::Code(0)));
        for _ in 0..2 {
            assert_eq!((pair.stopped(), pair.launched(), pair.failures()), (vec![], vec![], 0));
            assert_eq!(pair.node.unit_view(&unit).unwrap().state, UnitState::Down);
            pair.kill();
        }
        pair.end(&partner, CODE);
        for _ in 0..2 {
            assert_eq!((pair.launched(), pair.failures()), (vec![], 1));
            pair.kill();
        }
        assert_eq!((pair.pass(), pair.launched()), (Some(DELAY_MS), both().to_vec()));
    }
}

#[test]
fn one_that_is_not_to_be_launched_again_keeps_the_other_down() {
    for unit in both() {
        let mut settings = pair_settings();
        settings.units.get_mut(&unit).unwrap().restart = RestartPolicy::Never;
        let mut pair = Pair::with(settings);
        pair.end(&unit, CODE);
        assert_eq!(pair.stopped(), [other(&unit)]);
        pair.end(&other(&unit), CODE);
        for _ in 0..2 {
            assert_eq!((pair.launched(), pair.node.next_wake_ms()), (vec![], None));
            pair.kill();
        }
        pair.order(Order::Start(other(&unit)));
        assert_eq!(pair.launched(), both());
    }
}

#[test]
fn both_that_ended_while_nobody_watched_are_one_failure() {
    let mut pair = Pair::new();
    for unit in both() {
        let run = pair.run_of(&unit);
        pair.processes.insert(unit.clone(), Process::None);
        pair.ended.insert(unit, Found::Ended { run, status: CODE, ran_ms: Some(10) });
    }
    for _ in 0..3 {
        pair.kill();
        assert_eq!((pair.launched(), pair.stopped(), pair.failures()), (vec![], vec![], 1));
        assert_eq!(pair.node.next_wake_ms(), Some(pair.now.monotonic_ms + DELAY_MS));
    }
    pair.pass();
    assert_eq!(pair.launched(), both());
}

/// A fall that is forgotten before it was judged: the other one goes down all the same.
#[test]
fn a_forgotten_fall_is_one_still() {
    for unit in both() {
        let mut settings = pair_settings();
        settings.has_scouts = true;
        let mut pair = Pair::with(settings);
        pair.processes.insert(unit.clone(), Process::None);
        let run = pair.run_of(&unit);
        pair.ended.insert(unit.clone(), Found::Ended { run, status: CODE, ran_ms: Some(10) });
        let ledger = Ledger::fold(&pair.journal).unwrap();
        pair.node = Node::new(EngineSettings { lifetime: Lifetime::Main, ..pair.settings.clone() }, ledger);
        let found = Found::Running { run: pair.run_of(&other(&unit)), pid: 7, since: pair.now };
        pair.give(Input::Found(BTreeMap::from([(unit.clone(), pair.ended[&unit].clone()), (other(&unit), found)])));
        assert_eq!((pair.stopped(), pair.launched()), (vec![other(&unit)], vec![]));
        pair.give(Input::Consulted);
        pair.end(&other(&unit), CODE);
        assert_eq!((pair.launched(), pair.failures()), (both().to_vec(), 0));
    }
}

/// The daemon is killed at every point of a fall, and the next one goes on from there.
#[test]
fn a_fall_goes_on_where_the_daemon_died() {
    for unit in both() {
        let partner = other(&unit);
        let mut pair = Pair::new();
        for round in 1..=3 {
            pair.exit(&unit, CODE);
            pair.kill();
            assert_eq!(pair.processes[&partner], Process::Ends(pair.run_of(&partner)));
            pair.empty(&unit);
            pair.kill();
            assert_eq!((pair.launched(), pair.failures()), (vec![], round - 1));
            pair.end(&partner, CODE);
            for _ in 0..2 {
                assert_eq!((pair.launched(), pair.failures()), (vec![], round), "{unit}");
                pair.kill();
            }
            assert_eq!((pair.pass(), pair.launched()), (Some(DELAY_MS), both().to_vec()));
        }
        pair.kill();
        let _ = pair.stopped();
        pair.end(&unit, CODE);
        pair.end(&partner, CODE);
        assert!(pair.exited && pair.launched().is_empty());
        // Whoever starts it anew starts with a fresh count.
        pair.exited = false;
        pair.ended.values_mut().for_each(|found| *found = Found::Stopped { run: RunId(4), status: CODE });
        pair.kill();
        assert_eq!((pair.launched(), pair.failures(), pair.exited), (both().to_vec(), 0, false));
    }
}

#[test]
fn an_upgrade_stops_and_launches_both_and_is_not_proven_by_one() {
    for unit in both() {
        let mut pair = Pair::new();
        pair.end(&unit, CODE);
        pair.end(&other(&unit), CODE);
        pair.pass();
        let _ = (pair.launched(), pair.stopped());
        pair.order(Order::Add(wish("v2", Trigger::Now, FailurePolicy::Hold)));
        assert_eq!(pair.stopped(), both());
        pair.end(&unit, CODE);
        assert_eq!(pair.launched(), []);
        pair.broken.push(unit.clone());
        pair.end(&other(&unit), CODE);
        assert_eq!(pair.launched(), both());
        let failed = |kind: &EventKind| matches!(kind, EventKind::StepFailed { step: Step::Start, .. });
        assert!(pair.told.iter().any(failed), "{:?}", pair.told);
        pair.broken.clear();
        pair.end(&other(&unit), CODE);
        while pair.launched().is_empty() {
            pair.pass().expect("it is tried again");
        }
        let proving = |pair: &Pair| pair.node.in_flight_at(Step::Prove).is_some();
        while !proving(&pair) {
            pair.pass().expect("the step is tried again");
        }
        for _ in 0..=pair.settings.upgrade.prove_exits_max {
            assert!(proving(&pair));
            pair.end(&unit, CODE);
            pair.end(&other(&unit), CODE);
            pair.pass();
        }
        let failed = |kind: &EventKind| matches!(kind, EventKind::StepFailed { step: Step::Prove, .. });
        assert!(pair.told.iter().any(failed), "a release one of whose units falls was not proven");
    }
}

proptest! {
    /// Ends, losses, orders, deaths of the daemon in any order: the machine sees to it that nobody is launched while the
    /// other goes down. In the end both run, or the daemon has given the node up.
    #[test]
    fn any_life_of_two_keeps_them_together(script in proptest::collection::vec((0u8..12, any::<bool>(), 0u64..8_000), 1..80)) {
        let mut settings = pair_settings();
        settings.units.values_mut().for_each(|rules| rules.crash_loop.count = 20);
        let mut pair = Pair::with(settings);
        for (what, first, passed) in script {
            let unit = if first { data() } else { main() };
            pair.now.monotonic_ms += passed;
            let process = pair.processes[&unit];
            match (what, process) {
                (0..=2, Process::Runs(_)) => pair.exit(&unit, [CODE, Some(ExitStatus::Code(0))][usize::from(what == 0)]),
                (0..=4, Process::Ends(_)) => pair.empty(&unit),
                (5, _) => pair.order(Order::Stop(unit)),
                (6, _) => pair.order(Order::Start(unit)),
                (7, _) => pair.order(Order::Restart(unit)),
                (8, _) => pair.order(Order::Suspend(unit)),
                (9, _) => pair.order(Order::Resume(unit)),
                (10, _) => pair.kill(),
                _ => pair.give(Input::Wake),
            }
        }
        for unit in both() {
            pair.order(Order::Start(unit.clone()));
            pair.order(Order::Resume(unit));
        }
        for _ in 0..4 {
            for unit in both() {
                if matches!(pair.processes[&unit], Process::Ends(_)) {
                    pair.end(&unit, CODE);
                }
                pair.report(&unit, UnitReport::Ready { run: pair.run_of(&unit), ready: true });
            }
            pair.pass();
        }
        let running = both().map(|unit| matches!(pair.processes[&unit], Process::Runs(_)));
        prop_assert!(pair.exited || running == [true, true], "{:?}", pair.processes);
    }
}
