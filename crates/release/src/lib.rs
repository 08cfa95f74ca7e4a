//! Releases: where they lie, how they get there complete or not at all, and the one rename that goes to another.
//!
//! A release is a directory that can be run; its provenance lies beside it and is written last, so a release
//! without it does not count. Every function here is one probe, one change or one re-read, and may be repeated
//! after a crash at any point. This crate owns the releases folder and the `current` link of one node, starts no
//! process, and knows no clock and no chain. What reaches over the network is in [`fetch`], behind a trait.

mod addition;
mod crash_point;
mod digest;
mod elf;
mod error;
mod examine;
pub mod fetch;
mod layout;
mod libraries;
mod list;
mod loader_paths;
mod provenance;
mod stage;
mod state;
mod switch;
mod tree;
mod withdraw;

pub use addition::Addition;
pub use crash_point::CrashPoint;
pub use digest::{Digest, InvalidDigest};
pub use elf::{ElfError, ElfFacts, parse as parse_elf};
pub use error::ReleaseError;
pub use examine::{Host, examine, examine_release, rollback_target};
pub use layout::Layout;
pub use list::{Listed, list, prune, sweep};
pub use provenance::{Fetched, InvalidProvenance, Provenance, parse as parse_provenance};
pub use stage::{Source, StageRequest, Staged, adopt, settle, stage};
pub use state::{State, Thoroughness, state, verify, was_adopted};
pub use switch::{CurrentRelease, Switched, current, switch};
pub use tree::Entry;
pub use withdraw::withdraw;
