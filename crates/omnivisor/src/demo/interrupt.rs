//! Ctrl-C and its relatives: heard, remembered, and obeyed where the demo waits, so that it can tidy up first.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::signals;

/// Whether somebody asked the demo to end.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on. From now on these signals no longer end the program by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&asked);
        signals::hear(move || heard.store(true, Ordering::Relaxed))?;
        Ok(Self { asked })
    }

    /// Whether it was asked.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
