//! Decide, write down, hand out: the one path that every input takes, in the daemon and in the simulator.
//!
//! It owns the engine and the journal. What the engine decides is durable before any effect is handed out; when it
//! cannot be made durable, no effect is, now or later: the caller must end. Knows no clock, no process, no socket.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use ov_engine::{Action, Effect, IllegalRecord, Input, Ledger, Node, Order, Refused};
use ov_journal::{Journal, JournalError, Options, Parsed};
use ov_sys::Disk;
use ov_types::{EngineSettings, Moment, PlanId, Record};

use crate::crash_points::CrashPoint;
use crate::steps::{Show, Standing};

/// Why the brain cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The journal cannot be read or written.
    #[error("keep the journal")]
    Journal(#[from] JournalError),
    /// A record is intact, but cannot follow those before it.
    #[error("make sense of the journal: record {sequence} is illegal")]
    Illegal {
        /// Its number.
        sequence: u64,
        /// Why.
        source: IllegalRecord,
    },
    /// A record was written by a version that knows more.
    #[error("make sense of the journal: record {sequence} was written by a newer version")]
    Newer {
        /// Its number.
        sequence: u64,
    },
}

impl CoreError {
    /// Whether the disk has no room.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, CoreError::Journal(JournalError::Disk { source, .. })
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    }

    /// Whether the disk, and not what stands in the journal, is what is wrong.
    pub fn is_transient(&self) -> bool {
        matches!(self, CoreError::Journal(JournalError::Disk { .. } | JournalError::Poisoned { .. }))
    }

    /// What an operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            CoreError::Journal(error) => error.hint(),
            CoreError::Illegal { .. } => {
                "copy the journal directory away and restore it from a backup; do not edit it in place"
            }
            CoreError::Newer { .. } => "use the version that wrote it, or a later one",
        }
    }
}

/// What became of an order, and the effects that follow.
pub type Obeyed = (Result<Option<PlanId>, Refused>, Vec<Effect>);

/// The engine and its journal.
#[derive(Debug)]
pub struct Core {
    node: Node,
    journal: Journal<Record>,
    show: Show,
}

impl Core {
    /// Folds the journal in `directory`, and writes down that a daemon took over.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        settings: EngineSettings,
        options: Options,
        boot: &str,
        now: Moment,
    ) -> Result<Self, CoreError> {
        let version = options.writer.clone();
        let (journal, entries) = Journal::<Record>::open(disk, directory, options)?;
        let mut ledger = Ledger::default();
        for entry in entries {
            let sequence = entry.sequence.0;
            let Parsed::Known(record) = entry.record else { return Err(CoreError::Newer { sequence }) };
            ledger.apply(&record).map_err(|source| CoreError::Illegal { sequence, source })?;
        }
        let started = Record::DaemonStarted { at: now, version, boot: boot.to_owned() };
        ledger.apply(&started).map_err(|source| CoreError::Illegal { sequence: journal.next().0, source })?;
        let node = Node::new(settings, ledger);
        let mut core = Self { show: Show::of(&node), node, journal };
        core.journal.append(&[started])?;
        Ok(core)
    }

    /// The engine, to be looked at.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How the node stands, for work that the plan `except` wants done beside it: always as it is when it is looked at.
    pub fn standing(&self, except: Option<PlanId>) -> Standing {
        self.show.standing(except)
    }

    /// Takes an input in. The effects may be carried out: everything they follow from is durable.
    pub fn take(&mut self, now: Moment, input: Input) -> Result<Vec<Effect>, CoreError> {
        let actions = self.node.decide(now, input);
        self.write_down(actions)
    }

    /// Takes an order, and answers it once its consequences are durable.
    pub fn order(&mut self, now: Moment, order: Order) -> Result<Obeyed, CoreError> {
        let (answer, actions) = self.node.order(now, order);
        Ok((answer, self.write_down(actions)?))
    }

    /// One append for all records of a decision: the effects between them only wait a little longer.
    fn write_down(&mut self, actions: Vec<Action>) -> Result<Vec<Effect>, CoreError> {
        let (mut records, mut effects) = (Vec::new(), Vec::new());
        for action in actions {
            match action {
                Action::Record(record) => records.push(record),
                Action::Effect(effect) => effects.push(effect),
            }
        }
        if !records.is_empty() {
            self.journal.append(&records)?;
            if self.journal.is_full() {
                self.journal.rotate(&self.node.ledger().restate())?;
            }
            CrashPoint::Decided.reach();
        }
        self.show.update(&self.node);
        Ok(effects)
    }
}
