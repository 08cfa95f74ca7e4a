//! Ctrl-C and its relatives: heard, remembered, and obeyed where the demo waits, so that it can tidy up first.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Whether somebody asked the demo to end.
#[derive(Debug, Clone)]
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on. From now on these signals no longer end the program by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()] {
            let (mut signals, asked) = (signal(kind)?, Arc::clone(&asked));
            drop(runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    asked.store(true, Ordering::Relaxed);
                }
            }));
        }
        drop(inside);
        std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
        Ok(Self { asked })
    }

    /// Whether it was asked.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
