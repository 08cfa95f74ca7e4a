//! A scriptable blockchain node for demos, tests and benches.
//!
//! It makes blocks in a data directory of write-once and mutable files, answers the questions a
//! CometBFT node answers, and misbehaves exactly as its switches say. Three things make it useful
//! as a witness, and each lives outside the data directory so that a restore cannot hide it:
//!
//! * `lifecycle.log`: every start and stop, with version, pid, height and monotonic time;
//! * `sign.log` and `violations.log`: what was signed, and every broken rule of a validator;
//! * `inherited.json`: what the parent handed over (signal masks, limits, descriptors, environment).
//!
//! One binary plays every version: the version and the switches of a release come from a profile
//! beside the executable or inside it ([`Profile`]), then the command line, then `POST /control`.
//!
//! Called `vega`, or with that as its first word, it plays another family: see [`vega`].
//!
//! The library is what tests need to stage releases ([`Profile::install`]), to check what a node
//! left behind ([`verify_data`], [`lifecycle::read`]) and to check flooded output
//! ([`pattern::Checker`]). It must not depend on any crate of Omnivisor: a witness is independent.

mod block;
mod bulk;
mod child;
mod comet;
mod command;
mod companions;
mod error;
mod files;
mod halt;
mod http;
mod inherited;
mod life;
pub mod lifecycle;
mod migrate;
mod node;
mod notify;
mod output;
pub mod pattern;
mod plan;
mod profile;
mod shared;
mod sign;
mod signals;
mod store;
mod switches;
mod time;
pub mod vega;
mod verify;

pub use command::{NAMES, main};
pub use error::Error;
pub use plan::{Torn, Upgrade};
pub use profile::Profile;
pub use sign::Violation;
pub use switches::{SWITCHES, SignalName, Switch, Switches};
pub use verify::{Report, VersionSpan, verify_data, verify_home};
