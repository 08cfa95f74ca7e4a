//! Typed client of the control API, for programs without an event loop of their own.
//!
//! Every call opens a connection to the socket in the node's home, is bounded in time and in the length of its
//! answer, and blocks. A client holds no state of the node; it decides nothing and prints nothing.
//!
//! ```no_run
//! # fn main() -> Result<(), ov_client::ClientError> {
//! let client = ov_client::Client::new("/var/lib/node");
//! println!("{:?}", client.status()?.height);
//! for event in client.follow(ov_client::Since::Newest)? {
//!     println!("{}", event?.kind);
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod error;
mod stream;
mod transport;

#[cfg(test)]
mod tests;

pub use client::{Client, Since};
pub use error::ClientError;
pub use stream::EventStream;
