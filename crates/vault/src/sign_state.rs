//! What a validator has already signed, which must never go backwards.
//!
//! The file is CometBFT's `priv_validator_state.json`; only height, round and step are understood, and the bytes
//! are carried along as they are. Every doubt is a refusal: a node that waits loses little, a double signature
//! loses the stake.

use std::fmt;
use std::path::Path;

use ov_sys::Disk;
use serde::{Deserialize, Serialize};

use crate::error::{At, VaultError};

/// The largest file that is read.
const LEN_MAX: u64 = 1 << 20;

/// The last thing that was signed. Ordered as the chain goes: by height, then round, then step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignState {
    /// Block height.
    #[serde(deserialize_with = "number")]
    pub height: u64,
    /// Round at that height.
    #[serde(deserialize_with = "number")]
    pub round: u64,
    /// Step in that round.
    #[serde(deserialize_with = "number")]
    pub step: u64,
}

impl fmt::Display for SignState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "height {}, round {}, step {}", self.height, self.round, self.step)
    }
}

/// Writers differ in whether a number is a string.
fn number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u64),
        Text(String),
    }
    match Either::deserialize(deserializer)? {
        Either::Number(number) => Ok(number),
        Either::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// What was found where the sign state should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDisk {
    /// No file.
    Missing,
    /// A file that says nothing certain.
    Unreadable(String),
    /// A state, and the bytes it was read from.
    State(SignState, Vec<u8>),
}

impl OnDisk {
    /// The state, if there is one.
    pub fn state(&self) -> Option<SignState> {
        match self {
            OnDisk::State(state, _) => Some(*state),
            OnDisk::Missing | OnDisk::Unreadable(_) => None,
        }
    }
}

/// Why a validator must not start, or data must not be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignStateProblem {
    /// The key is there and what it has signed is not.
    #[error("find the sign state: the signing key is there without it, so what it has signed is unknown")]
    Missing,
    /// The file is there and says nothing certain.
    #[error("read the sign state: {0}")]
    Unreadable(String),
    /// The state went backwards.
    #[error("accept the sign state: it says {found}, and {recorded} was signed before")]
    Lower {
        /// What the file says.
        found: SignState,
        /// What was recorded.
        recorded: SignState,
    },
    /// The key of a validator is gone; a node would silently make another.
    #[error("find the signing key: this was a validator, and the node would make itself a new key")]
    KeyMissing,
}

/// Reads a sign state; total over all inputs.
pub fn parse(bytes: &[u8]) -> Result<SignState, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// Looks for the sign state at `path`.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<OnDisk, VaultError> {
    if disk.facts(path).at("look at", path)?.is_none() {
        return Ok(OnDisk::Missing);
    }
    let bytes = disk.read(path, LEN_MAX).at("read", path)?;
    Ok(match parse(&bytes) {
        Ok(state) => OnDisk::State(state, bytes),
        Err(error) => OnDisk::Unreadable(error.to_string()),
    })
}

/// The higher of two states, `a` if they are equal.
pub fn higher(a: OnDisk, b: OnDisk) -> OnDisk {
    if b.state() > a.state() { b } else { a }
}

/// Whether a validator may start: what it has signed is known and not below what was recorded when it last stopped,
/// and its key did not vanish.
pub fn check_monotone(
    recorded: Option<SignState>,
    on_disk: &OnDisk,
    key_present: bool,
) -> Result<(), SignStateProblem> {
    match (on_disk, key_present) {
        (OnDisk::Unreadable(why), _) => Err(SignStateProblem::Unreadable(why.clone())),
        (OnDisk::State(found, _), true) => not_below(recorded, *found),
        (OnDisk::Missing, true) => Err(SignStateProblem::Missing),
        (OnDisk::State(..), false) => Err(SignStateProblem::KeyMissing),
        (OnDisk::Missing, false) if recorded.is_some() => Err(SignStateProblem::KeyMissing),
        (OnDisk::Missing, false) => Ok(()),
    }
}

/// What the sign state must be after `stored` data took the place of `live` data: the higher one, never below what
/// was recorded. Refused whenever the live one may be higher than anybody can tell.
pub(crate) fn after_replacement(
    recorded: Option<SignState>,
    live: OnDisk,
    stored: OnDisk,
) -> Result<OnDisk, SignStateProblem> {
    let result = match (live, stored) {
        (OnDisk::Unreadable(why), _) | (OnDisk::Missing, OnDisk::Unreadable(why)) => {
            return Err(SignStateProblem::Unreadable(why));
        }
        (live, stored) => higher(live, stored),
    };
    match (result.state(), recorded) {
        (Some(found), recorded) => not_below(recorded, found)?,
        (None, Some(_)) => return Err(SignStateProblem::Missing),
        (None, None) => {}
    }
    Ok(result)
}

fn not_below(recorded: Option<SignState>, found: SignState) -> Result<(), SignStateProblem> {
    match recorded {
        Some(recorded) if found < recorded => Err(SignStateProblem::Lower { found, recorded }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
