//! What every long run has in common, whichever node it plays: it notes its steps, answers signals, misbehaves as told
//! and ends, well or badly.
//!
//! It owns the events of the process, and the directory in which its life is noted. It knows no data.

use crate::error::Error;
use crate::lifecycle::{Entry, Step};
use crate::output::{self, say};
use crate::shared::{Event, Shared};
use crate::switches::Switches;
use crate::{files, notify, signals};
use nix::sys::signal::Signal;
use serde_json::{Map, Value};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How a run ends when nothing failed that was not told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(u8),
    Signal(Signal),
}

/// Why a run cannot go on.
#[derive(Debug)]
pub(crate) enum Interrupt {
    Ended(Ending),
    Failed(Error),
}

impl From<Error> for Interrupt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub(crate) type Stage<T> = Result<T, Interrupt>;

/// What makes everything durable at a graceful stop.
pub(crate) type Finish<'a> = &'a dyn Fn() -> Result<(), Error>;

/// Nothing is open yet, so nothing has to be finished.
pub(crate) const NOTHING_OPEN: Finish<'static> = &|| Ok(());

/// One run.
#[derive(Debug)]
pub(crate) struct Life {
    directory: PathBuf,
    pub(crate) shared: Arc<Shared>,
    events: Receiver<Event>,
    last_signal: Cell<Option<Signal>>,
}

impl Life {
    /// Begins to listen to signals and to note what happens. It must run before the first thread starts.
    pub(crate) fn begin(directory: &Path, version: &str, switches: Switches, data: &Path) -> Result<Self, Error> {
        files::make_directory(directory)?;
        output::set_quiet(switches.quiet);
        signals::block()?;
        let (shared, events) = Shared::new(version, switches, data);
        let shared = Arc::new(shared);
        signals::listen(&shared);
        let life = Self { directory: directory.to_owned(), shared, events, last_signal: Cell::new(None) };
        life.note(Step::Exec)?;
        Ok(life)
    }

    /// What a run came to; a failure is noted.
    pub(crate) fn end<T>(&self, outcome: Stage<T>) -> Result<Ending, Error> {
        match outcome {
            Ok(_) => Ok(Ending::Exit(0)),
            Err(Interrupt::Ended(ending)) => Ok(ending),
            Err(Interrupt::Failed(error)) => {
                self.note(Step::Failed)?;
                Err(error)
            }
        }
    }

    pub(crate) fn note(&self, step: Step) -> Result<(), Error> {
        Entry::now(step, &self.shared.version, self.shared.height()).append(&self.directory)
    }

    /// From now on, a graceful stop ends with this signal to itself.
    pub(crate) fn stop_by(&self, signal: Signal) {
        self.last_signal.set(Some(signal));
    }

    /// Counts this start durably, per version and outside the data, and crashes if it is too early.
    pub(crate) fn crash_at_first_starts(&self) -> Stage<()> {
        let path = self.directory.join("starts.json");
        let text = files::read_if_there(&path)?.unwrap_or_else(|| "{}".to_owned());
        let mut starts: Map<String, Value> = serde_json::from_str(&text).map_err(Error::json(&path))?;
        let count = starts.get(&self.shared.version).and_then(Value::as_u64).unwrap_or(0) + 1;
        starts.insert(self.shared.version.clone(), count.into());
        files::replace_json(&path, &starts)?;
        let switches = self.shared.switches();
        if count <= switches.crash_starts {
            say(&format!("crashing at start {count} of {}", self.shared.version));
            return Err(self.crash(&switches));
        }
        Ok(())
    }

    /// Does the bad things that are due.
    pub(crate) fn misbehave(&self, switches: &Switches, made: u64) -> Stage<()> {
        let height = self.shared.height();
        let reached = |limit: Option<u64>, now: u64| limit.is_some_and(|limit| now >= limit);
        if switches.crash || reached(switches.crash_after, made) || reached(switches.crash_at, height) {
            say(&format!("crashing at height {height}"));
            return Err(self.crash(switches));
        }
        if switches.freeze {
            self.shared.thawed();
            say("freezing");
            signals::raise(Signal::SIGSTOP);
        }
        let hung = switches.hang || reached(switches.hang_after, made);
        if hung && !self.shared.hung() {
            say(&format!("hanging at height {height}"));
        }
        self.shared.set_hung(hung);
        Ok(())
    }

    /// Waits until `due` or for one event, whichever comes first.
    pub(crate) fn await_event(&self, due: Instant, finish: Finish<'_>) -> Stage<()> {
        match self.events.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Event::Signal(signal)) => self.answer(signal, finish),
            Ok(Event::FloodDone(code)) => Err(Interrupt::Ended(Ending::Exit(code))),
            Ok(Event::SwitchesChanged) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Interrupt::Ended(Ending::Exit(1))),
        }
    }

    /// Waits the whole time, answering signals meanwhile.
    pub(crate) fn pause(&self, time: Duration, finish: Finish<'_>) -> Stage<()> {
        let due = Instant::now() + time;
        while Instant::now() < due {
            self.await_event(due, finish)?;
        }
        Ok(())
    }

    fn answer(&self, signal: Signal, finish: Finish<'_>) -> Stage<()> {
        let switches = self.shared.switches();
        match signal {
            Signal::SIGHUP => say("received SIGHUP, reload"),
            Signal::SIGTERM if switches.ignore_term => say("received SIGTERM, ignoring it"),
            Signal::SIGINT if switches.ignore_int => say("received SIGINT, ignoring it"),
            _ => return Err(self.stop(signal, &switches, finish)),
        }
        Ok(())
    }

    /// A graceful stop: takes its time, makes everything durable, then ends.
    fn stop(&self, signal: Signal, switches: &Switches, finish: Finish<'_>) -> Interrupt {
        say(&format!("received {signal}, stopping"));
        if switches.notify {
            notify::send("STOPPING=1");
        }
        let due = Instant::now() + Duration::from_millis(switches.stop_delay_ms);
        while let Ok(event) = self.events.recv_timeout(due.saturating_duration_since(Instant::now())) {
            if let Event::Signal(signal) = event {
                say(&format!("received {signal}, already stopping"));
            }
        }
        if let Err(error) = finish().and_then(|()| self.note(Step::Stopped)) {
            return error.into();
        }
        say(&format!("stopped at height {}", self.shared.height()));
        Interrupt::Ended(self.last_signal.get().map_or(Ending::Exit(switches.stop_exit), Ending::Signal))
    }

    pub(crate) fn crash(&self, switches: &Switches) -> Interrupt {
        if let Some(text) = &switches.crash_says {
            say(text);
        }
        if let Err(error) = self.note(Step::Crashed) {
            return error.into();
        }
        Interrupt::Ended(match &switches.crash_signal {
            Some(name) => Ending::Signal(name.0),
            None => Ending::Exit(switches.crash_exit),
        })
    }
}
