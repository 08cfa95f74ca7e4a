//! What the node looks like at this moment, for those who watch it from outside its task: the proof of a new release.

use ov_types::{Height, RunId};

/// A glance at the node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Live {
    /// The run of main that is up.
    pub main_up: Option<RunId>,
    /// Main is ready, or nothing tells that.
    pub main_ready: bool,
    /// What main's health probe said; `None` without one or before its first answer.
    pub main_healthy: Option<bool>,
    /// The last height seen, and which run of main it was seen from.
    pub height: Option<(Height, RunId)>,
}
