//! One run of the node, from start to its end, good or bad.
//!
//! The node's thread owns the data directory and the signer. Everything else talks to it by events.
//! It must not decide anything that a switch does not say.

use crate::comet::Databases;
use crate::error::Error;
use crate::lifecycle::{Entry, Step};
use crate::migrate::Migration;
use crate::output::say;
use crate::plan::Upgrade;
use crate::profile::Profile;
use crate::shared::{Event, Shared};
use crate::sign::{Outcome, Signer, Witness};
use crate::store::{DataLock, Paths, Store};
use crate::switches::Switches;
use crate::{bulk, companions, files, http, inherited, notify, output, signals};
use nix::sys::signal::Signal;
use serde_json::{Map, Value};
use std::convert::Infallible;
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
enum Interrupt {
    Ended(Ending),
    Failed(Error),
}

impl From<Error> for Interrupt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

type Stage<T> = Result<T, Interrupt>;

/// Runs a node in `home` until it ends.
pub(crate) fn run(home: &Path, profile: &Profile, flags: &Map<String, Value>) -> Result<Ending, Error> {
    let inherited = inherited::look();
    files::make_directory(home)?;
    let switches = Switches::from_layers([&profile.switches, flags])?;
    output::set_quiet(switches.quiet);
    signals::block()?;
    let data = home.join("data");
    let (shared, events) = Shared::new(&profile.version, switches, &data);
    let shared = Arc::new(shared);
    signals::listen(&shared);
    let node = Node { home: home.to_owned(), paths: Paths::new(&data), inherited, shared, events };
    node.note(Step::Exec)?;
    match node.live() {
        Err(Interrupt::Ended(ending)) => Ok(ending),
        Err(Interrupt::Failed(error)) => {
            node.note(Step::Failed)?;
            Err(error)
        }
    }
}

struct Node {
    home: PathBuf,
    inherited: Value,
    paths: Paths,
    shared: Arc<Shared>,
    events: Receiver<Event>,
}

/// What a node holds once it makes blocks.
struct Running {
    store: Store,
    databases: Option<Databases>,
    signer: Option<Signer>,
    /// Blocks made in this run.
    made: u64,
    /// The upgrade it halted for, so that it says so once.
    halted_for: Option<Upgrade>,
}

impl Node {
    fn live(&self) -> Stage<Infallible> {
        self.crash_at_first_starts()?;
        let switches = self.shared.switches();
        self.pause(Duration::from_millis(switches.start_delay_ms), None)?;
        let mut running = self.open(&switches)?;
        let switches = self.shared.switches();
        refuse_early(&switches, running.store.height())?;
        companions::start(&self.home, &self.shared, &switches)?;
        if let Some(address) = &switches.http {
            let port = http::serve(&self.home, &self.shared, address)?;
            say(&format!("listening on port {port}"));
        }
        self.note(Step::Started)?;
        say(&format!("fakenode {} started at height {}", self.shared.version, running.store.height()));
        companions::announce(&self.shared, &switches);
        let mut due = Instant::now();
        loop {
            let switches = self.shared.switches();
            self.misbehave(&switches, running.made)?;
            if due <= Instant::now() {
                self.advance(&switches, &mut running)?;
                due = Instant::now() + Duration::from_millis(switches.block_ms);
            }
            self.await_event(due, Some(&running.store))?;
        }
    }

