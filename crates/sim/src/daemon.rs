//! The daemon as far as a simulated one is needed: effects are handed out as the node task does, on the world's time,
//! and everything it had in its hands is gone when it dies.

use std::collections::BTreeMap;

use ov_daemon::core::{Core, CoreError};
use ov_daemon::fetch::Supply;
use ov_daemon::steps::{Place, Workshop, carry_out};
use ov_engine::{Effect, Entry, Input, Ledger, Order, Refused, StepCall, StepReport, UnitReport};
use ov_journal::{JournalError, Options};
use ov_release::fetch::Cancel;
use ov_sys::Clock;
use ov_types::record::StepFacts;
use ov_types::{AfterUpgrade, Direction, EventKind, PlanId, Problem, RunId, Step, UnitName};
use std::sync::Arc;

use crate::world::{Event, Task};
use crate::{Lawful, Nature, Violation, World, home};

/// The daemon's memory.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) core: Core,
    /// Until when the steps of a plan, and the commands of a unit, are busy.
    plans_busy_ms: BTreeMap<PlanId, u64>,
    units_busy_ms: BTreeMap<UnitName, u64>,
    abandoned: BTreeMap<PlanId, Cancel>,
    /// The height that a run was seen at.
    pub(crate) seen: Option<(RunId, u64)>,
}

/// A step in the hands of the daemon.
#[derive(Debug)]
pub(crate) struct Job {
    call: StepCall,
    shop: Workshop,
}

/// A proof under way.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    call: StepCall,
    above: u64,
    deadline_ms: u64,
    good: Option<(RunId, u64)>,
    abandoned: Cancel,
}

impl World {
    /// A daemon starts, as `ov_daemon::run` does. On any error it ends, and somebody starts another one later.
    pub(crate) fn start_daemon(&mut self) -> Lawful {
        if self.daemon.is_some() {
            return Ok(());
        }
        match self.try_to_start() {
            Ok(core) => {
                self.daemon = Some(Daemon {
                    core,
                    plans_busy_ms: BTreeMap::new(),
                    units_busy_ms: BTreeMap::new(),
                    abandoned: BTreeMap::new(),
                    seen: None,
                });
                self.check_ledger()?;
                self.check_leftovers()?;
                self.take_over()
            }
            Err(why) => {
                self.note(format!("the daemon could not begin: {}", why?));
                self.tally.count("death.not-begun");
                self.end_daemon(15_000);
                Ok(())
            }
        }
    }

    /// The outer error is one that may pass; the inner one says that something was lost.
    fn try_to_start(&mut self) -> Result<Core, Lawful<String>> {
        let (home, now) = (self.home.clone(), self.home.clock.now());
        let passing = |problem: String| Ok(problem);
        ov_chains::load(&home.disk, &home.shape.layout.home, None).map_err(|error| passing(format!("{error:?}")))?;
        ov_sys::durable::make_directories(&home.disk, &home.shape.layout.state, 0o700)
            .map_err(|error| passing(error.to_string()))?;
        ov_daemon::tidy_up::tidy_up(&home.disk, &home.clock, &home.shape)
            .map_err(|problem| passing(problem.to_string()))?;
        let options = Options { segment_bytes_max: self.segment_bytes_max, ..Options::new("sim") };
        let directory = home.shape.layout.journal();
        let boot = format!("boot-{}", self.boots);
        Core::open(Arc::new(home.disk.clone()), &directory, home.shape.engine.clone(), options, &boot, now).map_err(
            |error| match error {
                CoreError::Journal(JournalError::Disk { .. }) => Ok(format!("{error:?}")),
                other => Err(Violation::new(format!("the journal cannot be folded: {other:?}"))),
            },
        )
    }

    fn take_over(&mut self) -> Lawful {
        let found = self.units.find(self.home.clock.now(), self.true_ms);
        for (unit, found) in &found {
            self.note(format!("found {unit}: {found:?}"));
            let name = match found {
                ov_engine::Found::Nothing => "nothing",
                ov_engine::Found::Running { .. } => "running",
                ov_engine::Found::Stopping { .. } => "stopping",
                ov_engine::Found::Stopped { .. } => "stopped",
                ov_engine::Found::Ending { .. } => "ending",
                ov_engine::Found::Ended { .. } => "ended",
                ov_engine::Found::Orphaned { .. } => "orphaned",
            };
            self.tally.count(format!("found.{name}"));
        }
        self.note_sign_state()?;
        if self.is_suspended_by_file() {
            self.give(Input::Unit(UnitName::main(), UnitReport::SuspendFile { present: true }))?;
        }
        if let Some(pid) = self.units.main().map(|main| main.pid) {
            self.later(500, Task::Poll { pid });
        }
        self.give(Input::Found(found))?;
        // What an earlier daemon was told last may have been lost with it.
        let remembered = self.daemon.as_ref().and_then(|daemon| daemon.core.node().ledger().after_upgrade());
        self.known.after_upgrade = remembered;
        Ok(())
    }

