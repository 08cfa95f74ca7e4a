//! What `--halt-height` means to nodes of the Cosmos family, which changed with the SDK that they are built from.

use crate::switches::Switches;

/// What a node does about the height that it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is told none.
    Nothing,
    /// It ends in order once it has carried out a block of at least this height.
    EndAfter(u64),
    /// It refuses to carry out this block and all above.
    Refuse(u64),
}

/// What a node of these switches was told.
pub(crate) fn told(switches: &Switches) -> Told {
    let Some(height) = switches.halt_height.filter(|height| *height > 0) else { return Told::Nothing };
    let version = switches.sdk_version.as_deref().unwrap_or_default().trim_start_matches('v');
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or(u64::MAX));
    match [numbers.next(), numbers.next(), numbers.next()] {
        [Some(0), Some(..=49), _] => Told::EndAfter(height),
        [Some(0), Some(50), Some(..=9)] => Told::Refuse(height + 1),
        _ => Told::Refuse(height),
    }
}
