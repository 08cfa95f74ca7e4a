//! One run of the node, from start to its end, good or bad.
//!
//! The node's thread owns the data directory and the signer. Everything else talks to it by events.
//! It must not decide anything that a switch does not say.

use crate::comet::Databases;
use crate::error::Error;
use crate::halt::{self, Told};
use crate::life::{Ending, Interrupt, Life, NOTHING_OPEN, Stage};
use crate::lifecycle::Step;
use crate::migrate::Migration;
use crate::output::say;
use crate::plan::Upgrade;
use crate::profile::Profile;
use crate::sign::{Outcome, Signer, Witness};
use crate::store::{DataLock, Paths, Store};
use crate::switches::Switches;
use crate::{bulk, companions, http, inherited};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Runs a node in `home` until it ends.
pub(crate) fn run(home: &Path, profile: &Profile, flags: &Map<String, Value>) -> Result<Ending, Error> {
    let inherited = inherited::look();
    let switches = Switches::from_layers([&profile.switches, flags])?;
    let data = home.join("data");
    let life = Life::begin(home, &profile.version, switches, &data)?;
    let node = Node { home: home.to_owned(), paths: Paths::new(&data), inherited, life };
    let outcome = node.live();
    node.life.end(outcome)
}

struct Node {
    home: PathBuf,
    inherited: Value,
    paths: Paths,
    life: Life,
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
        self.life.crash_at_first_starts()?;
        let switches = self.life.shared.switches();
        self.life.pause(Duration::from_millis(switches.start_delay_ms), NOTHING_OPEN)?;
        let mut running = self.open(&switches)?;
        let switches = self.life.shared.switches();
        refuse_early(&switches, running.store.height())?;
        companions::start(&self.home, &self.life.shared, &switches)?;
        if let Some(address) = &switches.http {
            let port = http::serve(&self.home, &self.life.shared, address)?;
            say(&format!("listening on port {port}"));
        }
        self.life.note(Step::Started)?;
        say(&format!("fakenode {} started at height {}", self.life.shared.version, running.store.height()));
        companions::announce(&self.life.shared, &switches);
        let mut due = Instant::now();
        loop {
            let switches = self.life.shared.switches();
            self.life.misbehave(&switches, running.made)?;
            if due <= Instant::now() {
                self.advance(&switches, &mut running)?;
                due = Instant::now() + Duration::from_millis(switches.block_ms);
            }
            self.life.await_event(due, &|| running.store.flush())?;
        }
    }

    /// Opens the data directory, migrates it if it is old, and takes the signing key.
    fn open(&self, switches: &Switches) -> Stage<Running> {
        let version = &self.life.shared.version;
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
        self.life.shared.load_schedule()?;
        let store = Store::open(lock, self.paths.clone(), switches.data_format, version, switches.initial_height)?;
        self.life.shared.set_height(store.height());
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
                return Err(self.life.crash(switches));
            }
            migration.step(&self.paths, number, to)?;
            self.life.pause(pause, NOTHING_OPEN)?;
        }
        say(&format!("migrated data to format {to}"));
        Ok(())
    }

    /// Makes the next block, unless something forbids it.
    fn advance(&self, switches: &Switches, running: &mut Running) -> Stage<()> {
        let next = running.store.height() + 1;
        if switches.stop_blocks || self.life.shared.hung() || switches.max_height.is_some_and(|most| next > most) {
            return Ok(());
        }
        if let Told::Refuse(refused) = halt::told(switches)
            && next >= refused
        {
            return self.refuse(switches, running, next);
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
        self.life.shared.set_height(next);
        say(&format!("committed block height={next} version={}", self.life.shared.version));
        match halt::told(switches) {
            Told::EndAfter(last) if next >= last => {
                say(&format!("halting node per configuration height={last}"));
                running.store.flush()?;
                self.life.note(Step::Stopped)?;
                Err(Interrupt::Ended(Ending::Exit(switches.stop_exit)))
            }
            _ => Ok(()),
        }
    }

    /// Says, once, that it was configured to make no such block. It stands still, or ends as one that catches up.
    fn refuse(&self, switches: &Switches, running: &mut Running, next: u64) -> Stage<()> {
        let block = Upgrade { name: String::new(), height: next };
        if running.halted_for.as_ref() == Some(&block) {
            return Ok(());
        }
        running.halted_for = Some(block);
        self.store_only(running, next)?;
        let told = switches.halt_height.unwrap_or_default();
        say(&format!(
            "CONSENSUS FAILURE!!! err=\"failed to apply block; error halt per configuration height {told} time 0\""
        ));
        self.life.note(Step::Halted)?;
        switches.halt_exit.map_or(Ok(()), |code| Err(Interrupt::Ended(Ending::Exit(code))))
    }

    /// A block is stored that is not carried out.
    fn store_only(&self, running: &mut Running, height: u64) -> Stage<()> {
        if let Some(databases) = &mut running.databases {
            databases.store(height)?;
            self.life.shared.set_stored(height);
        }
        Ok(running.store.flush()?)
    }

    /// Says, once, that this version cannot go on, and leaves the plan.
    fn halt(&self, switches: &Switches, running: &mut Running, upgrade: &Upgrade) -> Stage<()> {
        if running.halted_for.as_ref() == Some(upgrade) {
            return Ok(());
        }
        running.halted_for = Some(upgrade.clone());
        self.store_only(running, upgrade.height)?;
        let (name, height, info) = (&upgrade.name, upgrade.height, &switches.plan_info);
        upgrade.write_plan(&self.paths.of("upgrade-info.json"), info, switches.plan_torn)?;
        say(&format!("UPGRADE \"{name}\" NEEDED at height: {height}: {info}"));
        self.life.note(Step::Halted)?;
        match switches.halt_exit {
            Some(code) => Err(Interrupt::Ended(Ending::Exit(code))),
            None => Ok(()),
        }
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
