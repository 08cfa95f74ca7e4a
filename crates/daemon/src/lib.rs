//! daemon

pub mod compress;
pub mod event_log;
pub mod metrics;
pub mod notify;
pub mod probe;
pub mod request;
pub mod scout;
pub mod systemd;
pub mod watch;
