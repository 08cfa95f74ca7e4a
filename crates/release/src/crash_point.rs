//! Where the crash matrix kills the program while it changes releases.

ov_sys::crash_points! {
    /// The edges between what is visible and what is not.
    pub enum CrashPoint {
        /// A release is built and its provenance written, both under hidden names.
        Built = "release.built",
        /// Its directory is in place, and its provenance not: it does not count yet.
        Placed = "release.placed",
        /// It counts, and nobody was told.
        Committed = "release.committed",
        /// `current` names another release, and that was not read back.
        Switched = "release.switched",
        /// A directory is out of sight, and its provenance still there.
        Hidden = "release.hidden",
        /// Neither is there any more, and the hidden directory still is.
        Withdrawn = "release.withdrawn",
    }
}
