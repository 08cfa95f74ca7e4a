//! Shims as the daemon sees them: one handle per unit, commands in, events out.
//!
//! [`Shim::open`] adopts the shim that lives in a unit's directory, or starts one. From then on the
//! handle's commands are answered within a bounded time, and what happens to the unit comes through
//! a channel, [`ShimEvent::Lost`] last. A shim that was killed leaves its unit running without a
//! parent: [`orphans`] finds such processes and [`end_orphans`] ends them; until then no shim
//! launches that unit again. This crate decides nothing about units and keeps nothing about them.

mod error;
mod link;
mod orphan;
mod shim;

pub use error::SuperviseError;
pub use orphan::{end_orphans, last_run, orphans, settle};
pub use ov_shim::{
    CrashPoint, ExitStatus, LogSettings, Output, Phase, ResourceLimit, RunRecord, Scope, ShimProgram, Spec, Stage,
    State as ShimState,
};
pub use shim::{Shim, ShimEvent};
