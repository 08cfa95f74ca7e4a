//! The terminal that we were started at, if any: who may read from it, and how it is left behind.
//!
//! Whoever reads from a terminal in the background takes input away from those in front. The kernel stops such a
//! reader, but only in the session of the terminal; our units are in others, so that they get no signal from it either.
//! Owns nothing but what the terminal was set to.

use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetpgrp, tcsetattr};

/// Whether something of ours may read from standard input now: it is no terminal, or we are in its foreground.
pub fn may_read_input() -> bool {
    // A terminal of another session, or of none, has no foreground for us to be out of.
    !isatty(stdin()) || tcgetpgrp(stdin()).map_or(true, |foreground| foreground == rustix::process::getpgrp())
}

/// How the terminal on standard input was set.
#[derive(Debug)]
pub struct TerminalSettings(Termios);

impl TerminalSettings {
    /// As it is now; nothing if there is none, or if it is not for us to change.
    pub fn of_input() -> Option<Self> {
        (isatty(stdin()) && may_read_input()).then(|| tcgetattr(stdin()).ok()).flatten().map(Self)
    }

    /// Sets it like that again, whatever a unit has done to it, unless others are in front of it by now.
    pub fn give_back(&self) {
        if may_read_input() {
            // One that is gone needs nothing.
            let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
        }
    }
}
