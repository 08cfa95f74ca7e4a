//! Where the crash matrix kills the program while it copies or replaces data.

ov_sys::crash_points! {
    /// The edges between what is visible and what is not.
    pub enum CrashPoint {
        /// A snapshot is complete and durable under a hidden name.
        SnapshotBuilt = "vault.snapshot-built",
        /// It has its name, and nobody was told.
        SnapshotTaken = "vault.snapshot-taken",
        /// The data to restore is complete and durable beside the live one.
        RestoreBuilt = "vault.restore-built",
        /// The marker says which directories change places; none has.
        SwapMarked = "vault.swap-marked",
        /// The names of old and new data were changed once, and not all of that is done.
        SwapBegun = "vault.swap-begun",
        /// Old and new data have their names, and the marker is still there.
        SwapNamed = "vault.swap-named",
        /// The marker is gone, and nobody was told.
        SwapDone = "vault.swap-done",
    }
}
