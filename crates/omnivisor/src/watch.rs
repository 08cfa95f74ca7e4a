//! `watch`: the node live.
//!
//! [`model`] is what is known and how it changes, [`draw`] is how that looks (pure), [`run`] owns the terminal.

mod draw;
mod model;
mod plain;
mod run;

use ov_client::Client;
use std::io::IsTerminal as _;

use crate::failure::Failure;
use crate::session::Session;

/// Shows the node until the person leaves; without a terminal, one line per change.
pub(crate) fn watch(session: &Session) -> Result<(), Failure> {
    // Without a daemon now, the person most likely named the wrong home. One that goes away later is waited for.
    let status = session.ask(Client::status)?;
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !session.console.json {
        run::run(session, status)
    } else {
        plain::run(session)
    }
}