    fn is_suspended_by_file(&self) -> bool {
        let path = self.home.shape.layout.home.join("suspend");
        ov_sys::durable::exists(&self.home.disk, &path).unwrap_or(true)
    }

    pub(crate) fn note_sign_state(&mut self) -> Lawful {
        let read = ov_vault::sign_state::read(&self.home.disk, &self.home.data("sign_state.json"));
        match read.ok().and_then(|on_disk| on_disk.state()) {
            Some(signed) => {
                let (height, round, step) = (signed.height, signed.round, signed.step);
                self.give(Input::SignState { height, round, step })
            }
            None => Ok(()),
        }
    }

    /// Gives the daemon an input, if one runs.
    pub(crate) fn give(&mut self, input: Input) -> Lawful {
        let now = self.home.clock.now();
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let taken = daemon.core.take(now, input);
        self.taken(taken)
    }

    /// Gives the daemon an order, if one runs.
    pub(crate) fn order(&mut self, order: Order) -> Lawful<Option<Result<Option<PlanId>, Refused>>> {
        let now = self.home.clock.now();
        let Some(daemon) = &mut self.daemon else { return Ok(None) };
        let forgives = matches!(order, Order::Start(_) | Order::Restart(_) | Order::Shutdown);
        match daemon.core.order(now, order) {
            Ok((answer, effects)) => {
                if forgives && answer.is_ok() {
                    self.units.forgive();
                }
                self.taken(Ok(effects))?;
                Ok(Some(answer))
            }
            Err(error) => {
                self.taken(Err(error))?;
                Ok(None)
            }
        }
    }

    fn taken(&mut self, taken: Result<Vec<Effect>, CoreError>) -> Lawful {
        let ledger = self.daemon.as_ref().map(|daemon| daemon.core.node().ledger().clone()).unwrap_or_default();
        match taken {
            Ok(effects) => {
                self.remember(&ledger)?;
                self.hand_out(effects, &ledger)
            }
            Err(error) => {
                self.note(format!("the daemon ends: {error}"));
                self.known.attempted = Some(ledger);
                self.tally.count("death.journal");
                self.end_daemon(2_000);
                Ok(())
            }
        }
    }

    /// The daemon is no more; another one is started after a while.
    pub(crate) fn end_daemon(&mut self, within_ms: u64) {
        if let Some(daemon) = self.daemon.take() {
            // What was decided last may have been written or not.
            let last = daemon.core.node().ledger().clone();
            self.known.attempted.get_or_insert(last);
        }
        self.generation += 1;
        let generation = self.generation;
        self.schedule.retain(|event| !matches!(event, Event::Of(of, _) if *of != generation));
        let wait_ms = 1 + self.random.below(within_ms);
        self.plan(wait_ms, Event::DaemonStart);
    }

    pub(crate) fn later(&mut self, wait_ms: u64, task: Task) {
        let generation = self.generation;
        self.plan(wait_ms, Event::Of(generation, Box::new(task)));
    }

