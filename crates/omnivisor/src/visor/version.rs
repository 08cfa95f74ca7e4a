//! `version`: ours.

use super::grammar::{OUTPUT, flavour_of};
use crate::drop_in::{self, Call, Complaint};

/// The version of the original whose commands and files these are; scripts compare it.
const INTERFACE: &str = "v0.79.0";
/// What the original says of the commit that it was built from.
const HASH: &str = "omnivisor";

/// `version`.
pub(super) fn version(call: &Call) -> Result<(), Complaint> {
    let version = format!("{INTERFACE}+omnivisor.{}", env!("CARGO_PKG_VERSION"));
    let title = flavour_of(call)?.title;
    drop_in::write(
        match call.value(OUTPUT).unwrap_or("human") {
            "human" => format!("{title} Visor CLI {version} ({HASH})\n"),
            "json" => format!("{{\"version\":{version:?},\"hash\":{HASH:?}}}\n"),
            _ => return Err(Complaint::new(format!("{OUTPUT} flag must be either \"human\" or \"json\""))),
        }
        .as_bytes(),
    )
}
