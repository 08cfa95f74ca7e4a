//! The whole node as one machine: units, upgrades, the watch over the height; composed, and still pure.

use std::collections::BTreeMap;

use ov_types::{
    EngineSettings, EventKind, Height, Moment, ParkReason, PlanId, Record, Step, Trigger, UnitName, UnitState,
};

use crate::ledger::{Entry, Ledger, Phase};
use crate::unit::{Doing, Unit};
use crate::{Action, Effect, Input, Pace, Wish};

mod groups;
mod happened;
mod launches;
pub(crate) mod lifetime;
mod near;
mod units;
mod upgrades;

pub(crate) use upgrades::WAY_OUT;

/// Rounds of settling after one input. Each round takes at least one action, and a few dozen is the most there can
/// be; the bound only keeps a mistake here from becoming an endless loop there.
const ROUNDS_MAX: usize = 1_000;

/// What is known of an upgrade since the daemon started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Active {
    /// A step was begun and has not ended.
    pub(crate) in_flight: bool,
    /// When it was begun.
    began_ms: u64,
    /// Not to be begun again before this time.
    pub(crate) retry_at_ms: Option<u64>,
    /// How often main ended by itself while it was being proven.
    exits: u32,
    /// It is due, whatever its trigger: a person said so, who sees what is under way.
    pub(crate) is_applied: bool,
}

/// How far a pause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Units are going down.
    Asked,
    /// All were down, and that was told.
    Told,
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) settings: EngineSettings,
    pub(crate) ledger: Ledger,
    pub(crate) units: BTreeMap<UnitName, Unit>,
    pub(crate) active: BTreeMap<PlanId, Active>,
    pub(crate) now: Moment,
    /// When it was told what runs.
    found_ms: Option<u64>,
    consulting: bool,
    pub(crate) shutting_down: bool,
    pub(crate) hurry: bool,
    pub(crate) shutdown_since_ms: u64,
    exit_told: bool,
    farewell: lifetime::Farewell,
    pub(crate) pause: Option<Pause>,
    height: Option<(Height, u64)>,
    /// How high the data is, since main was launched last.
    at_rest: Option<Height>,
    height_noted_ms: Option<u64>,
    pace: Pace,
    stuck_told: bool,
    main_ended: Option<Moment>,
    pub(crate) actions: Vec<Action>,
}

/// One unit, as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitView {
    /// What it is doing.
    pub state: UnitState,
    /// Its process.
    pub pid: Option<u32>,
    /// Its present or last launch.
    pub run: ov_types::RunId,
    /// When that was, on the monotonic clock, while it runs.
    pub since_ms: Option<u64>,
    /// How long until it is launched again.
    pub launch_in_ms: Option<u64>,
    /// Launches since the daemon started.
    pub launches: u64,
    /// How it ended last.
    pub last_exit: Option<ov_types::ExitStatus>,
    /// Why its last launch came to nothing.
    pub not_started: Option<String>,
    /// Failures in a row that are held against it, and against those that it lives and dies with.
    pub failures: u32,
    /// What its health probe said.
    pub healthy: Option<bool>,
    /// A person wants it up.
    pub wanted: bool,
    /// Its launches are held.
    pub suspended: bool,
    /// Why it is parked.
    pub parked: Option<ParkReason>,
    /// What it waits for.
    pub waiting_for: Option<String>,
    /// How long it may take to stop.
    pub stop_grace_ms: u64,
}

impl Node {
    /// A node as the journal describes it. Nothing happens before [`Input::Found`].
    pub fn new(settings: EngineSettings, ledger: Ledger) -> Self {
        let unit = |name: &UnitName| Unit::remembering(ledger.unit(name).failing.as_ref());
        let units = settings.units.keys().map(|name| (name.clone(), unit(name))).collect();
        Self {
            settings,
            ledger,
            units,
            active: BTreeMap::new(),
            now: Moment::default(),
            found_ms: None,
            consulting: false,
            shutting_down: false,
            hurry: false,
            shutdown_since_ms: 0,
            exit_told: false,
            farewell: lifetime::Farewell::Told,
            pause: None,
            height: None,
            at_rest: None,
            height_noted_ms: None,
            pace: Pace::default(),
            stuck_told: false,
            main_ended: None,
            actions: Vec::new(),
        }
    }

