//! A data node: holds the index of its history, follows the core's events, and needs its time to close its database.

use super::broker::{Ear, Told};
use super::chain::LEVEL_DB_IN_USE;
use super::command::Call;
use super::history::{Database, Place};
use super::process::Process;
use crate::error::Error;
use crate::http::HANG_STEP;
use crate::life::{Ending, Interrupt, NOTHING_OPEN, Stage};
use crate::lifecycle::Step;
use crate::output::say;
use crate::shared::Shared;
use crate::switches::Switches;
use std::convert::Infallible;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const LISTEN_PAUSE: Duration = Duration::from_millis(10);

/// `datanode start`.
pub(super) fn run(call: &Call) -> Result<Ending, Error> {
    let process = Process::begin(call)?;
    let node = DataNode { place: Place::new(&call.home()), process };
    let outcome = node.live();
    node.process.life.end(outcome)
}

struct DataNode {
    process: Process,
    place: Place,
}

impl DataNode {
    fn live(&self) -> Stage<Infallible> {
        let _alone = self.process.start()?;
        let index = self.place.try_index()?;
        let _index = index.ok_or_else(|| Error::damaged(&self.place.api(), LEVEL_DB_IN_USE))?;
        let (database, is_dirty) = self.place.open_database()?;
        let height = database.height()?;
        self.process.life.shared.set_height(height);
        let switches = self.process.switches();
        if is_dirty {
            self.process.witness.accuse("dirty-database", height)?;
            say("the database was not shut down");
            if switches.database_stays_dirty {
                return Err(Error::damaged(&self.place.api(), "the database was not shut down").into());
            }
        }
        let outcome = self.follow(&switches, &database);
        // Only a kill leaves it open: whatever this process does by itself closes it.
        if !matches!(outcome, Err(Interrupt::Ended(Ending::Signal(_)))) {
            database.close()?;
        }
        outcome
    }

    fn follow(&self, switches: &Switches, database: &Database) -> Stage<Infallible> {
        serve(&self.place, &self.process.life.shared)?;
        let mut ear = switches.broker.as_ref().map(|path| Ear::open(Path::new(path))).transpose()?;
        self.process.life.note(Step::Started)?;
        say(&format!("data node {} started", self.process.life.shared.version));
        let mut made = 0;
        loop {
            let switches = self.process.listen()?;
            self.process.life.misbehave(&switches, made)?;
            if let Some(ear) = ear.as_mut().filter(|_| !self.process.life.shared.hung()) {
                for told in ear.hear() {
                    match told {
                        Told::Block(height) => made += u64::from(self.take(&switches, database, height)?),
                        Told::Upgrade(height) => {
                            self.place.add_segment(height)?;
                            ear.answer(height);
                        }
                    }
                }
            }
            self.process.wait(Instant::now() + LISTEN_PAUSE, NOTHING_OPEN)?;
        }
    }

    /// Takes a block unless it is known. One that does not follow the last is the end.
    fn take(&self, switches: &Switches, database: &Database, height: u64) -> Result<bool, Error> {
        let last = database.height()?;
        if height <= last {
            return Ok(false);
        }
        if height > last + 1 {
            let reason = format!("block height {height} is too high, the last processed block is {last}");
            return Err(Error::damaged(&self.place.api(), reason));
        }
        database.set_height(height)?;
        self.process.life.shared.set_height(height);
        let in_history = height.saturating_sub(switches.history_lag_blocks);
        let interval = switches.history_blocks.unwrap_or(switches.snapshot_blocks).max(1);
        if in_history > 0 && in_history.is_multiple_of(interval) {
            self.place.add_segment(in_history)?;
        }
        Ok(true)
    }
}

/// Answers commands that ask for the history while this process holds the index.
fn serve(place: &Place, shared: &Arc<Shared>) -> Result<(), Error> {
    let socket = place.api();
    // It may not be there.
    let _ = fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).map_err(Error::io("listen on", &socket))?;
    let (place, shared) = (place.clone(), Arc::clone(shared));
    thread::spawn(move || {
        for stream in listener.incoming() {
            while shared.hung() || shared.switches().hang_http {
                sleep(HANG_STEP);
            }
            let latest = place.latest().ok().flatten();
            let text = serde_json::to_string(&latest).unwrap_or_default();
            // A command that went away is its own problem.
            let _ = stream.and_then(|mut stream| stream.write_all(text.as_bytes()));
        }
    });
    Ok(())
}
