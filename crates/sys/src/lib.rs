//! The machine under us: files made durable, time, processes; each real, and simulated where tests need it.
//!
//! This is the only crate (with the shim) that may call `std::fs`, `std::process::Command` or read a
//! clock. It knows nothing of nodes, releases or upgrades.

pub mod attached;
pub mod background;
pub mod clock;
pub mod crash_point;
pub mod disk;
pub mod durable;
pub mod host;
pub mod process;
mod random;
mod real_disk;
pub mod sim_disk;
pub mod terminal;

pub use clock::{Clock, RealClock, SimClock};
pub use disk::Disk;
pub use random::Random;
pub use real_disk::RealDisk;
pub use sim_disk::SimDisk;
