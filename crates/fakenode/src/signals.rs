//! Signals as events: a thread waits for them, so that no handler runs between two instructions.

use crate::error::Error;
use crate::shared::{Event, Shared};
use nix::sys::signal::{SigSet, Signal};
use std::sync::Arc;

/// The signals that a node answers itself.
const ANSWERED: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// Blocks the answered signals. It must run before the first thread starts.
pub(crate) fn block() -> Result<(), Error> {
    set().thread_block().map_err(|error| system("block signals", error))
}

/// Lets the answered signals act as they do by default, for processes that inherited them blocked.
pub(crate) fn unblock() -> Result<(), Error> {
    set().thread_unblock().map_err(|error| system("unblock signals", error))
}

/// Turns each answered signal into an event.
pub(crate) fn listen(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let set = set();
        while let Ok(signal) = set.wait() {
            shared.wake(Event::Signal(signal));
        }
    });
}

/// Sends a signal to this process.
pub(crate) fn raise(signal: Signal) {
    // Either it acts or the caller goes on: there is nothing to report to.
    let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), signal);
}

fn set() -> SigSet {
    ANSWERED.into_iter().collect()
}

fn system(action: &'static str, error: nix::Error) -> Error {
    Error::System { action, source: error.into() }
}
