//! Why a call did not succeed.

use std::io;
use std::path::PathBuf;

use ov_types::ExitCode;
use ov_types::api::Refusal;
use thiserror::Error;

/// Why a call did not succeed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No daemon answers for this node.
    #[error("reach the daemon of {}: none is running", home.display())]
    NotRunning {
        /// The node's home.
        home: PathBuf,
    },
    /// There may be a daemon, but its socket cannot be used.
    #[error("connect to {}", socket.display())]
    Connect {
        /// The control socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon said no.
    #[error("{}", .0.problem)]
    Refused(Box<Refusal>),
    /// The connection broke before the answer was there, as when the daemon is killed.
    #[error("keep the connection to the daemon; what was asked may have been done")]
    Lost {
        /// Why.
        source: hyper::Error,
    },
    /// What came back is not an answer.
    #[error("understand the daemon's answer")]
    Protocol {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer did not come in time.
    #[error("get an answer from the daemon within {}", ov_types::Span::from_ms(*waited_ms))]
    TimedOut {
        /// How long it was waited for.
        waited_ms: u64,
    },
}

impl ClientError {
    /// The exit code with which a command line program should end.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            ClientError::NotRunning { .. } => ExitCode::NotRunning,
            ClientError::Refused(refusal) => ExitCode::from_number(refusal.exit_code).unwrap_or(ExitCode::Failed),
            ClientError::TimedOut { .. } => ExitCode::TimedOut,
            ClientError::Connect { .. } | ClientError::Lost { .. } | ClientError::Protocol { .. } => ExitCode::Failed,
        }
    }

    pub(crate) fn exchange(source: hyper::Error) -> Self {
        if source.is_parse() { Self::protocol(source) } else { ClientError::Lost { source } }
    }

    pub(crate) fn protocol(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        ClientError::Protocol { source: source.into() }
    }
}
