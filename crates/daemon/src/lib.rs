//! daemon

pub mod event_log;
pub mod metrics;
pub mod request;
