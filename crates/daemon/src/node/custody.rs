//! The custody of a validator's key: main is held down when it is not certain that nobody else uses the key, until a
//! person says so.

use ov_engine::{Input, Order, UnitReport};
use ov_types::api::{Acknowledged, ConfirmMachine, Refusal};
use ov_types::{EventKind, ExitCode, ParkReason, Problem, UnitName, UnitState};

use ov_vault::SignState;

use super::Keeper;
use crate::core::CoreError;
use crate::custody;
use crate::request::Reply;
use crate::units::told;

impl Keeper {
    /// Why main must not run, if the machine or its clocks are not those that they were. Else that is noted, now and
    /// then.
    pub(super) fn doubt_about_custody(&self) -> Option<String> {
        match custody::check(&*self.disk, &self.shape, &self.here, self.recorded_sign_state(), &*self.clock) {
            Err(problem) => Some(told(&problem)),
            Ok(is_due) => {
                if is_due {
                    self.write_custody();
                }
                None
            }
        }
    }

    /// Notes that the key was used until now.
    pub(super) fn note_custody(&self) {
        if self.shape.signer.is_some() && self.doubt_about_custody().is_none() {
            self.write_custody();
        }
    }

    /// Whether this node signs: somebody said so, or it has.
    pub(super) fn is_validator(&self) -> bool {
        let has_signed = || self.recorded_sign_state() > Some(SignState::default());
        self.shape.signer.as_ref().is_some_and(|signer| signer.is_declared || has_signed())
    }

    fn write_custody(&self) {
        // The older note is as good, but for its age.
        if let Err(error) = custody::note(&*self.disk, &self.shape, &self.here, self.clock.now()) {
            tracing::warn!("where the key is used was not noted: failed to {error}");
        }
    }

    /// Has main stopped and parked if it must not run on.
    pub(super) fn look_at_custody(&mut self) -> Result<(), CoreError> {
        let Some(message) = self.doubt_about_custody() else { return Ok(()) };
        let main = UnitName::main();
        let state = self.core.node().unit_view(&main).map(|view| view.state);
        match state {
            None | Some(UnitState::Down | UnitState::Parked | UnitState::Stopping) => Ok(()),
            Some(_) => self.take(Input::Unit(main, UnitReport::Unsafe { message })),
        }
    }

    /// A person says that nobody else signs with the key: main is let go.
    pub(super) fn confirm_machine(
        &mut self,
        confirmation: &ConfirmMachine,
        reply: Reply<Acknowledged>,
    ) -> Result<(), CoreError> {
        let summary = "confirm that no other machine signs with the node's key";
        let refused = |problem: Problem| {
            let problem = problem.state("nothing was changed; main is as it was");
            Err(Refusal { problem, exit_code: ExitCode::Refused.number() })
        };
        let name = &self.shape.name;
        if self.shape.signer.is_none() {
            let problem =
                Problem::permanent("OV-SGN-008", summary).cause("the node has no `[validator]`, so it signs nothing");
            drop(reply.send(refused(problem.hint("there is nothing to confirm"))));
            return Ok(());
        }
        if confirmation.confirm != *name {
            let problem =
                Problem::permanent("OV-SGN-007", summary).cause("the node's name was not given as confirmation");
            drop(reply.send(refused(problem.hint(format!("confirm with the node's name: {name}")))));
            return Ok(());
        }
        if let Err(error) = custody::note(&*self.disk, &self.shape, &self.here, self.clock.now()) {
            let problem = Problem::transient("OV-SGN-006", summary).because(&error);
            drop(reply.send(refused(problem.hint("see that the home is writable and that its disk has room"))));
            return Ok(());
        }
        self.push(EventKind::MachineConfirmed);
        let main = UnitName::main();
        let parked = self.core.node().unit_view(&main).and_then(|view| view.parked);
        if matches!(parked, Some(ParkReason::Unsafe { .. })) {
            return self.obey(Order::Start(main), reply, |_| "confirmed; unit main is kept up".to_owned());
        }
        let message = "confirmed; nothing was held because of it".to_owned();
        drop(reply.send(Ok(Acknowledged { message, ..Acknowledged::default() })));
        Ok(())
    }
}
