//! `release list|remove`.

use super::acknowledge;
use crate::args::ReleaseCommand;
use crate::failure::Failure;
use crate::output::{self, Tone};
use crate::session::Session;
use ov_client::Client;

pub(super) fn release(session: &Session, command: ReleaseCommand) -> Result<(), Failure> {
    match command {
        ReleaseCommand::List => {
            let releases = session.ask(Client::releases)?;
            if releases.is_empty() {
                session.console.say(Tone::Faint, "no release is staged");
            }
            session.console.result(&releases, |releases, look| output::release_list(releases, look))
        }
        ReleaseCommand::Remove { release } => {
            acknowledge(session, &session.ask(|client| client.remove_release(&release))?)
        }
    }
}
