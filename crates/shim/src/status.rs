//! How a process ended. Owns no state; knows nothing of what an exit code means to a chain.

use std::fmt;

use rustix::process::WaitStatus;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited by itself with this code.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The number of the signal.
        signal: i32,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// Whether it is exit code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// As `waitpid` reports it; nothing for a process that only stopped or went on.
    pub(crate) fn from_wait(status: WaitStatus) -> Option<Self> {
        /// The bit of a wait status that tells of a core dump (`WCOREFLAG`).
        const CORE_FLAG: i32 = 0x80;
        status.exit_status().map(Self::Code).or_else(|| {
            let core_dumped = status.as_raw() & CORE_FLAG != 0;
            status.terminating_signal().map(|signal| Self::Signal { signal, core_dumped })
        })
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "exit code {code}"),
            Self::Signal { signal, core_dumped: false } => write!(formatter, "signal {signal}"),
            Self::Signal { signal, core_dumped: true } => {
                write!(formatter, "signal {signal} (core dumped)")
            }
        }
    }
}
