//! A unit is given as much time to stop as its stops have shown it to need, where nobody said how much.

use super::*;
use ov_types::{StopRule, UnitRules};

/// A node whose main has this rule.
struct Stops {
    node: Node,
    journal: Vec<Record>,
    now_ms: u64,
    run: RunId,
}

impl Stops {
    fn of(stop: StopRule) -> Self {
        let mut settings = settings();
        settings.units.insert(UnitName::main(), UnitRules { stop, ..rules() });
        let node = Node::new(settings, Ledger::default());
        let mut stops = Self { node, journal: Vec::new(), now_ms: 1_000_000, run: RunId(0) };
        stops.give(Input::Found(BTreeMap::new()));
        stops
    }

    fn now(&self) -> Moment {
        Moment { monotonic_ms: self.now_ms, wall_ms: 0 }
    }

    /// Gives an input, and returns the rule by which main is stopped now, if it is.
    fn give(&mut self, input: Input) -> Option<StopRule> {
        let actions = self.node.decide(self.now(), input);
        self.take(actions)
    }

    fn take(&mut self, actions: Vec<Action>) -> Option<StopRule> {
        let mut rule = None;
        for action in actions {
            match action {
                Action::Record(record) => self.journal.push(record),
                Action::Effect(Effect::Launch { run, .. }) => self.run = run,
                Action::Effect(Effect::Stop { rule: told, .. }) => rule = Some(told),
                Action::Effect(_) => {}
            }
        }
        rule
    }

    fn report(&mut self, report: UnitReport) -> Option<StopRule> {
        self.give(Input::Unit(UnitName::main(), report))
    }

    fn order(&mut self, order: Order) -> Option<StopRule> {
        let (answer, actions) = self.node.order(self.now(), order);
        answer.unwrap();
        self.take(actions)
    }

    /// Launches main and stops it; returns the grace that it was told of. It takes this long, or all of its grace.
    fn stop_taking(&mut self, takes_ms: u64) -> u64 {
        self.order(Order::Start(UnitName::main()));
        self.report(UnitReport::Launched { run: self.run, pid: 7 });
        let rule = self.order(Order::Stop(UnitName::main())).expect("it is told to stop");
        self.now_ms += takes_ms.min(rule.grace_ms);
        self.end();
        rule.grace_ms
    }

    fn end(&mut self) {
        self.report(UnitReport::Exited { run: self.run, status: Some(ExitStatus::Code(0)) });
        self.report(UnitReport::Empty { run: self.run });
    }

    /// How long the stops took that were written down.
    fn noted(&self) -> Vec<u64> {
        let took = |record: &Record| match record {
            Record::StopTook { took_ms, .. } => Some(*took_ms),
            _ => None,
        };
        self.journal.iter().filter_map(took).collect()
    }

    /// The daemon is killed, and the next one reads a segment that restates the last.
    fn kill(&mut self, found: Found) {
        let restated = Ledger::fold(&self.journal).unwrap().restate();
        let ledger = Ledger::fold(&restated).unwrap();
        assert_eq!(&ledger, self.node.ledger());
        self.node = Node::new(self.node.settings().clone(), ledger);
        self.give(Input::Found(BTreeMap::from([(UnitName::main(), found)])));
    }
}

const LEARNING: StopRule = StopRule { signal: 15, grace_ms: 30_000, grace_ms_max: 600_000 };

#[test]
fn the_grace_is_three_times_the_longest_stop_within_its_bounds() {
    let mut stops = Stops::of(LEARNING);
    // How long the stop takes, and the grace that it is told of.
    for (takes_ms, grace_ms) in [
        (9_000, 30_000),
        (10_000, 30_000),
        (10_001, 30_000),
        (200, 30_003),
        // Cut short: it needs more than it had.
        (u64::MAX, 30_003),
        (u64::MAX, 90_009),
        (100_000, 270_027),
        (300_000, 300_000),
        (u64::MAX, 600_000),
        (0, 600_000),
    ] {
        assert_eq!(stops.stop_taking(takes_ms), grace_ms, "before one that takes {takes_ms}");
    }
    assert_eq!(stops.noted(), [10_001, 30_003, 90_009, 100_000, 300_000], "only what makes the grace longer");
}

#[test]
fn a_grace_that_was_given_holds_as_it_is() {
    let mut stops = Stops::of(StopRule::fixed(15, 30_000));
    for takes_ms in [20_000, u64::MAX, u64::MAX] {
        assert_eq!(stops.stop_taking(takes_ms), 30_000);
    }
    assert_eq!(stops.noted(), [0; 0]);
}

#[test]
fn what_was_learned_outlives_the_daemon_and_is_shown() {
    let mut stops = Stops::of(LEARNING);
    stops.stop_taking(20_000);
    let status = Some(ExitStatus::Code(0));
    for _ in 0..2 {
        stops.kill(Found::Stopped { run: stops.run, status });
        assert_eq!(stops.node.unit_view(&UnitName::main()).unwrap().stop_grace_ms, 60_000);
        assert_eq!(stops.stop_taking(100), 60_000);
    }
    // Killed in the middle of a stop: it took at least as long as the next daemon saw of it.
    stops.order(Order::Start(UnitName::main()));
    stops.report(UnitReport::Launched { run: stops.run, pid: 7 });
    stops.order(Order::Stop(UnitName::main()));
    stops.now_ms += 15_000;
    stops.kill(Found::Stopping { run: stops.run, pid: Some(7), since: stops.now() });
    stops.now_ms += 40_000;
    stops.end();
    assert_eq!(stops.stop_taking(100), 120_000);
}

#[test]
fn a_stop_that_was_hurried_tells_nothing() {
    let mut stops = Stops::of(LEARNING);
    stops.report(UnitReport::Launched { run: stops.run, pid: 7 });
    assert_eq!(stops.order(Order::Shutdown), Some(LEARNING));
    stops.now_ms += 29_000;
    assert_eq!(stops.order(Order::Hurry).map(|rule| rule.grace_ms), Some(0));
    stops.end();
    assert_eq!(stops.noted(), [0; 0]);
}

#[test]
fn a_stop_as_a_whole_is_given_what_its_units_need_beyond_their_graces() {
    let within_ms = settings().upgrade.stop_within_ms;
    let mut stops = Stops::of(LEARNING);
    stops.stop_taking(u64::MAX);
    stops.stop_taking(u64::MAX);
    stops.order(Order::Start(UnitName::main()));
    stops.report(UnitReport::Launched { run: stops.run, pid: 7 });
    assert_eq!(stops.order(Order::Shutdown).map(|rule| rule.grace_ms), Some(270_000));
    stops.now_ms += within_ms + 240_000 - 1;
    assert_eq!(stops.give(Input::Wake), None, "it has its grace");
    assert_eq!(stops.node.next_wake_ms(), Some(stops.now_ms + 1));
    stops.now_ms += 1;
    assert_eq!(stops.give(Input::Wake).map(|rule| rule.grace_ms), Some(0));
}
