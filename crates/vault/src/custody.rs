//! Where, and when, the key of a validator was last used (`docs/formats/custody.md`).
//!
//! Whoever brings a home to another machine, starts a copy of a disk, or wakes a machine from a snapshot may have two
//! validators with one key, and neither can see the other. What can be seen is that the machine is another one, or that
//! its two clocks do not go on as they did. Either is a doubt, and only a person can say that the other one is gone.

use std::path::Path;

use ov_sys::{Disk, durable};
use ov_types::{Moment, Span, utc};
use serde::{Deserialize, Serialize};

use crate::error::{At, VaultError};
use crate::manifest::{self, Format, InvalidManifest};

/// The largest file that is read.
const LEN_MAX: u64 = 64 << 10;

/// So far the two clocks may part: whoever keeps a clock in time moves it by less.
const CLOCK_STEP_MS_MAX: u64 = 30_000;

/// What tells this machine from others, as digests: what they are made of is nobody's business.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The installation.
    pub machine: Option<String>,
    /// The hardware, where that may be known.
    pub board: Option<String>,
    /// The boot.
    pub boot: Option<String>,
}

impl Machine {
    /// The one that this is.
    pub fn this() -> Self {
        let digest = |id: String| {
            let mut hasher = blake3::Hasher::new_derive_key("omnivisor custody of a validator's key");
            hasher.update(id.as_bytes()).finalize().to_hex().to_string()
        };
        Self {
            machine: ov_sys::host::machine_id().map(digest),
            board: ov_sys::host::board_id().map(digest),
            boot: ov_sys::host::boot_id().ok().map(digest),
        }
    }
}

/// Where, and when, a key was last used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Custody {
    format: Format,
    /// Where.
    #[serde(flatten)]
    pub machine: Machine,
    /// When, by both clocks.
    #[serde(flatten)]
    pub at: Moment,
    /// Since then somebody elsewhere signs for the node, with a key of the same validator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
}

/// Why it is not known that nobody else uses the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CustodyProblem {
    /// The home was on another machine, or the machine is a copy.
    #[error("recognise the machine: the key was last used on another one, or this one is a copy of it")]
    Machine,
    /// The wall clock goes back.
    #[error("trust the clock: it was set back by {}; it was {} before", seconds(*by_ms), utc(*before_ms))]
    SetBack {
        /// How far.
        by_ms: u64,
        /// What it said before, in milliseconds since 1970 in UTC.
        before_ms: i64,
    },
    /// The wall clock is ahead of what the machine has lived through.
    #[error(
        "trust the clock: it was set forward by {}, as when a machine is woken from a snapshot",
        seconds(*by_ms)
    )]
    SetForward {
        /// How far.
        by_ms: u64,
    },
    /// This boot is younger than it was.
    #[error("trust the clock: this boot of the machine is younger than it was, as after a return to a snapshot")]
    Younger,
    /// Somebody elsewhere signed for the node, and nothing says that they do not any more.
    #[error("be the one who signs: somebody elsewhere signed for this node until now")]
    Elsewhere,
    /// The key was used, and nothing says where.
    #[error("find out where the key was last used: it has signed, and the note of that is gone")]
    Lost,
}

/// So long, without what nobody wants to read.
fn seconds(ms: u64) -> Span {
    Span::from_seconds(ms.saturating_add(500) / 1_000)
}

impl Custody {
    /// The note that a key is used here and now.
    pub fn of(machine: &Machine, now: Moment) -> Self {
        Self { format: Format { major: 1, minor: 1 }, machine: machine.clone(), at: now, elsewhere: false }
    }

    /// The note that somebody elsewhere signs for the node of this machine.
    pub fn of_somebody_elsewhere(machine: &Machine, now: Moment) -> Self {
        Self { elsewhere: true, ..Self::of(machine, now) }
    }

    /// Whether a key that was last used as noted may be used here and now.
    pub fn check(&self, here: &Machine, now: Moment) -> Result<(), CustodyProblem> {
        if self.elsewhere {
            return Err(CustodyProblem::Elsewhere);
        }
        let before = &self.machine;
        // Only root is told of the board, and a daemon may be started by somebody else than the last one.
        let is_other_board = before.board.is_some() && here.board.is_some() && before.board != here.board;
        if before.machine != here.machine || is_other_board {
            return Err(CustodyProblem::Machine);
        }
        let wall_ms = now.wall_ms.saturating_sub(self.at.wall_ms);
        let is_same_boot = before.boot.is_some() && before.boot == here.boot;
        let lived_ms = if is_same_boot {
            let ms = |reading: u64| i64::try_from(reading).unwrap_or(i64::MAX);
            ms(now.monotonic_ms).saturating_sub(ms(self.at.monotonic_ms))
        } else {
            // How long the machine was off is for the wall clock to say: any time but a negative one.
            wall_ms.max(0)
        };
        // A little: somebody else may have noted it since `now` was read.
        if lived_ms < 0 && lived_ms.unsigned_abs() > CLOCK_STEP_MS_MAX {
            return Err(CustodyProblem::Younger);
        }
        let parted_ms = wall_ms.saturating_sub(lived_ms);
        match parted_ms.unsigned_abs() {
            by_ms if by_ms <= CLOCK_STEP_MS_MAX => Ok(()),
            by_ms if parted_ms > 0 => Err(CustodyProblem::SetForward { by_ms }),
            by_ms => Err(CustodyProblem::SetBack { by_ms, before_ms: self.at.wall_ms }),
        }
    }
}

/// Reads the note, if there is one.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Custody>, VaultError> {
    if !durable::exists(disk, path).at("look at", path)? {
        return Ok(None);
    }
    let bytes = disk.read(path, LEN_MAX).at("read", path)?;
    parse(&bytes).map(Some).map_err(|source| VaultError::Manifest { path: path.to_owned(), source })
}

/// Writes the note. The folder is there.
pub fn write(disk: &dyn Disk, path: &Path, custody: &Custody) -> Result<(), VaultError> {
    durable::replace(disk, path, &manifest::to_bytes(custody), 0o600).at("write", path)
}

fn parse(bytes: &[u8]) -> Result<Custody, InvalidManifest> {
    manifest::check_format(bytes)?;
    manifest::from_json(bytes)
}

#[cfg(test)]
mod tests;
