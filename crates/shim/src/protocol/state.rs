//! All that a shim knows of its unit, as it is told to whoever takes control. Plain data and its
//! encoding.

use std::path::PathBuf;

use super::{decode_status, encode_status};
use crate::status::ExitStatus;
use crate::wire::{Fields, WireError, Writer};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// No process of it is left, or there was none yet.
    #[default]
    Empty,
    /// It is being launched, or the shim died while it was.
    Launching,
    /// The main process runs.
    Running,
    /// The main process ended; others of its tree are left.
    Exited,
}

impl Phase {
    pub(super) const NAMES: [(Self, &'static str); 4] =
        [(Self::Empty, "empty"), (Self::Launching, "launching"), (Self::Running, "running"), (Self::Exited, "exited")];

    /// The word for it on the wire and in the record.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(phase, _)| *phase == self).map_or("empty", |(_, name)| name)
    }

    /// Reads the word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(phase, _)| *phase)
    }
}

/// All that a shim knows, told to whoever takes control.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The version that the shim speaks.
    pub version: u32,
    /// The shim itself.
    pub shim_pid: u32,
    /// How far the last run is.
    pub phase: Phase,
    /// The last run, if there was one; also one of an earlier shim.
    pub run: Option<u64>,
    /// The main process while it runs.
    pub pid: Option<u32>,
    /// When the run was launched.
    pub launched_at_unix_ms: Option<u64>,
    /// How the main process of the last run ended, until that is acknowledged. It is told again
    /// by a new shim. None for a run that is over, if nobody saw how it ended.
    pub exit: Option<ExitStatus>,
    /// When it ended.
    pub exited_at_unix_ms: Option<u64>,
    /// Whether the unit has said `READY=1` in this run.
    pub ready: bool,
    /// The last `STATUS=` of the unit.
    pub status_text: Option<String>,
    /// The cgroup that the run really is in.
    pub cgroup: Option<PathBuf>,
    /// The file that the pump writes.
    pub log_path: Option<PathBuf>,
    /// Bytes of output that could not be written, over the shim's life.
    pub lost_bytes: u64,
    /// What the shim could not do, if something.
    pub trouble: Option<String>,
    /// Whether the shim before this one did not see the end of its run, so that processes of it may
    /// still live. They must be ended before the next launch, which is refused while one does.
    pub may_have_orphans: bool,
    /// Whether the last run was told to end, or its end needs no judgement any more.
    pub settled: bool,
}

impl State {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::nested();
        writer
            .number(1, u64::from(self.version))
            .number(2, u64::from(self.shim_pid))
            .text(3, self.phase.name())
            .flag(8, self.ready)
            .number(9, self.lost_bytes)
            .flag(17, self.may_have_orphans)
            .flag(18, self.settled);
        if let Some(status) = self.exit {
            encode_status(&mut writer, status);
        }
        let numbers = [
            (4, self.run),
            (10, self.pid.map(u64::from)),
            (11, self.launched_at_unix_ms),
            (12, self.exited_at_unix_ms),
        ];
        for (tag, number) in numbers {
            if let Some(number) = number {
                writer.number(tag, number);
            }
        }
        let texts = [
            (13, self.status_text.as_ref().map(AsRef::as_ref)),
            (14, self.cgroup.as_ref().map(AsRef::as_ref)),
            (15, self.log_path.as_ref().map(AsRef::as_ref)),
            (16, self.trouble.as_ref().map(AsRef::<std::ffi::OsStr>::as_ref)),
        ];
        for (tag, text) in texts {
            if let Some(text) = text {
                writer.os(tag, text);
            }
        }
        writer.into_body()
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut state = Self::default();
        let mut status = [None; 8];
        for field in Fields::new(body) {
            let field = field?;
            match field.tag {
                1 => state.version = field.narrow()?,
                2 => state.shim_pid = field.narrow()?,
                3 => state.phase = Phase::from_name(&field.text()).ok_or(field.bad())?,
                4 => state.run = Some(field.number()?),
                tag @ 5..=7 => status[usize::from(tag)] = Some(field),
                8 => state.ready = field.flag()?,
                9 => state.lost_bytes = field.number()?,
                10 => state.pid = Some(field.narrow()?),
                11 => state.launched_at_unix_ms = Some(field.number()?),
                12 => state.exited_at_unix_ms = Some(field.number()?),
                13 => state.status_text = Some(field.text()),
                14 => state.cgroup = Some(field.path()),
                15 => state.log_path = Some(field.path()),
                16 => state.trouble = Some(field.text()),
                17 => state.may_have_orphans = field.flag()?,
                18 => state.settled = field.flag()?,
                _ => {}
            }
        }
        state.exit = decode_status(&status)?;
        Ok(state)
    }
}
