//! `omnivisor confirm`: what only a person can know.

use ov_types::api::ConfirmMachine;

use super::acknowledge;
use crate::args::ConfirmCommand;
use crate::failure::Failure;
use crate::session::Session;

pub(super) fn confirm(session: &Session, command: ConfirmCommand) -> Result<(), Failure> {
    let ConfirmCommand::Machine { node } = command;
    acknowledge(session, &session.ask(|client| client.confirm_machine(&ConfirmMachine { confirm: node }))?)
}
