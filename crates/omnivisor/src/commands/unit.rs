//! `unit stop|start|restart|suspend|resume`.

use ov_client::Client;
use ov_types::api::{UnitOrder, UnitStatus};
use ov_types::{EventKind, ExitCode, Problem, RunId, UnitName, UnitState};

use super::acknowledge;
use crate::args::UnitCommand;
use crate::failure::Failure;
use crate::output::{self, Tone};
use crate::session::Session;
use crate::wait::Wait;

pub(super) fn unit(session: &Session, command: UnitCommand) -> Result<(), Failure> {
    let (unit, order, wait) = match command {
        UnitCommand::Stop(arguments) => (arguments.unit, UnitOrder::Stop, Wait::begin_if(session, arguments.wait)),
        UnitCommand::Start(arguments) => (arguments.unit, UnitOrder::Start, Wait::begin_if(session, arguments.wait)),
        UnitCommand::Restart(arguments) => {
            (arguments.unit, UnitOrder::Restart, Wait::begin_if(session, arguments.wait))
        }
        UnitCommand::Suspend(arguments) => (arguments.unit, UnitOrder::Suspend, None),
        UnitCommand::Resume(arguments) => (arguments.unit, UnitOrder::Resume, None),
    };
    let Some(wait) = wait else {
        return acknowledge(session, &session.ask(|client| client.unit(&unit, order))?);
    };
    let goal = Goal {
        order,
        run_before: present(session, &unit)?.run,
        // Without a readiness probe, up is as far as it gets.
        is_probed: session.shape().is_ok_and(|shape| shape.units.get(&unit).is_some_and(|u| u.readiness.is_some())),
    };
    let done = session.ask(|client| client.unit(&unit, order))?;
    session.console.say(Tone::Plain, &done.message);
    let what = format!("{} unit {unit}", order.word());
    let is_about = |kind: &EventKind| about_unit(kind) == Some(&unit);
    let status = wait.until(&what, is_about, || {
        let status = present(session, &unit)?;
        if goal.is_missed(&status) {
            let reason = status.parked.as_ref().map(|reason| format!("it {reason}")).unwrap_or_default();
            let problem = Problem::permanent("OV-CLI-010", what.clone()).cause(reason).state("the unit is parked");
            return Err(Failure::new(ExitCode::Failed, problem.hint(format!("`omnivisor logs {unit}` may tell why"))));
        }
        Ok(goal.is_reached(&status).then_some(status))
    })?;
    session.console.result(&status, |status, _| {
        let process = status.pid.map(|pid| format!(", process {pid}")).unwrap_or_default();
        output::one_line(&format!("unit {} is {}{process}", status.name, status.state)) + "\n"
    })
}

fn present(session: &Session, unit: &UnitName) -> Result<UnitStatus, Failure> {
    let status = session.ask(Client::status)?;
    let names: Vec<&str> = status.units.iter().map(|unit| unit.name.as_str()).collect();
    let names = names.join(", ");
    let found = status.units.into_iter().find(|status| status.name == *unit);
    found.ok_or_else(|| Failure::usage(format!("find unit {unit}"), format!("the node has: {names}")))
}

/// What is waited for.
#[derive(Debug)]
struct Goal {
    order: UnitOrder,
    run_before: Option<RunId>,
    is_probed: bool,
}

impl Goal {
    fn is_reached(&self, now: &UnitStatus) -> bool {
        let runs = now.state == UnitState::Ready || (now.state == UnitState::Up && !self.is_probed);
        match self.order {
            UnitOrder::Stop | UnitOrder::Suspend => {
                now.pid.is_none() && matches!(now.state, UnitState::Down | UnitState::Parked)
            }
            UnitOrder::Restart => runs && now.run != self.run_before,
            UnitOrder::Start | UnitOrder::Resume => runs,
        }
    }

    fn is_missed(&self, now: &UnitStatus) -> bool {
        self.order != UnitOrder::Stop && now.state == UnitState::Parked && now.run != self.run_before
    }
}

fn about_unit(kind: &EventKind) -> Option<&UnitName> {
    match kind {
        EventKind::UnitStarted { unit, .. }
        | EventKind::UnitNotStarted { unit, .. }
        | EventKind::UnitReady { unit }
        | EventKind::UnitHealth { unit, .. }
        | EventKind::UnitStopping { unit }
        | EventKind::UnitExited { unit, .. }
        | EventKind::UnitGraceRaised { unit, .. }
        | EventKind::UnitBackingOff { unit, .. }
        | EventKind::UnitLooping { unit, .. }
        | EventKind::UnitParked { unit, .. }
        | EventKind::NodeGivenUp { unit, .. }
        | EventKind::UnitSuspended { unit, .. } => Some(unit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn a_restart_is_over_when_another_launch_is_ready() {
        let at = |state, run| UnitStatus { state, run: Some(RunId(run)), ..sample::unit("main") };
        let goal = Goal { order: UnitOrder::Restart, run_before: Some(RunId(3)), is_probed: true };
        assert!(!goal.is_reached(&at(UnitState::Ready, 3)), "that is the launch before");
        assert!(!goal.is_reached(&at(UnitState::Up, 4)), "it is not ready yet");
        assert!(goal.is_reached(&at(UnitState::Ready, 4)));
        assert!(Goal { is_probed: false, ..goal }.is_reached(&at(UnitState::Up, 4)));
    }

    #[test]
    fn a_stop_is_over_when_no_process_is_left() {
        let goal = Goal { order: UnitOrder::Stop, run_before: None, is_probed: true };
        let up = sample::unit("main");
        assert!(!goal.is_reached(&UnitStatus { state: UnitState::Stopping, ..up.clone() }));
        assert!(!goal.is_reached(&UnitStatus { state: UnitState::Down, ..up.clone() }), "a process is left");
        assert!(goal.is_reached(&UnitStatus { state: UnitState::Down, pid: None, ..up }));
    }

    #[test]
    fn a_start_is_missed_when_the_unit_is_parked_again() {
        let goal = Goal { order: UnitOrder::Start, run_before: Some(RunId(1)), is_probed: false };
        let parked = |run| UnitStatus { state: UnitState::Parked, run: Some(RunId(run)), ..sample::unit("main") };
        assert!(goal.is_missed(&parked(2)));
        assert!(!goal.is_missed(&parked(1)), "it was parked before, and is being released");
    }
}
