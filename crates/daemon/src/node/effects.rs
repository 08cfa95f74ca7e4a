//! Effects handed out: to units' tasks, to threads that may wait, to whoever listens.

use std::sync::Arc;
use std::time::Duration;

use ov_chains::shape::Output;
use ov_engine::{Effect, Farewell, Input, StepCall, StepReport, UnitReport};
use ov_types::{Direction, EventKind, Occasion, PlanId, Problem, RunId, Step, UnitName};
use ov_vault::SignState;

use super::{End, Keeper, Message, StepTask};
use crate::core::CoreError;
use crate::fetch::{Supply, Tell};
use crate::notify::{Sources, Webhooks};
use crate::probe::{self, Scene};
use crate::prove::prove;
use crate::steps::{Place, Workshop, carry_out};
use crate::units::Command;

impl Keeper {
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) -> Result<(), CoreError> {
        for effect in effects {
            match effect {
                Effect::Launch { unit, run, occasion } => self.launch(&unit, run, occasion),
                Effect::Stop { unit, rule, .. } => self.tell_unit(&unit, Command::Stop { rule }),
                Effect::EndOrphans { unit, rule } => self.tell_unit(&unit, Command::EndOrphans { rule }),
                Effect::Consult => self.look_for_plans(true),
                Effect::RunStep(call) => self.run_step(call),
                Effect::AbandonStep { plan } => self.abandon_step(plan),
                Effect::Tell(kind) => {
                    let ends = matches!(kind, EventKind::NodeGivenUp { .. });
                    self.push(kind);
                    if ends {
                        self.announce_stop();
                    }
                }
                Effect::Paused => self.begin_job()?,
                Effect::Exit => {
                    self.end = Some(match self.core.node().farewell() {
                        Farewell::Told | Farewell::Upgraded => End::Stopped,
                        Farewell::MainEnded(status) => End::MainEnded(status),
                        Farewell::GivenUp { unit, reason } => End::GivenUp(unit, reason),
                    });
                }
            }
        }
        self.show_live();
        Ok(())
    }

    /// Lets go of units that left the configuration and are down: their shims have nothing to wait for.
    pub(super) fn forget_removed(&mut self) {
        let node = self.core.node();
        let gone: Vec<UnitName> = self.units.keys().filter(|unit| !node.has_unit(unit)).cloned().collect();
        for unit in gone {
            self.handle.metrics.unit_gone(&unit);
            if let Some(here) = self.units.remove(&unit) {
                drop(tokio::spawn(here.task.close()));
            }
        }
    }

    fn launch(&mut self, unit: &UnitName, run: RunId, occasion: Occasion) {
        if let Some(message) = self.doubt_about_custody().filter(|_| unit.is_main()) {
            let (reports, unit) = (self.ground.reports.clone(), unit.clone());
            let report = UnitReport::LaunchFailed { run, message, is_unsafe: true };
            drop(tokio::spawn(async move { reports.send((unit, report)).await }));
            return;
        }
        if !self.units.contains_key(unit) {
            self.add_unit(unit.clone(), None);
        }
        let mark = self.log_mark(unit, run);
        if let Some(here) = self.units.get_mut(unit) {
            (here.mark, here.said) = (mark, crate::units::Said::default());
        }
        let (shape, signed) = (Arc::clone(&self.shape), self.recorded_sign_state());
        self.tell_unit(unit, Command::Launch { run, occasion, shape, signed });
    }

    fn tell_unit(&self, unit: &UnitName, command: Command) {
        if let Some(here) = self.units.get(unit) {
            here.task.tell(command);
        }
    }

    pub(super) fn recorded_sign_state(&self) -> Option<SignState> {
        crate::steps::recorded_sign_state(self.core.node())
    }

    /// What the proof of a release and the metrics see of the node.
    fn show_live(&mut self) {
        for name in self.shape.units.keys() {
            let up = self.core.node().unit_view(name).is_some_and(|view| view.since_ms.is_some());
            self.handle.metrics.unit_up(name, up);
        }
        let Some(main) = self.core.node().unit_view(&UnitName::main()) else { return };
        let has_readiness = self.shape.units.get(&UnitName::main()).is_some_and(|unit| unit.readiness.is_some());
        let up = main.since_ms.map(|_| main.run);
        let ready = up.is_some() && (!has_readiness || main.state == ov_types::UnitState::Ready);
        self.live.send_if_modified(|live| {
            let before = live.clone();
            (live.main_up, live.main_ready, live.main_healthy) = (up, ready, main.healthy);
            *live != before
        });
    }

    // ---- steps ---------------------------------------------------------------------------------------------------

    /// What steps, and work on the data, work with.
    pub(super) fn workshop(&self, except: Option<PlanId>) -> Workshop {
        let (disk, clock, shape) = (Arc::clone(&self.disk), Arc::clone(&self.clock), Arc::clone(&self.shape));
        let source = Arc::clone(&self.source);
        let (messages, events, time) = (self.messages.clone(), Arc::clone(&self.handle.events), Arc::clone(&clock));
        let tell = Tell::to(move |kind| {
            if kind.is_droppable() {
                events.tell_progress(kind, time.now());
            } else {
                // Whoever tells works on a thread that may wait; when the node task has ended, nobody listens any more.
                drop(messages.blocking_send(Message::Tell(kind)));
            }
        });
        let supply = Supply { tell, ..Supply::of(&shape.fetch) };
        Workshop::of(&self.core, Place { disk, clock, shape, source, supply }, except)
    }

    fn run_step(&mut self, call: StepCall) {
        let is_proof = call.step == Step::Prove && call.direction == Direction::Forward;
        let shop = self.workshop(Some(call.plan.id));
        let abandoned = shop.abandoned.clone();
        let earlier = self.steps.remove(&call.plan.id).map(|step| step.task);
        let (messages, live) = (self.messages.clone(), self.live.subscribe());
        let id = call.plan.id;
        let task = tokio::spawn(async move {
            // Steps of one plan are carried out one after the other.
            if let Some(earlier) = earlier {
                let _ = earlier.await;
            }
            let (plan, step, direction, attempt) = (call.plan.id, call.step, call.direction, call.attempt);
            let result = if is_proof {
                prove(Arc::clone(&shop.shape), Arc::clone(&shop.disk), call, live).await
            } else {
                let done = tokio::task::spawn_blocking(move || carry_out(&shop, &call)).await;
                done.unwrap_or_else(|error| {
                    let fault = Problem::permanent("OV-UPG-098", format!("take the step {step}"));
                    Err(fault.cause(error.to_string()).hint("report this as a fault of the program"))
                })
            };
            let report = StepReport { plan, step, direction, attempt, result };
            let _ = messages.send(Message::Input(Input::Step(report))).await;
        });
        self.steps.insert(id, StepTask { task, abandoned, is_proof });
    }

    fn abandon_step(&mut self, plan: PlanId) {
        if let Some(step) = self.steps.get(&plan) {
            step.abandoned.cancel();
            if step.is_proof {
                step.task.abort();
            }
        }
    }

    // ---- around units --------------------------------------------------------------------------------------------

    /// Asks a run of main for its height, again and again, while it lives.
    pub(super) fn poll_height(&mut self, run: RunId) {
        if let Some(task) = self.height_task.take() {
            task.abort();
        }
        let asked = self.shape.probes.height.clone();
        if asked.is_empty() {
            return;
        }
        let probes = &self.shape.probes;
        let scene = Scene {
            disk: Arc::clone(&self.disk),
            release: self.current_release().map_or_else(
                || self.shape.layout.current.clone(),
                |release| crate::steps::release_layout(&self.shape).directory(&release),
            ),
            environment: Vec::new(),
            directory: Some(self.shape.layout.home.clone()),
            timeout: Duration::from_millis(probes.timeout_ms),
        };
        let every = Duration::from_millis(probes.height_every_ms.max(10));
        let (messages, poke) = (self.messages.clone(), self.senses.poke());
        self.height_task = Some(tokio::spawn(async move {
            loop {
                if let Ok(height) = probe::height(&asked, &scene).await
                    && messages.send(Message::Height(height, run)).await.is_err()
                {
                    return;
                }
                let _ = tokio::time::timeout(every, poke.notified()).await;
            }
        }));
    }

    /// Compresses what the shim rotated, if that is wanted.
    pub(super) fn compress_log(&self, unit: &UnitName) {
        let Some(shape) = self.shape.units.get(unit) else { return };
        let Output::Pump(log) = &shape.launch.output else { return };
        if !log.compress {
            return;
        }
        let (disk, path, unit) = (Arc::clone(&self.disk), log.path.clone(), unit.clone());
        drop(tokio::spawn(async move {
            if let Err(error) = crate::compress::compress_rotated_idly(disk, path).await {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                tracing::warn!("a rotated log of unit {unit} was not compressed: {error}{cause}");
            }
        }));
    }

    /// Starts the webhooks of the present configuration, in the place of those before.
    pub(super) fn tell_webhooks(&mut self) {
        let sources = Sources {
            node: self.shape.name.clone(),
            disk: Arc::clone(&self.disk),
            folder: self.shape.layout.state.join("webhooks"),
            events: Arc::clone(&self.handle.events),
            metrics: Arc::clone(&self.handle.metrics),
        };
        self.webhooks = Some(Webhooks::start(&self.shape.webhooks, &sources));
    }

    /// Tells about a configuration that could not be used.
    pub(super) fn refuse_configuration(&mut self, problem: &Problem) {
        self.push(EventKind::ConfigurationRefused { problem: problem.clone() });
    }
}