    fn hand_out(&mut self, effects: Vec<Effect>, ledger: &Ledger) -> Lawful {
        for effect in effects {
            match effect {
                Effect::Launch { unit, run, occasion } => {
                    self.check_launch(&unit, ledger)?;
                    self.check_launch_of_pair(&unit)?;
                    self.check_occasion(&unit, &occasion)?;
                    let wait_ms = self.unit_turn(&unit, 40);
                    self.later(wait_ms, Task::Launch { unit, run });
                }
                Effect::Stop { unit, run, rule } => {
                    self.units.of(&unit).told_to_stop = run;
                    let wait_ms = self.unit_turn(&unit, 10);
                    self.later(wait_ms, Task::Stop { unit, run, rule });
                }
                Effect::EndOrphans { unit, rule } => {
                    let wait_ms = self.unit_turn(&unit, rule.grace_ms + 200);
                    self.later(wait_ms, Task::OrphansGone { unit });
                }
                Effect::Consult => self.look_for_plans(true),
                Effect::RunStep(call) => self.begin_step(call),
                Effect::AbandonStep { plan } => {
                    let abandoned = self.daemon.as_ref().and_then(|daemon| daemon.abandoned.get(&plan));
                    if let Some(abandoned) = abandoned {
                        abandoned.cancel();
                    }
                }
                Effect::Tell(kind) => self.told(&kind)?,
                Effect::Paused => {
                    let wait_ms = self.random.below(5_000);
                    self.later(wait_ms, Task::Unpause);
                }
                Effect::Exit => self.told_to_exit = true,
            }
        }
        Ok(())
    }

    /// Commands of one unit are carried out one after the other.
    fn unit_turn(&mut self, unit: &UnitName, within_ms: u64) -> u64 {
        let wait_ms = self.random.below(within_ms);
        let Some(daemon) = &mut self.daemon else { return wait_ms };
        let busy = daemon.units_busy_ms.entry(unit.clone()).or_default();
        *busy = (*busy).max(self.true_ms) + wait_ms;
        *busy - self.true_ms
    }

    pub(crate) fn look_for_plans(&mut self, consulted: bool) {
        let wait_ms = self.random.below(50);
        self.later(wait_ms, Task::Scouts { consulted });
    }

    fn told(&mut self, kind: &EventKind) -> Lawful {
        self.note(format!("tells: {kind}"));
        match kind {
            EventKind::UnitBackingOff { unit, wait_ms, .. } | EventKind::UnitLooping { unit, wait_ms, .. } => {
                let not_before_ms = self.true_ms + wait_ms;
                self.units.of(unit).not_before_ms = not_before_ms;
                if let Some(other) = self.other_of(unit) {
                    self.units.of(&other).not_before_ms = not_before_ms;
                }
            }
            EventKind::StepStarted { step: Step::Start, direction: Direction::Forward, .. }
            | EventKind::StepStarted { step: Step::Stop, direction: Direction::Backward, .. } => self.units.forgive(),
            EventKind::UpgradeStarted { plan, .. } => {
                let ledger = self.daemon.as_ref().map(|daemon| daemon.core.node().ledger());
                let entry = ledger.and_then(|ledger| ledger.entry(*plan)).cloned();
                if let Some(entry) = entry {
                    self.check_started(&entry)?;
                }
            }
            EventKind::StepDone { plan, step: Step::Switch, direction, .. } => {
                let forward = *direction == Direction::Forward;
                let ledger = self.daemon.as_ref().map(|daemon| daemon.core.node().ledger());
                let entry = ledger.and_then(|ledger| ledger.entry(*plan)).filter(|_| forward);
                let height = |entry: &Entry| AfterUpgrade { height: entry.plan.trigger.height() };
                self.known.after_upgrade = entry.map(height);
            }
            // One that was told to stop before it ran has shown nothing.
            EventKind::UnitStarted { unit, run, .. } if unit.is_main() && self.units.of(unit).told_to_stop != *run => {
                self.known.after_upgrade = None;
            }
            _ => {}
        }
        let name = match kind {
            EventKind::StepStarted { step, direction: Direction::Forward, .. } => format!("step.{step}.began"),
            EventKind::StepDone { step, direction: Direction::Forward, .. } => format!("step.{step}.done"),
            EventKind::StepFailed { step, direction: Direction::Forward, .. } => format!("step.{step}.failed"),
            EventKind::StepDone { step, direction: Direction::Backward, facts, .. } => {
                if facts.note.as_ref().is_some_and(|note| note.contains("was restored")) {
                    self.tally.count("data.restored");
                }
                format!("undo.{step}.done")
            }
            EventKind::StepFailed { step, direction: Direction::Backward, problem, .. } => {
                crate::law::check_undo(*step, problem)?;
                format!("undo.{step}.failed")
            }
            EventKind::UpgradeHeld { .. } => "upgrade.held".to_owned(),
            EventKind::UpgradeNeedsOperator { .. } => "upgrade.needs-operator".to_owned(),
            EventKind::PlanBlocked { .. } => "plan.blocked".to_owned(),
            EventKind::UnitParked { .. } => "unit.parked".to_owned(),
            EventKind::UpgradeEnded { outcome, .. } => {
                let outcome = format!("{outcome:?}").replace("RolledBack", "rolled-back").to_lowercase();
                format!("outcome.{outcome}")
            }
            _ => return Ok(()),
        };
        self.tally.count(name);
        Ok(())
    }

