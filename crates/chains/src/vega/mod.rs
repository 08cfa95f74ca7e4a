//! Vega, and the programs that differ from it in name only: nodes in the layout of Visor, which looks after them there.
//!
//! Everything that the drop-in knows about the family, as pure functions and data: its settings, its releases' own
//! configuration, and what they mean. [`shape()`] turns a home into a [`crate::NodeShape`]. Nothing here launches,
//! writes or waits.

mod fields;
mod flavour;
mod history;
mod home;
mod init;
mod legacy;
mod load;
mod run_config;
mod settings;
mod shape;
#[cfg(test)]
mod tests;

pub use fields::Remarks;
pub use flavour::{FLAVOURS, Flavour, flavour};
pub use history::history_args;
pub use home::{Standing, layout, standing};
pub use init::{EXAMPLE_RELEASE, GENESIS, config_text, run_config_texts};
pub use load::{Home, load, run_config};
pub use run_config::{Launch, RUN_CONFIG_FILE, Rpc, RunConfig, read_run_config};
pub use settings::{AutoInstall, CONFIG_FILE, Missing, Settings, read_settings};
pub use shape::shape;
