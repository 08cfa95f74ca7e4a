//! A core and a data node of the Vega family, scriptable, in one program as the real ones are.
//!
//! What it says of itself to whoever looks after it is what the real programs say: the admin RPC over a unix socket
//! (`rpc`), `version --output json`, the network-history command and the list of local snapshots (`tools`). The state
//! of both processes lies in Vega's home (`chain`, `history`); what was witnessed, and what the processes are told
//! while they run, lies in a directory of its own (`witness`), which no restore of a home reaches.

mod broker;
mod chain;
mod command;
mod core;
mod data_node;
mod history;
mod process;
mod rpc;
mod tools;
mod witness;

pub use history::Segment;
pub use rpc::Admin;
pub use tools::Listed;
pub use witness::{Launch, Role, blocks, launches, tell, violations};

pub(crate) use command::{NAMES, main};
