//! The node a command is about, and its daemon.
//!
//! The one place that knows the client: everything it can say becomes a [`Failure`] here.

use std::path::{Path, PathBuf};

use ov_chains::NodeShape;
use ov_client::{Client, ClientError};
use ov_sys::{Disk as _, RealDisk, durable};

use crate::failure::Failure;
use crate::home;
use crate::output::Console;

/// The node a command is about.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its home.
    pub(crate) home: PathBuf,
    /// Where results and talk go.
    pub(crate) console: Console,
}

impl Session {
    /// Asks the daemon something.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&Client) -> Result<T, ClientError>) -> Result<T, Failure> {
        ask(&self.home, question)
    }

    /// What the configuration says about the node.
    pub(crate) fn shape(&self) -> Result<NodeShape, Failure> {
        ov_chains::load(&RealDisk, &self.home, None).map_err(|error| {
            if durable::exists(&RealDisk, &self.home.join(home::CONFIGURATION)).unwrap_or(true) {
                Failure::configuration(&error)
            } else {
                Failure::no_node(&self.home)
            }
        })
    }
}

/// Asks the daemon of a home something.
pub(crate) fn ask<T>(home: &Path, question: impl FnOnce(&Client) -> Result<T, ClientError>) -> Result<T, Failure> {
    question(&Client::new(home)).map_err(|error| failure(home, error))
}

/// What an error of the client means to a person.
pub(crate) fn failure(home: &Path, error: ClientError) -> Failure {
    let exit = error.exit_code();
    match error {
        ClientError::Refused(refusal) => Failure::from(*refusal),
        ClientError::NotRunning { .. } if is_home(home) => Failure::not_running(home),
        ClientError::NotRunning { .. } => Failure::no_node(home),
        ClientError::Connect { .. } => Failure::connect(&error),
        error => Failure::talk(exit, &error),
    }
}

/// Whether somebody meant this folder to be a node's home.
fn is_home(home: &Path) -> bool {
    let has = |name: &str| RealDisk.facts(&home.join(name)).is_ok_and(|facts| facts.is_some());
    has(home::CONFIGURATION) || has(".omnivisor")
}
