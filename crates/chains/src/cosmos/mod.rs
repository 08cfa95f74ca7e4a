//! Cosmos: nodes built with the Cosmos SDK, in the layout that Cosmovisor made the family's own.
//!
//! Everything that the drop-in and the adapter know about the family, as pure functions and data: its settings, names,
//! files, and what they mean. Nothing here launches, writes or waits.

mod duration;
mod list;
mod names;
mod plan;

pub use duration::{GoDuration, InvalidDuration};
pub use list::{InvalidList, ListedUpgrade, parse_csv, parse_inline};
pub use names::{GENESIS, Recase, UnusableName, escape, release_of, same};
pub use plan::{InvalidPlan, PlanInfo, Queue};