    /// What the journal says.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The rules.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// The last height seen, and when it last moved on the monotonic clock.
    pub fn height(&self) -> Option<(Height, u64)> {
        self.height
    }

    /// How fast the chain moves.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Whether it was told to shut down.
    pub fn is_shutting_down(&self) -> bool {
        self.shutting_down
    }

    /// Takes an input in and says what to do.
    pub fn decide(&mut self, now: Moment, input: Input) -> Vec<Action> {
        self.now = now;
        match input {
            Input::Found(found) => self.take_found(&found),
            Input::Settings(settings) => self.take_settings(settings),
            Input::Unit(name, report) => self.take_report(&name, report),
            Input::Height(height) => self.take_height(height),
            Input::HeightAtRest(height) => self.take_height_at_rest(height),
            Input::SignState { height, round, step } => {
                if self.ledger.sign_state() < Some((height, round, step)) {
                    self.record(Record::SignStateSeen { at: now, height, round, step });
                }
            }
            Input::PlanSeen(wish) => self.take_wish(&wish),
            Input::PlanGone(origin) => self.take_back(&origin),
            Input::Consulted => self.consulting = false,
            Input::Step(report) => self.take_step(report),
            Input::Wake => {}
        }
        self.settle()
    }

    /// Settles everything that follows from the present state, and hands the actions over.
    pub(crate) fn settle(&mut self) -> Vec<Action> {
        // A stop as a whole has a bound too, whatever each unit's grace adds up to.
        self.hurry |= self.hurry_at_ms().is_some_and(|at| self.now.monotonic_ms >= at);
        for _ in 0..ROUNDS_MAX {
            let before = self.actions.len();
            self.settle_units();
            self.watch_height();
            self.tell_near();
            self.end_when_over();
            self.advance_upgrades();
            self.reconcile_units();
            if self.actions.len() == before {
                break;
            }
        }
        let all_down = self.units.values().all(Unit::is_down);
        if self.found_ms.is_some() && all_down && self.pause == Some(Pause::Asked) {
            self.pause = Some(Pause::Told);
            self.effect(Effect::Paused);
        }
        if self.shutting_down && self.found_ms.is_some() && all_down && !self.exit_told {
            self.exit_told = true;
            self.effect(Effect::Exit);
        }
        std::mem::take(&mut self.actions)
    }

    /// The next monotonic time at which [`Input::Wake`] is wanted.
    pub fn next_wake_ms(&self) -> Option<u64> {
        let units = self.units.iter().filter_map(|(name, unit)| unit.next_wake_ms(self.settings.units.get(name)?));
        let upgrades =
            self.ledger.entries().filter(|entry| !entry.is_over()).filter_map(|entry| self.entry_wake_ms(entry));
        let near = self.ledger.entries().filter_map(|entry| self.near_wake_ms(entry));
        units.chain(upgrades).chain(near).chain(self.stall_at_ms()).chain(self.hurry_at_ms()).min()
    }

    fn hurry_at_ms(&self) -> Option<u64> {
        let waits = self.shutting_down && !self.hurry && !self.exit_told;
        waits.then(|| self.shutdown_since_ms.saturating_add(self.stop_within_ms()))
    }

    /// How long all units together may take to stop: longer by what they turned out to need beyond their graces.
    pub(crate) fn stop_within_ms(&self) -> u64 {
        let learned = |(name, rules): (&UnitName, &ov_types::UnitRules)| {
            self.ledger.stop_rule(name, rules.stop).grace_ms.saturating_sub(rules.stop.grace_ms)
        };
        let learned_ms: u64 = self.settings.units.iter().map(learned).fold(0, u64::saturating_add);
        self.settings.upgrade.stop_within_ms.saturating_add(learned_ms)
    }

