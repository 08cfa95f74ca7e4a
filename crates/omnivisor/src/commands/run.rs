//! `run`: the daemon, in the foreground.

use crate::failure::Failure;
use crate::session::Session;

pub(super) fn run(session: &Session) -> Result<(), Failure> {
    crate::daemon::run(session)
}
