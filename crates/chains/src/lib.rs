//! What each family of chains wants: where things lie, what to launch, where plans come from, how to ask the node.
//!
//! [`load`] turns a home's configuration into a [`NodeShape`], which is data in words that no chain owns. Nothing here
//! launches, probes or changes anything: the files it reads are the configuration, and those it is pointed at.

pub mod added;
pub mod cosmos;
mod environment;
mod family;
mod generic;
mod leveldb;
pub mod plans;
mod printed;
mod reload;
mod secret;
pub mod shape;
mod template;
pub mod vega;
pub mod version_map;
pub mod words;

pub use cosmos::{HeightAtRest, height_at_rest};
pub use environment::{EnvironmentError, WrongLine, read_variables};
pub use family::{GENERIC, names as chains};
pub use generic::{ConfigError, ConfigProblem, Init, init_template, load, read};
pub use leveldb::Unreadable;
pub use printed::value_within;
pub use reload::{Changes, Written, diff};
pub use secret::{Secret, SecretError, shown_address};
pub use shape::NodeShape;
pub use template::{Places, Template, TemplateError};

/// The JSON Schema of `omnivisor.toml`.
pub fn schema() -> serde_json::Value {
    generic::schema().clone()
}
