//! A core or a data node as a process: its life, what it is told while it lives, and the proof that it is alone.

use super::command::Call;
use super::witness::Witness;
use crate::error::Error;
use crate::inherited;
use crate::life::{Finish, Life, NOTHING_OPEN, Stage};
use crate::switches::Switches;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long what it is told may go unnoticed.
const TOLD_POLL: Duration = Duration::from_millis(10);

/// One of them.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) life: Life,
    pub(super) witness: Witness,
    base: Switches,
    told: RefCell<Map<String, Value>>,
}

impl Process {
    pub(super) fn begin(call: &Call) -> Result<Self, Error> {
        let inherited = inherited::look();
        let witness = call.witness()?;
        let (base, told) = (call.switches()?, witness.told()?);
        let directory: PathBuf = witness.life()?;
        let life = Life::begin(&directory, &call.profile.version, base.with(&told)?, &directory)?;
        inherited::write(&directory, &inherited)?;
        Ok(Self { life, witness, base, told: RefCell::new(told) })
    }

    /// Dies early or begins late, as told, then proves that it is alone.
    pub(super) fn start(&self) -> Stage<Option<File>> {
        self.life.crash_at_first_starts()?;
        self.life.pause(Duration::from_millis(self.switches().start_delay_ms), NOTHING_OPEN)?;
        Ok(self.witness.alone()?)
    }

    pub(super) fn switches(&self) -> Switches {
        self.life.shared.switches()
    }

    /// Takes what it is told now.
    pub(super) fn listen(&self) -> Result<Switches, Error> {
        let told = self.witness.told()?;
        if *self.told.borrow() != told {
            self.life.shared.replace(self.base.with(&told)?);
            *self.told.borrow_mut() = told;
        }
        Ok(self.switches())
    }

    /// Waits for an event, for `due`, or until it is time to listen again.
    pub(super) fn wait(&self, due: Instant, finish: Finish<'_>) -> Stage<()> {
        self.life.await_event(due.min(Instant::now() + TOLD_POLL), finish)
    }
}
