//! The node's program, as far as the world knows it: a script of one line that says what it would do.

use std::fmt;

use ov_sys::Random;

/// How a program behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// It runs and makes blocks.
    Good,
    /// It runs, makes blocks, and raises the format of the data at its first start.
    Raising,
    /// It runs, and says that it is another version.
    Misnamed,
    /// It runs and makes no blocks.
    Still,
    /// It ends soon after each start.
    Crashing,
    /// It raises the format of the data, and ends soon after each start.
    Ruining,
    /// It ends with the code that must not be followed by another start.
    Forbidden,
    /// It cannot be executed.
    Broken,
}

impl Nature {
    const ALL: [Nature; 8] = [
        Nature::Good,
        Nature::Raising,
        Nature::Misnamed,
        Nature::Still,
        Nature::Crashing,
        Nature::Ruining,
        Nature::Forbidden,
        Nature::Broken,
    ];

    /// Mostly good ones.
    pub(crate) fn draw(random: &mut Random) -> Self {
        match random.below(10) {
            0..=2 => Nature::Good,
            3..=4 => Nature::Raising,
            5 => Nature::Misnamed,
            6 => Nature::Still,
            7 => Nature::Crashing,
            8 => Nature::Ruining,
            _ => [Nature::Forbidden, Nature::Broken][usize::from(random.chance(1, 2))],
        }
    }

    /// Whether it raises the format of the data to its own level.
    pub fn raises(self) -> bool {
        matches!(self, Nature::Raising | Nature::Ruining)
    }

    /// Whether it stays up and makes blocks.
    pub fn works(self) -> bool {
        matches!(self, Nature::Good | Nature::Raising | Nature::Misnamed)
    }
}

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Which rules of the chain it knows, and which formats of the data it can read: all up to this one.
    pub level: u64,
    /// How it behaves.
    pub nature: Nature,
}

impl Program {
    /// The bytes of the file.
    pub fn bytes(self) -> Vec<u8> {
        format!("#!/bin/sh\nlevel={} nature={:?}\n", self.level, self.nature).into_bytes()
    }

    /// What a file says; `None` when it is not whole.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (level, nature) = text.strip_prefix("#!/bin/sh\nlevel=")?.strip_suffix('\n')?.split_once(" nature=")?;
        let nature = Nature::ALL.into_iter().find(|known| format!("{known:?}") == nature)?;
        Some(Self { level: level.parse().ok()?, nature })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{} ({:?})", self.level, self.nature)
    }
}
