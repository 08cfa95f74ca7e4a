//! The machine under us: files made durable, time, processes; each real and simulated.
//!
//! This is the only crate (with the shim) that may call `std::fs`, `std::process::Command` or read a
//! clock. It knows nothing of nodes, releases or upgrades.

pub mod disk;
pub mod durable;
mod real_disk;

pub use disk::Disk;
pub use real_disk::RealDisk;