    // ---- steps ---------------------------------------------------------------------------------------------------

    fn begin_step(&mut self, call: StepCall) {
        let (disk, clock) = (Arc::new(self.home.disk.clone()), Arc::new(self.home.clock.clone()));
        let (shape, supply) = (Arc::clone(&self.home.shape), Supply::of(&self.home.shape.fetch));
        let place = Place { disk, clock, source: Arc::clone(&shape) as _, shape, supply };
        let within_ms = if self.random.chance(1, 8) { 5_000 } else { 100 };
        let wait_ms = 1 + self.random.below(within_ms);
        let Some(daemon) = &mut self.daemon else { return };
        let shop = Workshop::of(&daemon.core, place, Some(call.plan.id));
        daemon.abandoned.insert(call.plan.id, shop.abandoned.clone());
        let busy = daemon.plans_busy_ms.entry(call.plan.id).or_default();
        let is_proof = call.step == Step::Prove && call.direction == Direction::Forward;
        if is_proof {
            let height = daemon.core.node().height().map(|(height, _)| height);
            let above = call.plan.trigger.height().or(height).unwrap_or_default();
            let deadline_ms = self.true_ms + self.home.shape.prove.within_ms;
            let abandoned = shop.abandoned.clone();
            let proof = Proof { call, above: above.0, deadline_ms, good: None, abandoned };
            let wait_ms = (*busy).saturating_sub(self.true_ms) + wait_ms;
            return self.later(wait_ms, Task::Prove(Box::new(proof)));
        }
        *busy = (*busy).max(self.true_ms) + wait_ms;
        let wait_ms = *busy - self.true_ms;
        self.later(wait_ms, Task::Step(Box::new(Job { call, shop })));
    }

    fn report_step(&mut self, call: &StepCall, result: Result<StepFacts, Problem>) -> Lawful {
        let (plan, step, direction, attempt) = (call.plan.id, call.step, call.direction, call.attempt);
        self.give(Input::Step(StepReport { plan, step, direction, attempt, result }))
    }

    pub(crate) fn run_step(&mut self, job: &Job) -> Lawful {
        if matches!(job.call.step, Step::Examine | Step::Recheck) {
            self.home.confirm_machine();
        }
        let result = carry_out(&job.shop, &job.call);
        if !self.home.disk.is_alive() {
            self.tally.count("death.in-step");
            return Ok(());
        }
        self.note(format!("step {} {:?} of plan {}: {result:?}", job.call.step, job.call.direction, job.call.plan.id));
        self.report_step(&job.call, result)
    }

    /// As `prove` does, looking twice a second.
    pub(crate) fn prove(&mut self, mut proof: Proof) -> Lawful {
        if proof.abandoned.is_cancelled() {
            return Ok(());
        }
        let failed = |cause: &str| {
            Problem::transient("OV-UPG-032", format!("prove release {}", proof.call.plan.release)).cause(cause)
        };
        let nature = self.home.program(home::level(&proof.call.plan.release)).nature;
        if nature == Nature::Misnamed {
            let problem = failed("it says that it is another version");
            return self.report_step(&proof.call, Err(problem));
        }
        let seen = self.daemon.as_ref().and_then(|daemon| daemon.seen);
        let running = self.units.main().map(|main| main.run);
        let good = running.filter(|run| seen.is_some_and(|(of, height)| of == *run && height > proof.above));
        proof.good = good.map(|run| proof.good.filter(|(of, _)| *of == run).unwrap_or((run, self.true_ms)));
        match proof.good {
            Some((_, since_ms)) if self.true_ms >= since_ms + self.home.shape.prove.soak_ms => {
                self.report_step(&proof.call, Ok(StepFacts::noted("good")))
            }
            _ if self.true_ms >= proof.deadline_ms => {
                let problem = failed("it was not good for long enough");
                self.report_step(&proof.call, Err(problem))
            }
            _ => {
                self.later(500, Task::Prove(Box::new(proof)));
                Ok(())
            }
        }
    }
}
