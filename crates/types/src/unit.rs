//! Words about one unit.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl ExitStatus {
    /// Exit code zero.
    pub fn is_success(self) -> bool {
        self == ExitStatus::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Code(code) => write!(f, "exit code {code}"),
            ExitStatus::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Why a unit is parked: held down until a person releases it (or, where told so, tried again slowly).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum ParkReason {
    /// It ended again and again.
    CrashLoop {
        /// How often.
        count: u32,
        /// Within how many milliseconds; `None`: in a row, however long that took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within_ms: Option<u64>,
        /// How it ended last; `None` when it could not even be launched.
        last: Option<ExitStatus>,
    },
    /// It ended with a code that must never be restarted, such as a doppelganger's.
    ForbiddenExit {
        /// That code.
        code: i32,
    },
    /// It did not answer well for as long as its rules bear that.
    Unhealthy {
        /// How often in a row.
        answers: u32,
        /// What the last answer was.
        message: String,
    },
    /// Launching it was judged unsafe.
    Unsafe {
        /// What was found, and what to do.
        message: String,
    },
}

impl ParkReason {
    /// Whether nothing but a person's word may undo it: no other release, and no other daemon.
    pub fn waits_for_person(&self) -> bool {
        match self {
            ParkReason::CrashLoop { .. } | ParkReason::Unhealthy { .. } => false,
            ParkReason::ForbiddenExit { .. } | ParkReason::Unsafe { .. } => true,
        }
    }
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParkReason::CrashLoop { count, within_ms, last } => {
                match within_ms {
                    Some(within_ms) => write!(f, "ended {count} times within {}", crate::Span::from_ms(*within_ms))?,
                    None => write!(f, "ended {count} times in a row")?,
                }
                match last {
                    Some(status) => write!(f, ", last with {status}"),
                    None => write!(f, ", last because it could not be launched"),
                }
            }
            ParkReason::ForbiddenExit { code } => write!(f, "ended with exit code {code}, which must not be restarted"),
            ParkReason::Unhealthy { answers, message } => {
                write!(f, "did not answer well {answers} times in a row: {message}")
            }
            ParkReason::Unsafe { message } => f.write_str(message),
        }
    }
}

/// What a unit is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// Nothing runs, and nothing is about to.
    Down,
    /// Nothing runs; a launch waits for a condition or for a suspension to end.
    Waiting,
    /// Nothing runs; a launch waits for its time.
    BackingOff,
    /// A launch is under way.
    Starting,
    /// The process runs.
    Up,
    /// The process runs and its readiness probe says so.
    Ready,
    /// Processes are being ended.
    Stopping,
    /// Held down until a person releases it.
    Parked,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for UnitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            UnitState::Down => "down",
            UnitState::Waiting => "waiting",
            UnitState::BackingOff => "backing-off",
            UnitState::Starting => "starting",
            UnitState::Up => "up",
            UnitState::Ready => "ready",
            UnitState::Stopping => "stopping",
            UnitState::Parked => "parked",
            UnitState::Unknown => "unknown",
        })
    }
}
