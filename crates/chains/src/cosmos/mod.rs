//! Cosmos: nodes built with the Cosmos SDK, in the layout that Cosmovisor made the family's own.
//!
//! Everything that the drop-in and the adapter know about the family, as pure functions and data: its settings, names,
//! files, and what they mean. [`shape()`] turns a home of the drop-in into a [`crate::NodeShape`]; a home with an
//! `omnivisor.toml` becomes one as every node does, over this family's defaults. Nothing here launches, writes or waits.

mod arguments;
mod at_rest;
mod check;
mod current;
mod duration;
mod export;
mod extras;
mod fit;
mod halt;
mod handover;
mod list;
mod load;
mod names;
mod native;
mod node_config;
mod plan;
mod read;
mod services;
mod settings;
mod shape;
#[cfg(test)]
mod tests;
mod time_format;
mod verdict;

pub use arguments::{Purpose, command, flag_value, purpose, skip_heights, take_config};
pub use at_rest::{HeightAtRest, height_at_rest};
pub use check::{followed, names as check_names};
pub use current::{APPLIED_FILE, AppliedPlan, applied, choose as choose_current};
pub use duration::{GoDuration, InvalidDuration};
pub use export::{exported, shown};
pub use extras::{ExitCodes, Extras, LogTo, extras};
pub use fit::{Doubt, Fit, FitEvidence, KnownRelease, fit};
pub use handover::{Handover, handover};
pub use list::{InvalidList, ListedUpgrade, parse_csv, parse_inline};
pub use load::{WrongSettings, load, told};
pub use names::{GENESIS, Recase, UnusableName, escape, release_of, same};
pub(crate) use native::{defaults, finish};
pub use node_config::{NodeConfig, NodeLaunch, node_config};
pub use plan::{InvalidPlan, PlanInfo, Schedule};
pub use read::{Environment, Reading, from_environment, from_file};
pub use services::{Services, plan_question, services};
pub use settings::Settings;
pub use shape::shape;
pub(crate) use shape::{height_files, heights, node_config_of, remote_signer, seed, signer};
pub use time_format::TimeFormat;
pub use verdict::{Author, Current, Evidence, Main, Meaning, Stale, meaning};
