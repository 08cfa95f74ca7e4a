//! What each family of chains wants: where things lie, what to launch, where plans come from, how to ask the node.
//!
//! [`load`] turns a home's configuration into a [`NodeShape`], which is data in words that no chain owns. Nothing here
//! launches, probes or changes anything: the files it reads are the configuration, and those it is pointed at.

pub mod reload;
pub mod secret;
pub mod shape;
pub mod template;
pub mod words;

pub use secret::Secret;
pub use shape::NodeShape;
pub use template::Template;
