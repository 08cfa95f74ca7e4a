//! What daemon and shim say to each other, and how that is encoded.
//!
//! The daemon sends [`Request`]s, each with a sequence number of its own. The shim answers each
//! once, in order, with [`Message::State`] (to a hello) or [`Message::Answer`], and tells what
//! happens in between. Owns no state, does no I/O. Tags and kinds are never used for another
//! purpose once released; see `docs/formats/shim.md`.

use std::path::PathBuf;

use crate::spec::{LogSettings, Spec};
use crate::status::ExitStatus;
use crate::wire::{Field, Fields, WireError, Writer, open_body, required};

mod state;
pub use state::{Phase, State};

/// The version that this program speaks; it grows when old and new stop understanding each other.
pub const PROTOCOL_VERSION: u32 = 1;

/// Something the daemon asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Returned in the answer.
    pub sequence: u64,
    /// What is asked for.
    pub command: Command,
}

/// What a daemon can ask a shim for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Take control; the answer is the state.
    Hello { version: u32 },
    /// Start the unit. Refused while an earlier run has not ended whole.
    Launch(Box<Spec>),
    /// End the unit: the signal, then SIGCONT, and SIGKILL to the whole tree after the grace.
    Stop { signal: i32, grace_ms: u64, scope: Scope },
    /// Send a signal and expect nothing.
    Signal { signal: i32, scope: Scope },
    /// Change where the pump writes and when it rotates.
    LogSettings(LogSettings),
    /// Rotate the log now.
    Rotate,
    /// The exit of this run has been read and needs to be kept no longer.
    Acknowledge { run: u64 },
    /// End the shim. Refused while something runs.
    Quit,
}

/// Whom a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// The process group of the main process.
    #[default]
    Group,
    /// The main process alone.
    Main,
}

/// Something the shim says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The answer to a hello.
    State { sequence: u64, state: State },
    /// The answer to everything else: done, or why not.
    Answer { sequence: u64, refusal: Option<String> },
    /// Something happened.
    Event(Event),
    /// A kind of message that this program does not know.
    Unknown { kind: u16 },
}

/// Something that happened to the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The program has been executed.
    Launched { run: u64, pid: u32 },
    /// The program could not be executed; nothing runs.
    LaunchFailed { run: u64, stage: String, message: String },
    /// The main process ended. The status has been made durable before.
    Exited { run: u64, status: ExitStatus, at_unix_ms: u64 },
    /// No process of the run is left.
    Empty { run: u64 },
    /// The unit sent this to its `NOTIFY_SOCKET`.
    Notify { text: String },
    /// Output could not be written: told when that begins, with no bytes yet, and when it is over, with how many.
    LogLost { bytes: u64, reason: String },
    /// The log was rotated into this file.
    Rotated { path: PathBuf },
    /// The shim could not do its work as it should, in words for a person.
    Trouble { text: String },
}

impl Request {
    /// The bytes to send.
    pub fn to_frame(&self) -> Result<Vec<u8>, WireError> {
        let mut writer = Writer::new(self.command.kind());
        writer.number(1, self.sequence);
        match &self.command {
            Command::Hello { version } => writer.number(2, u64::from(*version)),
            Command::Launch(spec) => writer.bytes(2, &spec.encode()),
            Command::Stop { signal, grace_ms, scope } => {
                writer.signed(2, i64::from(*signal)).number(3, *grace_ms).flag(4, *scope == Scope::Main)
            }
            Command::Signal { signal, scope } => writer.signed(2, i64::from(*signal)).flag(4, *scope == Scope::Main),
            Command::LogSettings(settings) => writer.bytes(2, &settings.encode()),
            Command::Acknowledge { run } => writer.number(2, *run),
            Command::Rotate | Command::Quit => &mut writer,
        };
        writer.into_frame()
    }

    /// Reads a body.
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let (kind, fields) = open_body(body)?;
        let (mut sequence, mut main, mut value, mut grace) = (None, None, None, None);
        for field in fields {
            let field = field?;
            match field.tag {
                1 => sequence = Some(field.number()?),
                2 => value = Some(field),
                3 => grace = Some(field.number()?),
                4 => main = Some(field.flag()?),
                _ => {}
            }
        }
        let value = required(value, 2);
        let scope = if main == Some(true) { Scope::Main } else { Scope::Group };
        let command = match kind {
            1 => Command::Hello { version: value?.narrow()? },
            2 => Command::Launch(Box::new(Spec::decode(value?.value)?)),
            3 => Command::Stop { signal: value?.signed()?, grace_ms: required(grace, 3)?, scope },
            4 => Command::Signal { signal: value?.signed()?, scope },
            5 => Command::LogSettings(LogSettings::decode(value?.value)?),
            6 => Command::Rotate,
            7 => Command::Acknowledge { run: value?.number()? },
            8 => Command::Quit,
            _ => return Err(WireError::UnknownKind { kind }),
        };
        Ok(Self { sequence: required(sequence, 1)?, command })
    }

    /// The sequence number of a body that is otherwise not understood, so that it can be refused.
    pub(crate) fn sequence_of(body: &[u8]) -> Option<u64> {
        let (_, mut fields) = open_body(body).ok()?;
        fields.find_map(|field| field.ok().filter(|field| field.tag == 1)?.number().ok())
    }
}