    fn entry_wake_ms(&self, entry: &Entry) -> Option<u64> {
        let active = self.active.get(&entry.plan.id);
        let bound = |within: u64| active.map(|active| active.began_ms.saturating_add(within));
        match (&entry.phase, active) {
            (Phase::Forward { step: Step::Stop, .. } | Phase::Backward { step: Step::Start, .. }, Some(active))
                if active.in_flight =>
            {
                let is_down = self.units.values().all(Unit::is_down);
                if is_down { Some(self.rested_at_ms(active)) } else { bound(self.stop_within_ms()) }
            }
            (Phase::Forward { step: Step::Start, .. } | Phase::Backward { step: Step::Stop, .. }, Some(active))
                if active.in_flight =>
            {
                self.main_is_free().then(|| bound(self.settings.upgrade.start_within_ms)).flatten()
            }
            (Phase::Forward { step: Step::Stop, attempt: 0, .. }, _) if self.pause.is_none() => {
                self.stops_at_ms(entry).filter(|at| *at > self.now.monotonic_ms)
            }
            // Once it is due, it begins as soon as nothing else stands in its way; that is no matter of time any more.
            (Phase::Forward { .. } | Phase::Backward { .. }, Some(active)) if !active.in_flight => {
                active.retry_at_ms.filter(|at| *at > self.now.monotonic_ms)
            }
            (Phase::Armed, _) => match entry.plan.trigger {
                Trigger::Time { wall_ms } => {
                    let wait = u64::try_from(wall_ms.saturating_sub(self.now.wall_ms)).unwrap_or(0);
                    (wait > 0).then(|| self.now.monotonic_ms.saturating_add(wait))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn stall_at_ms(&self) -> Option<u64> {
        let policy = self.settings.stall.filter(|_| !self.shutting_down)?;
        let main = self.units.get(&UnitName::main())?;
        let up_since = match main.doing {
            Doing::Up { since_ms, .. } if !self.stuck_told => since_ms,
            _ => return None,
        };
        let moved = self.height.map_or(0, |(_, moved)| moved);
        // What it did before anybody looked is not known: a main that was found running has all its time from then on.
        Some(moved.max(up_since).max(self.found_ms?).saturating_add(policy.within_ms))
    }

    fn watch_height(&mut self) {
        let Some(policy) = self.settings.stall else { return };
        if self.stall_at_ms().is_none_or(|at| self.now.monotonic_ms < at) {
            return;
        }
        let (height, for_ms) = match self.height {
            Some((height, moved)) => (Some(height), self.now.monotonic_ms.saturating_sub(moved)),
            None => (None, policy.within_ms),
        };
        self.tell(EventKind::NodeStuck { height, for_ms, restarting: policy.restart });
        self.stuck_told = !policy.restart;
        if policy.restart
            && let Some(main) = self.units.get_mut(&UnitName::main())
        {
            main.stop_failing();
        }
    }

    pub(crate) fn record(&mut self, record: Record) {
        match self.ledger.apply(&record) {
            Ok(()) => self.actions.push(Action::Record(record)),
            // The engine proposes only what the ledger accepts; the tests hold it to that.
            Err(illegal) => debug_assert!(false, "the engine made an illegal record: {illegal}"),
        }
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.actions.push(Action::Effect(effect));
    }

    pub(crate) fn tell(&mut self, kind: EventKind) {
        self.effect(Effect::Tell(kind));
    }
}

fn plan_of(id: PlanId, wish: &Wish) -> ov_types::Plan {
    ov_types::Plan {
        id,
        release: wish.release.clone(),
        trigger: wish.trigger,
        on_failure: wish.on_failure,
        origin: wish.origin.clone(),
        source: wish.source.clone(),
        info: wish.info.clone(),
        sha256: wish.sha256.clone(),
        keep: wish.keep,
        supersedes: None,
    }
}

#[cfg(test)]
pub(crate) mod tests;
