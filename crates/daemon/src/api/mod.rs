//! The control API: JSON over HTTP/1.1 on a unix socket in the node's home, and metrics on TCP where wanted.
//!
//! It owns the connections and nothing of the node: every answer comes from the node task through a
//! [`NodeHandle`](crate::request::NodeHandle), or from the event log and the metrics. Everything that a peer can make
//! it hold (connections, headers, bodies, streams, waiting) is bounded. One table, `routes::ROUTES`, says what is
//! served; the OpenAPI document is made from it. `docs/api.md` shows its use.
//!
//! It must not decide anything about the node, and it must not be able to stop the node task: requests wait in a
//! bounded queue, and a peer that does not read is hung up on.

mod answer;
mod call;
mod events;
mod route;
mod routes;
mod server;
mod socket;

#[cfg(test)]
mod openapi;
#[cfg(test)]
mod tests;

pub use server::serve;
pub use socket::{Listeners, SocketError};
