//! Why a unit is launched: what its arguments may depend on.

use serde::{Deserialize, Serialize};

use crate::Height;

/// The upgrade behind which a release runs that has not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AfterUpgrade {
    /// The height of its trigger, if that names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Height>,
}

/// Why a unit is launched, in plain facts. Several may hold at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occasion {
    /// A unit of the node ended by itself, or could not be launched, and this makes it good.
    pub after_failure: bool,
    /// Another release became current, and main has not been ready since.
    pub after_upgrade: Option<AfterUpgrade>,
    /// Main is to halt by itself when it comes to the block of this height, which is the next release's to make.
    pub halt_at: Option<Height>,
}