impl Command {
    fn kind(&self) -> u16 {
        match self {
            Self::Hello { .. } => 1,
            Self::Launch(_) => 2,
            Self::Stop { .. } => 3,
            Self::Signal { .. } => 4,
            Self::LogSettings(_) => 5,
            Self::Rotate => 6,
            Self::Acknowledge { .. } => 7,
            Self::Quit => 8,
        }
    }
}

impl Message {
    /// The bytes to send.
    pub fn to_frame(&self) -> Result<Vec<u8>, WireError> {
        let writer = match self {
            Self::State { sequence, state } => {
                let mut writer = Writer::new(101);
                writer.number(1, *sequence).bytes(2, &state.encode());
                writer
            }
            Self::Answer { sequence, refusal } => {
                let mut writer = Writer::new(102);
                writer.number(1, *sequence);
                if let Some(refusal) = refusal {
                    writer.text(2, refusal);
                }
                writer
            }
            Self::Event(event) => event.encode(),
            Self::Unknown { kind } => Writer::new(*kind),
        };
        writer.into_frame()
    }

    /// Reads a body.
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let (kind, fields) = open_body(body)?;
        let (mut number, mut value) = (None, None);
        for field in fields.clone() {
            let field = field?;
            match field.tag {
                1 => number = Some(field),
                2 => value = Some(field),
                _ => {}
            }
        }
        let sequence = || required(number, 1)?.number();
        match kind {
            101 => {
                let state = State::decode(required(value, 2)?.value)?;
                Ok(Self::State { sequence: sequence()?, state })
            }
            102 => {
                let refusal = value.map(|field| field.text());
                Ok(Self::Answer { sequence: sequence()?, refusal })
            }
            _ => Ok(Event::decode(kind, fields)?.map_or(Self::Unknown { kind }, Self::Event)),
        }
    }
}

impl Event {
    fn encode(&self) -> Writer {
        let (kind, run) = match self {
            Self::Launched { run, .. } => (111, *run),
            Self::LaunchFailed { run, .. } => (112, *run),
            Self::Exited { run, .. } => (113, *run),
            Self::Empty { run } => (114, *run),
            Self::Notify { .. } => (115, 0),
            Self::LogLost { .. } => (116, 0),
            Self::Rotated { .. } => (117, 0),
            Self::Trouble { .. } => (118, 0),
        };
        let mut writer = Writer::new(kind);
        writer.number(1, run);
        match self {
            Self::Launched { pid, .. } => writer.number(2, u64::from(*pid)),
            Self::LaunchFailed { stage, message, .. } => writer.text(3, stage).text(4, message),
            Self::Exited { status, at_unix_ms, .. } => {
                encode_status(&mut writer, *status);
                writer.number(2, *at_unix_ms)
            }
            Self::Empty { .. } => &mut writer,
            Self::Notify { text } | Self::Trouble { text } => writer.text(4, text),
            Self::LogLost { bytes, reason } => writer.number(2, *bytes).text(4, reason),
            Self::Rotated { path } => writer.os(4, path),
        };
        writer
    }

    /// Nothing for a kind that this program does not know.
    fn decode(kind: u16, fields: Fields<'_>) -> Result<Option<Self>, WireError> {
        let mut all: [Option<Field<'_>>; 8] = [None; 8];
        for field in fields {
            let field = field?;
            if let Some(slot) = all.get_mut(usize::from(field.tag)) {
                *slot = Some(field);
            }
        }
        let [_, run, number, stage, text, ..] = all;
        let run = || required(run, 1)?.number();
        let number = required(number, 2);
        let text = required(text, 4);
        let event = match kind {
            111 => Self::Launched { run: run()?, pid: number?.narrow()? },
            112 => Self::LaunchFailed { run: run()?, stage: required(stage, 3)?.text(), message: text?.text() },
            113 => {
                Self::Exited { run: run()?, status: required(decode_status(&all)?, 5)?, at_unix_ms: number?.number()? }
            }
            114 => Self::Empty { run: run()? },
            115 => Self::Notify { text: text?.text() },
            116 => Self::LogLost { bytes: number?.number()?, reason: text?.text() },
            117 => Self::Rotated { path: text?.path() },
            118 => Self::Trouble { text: text?.text() },
            _ => return Ok(None),
        };
        Ok(Some(event))
    }
}

/// An exit status has the same three tags wherever it stands: 5 code, 6 signal, 7 core dumped.
fn encode_status(writer: &mut Writer, status: ExitStatus) {
    match status {
        ExitStatus::Code(code) => writer.signed(5, i64::from(code)),
        ExitStatus::Signal { signal, core_dumped } => writer.signed(6, i64::from(signal)).flag(7, core_dumped),
    };
}

fn decode_status(fields: &[Option<Field<'_>>; 8]) -> Result<Option<ExitStatus>, WireError> {
    let [.., code, signal, core] = fields;
    match (code, signal) {
        (Some(code), _) => Ok(Some(ExitStatus::Code(code.signed()?))),
        (None, Some(signal)) => {
            let core_dumped = core.map_or(Ok(false), |core| core.flag())?;
            Ok(Some(ExitStatus::Signal { signal: signal.signed()?, core_dumped }))
        }
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
