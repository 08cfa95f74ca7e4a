//! What can go wrong between the daemon and its shims.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a shim did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The unit's directory cannot be used.
    #[error("use the unit directory `{path}`")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No shim could be started.
    #[error("start the shim program `{program}`")]
    Start {
        /// The program file.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A shim was started and ended at once.
    #[error("start the shim program `{program}`: it ended with {status}")]
    StartEnded {
        /// The program file.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// A shim lives there and does not answer.
    #[error("get an answer from the shim in `{path}` within {seconds} s")]
    Silent {
        /// The unit's directory.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The shim there is of a kind that we cannot command.
    #[error("command the shim in `{path}`, which speaks version {version} of the protocol")]
    Version {
        /// The unit's directory.
        path: PathBuf,
        /// What it speaks.
        version: u32,
    },
    /// The shim said no.
    #[error("have the shim in `{path}` do it: {reason}")]
    Refused {
        /// The unit's directory.
        path: PathBuf,
        /// In the shim's words.
        reason: String,
    },
    /// The shim is gone.
    #[error("reach the shim in `{path}`, which is gone")]
    Lost {
        /// The unit's directory.
        path: PathBuf,
    },
    /// The record of the last run cannot be read.
    #[error("read the record of the last run in `{path}`")]
    Record {
        /// The unit's directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Processes without a shim did not end.
    #[error("end the processes {pids:?} that were left without a shim in `{path}`")]
    OrphansRemain {
        /// The unit's directory.
        path: PathBuf,
        /// Who is left.
        pids: Vec<u32>,
    },
}