    /// Counts this start durably, per version and outside the data, and crashes if it is too early.
    fn crash_at_first_starts(&self) -> Stage<()> {
        let path = self.home.join("starts.json");
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

    /// Opens the data directory, migrates it if it is old, and takes the signing key.
    fn open(&self, switches: &Switches) -> Stage<Running> {
        let version = &self.shared.version;
        let sign_directory = switches.sign_directory.as_ref().map_or(self.home.clone(), PathBuf::from);
        let witness = Witness::new(&sign_directory, version);
        let lock = match DataLock::take(&self.paths) {
            Err(Error::Locked) => {
                Witness::new(&self.home, version).record("two-processes", 0)?;
                return Err(Error::Locked.into());
            }
            other => other?,
        };
        inherited::write(&self.home, &self.inherited)?;
        if let Some(migration) = Migration::needed(&lock, &self.paths, switches.data_format)? {
            self.migrate(switches, &migration)?;
        }
        bulk::fill(&self.paths.blocks(), switches.data_bytes)?;
        self.shared.load_schedule()?;
        let store = Store::open(lock, self.paths.clone(), switches.data_format, version, switches.initial_height)?;
        self.shared.set_height(store.height());
        let signer = switches.sign.then(|| Signer::open(&self.home, witness, switches)).transpose()?;
        let databases = switches.comet.then(|| Databases::begin(&self.paths.of(""), store.height())).transpose()?;
        Ok(Running { store, databases, signer, made: 0, halted_for: None })
    }

    fn migrate(&self, switches: &Switches, migration: &Migration) -> Stage<()> {
        let (from, to, steps) = (migration.from, switches.data_format, migration.steps());
        say(&format!("migrating data from format {from} to {to}"));
        let pause = Duration::from_millis(switches.migrate_ms / steps);
        for number in 1..=steps {
            if switches.migrate_crash && number > steps / 2 {
                return Err(self.crash(switches));
            }
            migration.step(&self.paths, number, to)?;
            self.pause(pause, None)?;
        }
        say(&format!("migrated data to format {to}"));
        Ok(())
    }

    /// Does the bad things that are due.
    fn misbehave(&self, switches: &Switches, made: u64) -> Stage<()> {
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

    /// Makes the next block, unless something forbids it.
    fn advance(&self, switches: &Switches, running: &mut Running) -> Stage<()> {
        let next = running.store.height() + 1;
        if switches.stop_blocks || self.shared.hung() || switches.max_height.is_some_and(|most| next > most) {
            return Ok(());
        }
        let schedule = switches.schedule();
        if let Some(upgrade) = schedule.iter().find(|due| due.height <= next && !switches.handles(due)) {
            return self.halt(switches, running, upgrade);
        }
        running.halted_for = None;
        if let Some(upgrade) = schedule.iter().find(|due| due.height == next) {
            say(&format!("applying upgrade \"{}\" at height: {next}", upgrade.name));
        }
        if let Some(signer) = &mut running.signer
            && signer.sign(next)? == Outcome::Refused
        {
            say(&format!("height {next} was signed before, not signing it again"));
        }
        if let Some(databases) = &mut running.databases {
            databases.store(next)?;
        }
        running.store.append(switches.segment_blocks)?;
        if let Some(databases) = &mut running.databases {
            databases.carry_out(next)?;
        }
        running.made += 1;
        self.shared.set_height(next);
        say(&format!("committed block height={next} version={}", self.shared.version));
        Ok(())
    }

    /// Says, once, that this version cannot go on, and leaves the plan.
    fn halt(&self, switches: &Switches, running: &mut Running, upgrade: &Upgrade) -> Stage<()> {
        if running.halted_for.as_ref() == Some(upgrade) {
            return Ok(());
        }
        running.halted_for = Some(upgrade.clone());
        if let Some(databases) = &mut running.databases {
            databases.store(upgrade.height)?;
            self.shared.set_stored(upgrade.height);
        }
        running.store.flush()?;
        let (name, height, info) = (&upgrade.name, upgrade.height, &switches.plan_info);
        upgrade.write_plan(&self.paths.of("upgrade-info.json"), info, switches.plan_torn)?;
        say(&format!("UPGRADE \"{name}\" NEEDED at height: {height}: {info}"));
        self.note(Step::Halted)?;
        match switches.halt_exit {
            Some(code) => Err(Interrupt::Ended(Ending::Exit(code))),
            None => Ok(()),
        }
    }

    /// Waits until `due` or for one event, whichever comes first.
    fn await_event(&self, due: Instant, store: Option<&Store>) -> Stage<()> {
        match self.events.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Ok(Event::Signal(signal)) => self.answer(signal, store),
            Ok(Event::FloodDone(code)) => Err(Interrupt::Ended(Ending::Exit(code))),
            Ok(Event::SwitchesChanged) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(Interrupt::Ended(Ending::Exit(1))),
        }
    }

    /// Waits the whole time, answering signals meanwhile.
    fn pause(&self, time: Duration, store: Option<&Store>) -> Stage<()> {
        let due = Instant::now() + time;
        while Instant::now() < due {
            self.await_event(due, store)?;
        }
        Ok(())
    }

    fn answer(&self, signal: Signal, store: Option<&Store>) -> Stage<()> {
        let switches = self.shared.switches();
        match signal {
            Signal::SIGHUP => say("received SIGHUP, reload"),
            Signal::SIGTERM if switches.ignore_term => say("received SIGTERM, ignoring it"),
            Signal::SIGINT if switches.ignore_int => say("received SIGINT, ignoring it"),
            _ => return Err(self.stop(signal, &switches, store)),
        }
        Ok(())
    }

    /// A graceful stop: takes its time, makes everything durable, then ends.
    fn stop(&self, signal: Signal, switches: &Switches, store: Option<&Store>) -> Interrupt {
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
        let ended = store.map_or(Ok(()), Store::flush).and_then(|()| self.note(Step::Stopped));
        if let Err(error) = ended {
            return error.into();
        }
        say(&format!("stopped at height {}", self.shared.height()));
        Interrupt::Ended(Ending::Exit(switches.stop_exit))
    }

    fn crash(&self, switches: &Switches) -> Interrupt {
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

    fn note(&self, step: Step) -> Result<(), Error> {
        Entry::now(step, &self.shared.version, self.shared.height()).append(&self.home)
    }
}

/// Cosmos nodes do not run below the height of an upgrade that they already contain.
fn refuse_early(switches: &Switches, height: u64) -> Result<(), Error> {
    let early = |upgrade: &Upgrade| upgrade.height > height + 1 && switches.handles(upgrade);
    match switches.schedule().into_iter().find(early) {
        Some(Upgrade { name, height }) if switches.refuse_early => Err(Error::TooEarly { name, height }),
        _ => Ok(()),
    }
}
