//! Where the crash matrix kills the program: the list of all places, and the daemon's own.

use ov_types::{FailurePolicy, Step};

use crate::steps::is_carried_out;

ov_sys::crash_points! {
    /// The daemon's own edges between what is decided, done and told.
    pub(crate) enum CrashPoint {
        /// The units were found, and nothing was decided about them.
        Found = "daemon.found",
        /// A decision is durable, and nothing of what follows from it is begun.
        Decided = "daemon.decided",
        /// An event is kept, and nobody was told of it.
        EventKept = "daemon.event-kept",
        /// A launch is put together, and no shim knows of it.
        Launching = "daemon.launching",
        /// A shim took a launch on, and nobody was told.
        Launched = "daemon.launched",
        /// The units are down for work on the data, and it is not begun.
        WorkBegun = "daemon.work-begun",
        /// The work is done, and whoever asked was not answered.
        WorkDone = "daemon.work-done",
        /// A proof begins.
        ProofBegun = "daemon.proof-begun",
        /// A release is proven, and that is not written down.
        Proven = "daemon.proven",
    }
}

/// The names of all places where the program can be told to kill itself: what the crash matrix goes through.
pub fn crash_points() -> Vec<String> {
    let names = CrashPoint::ALL.map(CrashPoint::name).into_iter();
    let names = names
        .chain(ov_journal::CrashPoint::ALL.map(ov_journal::CrashPoint::name))
        .chain(ov_release::CrashPoint::ALL.map(ov_release::CrashPoint::name))
        .chain(ov_release::fetch::CrashPoint::ALL.map(ov_release::fetch::CrashPoint::name))
        .chain(ov_vault::CrashPoint::ALL.map(ov_vault::CrashPoint::name))
        .chain(ov_shim::CrashPoint::ALL.map(ov_shim::CrashPoint::name));
    let steps = Step::ALL.into_iter().filter(|step| is_carried_out(*step)).flat_map(edges_of);
    names.map(str::to_owned).chain(steps).collect()
}

/// What is past the point of no return is never undone.
fn edges_of(step: Step) -> impl Iterator<Item = String> {
    let is_undone = step < Step::point_of_no_return(FailurePolicy::Rollback);
    let backward = if is_undone { &["undo", "undone"][..] } else { &[] };
    ["begin", "applied", "verified"].iter().chain(backward).map(move |edge| format!("step.{step}.{edge}"))
}
