//! Snapshots of a node's data, and the rules of what a validator has signed.
//!
//! Three promises. A snapshot is complete or not there. A restore leaves the old data or the new, whole, whatever
//! stops it. What a validator has already signed never goes backwards, and its keys never enter a snapshot.
//!
//! This crate owns the snapshots folder of one node and, while a restore runs, the names beside its data directory
//! that begin with it. It stops and starts nothing: whoever calls makes sure that the node is down.

mod compare;
mod crash_point;
pub mod custody;
mod error;
mod format_marker;
mod glob;
mod list;
mod manifest;
mod outside;
mod path_text;
mod restore;
mod rules;
mod scan;
mod seal;
pub mod sign_state;
mod swap;
mod take;
mod ways;

pub use compare::is_as_taken;
pub use crash_point::CrashPoint;
pub use custody::{Custody, CustodyProblem, Machine};
pub use error::VaultError;
pub use format_marker::format_marker;
pub use glob::{Globs, InvalidGlob};
pub use list::{Listed, Retention, delete, list, prune, sweep};
pub use manifest::{About, Attributes, Entry, How, InvalidManifest, Manifest, Summary, parse as parse_manifest};
pub use outside::free_place;
pub use path_text::PathText;
pub use restore::{
    RestoreRequest, Restored, already_restored, discard_old, kept_data, restore, sweep_restores, undo_restore,
};
pub use rules::DataRules;
pub use seal::{Wrong, seal, verify};
pub use sign_state::{OnDisk, SignState, SignStateProblem, check_monotone, higher};
pub use swap::{Repaired, parse_marker, repair};
pub use take::{Snapshot, TakeRequest, already_taken, day_of, free_id, propose_id, take};
pub use ways::{Method, Progress};
