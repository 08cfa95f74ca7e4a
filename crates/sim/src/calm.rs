//! The end of a world: nothing goes wrong any more, and everything has to come to rest in a state that can be
//! explained.

use ov_engine::{Entry, Input, Order, Phase, UnitReport};
use ov_release::State;
use ov_sys::durable;
use ov_types::{UnitName, UnitState};

use crate::pair::partner;
use crate::process::Gate;
use crate::{Lawful, Violation, World, home};

/// How long coming to rest may take: longer than every bound of the configuration together.
const REST_WITHIN_MS: u64 = 600_000;
const LOOK_EVERY_MS: u64 = 10_000;
/// A stop that is never heeded ends with its grace.
const STOP_WITHIN_MS: u64 = 30_000;

impl World {
    /// Lets everything come to rest, and looks at what came of it.
    pub(crate) fn calm_down(&mut self) -> Lawful {
        self.note("nothing goes wrong any more");
        if self.armed.is_some() {
            self.armed = None;
            self.home.disk.kill();
            self.end_daemon(1);
        }
        self.home.disk.set_capacity(None);
        self.make_writable();
        let _ = durable::remove_tree(&self.home.disk, &self.home.shape.layout.home.join("suspend"));
        self.give(Input::Unit(UnitName::main(), UnitReport::SuspendFile { present: false }))?;
        let until_ms = self.true_ms + REST_WITHIN_MS;
        let mut unrest = "nothing was looked at".to_owned();
        while self.true_ms < until_ms {
            self.pass(self.true_ms + LOOK_EVERY_MS)?;
            match self.unrest()? {
                None => return self.shut_down(),
                Some(why) => unrest = why,
            }
        }
        Err(Violation::new(format!("the node does not come to rest: {unrest}")))
    }

    /// What still has to happen by itself.
    fn unrest(&mut self) -> Lawful<Option<String>> {
        let Some(daemon) = &self.daemon else { return Ok(Some("no daemon runs".to_owned())) };
        let node = daemon.core.node();
        let is_held = |unit: &UnitName| {
            let told = node.ledger().unit(unit);
            !told.wanted || told.suspended
        };
        // Who lives and dies with main, is held with it.
        let held_by_person = is_held(&UnitName::main()) || is_held(&partner());
        for entry in node.ledger().entries().filter(|entry| !entry.is_over()) {
            let other = |other: &Entry| other.plan.id != entry.plan.id && other.is_in_window();
            let waits_behind = !entry.is_in_window() && node.ledger().entries().any(other);
            if let Some(why) = unexplained(entry, held_by_person || waits_behind) {
                return Ok(Some(format!("plan {} is {:?}: {why}", entry.plan.id, entry.phase)));
            }
        }
        let waits = node.ledger().entries().any(|entry| !entry.is_over() && entry.is_in_window());
        let view = node.unit_view(&UnitName::main());
        let Some(view) = view else { return Ok(Some("there is no main".to_owned())) };
        let aside = self.home.aside();
        let Some(current) = aside.current()?.release() else { return Ok(Some("there is no release".to_owned())) };
        let program = aside.program(home::level(&current));
        let height = self.known.signed;
        let is_stopped_by_gate = |gate: &Gate| program.level < gate.level && height >= gate.height;
        let works = program.nature.works() && !self.gates.iter().any(is_stopped_by_gate);
        match view.state {
            UnitState::Up | UnitState::Ready => {
                let complete = matches!(aside.state(&current)?, State::Complete(_));
                let readable = aside.format().map_err(home::unexpected)? <= program.level;
                let partner = node.unit_view(&partner());
                if let Some(left) = partner.filter(|it| !matches!(it.state, UnitState::Up | UnitState::Ready)) {
                    return Ok(Some(format!("main runs, and its partner is {:?}", left.state)));
                }
                Ok((!complete || !readable).then(|| format!("{program} runs on what it must not run on")))
            }
            UnitState::Parked => Ok(view.parked.is_none().then(|| "main is parked without a reason".to_owned())),
            UnitState::Waiting => Ok(view.waiting_for.is_none().then(|| "main waits for something unknown".to_owned())),
            UnitState::Down if held_by_person || waits => Ok(None),
            state if works => Ok(Some(format!("main of {program} is {state:?}, and nothing explains that"))),
            _ => Ok(None),
        }
    }

    /// Told to stop, everything stops.
    fn shut_down(&mut self) -> Lawful {
        self.order(Order::Shutdown)?;
        self.pass(self.true_ms + STOP_WITHIN_MS)?;
        if !self.told_to_exit || !self.units.are_down() {
            return Err(Violation::new(format!("the daemon was told to stop; all down: {}", self.units.are_down())));
        }
        Ok(())
    }
}

/// Why an upgrade that is not over may stay as it is for now: a reason is shown, or its time has not come.
fn unexplained(entry: &Entry, held: bool) -> Option<&'static str> {
    match &entry.phase {
        Phase::NeedsOperator { .. } => entry.because.is_none().then_some("no reason is shown"),
        Phase::Forward { problem: Some(_), .. } => None,
        Phase::Armed => (entry.plan.trigger == ov_types::Trigger::Now && !held).then_some("it is due"),
        Phase::Forward { .. } if held => None,
        _ => Some("it should go on by itself"),
    }
}
