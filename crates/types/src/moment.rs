//! A reading of both clocks.

use serde::{Deserialize, Serialize};

/// A reading of both clocks. Waits and ages are measured on the monotonic one, which counts while the machine
/// sleeps and which nobody can set; people and files get the wall clock's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Moment {
    /// Milliseconds since the machine was booted.
    pub monotonic_ms: u64,
    /// Milliseconds since 1970 in UTC.
    pub wall_ms: i64,
}

impl Moment {
    /// Milliseconds that passed since `earlier`; zero if it lies in the future.
    pub fn since_ms(self, earlier: Moment) -> u64 {
        self.monotonic_ms.saturating_sub(earlier.monotonic_ms)
    }
}
