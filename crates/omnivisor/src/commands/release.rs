//! `release list|show|remove`.

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
        ReleaseCommand::Show { release } => {
            let releases = session.ask(Client::releases)?;
            let found = releases.into_iter().find(|known| known.name == release);
            let found = found.ok_or_else(|| {
                Failure::usage(format!("find release {release}"), "`omnivisor release list` shows them")
            })?;
            session.console.result(&found, output::release)
        }
        ReleaseCommand::Remove { release } => {
            acknowledge(session, &session.ask(|client| client.remove_release(&release))?)
        }
    }
}
