//! The daemon of one node: carries out what the engine decides, and lets people and programs ask.
//!
//! [`run`] is the whole of it. [`core`] is the one path on which things are decided and written down; [`steps`] are the
//! steps of an upgrade that touch files; the node task (`node`, private) owns everything that changes. The other
//! modules are its senses and voices: probes, scouts, watched files, the control API, events, metrics, webhooks.

pub mod api;
mod asking;
pub mod compress;
pub mod core;
mod crash_points;
mod custody;
pub mod doctor;
pub mod event_log;
mod family;
pub mod fetch;
mod live;
pub mod metrics;
mod node;
pub mod notify;
pub mod offline;
pub mod probe;
mod prove;
mod remote_signer;
pub mod request;
mod reserve;
mod run;
pub mod scout;
mod sockets;
mod source;
pub mod steps;
pub mod systemd;
pub mod tidy_up;
mod units;
pub mod watch;

pub use crash_points::crash_points;
pub use run::{Ended, RunOptions, run};
pub use source::{ConfigurationFile, ShapeSource};
pub use units::doubt_about_signing;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
